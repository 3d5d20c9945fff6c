"""`trailscan keys import` and `trailscan keys list`: their arguments and help."""

from typing import Annotated

import typer

from trailscan.cli.commands import options
from trailscan.render.formats import PEOPLE

EXAMPLES = """\b
Examples:
  aws cloudtrail list-public-keys --region eu-west-1 --start-time 2026-03-01 > eu-west-1.json
  trailscan keys import eu-west-1.json
  trailscan keys import ../case-16
  trailscan keys list"""

Region = Annotated[
    str | None,
    typer.Option("--region", metavar="NAME", help="The keys' region.  [default: that of the file's name, or any]"),
]

app = typer.Typer(
    name="keys",
    help="Show and import CloudTrail's public keys, by which digests are verified.",
    epilog=EXAMPLES,
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["--help", "-h"]},
)


@app.command("import", epilog=EXAMPLES)
def import_(
    path: Annotated[str, typer.Argument(metavar="PATH", help="A file, a folder of files, or another archive.")],
    region: Region = None,
    archive: options.Archive = None,
    quiet: options.Quiet = False,
    debug: options.Debug = False,  # noqa: ARG001 - read by main
) -> None:
    """Keep public keys that came by another way than a sync: what `aws cloudtrail list-public-keys` printed, or an archive's.

    Custody notes where they came from, and `verify` says so of every digest that it verifies by them.
    """
    from trailscan.cli.importing_keys import import_keys

    raise typer.Exit(import_keys(options.archive_root(archive), path, region, quiet))


@app.command("list", epilog=EXAMPLES)
def list_(
    output_format: options.Tabular = PEOPLE,
    output: options.Output = None,
    archive: options.Archive = None,
    quiet: options.Quiet = False,
    debug: options.Debug = False,  # noqa: ARG001 - read by main
) -> None:
    """List the public keys that are kept, for when each is valid, and where it came from."""
    from trailscan.cli.importing_keys import list_keys

    raise typer.Exit(list_keys(options.archive_root(archive), output_format, output, quiet))
