"""stub"""

EXAMPLES = ""


def rebuild() -> None:
    """Stub."""
