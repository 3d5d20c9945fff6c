"""Deterministic, invented but lifelike CloudTrail: single records, log objects, and whole buckets of them.

Nothing is taken from a real account: the seed decides everything, whatever the number of processes.
Facts: AWS CloudTrail User Guide (record contents, log file names), AWS Systems Manager API Reference (StartSession).
"""

import argparse
import heapq
import os
import string
import sys
import zlib
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv6Address
from itertools import accumulate, product
from pathlib import Path
from random import Random
from typing import Any, TypeVar

import orjson

from tests.support.calls import CALLS, Call
from tests.support.principals import Population, Principal, populate
from tests.support.templates import Make, Values, compile_template, guid

Record = dict[str, Any]
T = TypeVar("T")
ACCOUNT, REGION = "111122223333", "eu-west-1"
START = datetime(2026, 3, 1, tzinfo=UTC)
SLOT = timedelta(minutes=5)
OBJECTS_PER_SLOT = 4
BLOCK = 200  # objects that share one stream of stories, whichever process makes them
SESSION_RATE = 1 / 2000
DENIED_RATE = 0.03
THROTTLED_RATE = 0.002
LETTERS = string.ascii_letters + string.digits
TOKEN_HIDDEN = "Value hidden due to security reasons."
TLS = {"tlsVersion": "TLSv1.3", "cipherSuite": "TLS_AES_128_GCM_SHA256"}
EVENT_VERSIONS = {"sts": "1.08", "signin": "1.08", "iam": "1.09", "ec2": "1.10", "ssm": "1.09"}  # others: the newest
API_VERSIONS = {"lambda": "2015-03-31", "s3": "2006-03-01", "athena": "2017-05-18"}
# The one order in which delivered files have them; seen in published records.
ORDER = [
    "eventVersion",
    "userIdentity",
    "eventTime",
    "eventSource",
    "eventName",
    "awsRegion",
    "sourceIPAddress",
    "userAgent",
    "errorCode",
    "errorMessage",
    "requestParameters",
    "responseElements",
    "additionalEventData",
    "requestID",
    "eventID",
    "readOnly",
    "resources",
    "eventType",
    "apiVersion",
    "managementEvent",
    "recipientAccountId",
    "sharedEventID",
    "vpcEndpointId",
    "vpcEndpointAccountId",
    "serviceEventDetails",
    "addendum",
    "eventCategory",
    "tlsDetails",
    "sessionCredentialFromConsole",
]
DOCUMENTS: tuple[tuple[float, str | None, dict[str, list[str]] | None], ...] = (
    (60, None, None),
    (10, "SSM-SessionManagerRunShell", None),
    (8, "AWS-StartSSHSession", {"portNumber": ["22"]}),
    (8, "AWS-StartPortForwardingSession", {"portNumber": ["3389"], "localPortNumber": ["13389"]}),
    (
        8,
        "AWS-StartPortForwardingSessionToRemoteHost",
        {"host": ["orders-db.example.internal"], "portNumber": ["5432"], "localPortNumber": ["15432"]},
    ),
    (4, "AWS-StartInteractiveCommand", {"command": ["sudo tail -f /var/log/messages"]}),
    (2, "arn:aws:ssm:eu-west-1:444455556666:document/Break-Glass", {"ticket": ["INC-7"]}),
)


@dataclass(frozen=True, slots=True)
class Compiled:
    """A call whose templates became functions."""

    call: Call
    request: Make
    response: Make
    extra: Make
    read_only: bool


CATALOGUE = tuple(
    Compiled(c, compile_template(c.request), compile_template(c.response), compile_template(c.extra or {}), c.read_only)
    for c in CALLS
)
WEIGHTS = tuple(accumulate(c.weight for c in CALLS))


@dataclass(order=True, slots=True)
class FollowUp:
    """A call that a session still has to make, once its time has come."""

    due: datetime
    name: str = field(compare=False)
    session_id: str = field(compare=False)
    who: Principal = field(compare=False)


