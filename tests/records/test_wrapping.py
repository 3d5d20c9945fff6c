"""A whole record within other things is found exactly once, with its bytes; what is foreign is never taken for one."""

# ruff: noqa: E501 - a wrapper a line is easier to compare

import base64
import csv
import gzip
import io
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.records.shapes_of_records import minified, native, record, record_lists
from trailscan.records.object_reader import read_object
from trailscan.records.prefilter import Needles, Prefilter


def packed(value: object) -> str:
    return base64.b64encode(gzip.compress(minified(value), mtime=0)).decode()


WITHIN = {
    "SNS": lambda inner: {"Type": "Notification", "TopicArn": "arn:aws:sns:eu-west-1:111122223333:t", "Message": json.dumps(inner)},
    "SNS for Lambda": lambda inner: {"Records": [{"EventSource": "aws:sns", "Sns": {"Message": json.dumps(inner)}}]},
    "SQS for Lambda": lambda inner: {"Records": [{"messageId": "m", "body": json.dumps(inner), "eventSource": "aws:sqs"}]},
    "SQS": lambda inner: {"Messages": [{"MessageId": "m", "ReceiptHandle": "r", "Body": json.dumps(inner)}]},
    "EventBridge": lambda inner: {"version": "0", "detail-type": "x", "source": "aws.ssm", "detail": inner},
    "Kinesis for Lambda": lambda inner: {"Records": [{"eventSource": "aws:kinesis", "kinesis": {"data": packed(inner)}}]},
    "Kinesis, not packed": lambda inner: {"data": base64.b64encode(minified({"event": inner})).decode()},
    "CloudWatch for Lambda": lambda inner: {
        "awslogs": {"data": packed({"messageType": "DATA_MESSAGE", "logEvents": [{"id": "1", "timestamp": 1, "message": json.dumps(inner)}]})}
    },
    "Filebeat": lambda inner: {"@timestamp": "t", "agent": {"type": "filebeat"}, "message": json.dumps(inner)},
    "ECS": lambda inner: {"event": {"original": json.dumps(inner), "action": "StartSession"}, "tags": []},
    "Elasticsearch": lambda inner: {"took": 1, "hits": {"hits": [{"_index": "i", "_source": {"message": json.dumps(inner)}}]}},
    "Splunk": lambda inner: {"preview": False, "result": {"_raw": json.dumps(inner), "host": "h"}},
    "Splunk results": lambda inner: {"results": [{"_raw": json.dumps(inner)}]},
    "Lake": lambda inner: {"QueryResultRows": [[{"eventJson": json.dumps(inner)}]]},
    "Fluent Bit": lambda inner: {"date": 1.0, "log": json.dumps(inner) + "\n"},
    "Graylog": lambda inner: {"messages": [{"message": {"full_message": json.dumps(inner), "source": "s"}}]},
    "Loki": lambda inner: {"data": {"result": [{"stream": {"a": "b"}, "values": [["1772355600000000000", json.dumps(inner)]]}]}},
    "Datadog": lambda inner: {"data": [{"id": "i", "attributes": {"attributes": inner, "service": "cloudtrail"}}]},
    "Wazuh": lambda inner: {"rule": {"level": 3}, "data": {"integration": "aws", "aws": inner}},
    "a named test": lambda inner: {"name": "a test", "expect": True, "event": inner},
    "text in text": lambda inner: [json.dumps(json.dumps(inner))],
    "any name": lambda inner: {"x": [[{"y": inner}], 7, None]},
}  # fmt: skip
CLOTHES = {
    "plain": lambda raw: raw,
    "pretty": lambda raw: json.dumps(json.loads(raw), indent=2).encode(),
    "UTF-16 with a mark, CRLF": lambda raw: ("\ufeff" + json.dumps(json.loads(raw), indent=1).replace("\n", "\r\n")).encode("utf-16-le"),
    "UTF-16, big": lambda raw: raw.decode().encode("utf-16-be"),
    "UTF-8 with a mark": lambda raw: b"\xef\xbb\xbf" + raw,
    "separated": lambda raw: b"\x1e" + raw + b"\n",
    "gzip": lambda raw: gzip.compress(raw, mtime=0),
}  # fmt: skip
nestings = st.lists(st.sampled_from(sorted(WITHIN)), min_size=1, max_size=3)


def parsed(reading: Any) -> list[object]:
    return [json.loads(bytes(one)) for one in reading.records]


