"""The filters of `query` once more, in plain Python over whole records: what the SQL and the bytes must agree with."""

import ipaddress
import re
from datetime import datetime

DOORS = {"ecs.amazonaws.com", "ec2-instance-connect.amazonaws.com", "ssm-guiconnect.amazonaws.com", "ssm.amazonaws.com"}


def matches(record, filters):
    """Whether a record (documented fields of documented types) passes the filters; `where` is not known here."""
    tests = {
        "event": [record.get("eventName")],
        "event_source": [record.get("eventSource")],
        "user": people_of(record),
        "arn": [identity(record, "arn"), identity(record, "sessionContext", "sessionIssuer", "arn")],
        "account": [record.get("recipientAccountId")],
        "region": [record.get("awsRegion")],
        "target": [target_of(record)],
        "session": [session_of(record)],
        "access_key": [identity(record, "accessKeyId")],
        "error": [record.get("errorCode")],
    }
    asked = [(texts, globs) for name, texts in tests.items() if (globs := getattr(filters, name))]
    return (
        all(any(like(text, glob) for text in texts for glob in globs) for texts, globs in asked)
        and (not filters.source_ip or any(inside(record.get("sourceIPAddress"), network) for network in filters.source_ip))
        and (filters.failed is None or filters.failed == has_failed(record))
        and within(record.get("eventTime"), filters.since, filters.until)
    )


def like(text, glob):
    return text is not None and re.fullmatch(".*".join(map(re.escape, glob.split("*"))), text, re.DOTALL) is not None


def inside(address, network):
    try:
        return ipaddress.ip_address(address) in ipaddress.ip_network(network, strict=False)
    except (ValueError, TypeError):
        return False


def has_failed(record):
    return record.get("errorCode") is not None or record.get("errorMessage") is not None


def within(written, since, until):
    if since is None and until is None:
        return True
    if written is None:
        return False
    moment = datetime.strptime(written, "%Y-%m-%dT%H:%M:%SZ")  # noqa: DTZ007 - naive UTC, as the filters
    return (since is None or since <= moment) and (until is None or moment < until)


def identity(record, *path):
    value = record.get("userIdentity")
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def people_of(record):
    session = (identity(record, "principalId") or "").partition(":")[2] or None
    role = identity(record, "type") in {"AssumedRole", "Role"}
    issuer = identity(record, "sessionContext", "sessionIssuer", "arn")
    issuer = issuer and re.split("[/:]", issuer)[-1]
    names = [identity(record, "userName"), session if role else None, issuer]
    return [*names, identity(record, "sessionContext", "sourceIdentity"), who(record, session, issuer)]


def who(record, session, issuer):
    kind = identity(record, "type")
    if kind == "Root":
        return "root"
    if kind == "AWSService":
        return identity(record, "invokedBy")
    if kind == "AssumedRole":
        return f"{session} ({issuer})" if issuer else session
    if kind == "IdentityCenterUser":
        return identity(record, "onBehalfOf", "userId")
    arn = identity(record, "arn")
    named = identity(record, "userName") or (arn and re.split("[/:]", arn)[-1])
    return named or identity(record, "invokedBy") or identity(record, "principalId") or identity(record, "accountId")


def target_of(record):
    if record.get("eventSource") != "ssm.amazonaws.com" or record.get("eventName") != "StartSession":
        return None
    named = re.search(r":(?:instance|managed-instance)/(m?i-[0-9a-f]+)", record.get("errorMessage") or "")
    return (record.get("requestParameters") or {}).get("target") or (named and named[1])


def session_of(record):
    names = {"StartSession", "ResumeSession", "TerminateSession"}
    if record.get("eventSource") != "ssm.amazonaws.com" or record.get("eventName") not in names:
        return None
    answered, asked = record.get("responseElements") or {}, record.get("requestParameters") or {}
    return answered.get("sessionId") or asked.get("sessionId")