class World:
    """A stream of records. The same seed has the same accounts; each `stream` of it has other events.

    Session Manager stories go on across records: a ResumeSession or TerminateSession comes out of `record` when its
    time is past, so `when` should not go back by much between calls.
    """

    def __init__(self, seed: int, stream: int = 0) -> None:
        self.seed = seed
        self.rng = Random(f"{seed}/stream/{stream}")
        self._populations: dict[str, Population] = {}
        self._follow_ups: dict[tuple[str, str], list[FollowUp]] = {}

    def record(self, when: datetime, account: str, region: str) -> Record:
        """One record of `account` and `region` whose eventTime is `when` (UTC; seconds count, fractions do not)."""
        waiting = self._follow_ups.get((account, region))
        if waiting and waiting[0].due <= when:
            return self._follow_up(heapq.heappop(waiting), when, account, region)
        if self.rng.random() < SESSION_RATE:
            return self.start_session(when, account, region)
        compiled = self.rng.choices(CATALOGUE, cum_weights=WEIGHTS)[0]
        who = self._someone(account, self._pick(compiled.call.who))
        values = Values(self.rng, account, region, self._population(account).instances)
        record = self._base(when, account, region, who, (compiled.call.source, compiled.call.name))
        record["requestParameters"] = compiled.request(values)
        record["readOnly"] = compiled.read_only
        self._answer(record, compiled, values)
        return _in_order(record)

    def start_session(self, when: datetime, account: str, region: str) -> Record:
        """A StartSession of Session Manager: opened (then its story goes on), denied, or failed."""
        who = self._someone(account, self.rng.choices(("sso", "user", "role", "root"), (60, 30, 9, 1))[0])
        record = self._base(when, account, region, who, ("ssm", "StartSession"))
        target = self._target(account)
        ending = self.rng.random()
        if ending < 0.08:
            self._deny(record, self._refusing_resource(account, region, target))
        else:
            record["requestParameters"] = self._session_request(target)
            if ending < 0.12:
                _fail(record, "TargetNotConnected", f"{target} is not connected.")
            else:
                session_id = f"{who.session_name}-{''.join(self.rng.choices('abcdefghijklmnopqrstuvwxyz234567', k=26))}"
                record["responseElements"] = _opened(session_id, region)
                self._go_on(when, account, region, session_id, who)
        return _in_order(record)

    def _go_on(self, when: datetime, account: str, region: str, session_id: str, who: Principal) -> None:
        ahead = [("ResumeSession", 0.15), ("TerminateSession", 0.7), ("TerminateSession", 0.1)]
        waiting = self._follow_ups.setdefault((account, region), [])
        for name, likely in ahead:
            when += timedelta(seconds=30 + int(self.rng.expovariate(1 / 900)))
            if self.rng.random() < likely:
                heapq.heappush(waiting, FollowUp(when, name, session_id, who))

    def _follow_up(self, next_call: FollowUp, when: datetime, account: str, region: str) -> Record:
        record = self._base(when, account, region, next_call.who, ("ssm", next_call.name))
        session_id = next_call.session_id
        record["requestParameters"] = {"sessionId": session_id}
        resumed = next_call.name == "ResumeSession"
        record["responseElements"] = _opened(session_id, region) if resumed else {"sessionId": session_id}
        return _in_order(record)

    def _session_request(self, target: str) -> Record:
        _, document, parameters = self.rng.choices(DOCUMENTS, [weight for weight, *_ in DOCUMENTS])[0]
        request: Record = {"target": target}
        if document:
            request["documentName"] = document
        if self.rng.random() < 0.25:
            request["reason"] = self._pick(("INC-7", "restart nginx", "on-call", "wöchentliche Prüfung"))
        if parameters:
            request["parameters"] = parameters
        return request

    def _target(self, account: str) -> str:
        form = self.rng.random()
        if form < 0.9:
            return self._pick(self._population(account).instances)
        if form < 0.96:
            return f"mi-0{self.rng.getrandbits(64):016x}"
        task = f"{self.rng.getrandbits(128):032x}"
        return f"ecs:prod_orders_{task}_{task}-{self.rng.getrandbits(32):010d}"

    def _refusing_resource(self, account: str, region: str, target: str) -> str:
        if target.startswith("ecs:"):
            return f"arn:aws:ecs:{region}:{account}:task/{target[4:].rsplit('_', 2)[0]}/{target.rsplit('_', 2)[1]}"
        if self.rng.random() < 0.3:
            return f"arn:aws:ssm:{region}:{account}:document/SSM-SessionManagerRunShell"
        service, kind = ("ec2", "instance") if target.startswith("i-") else ("ssm", "managed-instance")
        return f"arn:aws:{service}:{region}:{account}:{kind}/{target}"

    def _population(self, account: str) -> Population:
        if (found := self._populations.get(account)) is None:
            found = self._populations[account] = populate(self.seed, account)
        return found

    def _someone(self, account: str, kind: str) -> Principal:
        return self._pick(self._population(account).by_kind[kind])

    def _pick(self, choices: Sequence[T]) -> T:
        return choices[int(self.rng.random() * len(choices))]

    def _base(self, when: datetime, account: str, region: str, who: Principal, action: tuple[str, str]) -> Record:
        """The fields of every record, in CloudTrail's usual order, as of a successful call without parameters."""
        source, name = action
        record: Record = {
            "eventVersion": EVENT_VERSIONS.get(source, "1.11"),
            "userIdentity": who.identity(when),
            "eventTime": f"{when:%Y-%m-%dT%H:%M:%SZ}",
            "eventSource": f"{source}.amazonaws.com",
            "eventName": name,
            "awsRegion": region,
            "sourceIPAddress": who.address,
            "userAgent": who.agent,
            "requestParameters": None,
            "responseElements": None,
            "requestID": guid(self.rng),
            "eventID": guid(self.rng),
            "readOnly": False,
            "eventType": "AwsApiCall",
            "managementEvent": True,
            "recipientAccountId": account,
            "eventCategory": "Management",
        }
        if source in API_VERSIONS:
            record["apiVersion"] = API_VERSIONS[source]
        if who.kind not in ("service", "event"):
            record["tlsDetails"] = {**TLS, "clientProvidedHostHeader": f"{source}.{region}.amazonaws.com"}
        self._sprinkle(record, who)
        return record

    def _sprinkle(self, record: Record, who: Principal) -> None:
        """The fields that only some records have."""
        chance = self.rng.random()
        if who.kind in ("sso", "user", "root") and chance < 0.1:
            record["sessionCredentialFromConsole"] = "true"
        elif who.kind in ("role", "instance") and chance < 0.15:
            record["vpcEndpointId"] = f"vpce-0{who.address.replace('.', '')[:8]:0<8}"
            record["vpcEndpointAccountId"] = record["recipientAccountId"]
        elif chance > 0.9995:
            record["addendum"] = {"reason": "DELIVERY_DELAY"}

    def _answer(self, record: Record, compiled: Compiled, values: Values) -> None:
        ending = self.rng.random()
        if "arn" in record["userIdentity"] and compiled.call.source != "signin" and ending < DENIED_RATE:
            self._deny(record, "*")
            return
        if ending > 1 - THROTTLED_RATE:
            _fail(record, "ThrottlingException", "Rate exceeded")
            record["requestParameters"] = None
            return
        record["responseElements"] = compiled.response(values)
        extra = compiled.extra(values)
        assert isinstance(extra, dict)
        record.update(extra)
        if record["eventType"] == "AwsServiceEvent":
            del record["requestID"]

    def _deny(self, record: Record, resource: str) -> None:
        service = record["eventSource"].split(".")[0]
        codes = {"ec2": "Client.UnauthorizedOperation", "ssm": "AccessDeniedException", "kms": "AccessDeniedException"}
        because = self._pick(
            (
                "because no identity-based policy allows the {} action",
                "with an explicit deny in a service control policy",
                "because no session policy allows the {} action",
            )
        )
        action = f"{service}:{record['eventName']}"
        identity = record["userIdentity"].get("arn") or record["userIdentity"].get("principalId")
        refused = f"User: {identity} is not authorized to perform: {action} on resource: {resource}"
        _fail(record, codes.get(service, "AccessDenied"), f"{refused} {because.format(action)}")
        if service != "s3":  # S3 and few others keep the parameters of a denied call
            record["requestParameters"] = None


