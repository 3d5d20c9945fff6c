"""A row of `events` back to the record it came from: the promise that no field is dropped, as code that tests can hold."""

import json
import sys
from collections.abc import Mapping
from datetime import datetime
from typing import Any

# Columns that hold a field of the record exactly, or not at all; all other columns are derived from these.
TEXTS = {
    "event_id": "eventID",
    "event_name": "eventName",
    "event_source": "eventSource",
    "event_version": "eventVersion",
    "event_type": "eventType",
    "event_category": "eventCategory",
    "aws_region": "awsRegion",
    "recipient_account_id": "recipientAccountId",
    "source_ip_address": "sourceIPAddress",
    "user_agent": "userAgent",
    "error_code": "errorCode",
    "error_message": "errorMessage",
    "read_only": "readOnly",
    "management_event": "managementEvent",
    "request_id": "requestID",
    "shared_event_id": "sharedEventID",
    "vpc_endpoint_id": "vpcEndpointId",
}
DOCUMENTS = {
    "user_identity": "userIdentity",
    "request_parameters": "requestParameters",
    "response_elements": "responseElements",
    "additional_event_data": "additionalEventData",
    "resources": "resources",
    "tls_details": "tlsDetails",
    "service_event_details": "serviceEventDetails",
}
ENVELOPE = {"envelope-account": "recipientAccountId", "envelope-region": "awsRegion", "envelope-time": "eventTime"}


def record_of(row: Mapping[str, object]) -> dict[str, object]:
    """The record, as JSON values, from a row by column names; keys may stand in another order than they did.

    An integer of more digits than Python takes for a number is given as text.
    """
    around = {field for flag, field in ENVELOPE.items() if flag in str(row.get("flags")).split(",")}
    record = {key: row[column] for column, key in TEXTS.items() if row[column] is not None and key not in around}
    record |= {key: _value(row[column]) for column, key in DOCUMENTS.items() if row[column] is not None}
    moment = row["event_time"]
    if isinstance(moment, datetime) and "eventTime" not in around:
        record["eventTime"] = f"{moment.isoformat(timespec='seconds')}Z"
    if row["other_fields"] is not None:
        record |= _value(row["other_fields"])
    return record


def _value(text: object) -> Any:  # noqa: ANN401 - whatever JSON holds
    return json.loads(str(text), parse_int=_integer)


def _integer(digits: str) -> int | str:
    return int(digits) if len(digits) <= sys.int_info.default_max_str_digits else digits
