"""`trailscan query`: its arguments and help."""

from enum import StrEnum
from typing import Annotated

import typer

from trailscan.cli import options

EXAMPLES = """\b
Examples:
  trailscan query --event StartSession --since 7d
  trailscan query --event '*Session' --event-source ssm.amazonaws.com --source-ip 198.51.100.0/24
  trailscan query --user alice --failed --format csv -o alice.csv
  trailscan query --by user_arn --event StartSession
  trailscan query ./download --event StartSession      (no archive: straight over files)"""


class Format(StrEnum):
    """How rows are written; `record` is the original records, one a line."""

    TABLE = "table"
    JSON = "json"
    JSONL = "jsonl"
    CSV = "csv"
    PARQUET = "parquet"
    RECORD = "record"


Texts = list[str] | None


def _filter(flag: str, what: str, metavar: str = "TEXT") -> object:
    return typer.Option(flag, metavar=metavar, help=what)


def query(
    paths: Annotated[
        Texts, typer.Argument(metavar="[PATH]...", help="Search these files directly; no archive is needed.")
    ] = None,
    event: Annotated[Texts, _filter("--event", "Event name, exact in case.", "NAME")] = None,
    event_source: Annotated[Texts, _filter("--event-source", "Service, as in ssm.amazonaws.com.", "NAME")] = None,
    user: Annotated[Texts, _filter("--user", "User, session or role name, as a person calls it.", "NAME")] = None,
    arn: Annotated[Texts, _filter("--arn", "ARN of the caller or of its role.", "ARN")] = None,
    source_ip: Annotated[Texts, _filter("--source-ip", "Source address or network.", "CIDR")] = None,
    account: Annotated[Texts, _filter("--account", "Account that the event was recorded for.", "ID")] = None,
    region: Annotated[Texts, _filter("--region", "Region of the event.", "NAME")] = None,
    target: Annotated[Texts, _filter("--target", "Machine that a session or command was for.", "ID")] = None,
    session: Annotated[Texts, _filter("--session", "Session Manager session.", "ID")] = None,
    access_key: Annotated[Texts, _filter("--access-key", "Access key of the caller.", "ID")] = None,
    error: Annotated[Texts, _filter("--error", "Error code.", "CODE")] = None,
    failed: Annotated[
        bool | None, typer.Option("--failed/--succeeded", help="Only calls that failed, or only those that did not.")
    ] = None,
    since: options.Since = None,
    until: options.Until = None,
    where: Annotated[
        str | None, typer.Option("--where", metavar="SQL", help="A condition of your own over the columns of `evidence`.")
    ] = None,
    output_format: Annotated[Format, typer.Option("--format", "-f", help="How to write the answer.")] = Format.TABLE,
    columns: Annotated[str | None, typer.Option("--columns", metavar="A,B", help="The columns to show.")] = None,
    sort: Annotated[str, typer.Option("--sort", metavar="COLUMN", help="Order; -COLUMN for descending.")] = "event_time",
    limit: Annotated[int | None, typer.Option("--limit", min=0, metavar="N", help="Show at most so many.")] = None,
    count: Annotated[bool, typer.Option("--count", help="Print only how many there are.")] = False,
    by: Annotated[str | None, typer.Option("--by", metavar="COLUMN", help="Count by the values of a column.")] = None,
    all_copies: Annotated[bool, typer.Option("--all-copies", help="Show an event once for each object that holds it.")] = False,
    output: options.Output = None,
    jobs: options.Jobs = None,
    archive: options.Archive = None,
    quiet: options.Quiet = False,
    debug: options.Debug = False,  # noqa: ARG001 - read by main
) -> None:
    """Find events, in the archive or straight in files.

    Filters can be repeated: OR within one, AND between them. Texts may hold * for any characters. Times are ISO 8601 (a
    bare date is midnight UTC) or 7d, 12h, 30m ago; --since is inclusive, --until exclusive.
    """
    from trailscan.cli import asking
    from trailscan.search.filters import Filters

    filters = Filters(
        event=tuple(event or ()),
        event_source=tuple(event_source or ()),
        user=tuple(user or ()),
        arn=tuple(arn or ()),
        source_ip=tuple(source_ip or ()),
        account=tuple(account or ()),
        region=tuple(region or ()),
        target=tuple(target or ()),
        session=tuple(session or ()),
        access_key=tuple(access_key or ()),
        error=tuple(error or ()),
        failed=failed,
        since=asking.moment(since),
        until=asking.moment(until),
        where=where,
    )
    wanted = tuple(name.strip() for name in columns.split(",")) if columns else ()
    shape = asking.Shape(output_format.value, wanted, sort, limit, count, by, all_copies, output)
    if paths:
        from trailscan.cli.scanning import ask_files

        raise typer.Exit(ask_files(paths, filters, shape, jobs, quiet))
    raise typer.Exit(asking.ask_archive(options.archive_root(archive), filters, shape, quiet))
