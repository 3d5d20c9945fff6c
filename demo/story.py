"""The Session Manager story of the demonstration, record by record; everyone and everything in it is invented.

On the night to 2 March mallory is refused a shell on the bastion. A minute later, from the same address, alice's role gets
it, drops the line, comes back and ends; meanwhile the bastion's own role reads a secret. In the morning a port is
forwarded to the orders database.
Facts: AWS Systems Manager API Reference (StartSession, ResumeSession, TerminateSession), AWS Security Token
Service API Reference (AssumeRoleWithSAML).
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random

from tests.support.templates import guid
from tests.support.world import TOKEN_HIDDEN, Record

ACCOUNT, REGION = "111122223333", "eu-west-1"
BASTION, ORDERS = "i-0123456789abcdef0", "i-0fedcba9876543210"
SHELL = "alice@example.com-k3v7qmx2t5hw9ad4cz6ey8bnru"
TUNNEL = "alice@example.com-w6b2fj8r4ns5px7gk3ud9qmtva"
AGENT = "aws-cli/2.27.41 md/awscrt#0.26.1 ua/2.1 os/linux#6.8.0 md/arch#x86_64 lang/python#3.13.4"
_ROLE = "AWSReservedSSO_Operators_0123456789abcdef"


@dataclass(frozen=True, slots=True)
class Chapter:
    """One call: when (UTC), what, by whom from where, and what became of it."""

    when: datetime
    name: str
    who: str
    address: str
    request: Record | None
    response: Record | None = None
    error: tuple[str, str] | None = None
    service: str = "ssm"
    account: str = ACCOUNT
    region: str = REGION

    def happened_in(self, account: str, region: str, window: tuple[datetime, datetime]) -> bool:
        """Whether an object of this account and region that covers `window` tells of it."""
        return (account, region) == (self.account, self.region) and window[0] <= self.when < window[1]


def _at(day: int, clock: str) -> datetime:
    return datetime.fromisoformat(f"2026-03-{day:02}T{clock}").replace(tzinfo=UTC)


def _opened(session: str) -> Record:
    stream = f"wss://ssmmessages.{REGION}.amazonaws.com/v1/data-channel/{session}?role=publish_subscribe"
    return {"sessionId": session, "tokenValue": TOKEN_HIDDEN, "streamUrl": f"{stream}&cell-number=AAEAAexample"}


_FORWARD = {
    "target": ORDERS,
    "documentName": "AWS-StartPortForwardingSessionToRemoteHost",
    "parameters": {"host": ["orders-db.example.internal"], "portNumber": ["5432"], "localPortNumber": ["15432"]},
}
_REFUSED = (
    f"User: arn:aws:iam::{ACCOUNT}:user/mallory is not authorized to perform: ssm:StartSession"
    f" on resource: arn:aws:ec2:{REGION}:{ACCOUNT}:instance/{BASTION}"
    " because no identity-based policy allows the ssm:StartSession action"
)
_SIGNED_IN = {
    "credentials": {
        "accessKeyId": "ASIAEXAMPLEOPERATOR0",
        "expiration": "Mar 2, 2026, 1:58:12 PM",
        "sessionToken": "AAAAexample",
    },
    "assumedRoleUser": {
        "assumedRoleId": "AROAEXAMPLEOPERATORS0:alice@example.com",
        "arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/{_ROLE}/alice@example.com",
    },
}
_SIGN_IN = {
    "roleArn": f"arn:aws:iam::{ACCOUNT}:role/aws-reserved/sso.amazonaws.com/{_ROLE}",
    "roleSessionName": "alice@example.com",
    "principalArn": f"arn:aws:iam::{ACCOUNT}:saml-provider/AWSSSO_0123456789abcdef_DO_NOT_DELETE",
}
_SECRET = {"secretId": "orders-db/readonly"}
STORY = (
    Chapter(_at(2, "01:58:12"), "AssumeRoleWithSAML", "alice's sign-in", "203.0.113.66", _SIGN_IN, _SIGNED_IN, service="sts"),
    Chapter(_at(2, "02:10:41"), "StartSession", "mallory", "203.0.113.66", None, error=("AccessDeniedException", _REFUSED)),
    Chapter(_at(2, "02:11:58"), "StartSession", "alice", "203.0.113.66", {"target": BASTION}, _opened(SHELL)),
    Chapter(_at(2, "02:12:40"), "GetSecretValue", "the bastion", "198.51.100.20", _SECRET, service="secretsmanager"),
    Chapter(_at(2, "02:13:30"), "ResumeSession", "alice", "203.0.113.66", {"sessionId": SHELL}, _opened(SHELL)),
    Chapter(_at(2, "02:14:47"), "TerminateSession", "alice", "203.0.113.66", {"sessionId": SHELL}, {"sessionId": SHELL}),
    Chapter(_at(2, "11:37:05"), "StartSession", "alice", "203.0.113.66", _FORWARD, _opened(TUNNEL)),
)


def told(chapters: Iterable[Chapter]) -> Iterator[Record]:
    """The CloudTrail records of some chapters."""
    return map(_record, chapters)


def _record(chapter: Chapter) -> Record:
    rng, service = Random(f"{chapter.when}"), f"{chapter.service}.amazonaws.com"
    record: Record = {
        "eventVersion": "1.11",
        "userIdentity": _WHO.get(chapter.who, _operator)(chapter),
        "eventTime": f"{chapter.when:%Y-%m-%dT%H:%M:%SZ}",
        "eventSource": service,
        "eventName": chapter.name,
        "awsRegion": chapter.region,
        "sourceIPAddress": chapter.address,
        "userAgent": AGENT,
    }
    if chapter.error:
        record["errorCode"], record["errorMessage"] = chapter.error
    return record | {
        "requestParameters": chapter.request,
        "responseElements": chapter.response,
        "requestID": guid(rng),
        "eventID": guid(rng),
        "readOnly": chapter.service != "ssm",
        "eventType": "AwsApiCall",
        "managementEvent": True,
        "recipientAccountId": chapter.account,
        "eventCategory": "Management",
        "tlsDetails": {
            "tlsVersion": "TLSv1.3",
            "clientProvidedHostHeader": f"{chapter.service}.{chapter.region}.amazonaws.com",
        },
    }


def _user(chapter: Chapter) -> Record:
    return {
        "type": "IAMUser",
        "principalId": "AIDAEXAMPLEMALLORY000",
        "arn": f"arn:aws:iam::{chapter.account}:user/{chapter.who}",
        "accountId": chapter.account,
        "accessKeyId": "AKIAEXAMPLEMALLORY00",
        "userName": chapter.who,
    }


def _operator(chapter: Chapter) -> Record:
    """A person of IAM Identity Center, as a role's session."""
    session = f"{chapter.who}@example.com"
    return {
        "type": "AssumedRole",
        "principalId": f"AROAEXAMPLEOPERATORS0:{session}",
        "arn": f"arn:aws:sts::{chapter.account}:assumed-role/{_ROLE}/{session}",
        "accountId": chapter.account,
        "accessKeyId": "ASIAEXAMPLEOPERATOR0",
        "sessionContext": {
            "sessionIssuer": {
                "type": "Role",
                "principalId": "AROAEXAMPLEOPERATORS0",
                "arn": f"arn:aws:iam::{chapter.account}:role/aws-reserved/sso.amazonaws.com/{_ROLE}",
                "accountId": chapter.account,
                "userName": _ROLE,
            },
            "attributes": {"creationDate": "2026-03-02T01:58:12Z", "mfaAuthenticated": "false"},
        },
    }


