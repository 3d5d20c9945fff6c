"""The documentation that is installed with the program: the pages of `docs/`, by name."""

from importlib import resources
from importlib.resources.abc import Traversable

from trailscan.errors import UsageError

_ENDING = ".md"


def pages() -> dict[str, str]:
    """The title of each page by its name, in the order of names."""
    files = sorted(_folder().iterdir(), key=lambda file: file.name)
    return {file.name.removesuffix(_ENDING): _title(file) for file in files if file.name.endswith(_ENDING)}


def page(name: str) -> str:
    """A page, as Markdown. Raises UsageError, which names them all, when there is none of this name."""
    known = pages()
    name = name.removesuffix(_ENDING)
    if name not in known:
        raise UsageError(f"there is no page {name!r}", f"there are: {', '.join(known)}")
    return _folder().joinpath(name + _ENDING).read_text(encoding="utf-8")


def _folder() -> Traversable:
    return resources.files("trailscan").joinpath("docs")


def _title(file: Traversable) -> str:
    with file.open(encoding="utf-8") as lines:
        return next(iter(lines), "").strip("# \n")
