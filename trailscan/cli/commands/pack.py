"""`trailscan pack`: its arguments and help."""

from typing import Annotated

import typer

from trailscan.cli.commands import options

EXAMPLES = """\b
Examples:
  trailscan pack case-17.tar
  trailscan pack march.tar --since 2026-03-01 --until 2026-04-01 --account 111122223333
  trailscan pack case-17.tar --with-wheels --platform manylinux_2_28_x86_64 --python 3.11
  tar xf case-17.tar -C elsewhere && cd elsewhere && sha256sum -c SHA256SUMS"""


def pack(
    out: Annotated[str, typer.Argument(metavar="OUT.tar", help="The bundle to write.")],
    since: options.Since = None,
    until: options.Until = None,
    account: Annotated[
        list[str] | None, typer.Option("--account", metavar="ID", help="Only this account.  [repeatable]")
    ] = None,
    region: Annotated[
        list[str] | None, typer.Option("--region", metavar="NAME", help="Only this region.  [repeatable]")
    ] = None,
    no_database: Annotated[bool, typer.Option("--no-database", help="Leave the database out; unpack makes it anew.")] = False,
    with_wheels: Annotated[
        bool, typer.Option("--with-wheels", help="Add trailscan and all it needs, to install with no network.")
    ] = False,
    platform: Annotated[
        list[str] | None,
        typer.Option("--platform", metavar="TAG", help="For this platform, as pip names it, not for this one.  [repeatable]"),
    ] = None,
    python: Annotated[
        str | None, typer.Option("--python", metavar="VERSION", help="For this Python, such as 3.12, not for this one.")
    ] = None,
    archive: options.Archive = None,
    quiet: options.Quiet = False,
    debug: options.Debug = False,  # noqa: ARG001 - read by main
) -> None:
    """Make one file of the archive, to carry: a tar whose last member, SHA256SUMS, vouches for all others.

    Prints the file's own SHA-256, as sha256sum does. The same archive always makes the same file. With --since, --until,
    --account or --region it holds only the objects whose keys say so, and no database.
    """
    from trailscan.bundle.pack import Narrowing
    from trailscan.cli.asking import moment
    from trailscan.cli.packing import PackOptions, pack_archive

    narrowing = Narrowing(moment(since), moment(until), tuple(account or ()), tuple(region or ()))
    wish = PackOptions(out, narrowing, not no_database, with_wheels, tuple(platform or ()), python)
    raise typer.Exit(pack_archive(wish, options.archive_root(archive), quiet))
