"""The invented people, roles and services of an account, and the userIdentity that CloudTrail records of each.

The same seed and account always give the same population and the same hourly credentials, in any process.
Facts: AWS CloudTrail User Guide, "CloudTrail userIdentity element".
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from random import Random
from typing import Any

Identity = dict[str, Any]
BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
PEOPLE = ("alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi", "ivan", "judy", "mallory", "niaj")
APPLICATIONS = ("web", "orders", "billing", "search", "etl", "ci-runner", "bastion", "batch", "metrics", "gateway")
SERVICES = ("ec2", "lambda", "cloudtrail", "config", "autoscaling", "ecs", "rds", "backup", "access-analyzer", "events")
AGENTS = (
    "aws-cli/2.27.41 md/awscrt#0.26.1 ua/2.1 os/linux#6.8.0 md/arch#x86_64 lang/python#3.13.4 md/pyimpl#CPython",
    "Boto3/1.40.12 md/Botocore#1.40.12 ua/2.1 os/linux#5.10.240 md/arch#x86_64 lang/python#3.12.3 Botocore/1.40.12",
    "aws-sdk-go-v2/1.36.3 ua/2.1 os/linux lang/go#1.23.6 md/GOOS#linux md/GOARCH#arm64 api/s3#1.78.2 m/E,g",
    "APN/1.0 HashiCorp/1.0 Terraform/1.9.8 (+https://www.terraform.io) terraform-provider-aws/5.94.1",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0",
    "[aws-sdk-java/2.31.60 md/io#sync md/http#Apache ua/2.1 os/Linux#6.1.141 lang/java#21.0.7]",
)
CONSOLE_AGENT = AGENTS[4]
INSTANCE_AGENT = "aws-sdk-go/1.55.7 (go1.23.6; linux; amd64) amazon-ssm-agent/3.3.2299.0"


@dataclass(frozen=True, slots=True)
class Principal:
    """Who calls: a kind ("user", "role", "sso", "instance", "root" ...), where from, with what, and its identity.

    `identity` gives a new userIdentity for a moment; `session_name` is what SSM starts a session id with.
    """

    kind: str
    session_name: str
    address: str
    agent: str
    identity: Callable[[datetime], Identity]


@dataclass(frozen=True, slots=True)
class Population:
    """An account's principals by kind, and its instances' ids."""

    account: str
    by_kind: dict[str, tuple[Principal, ...]]
    instances: tuple[str, ...]


def populate(seed: int, account: str) -> Population:
    """Invent everyone in an account."""
    rng = Random(f"{seed}/{account}")
    instances = tuple(f"i-0{rng.getrandbits(64):016x}" for _ in range(30))
    credentials = Credentials(seed)
    by_kind = {
        "user": tuple(_user(rng, account, name, credentials) for name in PEOPLE),
        "role": tuple(
            _role(rng, account, f"{name}-deploy", f"{name}-{rng.randrange(10**9)}", credentials, kind="role")
            for name in APPLICATIONS
        ),
        "sso": tuple(_sso(rng, account, name, credentials) for name in PEOPLE[:8]),
        "instance": tuple(
            _role(rng, account, f"{rng.choice(APPLICATIONS)}-instance", each, credentials, kind="instance")
            for each in instances
        ),
        "root": (_root(rng, account, credentials),),
        "service": tuple(_service(name) for name in SERVICES),
        "event": (Principal("event", "", "AWS Internal", "AWS Internal", partial(_bare, account)),),
        "federated": (_federated(rng, account, "auditor", credentials),),
        "saml": tuple(_saml(rng, account, name) for name in PEOPLE[:4]),
        "web": (_web(rng, account),),
        "center": tuple(_center(rng, account) for _ in range(4)),
    }
    return Population(account, by_kind, instances)


class Credentials:
    """Temporary access keys: one an hour for each principal, so that records share them as real ones do."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._keys: dict[tuple[str, int], str] = {}

    def key(self, arn: str, when: datetime) -> str:
        """The access key id that `arn` uses in the hour of `when`."""
        hour = when.toordinal() * 24 + when.hour
        if (found := self._keys.get((arn, hour))) is None:
            found = self._keys[arn, hour] = "ASIA" + identifier(Random(f"{self._seed}/{arn}/{hour}"), 16)
        return found


def identifier(rng: Random, length: int) -> str:
    """Upper-case letters and digits as in AWS's unique ids."""
    return "".join(rng.choices(BASE32, k=length))


def _address(rng: Random) -> str:
    return f"{rng.choice(('192.0.2', '198.51.100', '203.0.113'))}.{rng.randrange(1, 255)}"


def _hour(when: datetime) -> str:
    return f"{when:%Y-%m-%dT%H:00:00Z}"


def _user(rng: Random, account: str, name: str, credentials: Credentials) -> Principal:
    fixed = {
        "type": "IAMUser",
        "principalId": "AIDA" + identifier(rng, 17),
        "arn": f"arn:aws:iam::{account}:user/{rng.choice(('', 'staff/'))}{name}",
        "accountId": account,
        "accessKeyId": "AKIA" + identifier(rng, 16),
        "userName": name,
    }
    with_mfa = rng.random() < 0.3

    def identity(when: datetime) -> Identity:
        if not with_mfa:
            return dict(fixed)
        attributes = {"creationDate": _hour(when), "mfaAuthenticated": "true"}
        return {
            **fixed,
            "accessKeyId": credentials.key(fixed["arn"], when),
            "sessionContext": {"attributes": attributes},
        }

    address = f"2001:db8::{rng.randrange(1, 1 << 16):x}" if rng.random() < 0.2 else _address(rng)
    return Principal("user", name, address, rng.choice(AGENTS), identity)


