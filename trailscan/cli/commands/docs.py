"""`trailscan docs`: its arguments and help."""

from typing import Annotated

import typer

from trailscan.documents import page, pages

EXAMPLES = """\b
Examples:
  trailscan docs
  trailscan docs tables | less"""


def docs(
    name: Annotated[str | None, typer.Argument(metavar="[PAGE]", help="The page to print.", show_default=False)] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,  # noqa: ARG001 - read by main
) -> None:
    """Print a page of the documentation, as Markdown; with no PAGE, list them."""
    if name is not None:
        typer.echo(page(name), nl=False)
        return
    titles = pages()
    width = max(map(len, titles))
    typer.echo("\n".join(f"{each:<{width}}  {title}" for each, title in titles.items()))
