"""stub"""

EXAMPLES = ""


def sync() -> None:
    """Stub."""
