"""Where notices go in tests: moto's SNS, with a queue that shows what came."""

from tests.cli.conftest import moto_url

__all__ = ["moto_url"]
