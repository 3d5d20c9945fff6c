"""What sound input that is not CloudTrail seems to be, by its members or its first bytes, and what to hand over instead."""

import re
from collections.abc import Mapping

# Names that tell a kind, all of which must be there; the first that fits counts.
_KINDS: tuple[tuple[frozenset[str], str], ...] = tuple(
    (frozenset(names.split()), kind)
    for names, kind in (
        ("eventversion useridentity", "a flattened row of Athena: hand over the log files that the table reads"),
        ("eventname eventsource", "a flattened row of Athena: hand over the log files that the table reads"),
        ("s3 eventSource", "an S3 event notification: hand over the object that it names"),
        ("dynamodb eventSource", "a DynamoDB stream record"),
        ("kinesis eventSource", "a Kinesis record for Lambda without CloudTrail in it"),
        ("ses eventSource", "an SES event for Lambda"),
        ("Sns EventSource", "an SNS event for Lambda without CloudTrail in it"),
        ("receiptHandle body", "an SQS message without CloudTrail in it"),
        ("ReceiptHandle Body", "an SQS message without CloudTrail in it"),
        ("Type TopicArn", "an SNS message without CloudTrail in it"),
        ("s3Bucket s3ObjectKey", "a notification of CloudTrail: hand over the objects that it names"),
        ("acsRegion eventName", "an event of Alibaba Cloud ActionTrail"),
        ("configurationItems", "an AWS Config snapshot or history"),
        ("configurationItem", "an AWS Config notification"),
        ("configRuleName", "an AWS Config notification"),
        ("protoPayload", "a Google Cloud audit log"),
        ("logName insertId", "a Google Cloud log"),
        ("AwsEventId", "a flattened row of Microsoft Sentinel (AWSCloudTrail): hand over the log files of S3"),
        ("UserIdentityArn", "a flattened row of Microsoft Sentinel (AWSCloudTrail): hand over the log files of S3"),
        ("class_uid metadata", "an OCSF event, as Security Lake holds it: hand over CloudTrail's own log files"),
        ("class_uid", "an OCSF event, as Security Lake holds it: hand over CloudTrail's own log files"),
        ("category_uid", "an OCSF event, as Security Lake holds it: hand over CloudTrail's own log files"),
        ("operationName eventTimestamp", "an Azure activity log"),
        ("eventName eventTimestamp", "an Azure activity log"),
        ("operationName resourceId", "an Azure activity or resource log"),
        ("operationName activityDateTime", "a Microsoft Entra audit log"),
        ("userPrincipalName createdDateTime", "a Microsoft Entra sign-in log"),
        ("CreationTime Workload", "a Microsoft 365 audit log"),
        ("auditID verb", "a Kubernetes audit log"),
        ("SchemaVersion ProductArn", "a Security Hub finding"),
        ("schemaVersion service severity", "a GuardDuty finding"),
        ("httpRequest webaclId", "an AWS WAF log"),
        ("query_name srcaddr", "a Route 53 resolver log"),
        ("srcaddr dstaddr", "a VPC flow log"),
        ("published eventType actor", "an Okta system log"),
        ("aws.cloudtrail.event_version", "flattened fields of Elastic: hand over event.original, or the log files of S3"),
        ("userIdentity.type", "flattened fields of a search result: hand over the raw events, or the log files of S3"),
        ("resourceSpans", "OpenTelemetry data"),
        ("resourceLogs", "OpenTelemetry data"),
        ("awsAccountId digestS3Object", "a CloudTrail digest"),
        ("log version", "an HTTP archive"),
        ("detail-type source", "an event of EventBridge"),
    )
)  # fmt: skip
_FLOW_LOG = re.compile(r"(?:version account-id|\d+ (?:\d{12}|unknown|-) eni-)")
_MAGIC = (
    (b"PAR1", "a Parquet file, as Security Lake and Athena write: hand over CloudTrail's own log files, or a JSON export"),
    (b"ORC", "an ORC file: hand over CloudTrail's own log files"),
    (b"Obj\x01", "an Avro file: hand over CloudTrail's own log files, or a JSON export"),
    (b"SQLite format 3", "an SQLite database"),
    (b"PK\x03\x04", "a zip (or an Office file) under another name: rename it to .zip"),
    (b"%PDF", "a PDF"),
    (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
    (b"GIF8", "a picture"),
    (b"\x7fELF", "a program"),
    (b"MZ", "a program"),
    (b"\xd4\xc3\xb2\xa1", "a packet capture"),
    (b"\x0a\x0d\x0d\x0a", "a packet capture"),
    (b"\x00\x05\x16\x07", "a macOS resource fork"),
    (b"\x00\x00\x00\x01Bud1", "a macOS folder setting"),
)
NAMED = 5  # members of an unknown object that are named
LONGEST = 60  # characters of a name that is shown


def kind_of_members(members: Mapping[str, str]) -> str:
    """What an object seems to be, from its members' names and JSON texts."""
    names = members.keys()
    if "detail-type" in names:
        return f"an event of EventBridge, {members['detail-type'][:LONGEST]}"
    if members.get("userIdentity", "").startswith('"{'):
        return "a flattened row of CloudTrail Lake: ask for the column eventJson, or hand over the log files of S3"
    for wanted, kind in _KINDS:
        if wanted <= names:
            return kind
    shown = ", ".join(name[:LONGEST] for name in list(names)[:NAMED])
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"JSON with the members {shown}{more}" if names else "an empty object"


def kind_of_columns(columns: list[str]) -> str:
    """What a table of text seems to be, from the names in its first line."""
    names = set(columns)
    if {"eventname", "eventsource"} <= names:
        return "a flattened Athena result: hand over the log files that the table reads"
    if {"eventName", "eventSource"} <= names:
        return "a flattened CloudTrail Lake result: ask for the column eventJson, or hand over the log files of S3"
    members = dict.fromkeys(columns, "")
    found = next((kind for wanted, kind in _KINDS if wanted <= members.keys()), None)
    return found or f"a table with the columns {', '.join(name[:LONGEST] for name in columns[:NAMED])}"


def kind_of_bytes(body: bytes) -> str:
    """What bytes that are no JSON seem to be."""
    for magic, kind in _MAGIC:
        if body.startswith(magic):
            return kind
    head = body[:512]
    if b"\0" in head:
        return "binary data"
    if _FLOW_LOG.match(head.decode("latin-1")):
        return "a VPC flow log"
    return "plain text"
