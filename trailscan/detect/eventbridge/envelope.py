"""A CloudTrail record as the event that EventBridge would have seen, and whether it would have sent it at all; pure.

Sources: Amazon EventBridge User Guide, "AWS service events delivered via AWS CloudTrail" and "Receiving read-only management
events from AWS services". A few services have another `source` than the name in eventSource tells: rules that ask for
detail.eventSource do not depend on it.
"""

import json
from collections.abc import Mapping

LARGEST = 256 * 1024  # bytes of an event that EventBridge takes
API_CALL = "AWS API Call via CloudTrail"
SIGN_IN = "AWS Console Signin via CloudTrail"
DETAIL_TYPES = {
    "AwsApiCall": API_CALL,
    "AwsConsoleSignIn": SIGN_IN,
    "AwsConsoleAction": "AWS Console Action via CloudTrail",
    "AwsServiceEvent": "AWS Service Event via CloudTrail",
    "AwsCloudTrailInsight": "AWS Insight via CloudTrail",
    "AwsVpceEvent": "AWS Network Activity Event via CloudTrail",
    "AwsVpceEvents": "AWS Network Activity Event via CloudTrail",
}  # of any other eventType: API_CALL
READING = ("Describe", "Get", "List")
NOT_READING = ("GetFederationToken", "GetSessionToken")  # of STS: they hand out credentials
_SERVICES = ".amazonaws.com"


def envelope(record: Mapping[str, object]) -> dict[str, object]:
    """The event, as JSON values; a field of the envelope is empty where the record does not say, or says no text."""
    return {
        "version": "0",
        "id": _text(record, "eventID"),
        "detail-type": DETAIL_TYPES.get(_text(record, "eventType"), API_CALL),
        "source": "aws." + (_text(record, "eventSource").removesuffix(_SERVICES) or "cloudtrail"),
        "account": _text(record, "recipientAccountId"),
        "time": _text(record, "eventTime"),
        "region": _text(record, "awsRegion"),
        "resources": [],
        "detail": record,
    }


def only_reads(record: Mapping[str, object]) -> bool:
    """Whether it is a read-only management event: sent only to rules in the state that asks for all management events."""
    name = _text(record, "eventName")
    return (
        record.get("readOnly") is True
        and name.startswith(READING)
        and not (name in NOT_READING and _text(record, "eventSource") == "sts.amazonaws.com")
        and _is_management(record)
    )


def size_of(event: Mapping[str, object]) -> int:
    """Bytes of the event as JSON text."""
    return len(json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass"))


def _is_management(record: Mapping[str, object]) -> bool:
    category = _text(record, "eventCategory")
    return category == "Management" if category else record.get("managementEvent") is not False


def _text(record: Mapping[str, object], field: str) -> str:
    value = record.get(field)
    return value if isinstance(value, str) else ""
