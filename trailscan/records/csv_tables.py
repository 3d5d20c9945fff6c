"""Text tables (CSV, also with tabs or semicolons): the records that their cells hold, and the console's Event history.

Source of the Event history columns: published downloads of the CloudTrail console, "Download as CSV". It never guesses: a
table whose cells hold no whole record is named for what it seems to be.
"""

import csv
import io
import re
from collections.abc import Callable, Iterator, Mapping

import msgspec

from trailscan.records.collector import Envelope, RecordCollector
from trailscan.records.foreign import kind_of_columns
from trailscan.records.json_scan import Walk

SUMMARY = "summary-only"  # the flag of an event that came without request and response
SUMMARIES = "event-history-csv"  # the shape of an object of such events
_LONGEST_HEADER = 1 << 14  # bytes
_SEPARATORS = (b",", b"\t", b";", b"|")
_RAW = frozenset((
    "_raw", "@message", "message", "event.original", "_source.event.original", "eventjson", "cloudtrailevent", "full_log",
    "full_message", "log", "raw", "rawevent", "raw_data", "body", "event", "content", "record",
))  # fmt: skip
_KNOWN = _RAW | frozenset((
    "eventname", "eventsource", "eventtime", "eventversion", "useridentity", "event name", "event source", "event time",
    "eventid", "awseventid", "useridentityarn", "sourceipaddress", "awsregion", "account_id", "srcaddr", "class_uid",
))  # fmt: skip
_HISTORY_NEEDS = frozenset(("Event name", "Event time", "Event source"))
_HISTORY = {
    "Event time": "eventTime",
    "Event source": "eventSource",
    "Event name": "eventName",
    "AWS region": "awsRegion",
    "Source IP address": "sourceIPAddress",
    "User agent": "userAgent",
    "Error code": "errorCode",
    "Request ID": "requestID",
    "Event ID": "eventID",
    "Event type": "eventType",
    "Recipient Account Id": "recipientAccountId",
    "Event category": "eventCategory",
}
_IDENTITY = {"User name": "userName", "AWS access key": "accessKeyId"}
_WHITE = b" \t\r\n"
Row = list[bytes] | None


class Table:
    """The first line of a table, taken apart: its columns by name, and what stands between two cells."""

    def __init__(self, columns: list[str], separator: bytes) -> None:
        self.columns, self.separator = columns, separator
        lower = [column.strip().lower() for column in columns]
        self.raw = [number for number, name in enumerate(lower) if name in _RAW]
        self.is_history = set(columns) >= _HISTORY_NEEDS
        self.is_known = bool(set(lower) & _KNOWN) or self.is_history


def table_in(body: bytes) -> Table | None:
    """The table that a text is, None where its first line names no column that is known here."""
    if body[:1] in (b"{", b"[", b"<", b"") or b"\0" in body[:64]:
        return None
    line = body[:_LONGEST_HEADER].lstrip(b"\r\n").split(b"\n", 1)[0].rstrip(b"\r")
    separator = max(_SEPARATORS, key=line.count)
    try:
        columns = next(csv.reader(io.StringIO(line.decode()), delimiter=separator.decode()), [])
    except (UnicodeDecodeError, csv.Error):
        return None
    table = Table(columns, separator)
    return table if table.is_known and not any("{" in column for column in columns) else None


def read_table(sift: RecordCollector, table: Table, body: bytes, base: int | None) -> None:
    """Sift the records of a table."""
    if table.is_history and not table.raw:
        _each_row(sift, table, body, base, _history_row(sift, table.columns))
        sift.named(SUMMARIES)
    elif table.raw:
        sift.named("logs-insights" if "@message" in table.columns else "csv")
        _each_row(sift, table, body, base, _raw_row(sift, table.raw))
    else:
        sift.stranger(kind_of_columns(table.columns))


def _each_row(
    sift: RecordCollector, table: Table, body: bytes, base: int | None, take: Callable[[list[bytes], int | None], None]
) -> None:
    rows = _rows(body, table.separator)
    next(rows, None)
    for cells, start in rows:
        where = None if base is None else base + start
        if cells is None or len(cells) == 1 < len(table.columns):
            sift.reject("truncated", "This row is broken: it could not be read.", where)
        else:
            take(cells, where)


def _raw_row(sift: RecordCollector, columns: list[int]) -> Callable[[list[bytes], int | None], None]:
    """Look for records in the columns that hold original text."""

    def take(cells: list[bytes], where: int | None) -> None:
        before = sift.index
        wanted = [cells[column] for column in columns if column < len(cells)]
        for text in wanted:
            if text.lstrip(_WHITE)[:1] in (b"{", b"[", b'"'):
                Walk(sift, text, where, 1, is_fixed=True, quiet=len(wanted) > 1).documents()
            elif text.strip():
                quoted = msgspec.json.encode(text.decode("utf-8", "replace"))
                Walk(sift, quoted, where, 1, is_fixed=True, quiet=True).look_into(0, len(quoted))
        if sift.index > before:
            return
        if not any(text.strip() for text in wanted):
            sift.reject("not-a-record", "The cell of this row that should hold an event is empty.", where)
        else:
            sift.stranger("a row whose text is no CloudTrail record")

    return take


def _history_row(sift: RecordCollector, columns: list[str]) -> Callable[[list[bytes], int | None], None]:
    """Make a record of what the console's table says: no request, no response, no identity beyond name and key."""

    def take(cells: list[bytes], where: int | None) -> None:
        try:
            texts = [cell.decode() for cell in cells]
        except UnicodeDecodeError:
            sift.reject("not-utf8", "This row is not UTF-8.", where)
            return
        said = {name: text for name, text in zip(columns, texts, strict=False) if text}
        if not said.keys() >= _HISTORY_NEEDS:
            sift.reject("not-a-record", "This row of Event history has no event name, source or time.", where)
            return
        around, sift.envelope = sift.envelope, Envelope(flag=SUMMARY)
        sift.keep(msgspec.json.encode(_record_of(said)), where)
        sift.envelope = around

    return take


def _record_of(said: Mapping[str, str]) -> dict[str, object]:
    record: dict[str, object] = {field: said[name] for name, field in _HISTORY.items() if name in said}
    identity = {field: said[name] for name, field in _IDENTITY.items() if name in said}
    if identity:
        record["userIdentity"] = identity
    if said.get("Read-only", "").lower() in ("true", "false"):
        record["readOnly"] = said["Read-only"].lower() == "true"
    if resources := _json_list(said.get("Resources", "")):
        record["resources"] = resources
    return record


def _json_list(text: str) -> list[object]:
    try:
        return msgspec.json.decode(text, type=list[object])
    except (msgspec.DecodeError, RecursionError):
        return []


def _rows(raw: bytes, separator: bytes) -> Iterator[tuple[Row, int]]:
    """Rows of cells (RFC 4180) and where they start; a row whose quotes do not match ends the table with None."""
    mark = re.escape(separator)
    pattern = re.compile(rb'(?:"((?:[^"]|"")*+)"|([^"\r\n' + mark + rb"][^\r\n" + mark + rb"]*+|))(" + mark + rb"|\r?\n|\Z)")
    position = start = 0
    cells: list[bytes] = []
    while position < len(raw):
        cell = pattern.match(raw, position)
        if cell is None:
            yield None, start
            return
        quoted, plain, behind = cell.groups()
        cells.append(plain if quoted is None else quoted.replace(b'""', b'"'))
        position = cell.end()
        if behind != separator:
            if cells != [b""]:
                yield cells, start
            cells, start = [], position
    if cells:
        yield cells, start