@settings(max_examples=150, deadline=None)
@given(record_lists.map(lambda records: records[0]), nestings, st.sampled_from(sorted(CLOTHES)))
def test_a_record_in_any_nesting_is_found_once_with_its_content(one, nesting, clothes):
    one = one | {"eventID": "e-1"}
    value: object = one
    for name in nesting:
        value = WITHIN[name](value)
    raw = CLOTHES[clothes](minified(value))
    reading = read_object(raw)
    assert (parsed(reading), reading.status, list(reading.indexes)) == ([one], "ok", [0])
    sifted = read_object(raw, sieve=Prefilter(Needles.of([["StartSession"]])))
    assert (list(sifted.records), list(sifted.indexes)) == (list(reading.records), list(reading.indexes))


@pytest.mark.parametrize("name", WITHIN)
def test_a_wrapper_behind_a_native_record_is_not_spared_by_the_prefilter(name):
    raw = native([record(1, eventName="Other"), WITHIN[name](record(2))])
    (found,) = read_object(raw, sieve=Prefilter(Needles.of([["StartSession"]]))).records
    assert json.loads(bytes(found)) == record(2)


def test_bytes_of_a_record_stay_as_they_are():
    spelled = (
        b'{ "eventVersion":"1.11",  "eventTime":"2026-03-01T09:00:00Z","eventSource":"ssm.amazonaws.com","eventName":"X" }'
    )
    assert [bytes(one) for one in read_object(b'{"a":{"event" : ' + spelled + b"}}").records] == [spelled]
    assert [bytes(one) for one in read_object(minified({"_raw": spelled.decode()})).records] == [spelled]


def test_text_and_fields_of_one_event_are_one_event():
    one = record(1, eventID="e-1")
    flat = {**one, "_raw": json.dumps(one), "host": "h"}
    alert = {"data": {"integration": "aws", "aws": {**one, "log_info": {"s3bucket": "b"}}}, "full_log": json.dumps(one)}
    assert parsed(read_object(minified(flat))) == [one]
    assert parsed(read_object(minified(alert))) == [one]


def test_two_events_of_one_id_in_one_wrapper_are_two():
    one, other = record(1, eventID="e-1"), record(2, eventID="e-1")
    assert parsed(read_object(minified({"a": one, "b": other}))) == [one, other]


def test_nesting_beyond_the_bound_ends_and_is_not_cloudtrail():
    value: object = record(1)
    for _ in range(60):
        value = {"x": value}
    assert read_object(minified(value)).status == "not-cloudtrail"


def test_a_packed_bomb_in_a_string_is_bounded_damage():
    bomb = base64.b64encode(gzip.compress(b'{"eventVersion":"' + b" " * (80 << 20), mtime=0)).decode()
    reading = read_object(minified({"Records": [record(1), {"kinesis": {"data": bomb}}]}))
    assert "too-large" in [damage.what for damage in reading.damage]
    assert len(reading.records) == 1


FOREIGN = {
    "an S3 event notification": {"Records": [{"eventVersion": "2.1", "eventSource": "aws:s3", "awsRegion": "eu-west-1", "eventTime": "t",
        "eventName": "ObjectCreated:Put", "userIdentity": {"principalId": "p"}, "requestParameters": {}, "responseElements": {}, "s3": {}}]},
    "an Azure activity log": [{"eventName": {"value": "End"}, "eventTimestamp": "t", "operationName": {"value": "x"}}],
    "a Google Cloud audit log": {"protoPayload": {"methodName": "m"}, "logName": "n", "insertId": "i"},
    "an AWS Config snapshot": {"fileVersion": "1.0", "configurationItems": [{"resourceType": "AWS::EC2::Instance"}]},
    "ActionTrail": [{"eventVersion": "1", "eventSource": "ecs.aliyuncs.com", "eventName": "n", "eventTime": "t", "acsRegion": "r",
        "userIdentity": {"type": "root"}}],
    "EC2 Instance State-change": {"detail-type": "EC2 Instance State-change Notification", "source": "aws.ec2", "detail": {"state": "on"}},
    "Sentinel": [{"TenantId": "t", "AwsEventId": "e", "EventName": "StartSession", "UserIdentityArn": "a"}],
    "OCSF": {"class_uid": 6003, "metadata": {"product": {"name": "CloudTrail"}}, "api": {"operation": "StartSession"}},
    "Athena": [{"eventversion": "1.09", "useridentity": "{type=IAMUser}", "eventname": "StartSession", "eventsource": "s"}],
    "CloudTrail Lake": [{**record(1), "userIdentity": "{type=IAMUser, arn=a}"}],
    "JSON with the members sessions": {"sessions": [{"id": "x"}], "accounts": 3},
}  # fmt: skip


