"""stub"""

EXAMPLES = ""


def status() -> None:
    """Stub."""