def _saml(_chapter: Chapter) -> Record:
    """A person whom the identity provider has just signed in."""
    return {
        "type": "SAMLUser",
        "principalId": "AAAAEXAMPLEPROVIDER:alice@example.com",
        "userName": "alice@example.com",
        "identityProvider": "AAAAEXAMPLEPROVIDER",
    }


def _machine(chapter: Chapter) -> Record:
    """The role of the bastion, whose session is named after the machine."""
    return {
        "type": "AssumedRole",
        "principalId": f"AROAEXAMPLEBASTION000:{BASTION}",
        "arn": f"arn:aws:sts::{chapter.account}:assumed-role/bastion-instance/{BASTION}",
        "accountId": chapter.account,
        "accessKeyId": "ASIAEXAMPLEBASTION00",
        "sessionContext": {
            "sessionIssuer": {
                "type": "Role",
                "principalId": "AROAEXAMPLEBASTION000",
                "arn": f"arn:aws:iam::{chapter.account}:role/bastion-instance",
                "accountId": chapter.account,
                "userName": "bastion-instance",
            },
            "attributes": {"creationDate": "2026-03-01T23:11:04Z", "mfaAuthenticated": "false"},
            "ec2RoleDelivery": "2.0",
        },
    }


_WHO: dict[str, Callable[[Chapter], Record]] = {"mallory": _user, "alice's sign-in": _saml, "the bastion": _machine}