def _role(
    rng: Random, account: str, role: str, session: str, credentials: Credentials, *, kind: str, path: str = ""
) -> Principal:
    unique = "AROA" + identifier(rng, 17)
    issuer = {
        "type": "Role",
        "principalId": unique,
        "arn": f"arn:aws:iam::{account}:role/{path}{role}",
        "accountId": account,
        "userName": role,
    }
    arn = f"arn:aws:sts::{account}:assumed-role/{role}/{session}"
    extra = {"ec2RoleDelivery": "2.0"} if kind == "instance" else {}
    if kind == "role" and rng.random() < 0.3:
        extra = {"sourceIdentity": rng.choice(PEOPLE)}

    def identity(when: datetime) -> Identity:
        return {
            "type": "AssumedRole",
            "principalId": f"{unique}:{session}",
            "arn": arn,
            "accountId": account,
            "accessKeyId": credentials.key(arn, when),
            "sessionContext": {
                "sessionIssuer": issuer,
                "webIdFederationData": {},
                "attributes": {"creationDate": _hour(when), "mfaAuthenticated": "false"},
                **extra,
            },
        }

    agent = INSTANCE_AGENT if kind == "instance" else rng.choice(AGENTS)
    return Principal(kind, session, _address(rng), agent, identity)


def _sso(rng: Random, account: str, name: str, credentials: Credentials) -> Principal:
    role = f"AWSReservedSSO_{rng.choice(('AdministratorAccess', 'PowerUser'))}_{rng.getrandbits(64):016x}"
    return _role(rng, account, role, f"{name}@example.com", credentials, kind="sso", path="aws-reserved/sso.amazonaws.com/")


def _root(rng: Random, account: str, credentials: Credentials) -> Principal:
    arn = f"arn:aws:iam::{account}:root"

    def identity(when: datetime) -> Identity:
        context = {
            "sessionIssuer": {},
            "webIdFederationData": {},
            "attributes": {"creationDate": _hour(when), "mfaAuthenticated": "true"},
        }
        return {
            "type": "Root",
            "principalId": account,
            "arn": arn,
            "accountId": account,
            "accessKeyId": credentials.key(arn, when),
            "sessionContext": context,
        }

    return Principal("root", "root", _address(rng), CONSOLE_AGENT, identity)


def _service(name: str) -> Principal:
    host = f"{name}.amazonaws.com"
    return Principal("service", "", host, host, lambda _: {"type": "AWSService", "invokedBy": host})


def _bare(account: str, _when: datetime) -> Identity:
    return {"accountId": account, "invokedBy": "AWS Internal"}


def _federated(rng: Random, account: str, name: str, credentials: Credentials) -> Principal:
    arn = f"arn:aws:sts::{account}:federated-user/{name}"
    user = "AIDA" + identifier(rng, 17)
    issuer = {
        "type": "IAMUser",
        "principalId": user,
        "arn": f"arn:aws:iam::{account}:user/broker",
        "accountId": account,
        "userName": "broker",
    }

    def identity(when: datetime) -> Identity:
        attributes = {"creationDate": _hour(when - timedelta(hours=1)), "mfaAuthenticated": "false"}
        return {
            "type": "FederatedUser",
            "principalId": f"{account}:{name}",
            "arn": arn,
            "accountId": account,
            "accessKeyId": credentials.key(arn, when),
            "sessionContext": {"sessionIssuer": issuer, "attributes": attributes},
        }

    return Principal("federated", name, _address(rng), rng.choice(AGENTS), identity)


def _saml(rng: Random, account: str, name: str) -> Principal:
    provider = f"arn:aws:iam::{account}:saml-provider/ExampleIdP"
    fixed = {
        "type": "SAMLUser",
        "principalId": f"{identifier(rng, 27)}=:{name}@example.com",
        "userName": f"{name}@example.com",
        "identityProvider": provider,
    }
    return Principal("saml", name, _address(rng), CONSOLE_AGENT, lambda _: dict(fixed))


def _web(rng: Random, account: str) -> Principal:
    issuer = f"oidc.eks.eu-west-1.amazonaws.com/id/{identifier(rng, 32)}"
    name = "system:serviceaccount:shop:orders"
    fixed = {
        "type": "WebIdentityUser",
        "principalId": f"arn:aws:iam::{account}:oidc-provider/{issuer}:sts:{name}",
        "userName": name,
        "identityProvider": f"arn:aws:iam::{account}:oidc-provider/{issuer}",
    }
    return Principal("web", name, _address(rng), AGENTS[2], lambda _: dict(fixed))


def _center(rng: Random, account: str) -> Principal:
    user = f"{rng.getrandbits(32):08x}-{rng.getrandbits(16):04x}-7001-a1b2-{rng.getrandbits(48):012x}"
    fixed = {
        "type": "IdentityCenterUser",
        "principalId": user,
        "arn": "",
        "accountId": account,
        "accessKeyId": "",
        "onBehalfOf": {
            "userId": user,
            "identityStoreArn": f"arn:aws:identitystore::{account}:identitystore/d-1234567890",
        },
        "credentialId": f"{rng.getrandbits(128):032x}",
    }
    return Principal("center", user, _address(rng), CONSOLE_AGENT, lambda _: dict(fixed))