def _fail(record: Record, code: str, message: str) -> None:
    """Put the error where CloudTrail has it: between the caller and the parameters."""
    after = {name: record.pop(name) for name in [*record][[*record].index("requestParameters") :]}
    record |= {"errorCode": code, "errorMessage": message, **after}


def _opened(session_id: str, region: str) -> Record:
    stream = f"wss://ssmmessages.{region}.amazonaws.com/v1/data-channel/{session_id}?role=publish_subscribe"
    return {"sessionId": session_id, "tokenValue": TOKEN_HIDDEN, "streamUrl": f"{stream}&cell-number=AAEAAexample"}


def log_bytes(records: Sequence[Record]) -> bytes:
    """The inflated bytes of a log object: minified, `<` and `>` escaped as CloudTrail does, no final newline."""
    text = orjson.dumps({"Records": records})
    return text.replace(b"<", b"\\u003c").replace(b">", b"\\u003e")


def _in_order(record: Record) -> Record:
    return {name: record[name] for name in ORDER if name in record} | record


def gzipped(raw: bytes) -> bytes:
    """One gzip member at level 6 whose header has no time and no name."""
    deflate = zlib.compressobj(6, zlib.DEFLATED, 31)
    return deflate.compress(raw) + deflate.flush()


def object_bytes(records: Sequence[Record]) -> bytes:
    """A log object as CloudTrail delivers it: gzip of `{"Records":[...]}`."""
    return gzipped(log_bytes(records))


