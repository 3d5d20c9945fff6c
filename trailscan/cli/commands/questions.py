"""The options of the commands that ask about calls: filters, and the shape of the answer; they read the same everywhere."""

from enum import StrEnum
from typing import Annotated

import typer


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


Event = Annotated[Texts, _filter("--event", "Event name, exact in case.", "NAME")]
EventSource = Annotated[Texts, _filter("--event-source", "Service, as in ssm.amazonaws.com.", "NAME")]
User = Annotated[Texts, _filter("--user", "User, session or role name, as a person calls it.", "NAME")]
Arn = Annotated[Texts, _filter("--arn", "ARN of the caller or of its role.", "ARN")]
SourceIp = Annotated[Texts, _filter("--source-ip", "Source address or network.", "CIDR")]
Account = Annotated[Texts, _filter("--account", "Account that the event was recorded for.", "ID")]
Region = Annotated[Texts, _filter("--region", "Region of the event.", "NAME")]
Target = Annotated[Texts, _filter("--target", "Machine that a session or command was for.", "ID")]
Session = Annotated[Texts, _filter("--session", "Session Manager session.", "ID")]
AccessKey = Annotated[Texts, _filter("--access-key", "Access key of the caller.", "ID")]
Error = Annotated[Texts, _filter("--error", "Error code.", "CODE")]
Failed = Annotated[
    bool | None, typer.Option("--failed/--succeeded", help="Only calls that failed, or only those that did not.")
]

Formats = Annotated[Format, typer.Option("--format", "-f", help="How to write the answer.")]
Columns = Annotated[str | None, typer.Option("--columns", metavar="A,B", help="The columns to show.")]
Sort = Annotated[str, typer.Option("--sort", metavar="COLUMN", help="Order; -COLUMN for descending.")]
Limit = Annotated[int | None, typer.Option("--limit", min=0, metavar="N", help="Show at most so many.")]
Count = Annotated[bool, typer.Option("--count", help="Print only how many there are.")]
By = Annotated[str | None, typer.Option("--by", metavar="COLUMN", help="Count by the values of a column.")]


def where_option(view: str) -> object:
    """`--where`, over the columns of a view."""
    return typer.Option("--where", metavar="SQL", help=f"A condition of your own over the columns of `{view}`.")
