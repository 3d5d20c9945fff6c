"""The filters of `query` once more, in plain Python over whole records: what the SQL and the bytes must agree with."""

import ipaddress
import re
from datetime import datetime


def matches(record, filters):
    """Whether a record (documented fields of documented types) passes the filters; `where` is not known here."""
    tests = {
        "event": [record.get("eventName")],
        "event_source": [record.get("eventSource")],
        "user": people_of(record),
        "arn": [identity(record, "arn"), identity(record, "sessionContext", "sessionIssuer", "arn")],
        "account": [record.get("recipientAccountId")],
        "region": [record.get("awsRegion")],
        "target": [target_of(record), *targets_of(record)],
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
    if record.get("errorCode") is not None or record.get("errorMessage") is not None:
        return True
    answered, details = fields_of(record, "responseElements"), fields_of(record, "serviceEventDetails")
    return (
        "Failure" in answered.values()
        or answered.get("success") is False
        or any(isinstance(value, str) and value.lower() in {"failure", "failed"} for value in details.values())
    )


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
    """What people see: the machines as the call names them, with commas; None for none."""
    return ",".join(machines_of(record)) or None


def targets_of(record):
    """Every name of every machine that a call names."""
    machines = machines_of(record)
    asked, answered = fields_of(record, "requestParameters"), fields_of(record, "responseElements")
    more = {
        "ExecuteCommand": [answered.get("taskArn")],
        "OpenTunnel": [asked.get("privateIpAddress"), asked.get("instanceConnectEndpointId")],
    }.get(record.get("eventName"), [])
    inner = [found[1] for name in machines for pattern in INNER if (found := re.search(pattern, name))]
    return {*machines, *filter(None, more), *inner} if machines else set()


INNER = (r"^ecs:.+_([^_]+)_[^_]+$", r":task/(?:.*/)?([^/]+)$", r"[:/]((?:m?i|eice)-[0-9A-Za-z]+)$")
MACHINES = r"arn:[\w-]*:ecs:[\w-]*:\d*:task/[\w/.-]*[\w-]|\b(?:m?i|eice)-[0-9A-Za-z]{4,}"
SINGLE = {
    ("ssm", "StartSession"): ("target",),
    ("ssm", "GetConnectionStatus"): ("target",),
    ("ecs", "ExecuteCommand"): ("task",),
    ("ec2-instance-connect", "SendSSHPublicKey"): ("instanceId",),
    ("ec2-instance-connect", "SendSerialConsoleSSHPublicKey"): ("instanceId",),
    ("ec2-instance-connect", "OpenTunnel"): ("instanceId", "privateIpAddress", "instanceConnectEndpointId"),
    ("ssm-guiconnect", "StartConnection"): ("InstanceId", "instanceId"),
    ("lightsail", "GetInstanceAccessDetails"): ("instanceName",),
}
LISTING = {
    ("ssm", "SendCommand"), ("ssm", "StartAutomationExecution"), ("ssm", "CreateAssociation"), ("ssm", "UpdateAssociation"),
    ("ssm", "StartAccessRequest"),
}  # fmt: skip


def machines_of(record):
    source, name = record.get("eventSource") or "", record.get("eventName")
    call = (source.removesuffix(".amazonaws.com"), name)
    if call not in SINGLE and call not in LISTING:
        return []
    asked, answered = fields_of(record, "requestParameters"), fields_of(record, "responseElements")
    found = [next((asked[key] for key in SINGLE.get(call, ()) if asked.get(key)), None)]
    if call in LISTING:
        found = listed(asked) or listed(answered.get("command") or {})
        found += [asked.get("instanceId")] if call[1].endswith("Association") else []
    message = re.sub(r"User: \S+", "", record.get("errorMessage") or "")
    return list(filter(None, found)) or list(dict.fromkeys(re.findall(MACHINES, message)))


def listed(asked):
    found = list(asked.get("instanceIds") or [])
    for one in asked.get("targets") or []:
        named = one["key"] in {"InstanceIds", "ParameterValues"} or one["values"] == ["*"]
        found += one["values"] if named else [f"{one['key']}={'|'.join(one['values'])}"]
    for key in ("InstanceId", "InstanceIds"):
        found += (asked.get("parameters") or {}).get(key) or []
    return found


def fields_of(record, name):
    value = record.get(name)
    return value if isinstance(value, dict) else {}


def session_of(record):
    names = {"StartSession", "ResumeSession", "TerminateSession"}
    if record.get("eventSource") != "ssm.amazonaws.com" or record.get("eventName") not in names:
        return None
    answered, asked = record.get("responseElements") or {}, record.get("requestParameters") or {}
    return answered.get("sessionId") or asked.get("sessionId")
