"""trailscan: from CloudTrail's objects in S3 to who opened a Session Manager shell, offline and with proof."""

__version__ = "0.1.0"
