"""The reference of the command line, docs/cli.md, made of the commands' own help: `make docs` writes it."""

import sys
from collections.abc import Iterator

from typer import Typer
from typer.testing import CliRunner

from trailscan.cli.main import app

WIDTH = 100
_HEAD = """# The command line

Made of the commands' own `--help` by `make docs`; edit the commands, not this page."""


def reference() -> str:
    """The page, as Markdown: the program, then each command in the order of `trailscan --help`."""
    return "\n\n".join([_HEAD, *(_section(name) for name in _names("", app))]) + "\n"


def _names(outer: str, commands: Typer) -> Iterator[str]:
    """The program or group and what is below it, as words of a command line."""
    yield outer
    for each in commands.registered_commands:
        yield f"{outer} {each.name}".strip()
    for group in commands.registered_groups:
        if group.typer_instance is not None:
            yield from _names(f"{outer} {group.name}".strip(), group.typer_instance)


def _section(name: str) -> str:
    shown = CliRunner().invoke(app, [*name.split(), "--help"], terminal_width=WIDTH, max_content_width=WIDTH)
    lines = "\n".join(line.rstrip() for line in shown.output.strip().splitlines())
    return f"## trailscan {name}".rstrip() + f"\n\n```text\n{lines}\n```"


if __name__ == "__main__":
    sys.stdout.write(reference())
