"""How far a long operation is, as a value: who started it is told, and decides how to show it."""

from collections.abc import Callable

import msgspec


class Progress(msgspec.Struct, frozen=True):
    """`done` of `total` units of `what`; `total` is None while it is not known. `detail` is a sentence of its own."""

    what: str
    done: int = 0
    total: int | None = None
    unit: str = "object"
    detail: str = ""

    def __str__(self) -> str:
        if self.detail:
            return self.detail
        units = self.unit if self.done == 1 and self.total is None else f"{self.unit}s"
        return f"{self.what}: {self.done:,}" + ("" if self.total is None else f" of {self.total:,}") + f" {units}"


OnProgress = Callable[[Progress], None]
"""Is told of progress, some times a second at most."""

Stop = Callable[[], bool]
"""Is asked often; once it says True, the operation ends after what is in hand."""


def ignore_progress(_progress: Progress) -> None:
    """Show nothing."""


def never() -> bool:
    """Do not stop."""
    return False