def key(account: str, region: str, when: datetime, unique: str, *, prefix: str = "", organization: str | None = None) -> str:
    """The key of a log object delivered at `when` (UTC); `prefix` without its final slash, `unique` 16 characters."""
    parts = [prefix] if prefix else []
    parts += ["AWSLogs", *([organization] if organization else []), account, "CloudTrail", region, f"{when:%Y/%m/%d}"]
    return "/".join([*parts, f"{account}_CloudTrail_{region}_{when:%Y%m%dT%H%MZ}_{unique}.json.gz"])


@dataclass(frozen=True, slots=True)
class Summary:
    """What was written; `start_sessions` counts the records of ssm StartSession, opened or not."""

    objects: int = 0
    records: int = 0
    raw_bytes: int = 0
    gz_bytes: int = 0
    start_sessions: int = 0

    def __add__(self, other: "Summary") -> "Summary":
        return Summary(
            self.objects + other.objects,
            self.records + other.records,
            self.raw_bytes + other.raw_bytes,
            self.gz_bytes + other.gz_bytes,
            self.start_sessions + other.start_sessions,
        )


@dataclass(frozen=True, slots=True)
class Plan:
    """All that decides a bucket's contents."""

    root: str
    objects: int
    records_per_object: int
    vary: bool
    accounts: tuple[str, ...]
    regions: tuple[str, ...]
    start: datetime
    days: float | None
    seed: int
    addresses: int = 0

    def delivered_at(self, number: int) -> datetime:
        """The five-minute slot of an object: four objects a slot, or all spread evenly over `days`."""
        if self.days is None:
            return self.start + SLOT * (number // OBJECTS_PER_SLOT + 1)
        return self.start + SLOT * (int(number * self.days * 288 / self.objects) + 1)


def write_bucket(
    root: Path | str,
    objects: int,
    records_per_object: int,
    *,
    vary: bool = False,
    accounts: Sequence[str] = (ACCOUNT,),
    regions: Sequence[str] = (REGION,),
    start: datetime = START,
    days: float | None = None,
    seed: int = 7,
    addresses: int = 0,
    processes: int | None = None,
) -> Summary:
    """Write `objects` log objects as files `root/<key>`; the same arguments write the same bytes.

    `records_per_object` is exact, or with `vary` the mean of an exponential distribution (at least 1). Objects go round
    accounts and regions; delivery times start five minutes after `start`, and records happen in the five minutes
    before. With `addresses` every call comes from one of so many, drawn each time, not from its caller's own.
    """
    plan = Plan(str(root), objects, records_per_object, vary, tuple(accounts), tuple(regions), start, days, seed, addresses)
    blocks = [range(first, min(first + BLOCK, objects)) for first in range(0, objects, BLOCK)]
    workers = min(processes or os.cpu_count() or 1, len(blocks))
    if workers <= 1:
        return sum((_write_block(plan, block) for block in blocks), Summary())
    with ProcessPoolExecutor(workers) as pool:
        return sum(pool.map(_write_block, [plan] * len(blocks), blocks), Summary())


def _write_block(plan: Plan, block: range) -> Summary:
    world = World(plan.seed, block.start)
    places = list(product(plan.accounts, plan.regions))
    return sum((_write_object(plan, world, number, *places[number % len(places)]) for number in block), Summary())


def _write_object(plan: Plan, world: World, number: int, account: str, region: str) -> Summary:
    rng, delivered = world.rng, plan.delivered_at(number)
    count = plan.records_per_object
    if plan.vary:
        count = max(1, round(rng.expovariate(1 / count)))
    records = [world.record(delivered - timedelta(seconds=int(rng.random() * 300)), account, region) for _ in range(count)]
    if plan.addresses:
        for record in filter(has_address, records):
            record["sourceIPAddress"] = address(rng.randrange(plan.addresses))
    raw = log_bytes(records)
    data = gzipped(raw)
    path = os.path.join(plan.root, key(account, region, delivered, "".join(rng.choices(LETTERS, k=16))))
    os.makedirs(os.path.dirname(path), exist_ok=True)
    Path(path).write_bytes(data)
    return Summary(1, count, len(raw), len(data), sum(map(is_start_session, records)))


def has_address(record: Record) -> bool:
    """Whether a call came from an address; AWS services call under their names."""
    return record["sourceIPAddress"][0] in string.digits


def address(number: int) -> str:
    """The address of a number: 203.0.113.0/24, then 10.0.0.0/8, an eighth of them 2001:db8::/32."""
    if number < 256:
        return f"203.0.113.{number}"
    return str(IPv6Address((0x20010DB8 << 96) + number) if number % 8 == 0 else IPv4Address((10 << 24) + number))


def is_start_session(record: Record) -> bool:
    """Whether the record is Session Manager's StartSession, not Athena's."""
    return bool(record["eventName"] == "StartSession" and record["eventSource"] == "ssm.amazonaws.com")


def main() -> None:
    """`python -m tests.support.world OUT --objects 800 --records 250 [--vary] [--seed 7]`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", help="folder of the bucket")
    parser.add_argument("--objects", type=int, default=800)
    parser.add_argument("--records", type=int, default=250, help="records in each object, or on average with --vary")
    parser.add_argument("--vary", action="store_true", help="exponentially distributed numbers of records")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--days", type=float, help="spread the objects over so many days, else 4 every 5 minutes")
    options = parser.parse_args()
    summary = write_bucket(
        options.out, options.objects, options.records, vary=options.vary, seed=options.seed, days=options.days
    )
    sys.stdout.write(f"{summary}\n")


if __name__ == "__main__":
    main()
