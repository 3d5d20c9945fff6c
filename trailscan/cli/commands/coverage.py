"""`trailscan coverage`: its arguments and help."""

from enum import StrEnum
from typing import Annotated

import typer

from trailscan.cli.commands import options
from trailscan.render.formats import PEOPLE

EXAMPLES = """\b
Examples:
  trailscan coverage
  trailscan coverage --since 2026-03-01 --until 2026-04-01 --account 111122223333
  trailscan coverage --by hour --since 2026-03-02 --until 2026-03-03 --event StartSession
  trailscan coverage --format csv -o coverage.csv"""

Texts = list[str] | None


class Unit(StrEnum):
    """What a cell is."""

    DAY = "day"
    HOUR = "hour"


def coverage(
    since: options.Since = None,
    until: options.Until = None,
    account: Annotated[Texts, typer.Option("--account", metavar="ID", help="Account, as the object's key says.")] = None,
    region: Annotated[Texts, typer.Option("--region", metavar="NAME", help="Region, as the object's key says.")] = None,
    event: Annotated[
        Texts, typer.Option("--event", metavar="NAME", help="Count events of this name, by the time they happened.")
    ] = None,
    by: Annotated[Unit, typer.Option("--by", help="What a cell is.")] = Unit.DAY,
    output_format: options.Tabular = PEOPLE,
    output: options.Output = None,
    archive: options.Archive = None,
    quiet: options.Quiet = False,
    debug: options.Debug = False,  # noqa: ARG001 - read by main
) -> None:
    """Show what is held and what is missing: each account and region by day or hour of delivery.

    CloudTrail's digests say what was delivered, so where digests are held a quiet day can be told from one that is missing.
    Times are those of delivery, as the names of objects tell them. --account, --region and --event can be repeated and may
    hold * for any characters; --since and --until widen to whole days or hours. Exit code 3 where anything is missing or
    damaged.
    """
    from datetime import UTC, datetime

    from trailscan.cli.asking import moment
    from trailscan.cli.covering import show_coverage
    from trailscan.verify.coverage import CoverageScope

    scope = CoverageScope(
        now=datetime.now(UTC).replace(tzinfo=None),
        unit=by.value,
        since=moment(since),
        until=moment(until),
        accounts=tuple(account or ()),
        regions=tuple(region or ()),
        events=tuple(event or ()),
    )
    raise typer.Exit(show_coverage(options.archive_root(archive), scope, output_format, output, quiet))
