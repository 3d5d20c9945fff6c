"""Invented records, and every wrapper they can arrive in."""

import csv
import io
import json
from collections.abc import Callable

from hypothesis import strategies as st

Record = dict[str, object]

_words = st.text(st.characters(codec="utf-8", exclude_categories=("Cs",)), max_size=12)
_values = st.recursive(
    st.none() | st.booleans() | st.integers() | _words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_words, inner, max_size=3),
    max_leaves=6,
)


def record(number: int = 0, **more: object) -> Record:
    return {
        "eventVersion": "1.11",
        "userIdentity": {"type": "IAMUser", "accountId": "111122223333", "userName": "ana"},
        "eventTime": f"2026-03-01T09:{number // 60 % 60:02}:{number % 60:02}Z",
        "eventSource": "ssm.amazonaws.com",
        "eventName": "StartSession",
        "sourceIPAddress": "198.51.100.7",
        "requestParameters": {"target": "i-0123456789abcdef0"},
        **more,
    }


record_lists = st.lists(
    st.builds(record, st.integers(0, 3599), requestParameters=_values, userAgent=_words), min_size=1, max_size=5
)


def minified(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def native(records: list[Record]) -> bytes:
    return minified({"Records": records})


def _lines(values: list[object], end: str = "\n") -> bytes:
    return b"".join(minified(value) + end.encode() for value in values)


def _looked_up(one: Record) -> Record:
    return {"EventId": "e", "EventName": one["eventName"], "CloudTrailEvent": json.dumps(one), "Resources": []}


def _envelope(one: Record) -> Record:
    return {"version": "0", "id": "i", "detail-type": "AWS API Call via CloudTrail", "source": "aws.ssm", "detail": one}


def _log_event(one: Record) -> Record:
    return {"timestamp": 1772355600000, "message": json.dumps(one), "ingestionTime": 1772355601000}


def _data_message(records: list[Record]) -> Record:
    events = [{"id": "1", "timestamp": 1772355600000, "message": json.dumps(one)} for one in records]
    return {"messageType": "DATA_MESSAGE", "owner": "111122223333", "subscriptionFilters": ["f"], "logEvents": events}


_CONTROL: Record = {
    "messageType": "CONTROL_MESSAGE",
    "logEvents": [{"id": "", "timestamp": 1, "message": "CWL CONTROL MESSAGE: Checking health of destination."}],
}


def _insights_csv(records: list[Record]) -> bytes:
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["@timestamp", "@message"])
    writer.writerows(["2026-03-01 09:00:00.000", json.dumps(one)] for one in records)
    return out.getvalue().encode()


def _insights_rows(records: list[Record]) -> Record:
    return {"results": [[{"field": "@ptr", "value": "p"}, {"field": "@message", "value": json.dumps(one)}] for one in records]}


WRAPPERS: dict[str, tuple[str, Callable[[list[Record]], bytes]]] = {
    "native": ("records", native),
    "native with a newline": ("records", lambda r: native(r) + b"\n"),
    "pretty printed": ("records", lambda r: json.dumps({"Records": r}, indent=2).encode()),
    "lower case": ("records", lambda r: minified({"records": r})),
    "more keys": ("records", lambda r: minified({"a": [1, {"b": 2}], "Records": r, "z": None})),
    "byte order mark": ("records", lambda r: b"\xef\xbb\xbf" + native(r)),
    "bare array": ("array", minified),
    "pretty array": ("array", lambda r: json.dumps(r, indent=4).encode()),
    "lines": ("json-lines", lambda r: _lines([*r, r[0]])),
    "lines with CRLF": ("json-lines", lambda r: _lines([*r, r[0]], "\r\n")),
    "concatenated": ("json-lines", lambda r: _lines([*r, r[0]], "")),
    "lines of native files": ("records", lambda r: _lines([{"Records": [one]} for one in r])),
    "lookup": ("lookup-events", lambda r: minified({"Events": [_looked_up(one) for one in r], "NextToken": "n"})),
    "lookup list": ("lookup-events", lambda r: minified([_looked_up(one) for one in r])),
    "lookup pages": ("lookup-events", lambda r: minified([{"Events": [_looked_up(one)]} for one in r])),
    "lookup lines": ("lookup-events", lambda r: _lines([_looked_up(one) for one in r])),
    "lookup page lines": ("lookup-events", lambda r: _lines([{"Events": [_looked_up(one)]} for one in r])),
    "envelope lines": ("eventbridge", lambda r: _lines([_envelope(one) for one in r])),
    "envelope array": ("eventbridge", lambda r: minified([_envelope(one) for one in r])),
    "log events": ("cloudwatch-logs", lambda r: json.dumps({"events": [_log_event(one) for one in r]}, indent=1).encode()),
    "log export": ("cloudwatch-logs", lambda r: b"".join(b"2026-03-01T09:00:00.000Z " + minified(one) + b"\n" for one in r)),
    "subscription": (
        "cloudwatch-logs",
        lambda r: _lines([_CONTROL, _data_message(r[:1]), _CONTROL, _data_message(r[1:])], ""),
    ),
    "envelopes in logs": ("cloudwatch-logs", lambda r: minified({"events": [_log_event(_envelope(one)) for one in r]})),
    "Insights CSV": ("logs-insights", _insights_csv),
    "Insights results": ("logs-insights", lambda r: minified(_insights_rows(r))),
    "Insights console": ("logs-insights", lambda r: minified([{"@timestamp": "t", "@message": one} for one in r])),
}
REPEATS_ONE = {"lines", "lines with CRLF", "concatenated"}  # so that there are at least two documents
