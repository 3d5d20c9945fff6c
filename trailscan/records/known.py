"""Whether a JSON object is a CloudTrail record, by CloudTrail's own fields.

Source: AWS, "CloudTrail record contents"; Insights and aggregated events have fields of their own.
"""

import re
from collections.abc import Mapping

import msgspec

OWN_NAMES = frozenset((
    "eventVersion", "userIdentity", "eventTime", "eventSource", "eventName", "awsRegion", "sourceIPAddress", "userAgent",
    "errorCode", "errorMessage", "requestParameters", "responseElements", "additionalEventData", "requestID", "eventID",
    "eventType", "apiVersion", "managementEvent", "readOnly", "resources", "recipientAccountId", "serviceEventDetails",
    "sharedEventID", "vpcEndpointId", "eventCategory", "tlsDetails",
))  # fmt: skip
ENOUGH = 5  # own names that make a record of an object, one of whose four texts is missing or of another type
ENOUGH_VERSIONED = 3  # where one is eventVersion 1.x and one a name
OTHERS_NAMES = frozenset(
    ("s3", "dynamodb", "kinesis", "ses", "Sns", "cf", "acsRegion", "eventRegion", "eventSourceARN")
)  # lookalikes
RAW_NAMES = frozenset((
    "_raw", "event.original", "full_log", "full_message", "@message", "message", "log", "event", "original", "CloudTrailEvent",
    "eventJson",
))  # fmt: skip  # members that hold the original text of an event, in an object that may repeat its fields
FOUR = ("eventVersion", "eventTime", "eventSource", "eventName")

_FOREIGN_SOURCE = re.compile(r"aws:|.*\.aliyuncs\.com$")
_INSIGHT_NAMES = frozenset(("eventCategory", "eventVersion", "sharedEventID"))


class _Event(msgspec.Struct, rename="camel"):
    """What nearly every record has: enough to know one without looking at each member."""

    event_version: str
    event_time: str
    event_source: str
    event_name: str
    user_identity: msgspec.Raw = msgspec.Raw(b"null")


_event = msgspec.json.Decoder(_Event)


def is_usual_record(value: bytes | msgspec.Raw) -> bool:
    """Whether JSON text is a record with all it should have; False also for odd records, which `is_record` knows."""
    try:
        event = _event.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    is_text = bytes(event.user_identity).startswith(b'"{')  # a row of a query result: its structs are text
    return not is_text and not _FOREIGN_SOURCE.match(event.event_source)


def is_record(members: Mapping[str, str]) -> bool:
    """Whether an object is a record, from its members' names and JSON texts, whatever is odd about one or the other."""
    names = members.keys()
    source = members.get("eventSource", "").strip('"')
    if names & OTHERS_NAMES or _FOREIGN_SOURCE.match(source) or members.get("userIdentity", "").startswith('"{'):
        return False
    if all(members.get(name, "").startswith('"') for name in FOUR):
        return True
    if members.get("insightDetails", "").startswith("{") and names & _INSIGHT_NAMES:
        return True
    if members.get("timeWindow", "").startswith("{") and names & {"eventId", "eventCategory"}:
        return True
    own = len(names & OWN_NAMES)
    is_versioned = members.get("eventVersion", "").startswith('"1.') and members.get("eventName", "").startswith('"')
    return own >= (ENOUGH_VERSIONED if is_versioned else ENOUGH)
