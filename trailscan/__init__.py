"""trailscan: from CloudTrail's objects in S3 to who opened a Session Manager shell, offline and with proof."""

from trailscan.version import __version__

__all__ = ["__version__"]
