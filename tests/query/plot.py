"""An invented case for `show`: ana takes one role through another, gets a shell, and the machine calls out; and odd ones.

The archive holds it in three objects: `one` and `two`, which share a copy and contradict each other once, and `odd`.
"""

from tests.fixtures.invented import ANA, BEN, NODE, OTHER_ACCOUNT, assumed, call, event_id, iam_user, resume, start, terminate
from tests.fixtures.packing import Record

SHELL, ENDLESS, STRAY = "deep-abcdefghijklmnopqrstuvwxyz", "ana-0123456789abcdefghijklmnop", "gone-0123456789abcdefghijklmnop"
HOSTILE = "evil\x1b[2J\u202e\r\n'; DROP TABLE events; --*"
STARTED = event_id("shell starts")


def _with_key(identity: Record, key: str) -> Record:
    return identity | {"accessKeyId": key}


OPS = _with_key(assumed("Ops", "ana"), "ASIAEXAMPLEOPS000000")
DEEP = _with_key(assumed("Deep", "deep", OTHER_ACCOUNT), "ASIAEXAMPLEDEEP00000")
MACHINE = _with_key(assumed("Web", NODE), "ASIAEXAMPLEMACHINE00")
CARL = _with_key(iam_user("carl"), "ASIAEXAMPLECARL00000") | {
    "sessionContext": {"attributes": {"creationDate": "2026-03-01T10:00:00Z", "mfaAuthenticated": "true"}}
}
BARE = {"type": "WebIdentityUser", "principalId": "pod", "userName": "pod"}


def sts(label: str, who: Record, issued: str, *, name: str = "AssumeRole", **more: object) -> Record:
    """A call that issued temporary credentials."""
    request = {"roleArn": "arn:aws:iam::111122223333:role/Any"}
    response = {"credentials": {"accessKeyId": issued, "sessionToken": "hidden"}}
    fields = {"eventSource": "sts.amazonaws.com", "requestParameters": request, "responseElements": response, **more}
    return call(label, name, who=who, **fields)


def _lineage() -> list[Record]:
    shared = {"sharedEventID": event_id("shared"), "at": "08:30:00"}
    outsider = {"type": "AWSAccount", "principalId": "AROAEXAMPLEOPS:ana", "accountId": "111122223333"}
    issued = {"accessKey": {"accessKeyId": ANA["accessKeyId"], "userName": "ana", "status": "Active"}}
    created = {"eventSource": "iam.amazonaws.com", "responseElements": issued, "at": "07:00:00"}
    return [
        call("ana gets a key", "CreateAccessKey", who=BEN, **created),
        sts("ana takes Ops", ANA, OPS["accessKeyId"], at="08:00:00"),
        sts("the other account's record", outsider, DEEP["accessKeyId"], recipientAccountId=OTHER_ACCOUNT, **shared),
        sts("Ops takes Deep", OPS, DEEP["accessKeyId"], **shared),
        sts("a loops", _with_key(OPS, "ASIAEXAMPLELOOPA0000"), "ASIAEXAMPLELOOPB0000", at="06:00:00"),
        sts("b loops", _with_key(OPS, "ASIAEXAMPLELOOPB0000"), "ASIAEXAMPLELOOPA0000", at="06:01:00"),
        sts("a pod", BARE, "ASIAEXAMPLEPOD000000", name="AssumeRoleWithWebIdentity", at="06:02:00"),
        sts("refused", ANA, "", at="06:03:00", errorCode="AccessDenied", responseElements=None),
    ]


def _shell() -> list[Record]:
    return [
        terminate("shell ends", SHELL, who=DEEP, at="09:30:00"),
        resume("shell resumes", SHELL, who=DEEP, at="09:20:00"),
        start("shell starts", SHELL, who=DEEP, at="09:15:00"),
        call("too early", "GetObject", who=DEEP, at="08:59:59"),
        call("just before", "DescribeInstances", who=DEEP, at="09:14:59"),
        call("meanwhile", "GetObject", who=DEEP, at="09:16:00"),
        call("just after", "DeleteTrail", who=DEEP, at="09:31:00"),
        call("another's", "GetObject", who=BEN, at="09:16:00"),
        call("machine", "GetSecretValue", who=MACHINE, at="09:15:00"),
        call("machine at the end", "GetSecretValue", who=MACHINE, at="09:30:00"),
        call("machine late", "GetSecretValue", who=MACHINE, at="09:30:01"),
        call("machine an hour on", "ListBuckets", who=MACHINE, at="12:50:00"),
        call("machine later still", "ListBuckets", who=MACHINE, at="13:00:00"),
    ]


def _others() -> list[Record]:
    login = {"eventSource": "signin.amazonaws.com", "responseElements": {"ConsoleLogin": "Success"}}
    return [
        start("endless", ENDLESS, at="12:00:00"),
        terminate("stray", STRAY, at="14:00:00"),
        *(call(f"busy {n}", "GetObject", at=f"11:5{n % 10}:{n // 10:02}") for n in range(60)),
        call("carl signs in", "ConsoleLogin", who=CARL, at="09:59:30", **login),
        call("carl signed in long before", "ConsoleLogin", who=CARL, at="03:00:00", **login),
        call("carl calls", "GetObject", who=CARL, at="10:05:00"),
        call("loops", "GetObject", who=_with_key(OPS, "ASIAEXAMPLELOOPA0000"), at="20:00:00"),
        call("pod calls", "GetObject", who=_with_key(OPS, "ASIAEXAMPLEPOD000000"), at="21:00:00"),
        call("nobody", "GetObject", who=None, at="22:00:00"),
        call("timeless", "GetObject", at="2026-99-99T00:00:00Z"),
        call("hostile", "GetObject", who=iam_user("eve") | {"arn": HOSTILE}, at="23:00:00", userAgent=HOSTILE),
        start("hostile session", HOSTILE, HOSTILE, who=iam_user("eve"), at="23:10:00"),
    ]


COPIED = call("copied", "GetObject", at="15:00:00")
TORN = call("torn", "GetObject", at="16:00:00")
OBJECTS = {
    "one": [*_lineage(), *_shell(), COPIED, TORN],
    "two": [COPIED, TORN | {"sourceIPAddress": "203.0.113.99"}],
    "odd": _others(),
}