@pytest.mark.parametrize("kind", FOREIGN)
def test_foreign_input_is_named_and_no_damage(kind):
    reading = read_object(minified(FOREIGN[kind]))
    assert (reading.status, list(reading.records), [damage.what for damage in reading.damage]) == (
        "not-cloudtrail",
        [],
        ["not-cloudtrail"],
    )
    assert kind in reading.damage[0].reason


_names = st.sampled_from(
    ["eventName", "eventTime", "Records", "events", "message", "detail", "userIdentity", "a", "_raw"]
) | st.text(max_size=4)
_foreign = st.recursive(
    st.none() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_names, inner, max_size=4),
)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(_names, _foreign, min_size=1, max_size=4))
def test_a_random_foreign_object_is_never_cloudtrail(value):
    reading = read_object(minified(value))
    assert not reading.records
    assert reading.status in ("not-cloudtrail", "damaged", "empty")


@given(st.lists(st.booleans(), min_size=1, max_size=8).filter(any))
def test_foreign_elements_among_records_are_counted_apart(kinds):
    lines = [
        record(number) if ours else {"detail-type": "Other", "source": "aws.ec2", "detail": {}}
        for number, ours in enumerate(kinds)
    ]
    reading = read_object(b"\n".join(map(minified, lines)))
    assert (len(reading.records), reading.foreign, reading.read, reading.status) == (
        sum(kinds),
        kinds.count(False),
        len(kinds),
        "ok",
    )


def table(separator: str, *rows: list[str]) -> bytes:
    out = io.StringIO()
    csv.writer(out, delimiter=separator).writerows(rows)
    return out.getvalue().encode()


@pytest.mark.parametrize("separator", [",", "\t", ";"])
@pytest.mark.parametrize("column", ["_raw", "@message", "eventJson", "event.original", "message", "CloudTrailEvent"])
def test_records_in_a_column_are_found_whatever_breaks_stand_in_the_cells(separator, column):
    rows = [["1", 'a "quoted"\nline', json.dumps(record(number), indent=1)] for number in range(3)]
    reading = read_object(table(separator, ["n", "words", column], *rows))
    assert parsed(reading) == [record(number) for number in range(3)]
    assert reading.status == "ok"


@pytest.mark.parametrize(
    ("header", "kind"),
    [
        ("eventversion,useridentity,eventtime,eventsource,eventname", "flattened Athena result"),
        ("eventVersion,userIdentity,eventTime,eventSource,eventName", "flattened CloudTrail Lake result"),
        ("TenantId,AwsEventId,EventName,UserIdentityArn", "Microsoft Sentinel"),
    ],
)
def test_flattened_tables_are_refused_by_name(header, kind):
    reading = read_object(f"{header}\n1,2,3,4,5\n".encode())
    assert (reading.status, list(reading.records)) == ("not-cloudtrail", [])
    assert kind in reading.damage[0].reason


def test_parquet_is_named_with_what_to_hand_over():
    assert "hand over CloudTrail's own log files" in read_object(b"PAR1" + b"\0" * 90 + b"PAR1").damage[0].reason


def test_a_table_of_event_history_gives_events_that_say_what_they_lack():
    header = (
        "User name,AWS access key,Event time,Event source,Event name,AWS region,Source IP address,Resources,Event ID,Read-only"
    )
    row = 'ana,AKIAEXAMPLE000000009,2026-03-02T10:01:00Z,ssm.amazonaws.com,StartSession,eu-west-1,198.51.100.7,"[{""a"":1}]",e-9,false'
    reading = read_object(f"{header}\r\n{row}\r\n".encode())
    (one,) = parsed(reading)
    assert one["userIdentity"] == {"userName": "ana", "accessKeyId": "AKIAEXAMPLE000000009"}
    assert (one["eventName"], one["readOnly"], one["resources"]) == ("StartSession", False, [{"a": 1}])
    assert reading.envelopes[0].flag == "summary-only"


def test_a_cut_in_a_text_within_a_text_is_damage_and_not_silence():
    reading = read_object(minified([{"_raw": json.dumps(record(1))[:-20]}, {"_raw": json.dumps(record(2))}]))
    assert parsed(reading) == [record(2)]
    assert [damage.what for damage in reading.damage] == ["truncated"]


@pytest.mark.parametrize(
    "header",
    ["<134>Mar  2 10:01:00 host cloudtrail: ", "<134>1 2026-03-02T10:01:00Z host app - - - ", "Mar  2 10:01:00 host x[7]: "],
)
def test_records_behind_the_headers_of_syslog_are_found(header):
    reading = read_object(b"".join(header.encode() + minified(record(number)) + b"\n" for number in range(3)))
    assert (parsed(reading), reading.shape, reading.status) == ([record(number) for number in range(3)], "syslog", "ok")
