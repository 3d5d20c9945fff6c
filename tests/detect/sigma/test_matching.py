"""What a rule matches: each modifier and each kind of field, over records as they come from files."""

import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.detect.sigma.asking import CLOUDTRAIL, SESSIONS, compiled, database, hit_ids, rule
from tests.fixtures.invented import BEN, call, denied, event_id, start, without
from trailscan.detect.sigma.fields import _SESSION
from trailscan.store.database import run, scratch

INGRESS = {"ipPermissions": {"items": [{"ipRanges": {"items": [{"cidrIp": "0.0.0.0/0"}, {"cidrIp": "192.0.2.0/24"}]}}]}}
RECORDS = {
    "start": start("start", "ana-0123456789abcdefghijklmnop", document={"documentName": "AWS-StartSSHSession"}),
    "denied": denied("denied", "arn:aws:ec2:eu-west-1:111122223333:instance/i-0aaaabbbbccccdddd"),
    "ingress": call("ingress", "AuthorizeSecurityGroupIngress", requestParameters=INGRESS, sourceIPAddress="2001:db8::7"),
    "policy": call(
        "policy",
        "PutBucketPolicy",
        who=BEN,
        sourceIPAddress="203.0.113.9",
        requestParameters={
            "policy": '{"Effect": "Allow", "Principal": "*"}',
            "name": "É\u00e8 100%_done\\now",
            "size": 5,
            "share": 0.5,
            "count": "12",
            "public": True,
            "nothing": None,
            "blank": "",
            "empty": {},
            "grid": [[{"cell": "a1"}], [{"cell": "b2"}]],
        },
        additionalEventData={"bytes": 2**60 + 1},
    ),
    "service": call(
        "service", "RotateKey", who={"accountId": "111122223333", "invokedBy": "kms.amazonaws.com"}, readOnly="true"
    ),
    "bare": without(call("bare", "GetThing", apiVersion="2016-11-15", at="20:00:00"), "userIdentity", "requestParameters"),
}
LABELS = {event_id(label): label for label in RECORDS}


@pytest.fixture(scope="module")
def archive():
    return database(list(RECORDS.values()))


@pytest.fixture(scope="module")
def reused():
    return scratch()


def matched(archive, detection, source=CLOUDTRAIL):
    return sorted(LABELS[found] for found in hit_ids(archive, rule(detection, source)))


def everything_but(*labels):
    return sorted(set(RECORDS) - set(labels))


@pytest.mark.parametrize(
    ("selection", "labels"),
    [
        ("eventName: startSESSION", ["denied", "start"]),
        ("eventName|cased: startSESSION", []),
        ("eventName|cased: StartSession", ["denied", "start"]),
        ("eventName: [RotateKey, getthing]", ["bare", "service"]),
        ("eventName: 'put*pol?cy'", ["policy"]),
        ("eventName|cased: 'put*pol?cy'", []),
        ("eventName: 'Put?BucketPolicy'", []),
        ("eventName|startswith: put", ["policy"]),
        ("eventName|endswith: policy", ["policy"]),
        ("eventName|contains: [tbuck, rotat]", ["policy", "service"]),
        ("eventName|contains|all: [put, policy]", ["policy"]),
        ("eventName|contains|all: [put, rotate]", []),
        ("eventName|neq: StartSession", everything_but("denied", "start")),
        ("requestParameters.documentName: aws-startsshsession", ["start"]),
        ("requestParameters.documentName|re: '^AWS-Start.*Session$'", ["start"]),
        ("requestParameters.documentName|re: 'start'", []),
        ("requestParameters.documentName|re|i: 'start'", ["start"]),
        ("requestParameters.name: 'é* 100%\\_done\\\\now'", []),
        ("requestParameters.name: 'éè 100%_done\\now'", ["policy"]),
        ("requestParameters.name: 'ÉÈ 100\\%*'", []),
        ("requestParameters.name: 'ÉÈ 100%*n?w'", ["policy"]),
        ("requestParameters.name|contains: '%'", ["policy"]),
        ("requestParameters.name|contains: '100__done'", []),
        ('requestParameters.policy|contains: \'"Principal": "\\*"\'', ["policy"]),
        ("requestParameters.size: 5", ["policy"]),
        ("requestParameters.size: '5'", ["policy"]),
        ("requestParameters.size|gte: 5", ["policy"]),
        ("requestParameters.size|lt: 5", []),
        ("requestParameters.share|lt: 1", ["policy"]),
        ("requestParameters.count|gt: 11", ["policy"]),
        ("requestParameters.name|gt: 0", []),
        (f"additionalEventData.bytes: {2**60 + 1}", ["policy"]),
        (f"additionalEventData.bytes: {2**60}", []),
        ("requestParameters.public: true", ["policy"]),
        ("requestParameters.public: 'TRUE'", ["policy"]),
        ("requestParameters.blank: ''", ["policy"]),
        ("requestParameters.blank: null", everything_but("policy")),
        ("requestParameters.nothing: null", sorted(RECORDS)),
        ("requestParameters.nothing|exists: true", ["policy"]),
        ("requestParameters.nothing|exists: false", everything_but("policy")),
        ("requestParameters.empty|exists: true", ["policy"]),
        ("requestParameters.empty: null", sorted(RECORDS)),
        ("requestParameters.size: '*'", ["policy"]),
        ("requestParameters|exists: false", ["bare"]),
        ("errorCode|exists: true", ["denied"]),
        ("errorCode: null", everything_but("denied")),
        ("readOnly: true", ["bare", "service"]),
        ("readOnly|exists: true", sorted(RECORDS)),
        ("apiVersion: '2016-11-15'", ["bare"]),
        ("apiVersion|exists: true", ["bare"]),
        ("noSuchField: x", []),
        ("noSuchField: null", sorted(RECORDS)),
        ("eventName.deeper: x", []),
        ("requestParameters.ipPermissions.items.ipRanges.items.cidrIp: 0.0.0.0/0", ["ingress"]),
        ("requestParameters.ipPermissions.items.ipRanges.items.cidrIp|endswith: /24", ["ingress"]),
        ("requestParameters.ipPermissions.items.ipRanges.items.cidrIp|exists: true", ["ingress"]),
        ("requestParameters.ipPermissions.items.cidrIp|exists: true", []),
        ("requestParameters.grid.cell: B2", ["policy"]),
        ("requestParameters.ipPermissions|contains: 192.0.2", ["ingress"]),
        ("requestParameters.ipPermissions|contains: cidrIp", []),
        ("userIdentity|contains: user/ana", everything_but("policy", "service", "bare")),
        ("userIdentity.type: IAMUser", everything_but("policy", "service", "bare")),
        ("userIdentity.type|exists: false", ["bare", "service"]),
        ("userIdentity.sessionContext.sessionIssuer.arn|contains: aws-reserved", ["policy"]),
        ("userIdentity.sessionContext.attributes.mfaAuthenticated: 'false'", ["policy"]),
        ("userIdentity.arn|fieldref|endswith: userIdentity.userName", everything_but("policy", "service", "bare")),
        ("recipientAccountId|fieldref: userIdentity.accountId", everything_but("bare")),
        ("sourceIPAddress|cidr: 203.0.113.0/24", ["policy"]),
        ("sourceIPAddress|cidr: 2001:db8::/32", ["ingress"]),
        ("sourceIPAddress|cidr: [203.0.113.8/31, '2001:db8::/64']", ["ingress", "policy"]),
        ("eventTime|hour: 20", ["bare"]),
        ("eventTime|startswith: '2026-03-01T20'", ["bare"]),
        ("requestParameters.documentName|base64|contains: x", []),
        ("requestParameters.documentName|windash|contains: ['AWS/StartSSH', ' -x']", []),
        ("requestParameters.documentName|windash|contains: 'AWS-StartSSH'", ["start"]),
    ],
)
def test_a_selection_matches(archive, selection, labels):
    assert matched(archive, selection) == labels


@pytest.mark.parametrize(
    ("detection", "labels"),
    [
        ("a:\n  requestParameters.size: 5\ncondition: not a", everything_but("policy")),
        ("a:\n  eventName: StartSession\nb:\n  errorCode|exists: true\ncondition: a and not b", ["start"]),
        ("s1:\n  eventName: GetThing\ns2:\n  eventName: RotateKey\ncondition: 1 of s*", ["bare", "service"]),
        ("s1:\n  eventName: StartSession\ns2:\n  errorCode: AccessDenied*\ncondition: all of them", ["denied"]),
        ("a:\n  - eventName: GetThing\n  - errorCode|contains: denied\ncondition: a", ["bare", "denied"]),
        ("a:\n  sourceIPAddress|cidr: 0.0.0.0/0\ncondition: not a", ["ingress"]),
        ("a:\n  eventName: GetThing\nb:\n  eventName: RotateKey\ncondition:\n  - a\n  - b", ["bare", "service"]),
        ("k: [kms.amazonaws]\ncondition: k", ["service"]),
        ("k: ['0.0.0.0/0', documentname]\ncondition: k", ["ingress"]),
        ('k: [\'"Principal": "\\*"\']\ncondition: k', ["policy"]),
        ("k: ['100%_DONE\\now', xylophone, yonder, zebra]\ncondition: k", ["policy"]),
        ("k: ['get*g']\ncondition: k", ["bare"]),
        ("k:\n  '|all': [bucketpolicy, 203.0.113.9]\ncondition: k", ["policy"]),
        ("k:\n  '|re': '^i-0a+'\ncondition: k", ["start"]),
        ("k: [12]\nn:\n  eventName: Put*\ncondition: k and n", ["policy"]),
        ("k: ['2026-03-01T20']\ncondition: k", ["bare"]),
    ],
)
def test_a_condition_matches(archive, detection, labels):
    assert matched(archive, detection) == labels


def test_keywords_see_values_and_never_the_names_of_fields(archive):
    assert matched(archive, "k: [sourceIPAddress]\ncondition: k") == []
    assert matched(archive, "k: [cidrIp]\ncondition: k") == []


def test_copies_of_an_event_count_once_and_its_versions_each():
    copied, torn = call("copied", "GetThing"), call("torn", "GetThing", at="10:00:00")
    connection = database(
        [copied, torn, without(call("x", "GetThing"), "eventID")], [copied, torn | {"awsRegion": "eu-north-1"}]
    )
    [each] = compiled(rule("eventName: GetThing"))
    identities = [hit.identity for hit in each.hits(connection)]
    assert len(identities) == len(set(identities)) == 4
    assert f"event 111122223333 {event_id('copied')}" in identities


def test_an_identity_is_the_same_in_whatever_order_objects_were_loaded():
    objects = [
        [call("a", "GetThing")],
        [call("b", "GetThing"), without(call("c", "GetThing"), "eventID")],
        [start("s", "ana-1")],
    ]
    text = rule("eventName: GetThing") + "---\n" + rule("outcome: opened", SESSIONS)
    rules = compiled(text)
    first, second = (
        {hit.identity for each in rules for hit in each.hits(database(*order))} for order in (objects, objects[::-1])
    )
    assert first == second
    assert len(first) == 4


def test_a_session_is_cited_by_its_first_event_and_rests_on_all():
    id_ = "ana-0123456789abcdefghijklmnop"
    ended = call(
        "end", "TerminateSession", at="10:00:00", requestParameters={"sessionId": id_}, responseElements={"sessionId": id_}
    )
    connection = database([ended, start("start", id_)])
    text = rule("outcome: opened\n  flags: first-time\n  hour: 9\n  weekday: sun\n  event_ids|contains: '-'", SESSIONS)
    [hit] = next(iter(compiled(text))).hits(connection)
    assert run(connection, "SELECT event_name FROM events WHERE rowid = ?", [hit.row_ids[0]]) == [("StartSession",)]
    assert len(hit.row_ids) == 2
    assert hit.identity == f"session 111122223333 eu-west-1 {id_}"


def test_every_column_of_sessions_is_a_field_of_rules_about_them():
    connection = database([start("start", "ana-1")])
    columns = {name for name, *_ in run(connection, "DESCRIBE sessions")} - {"row_ids"}
    assert set(_SESSION) == columns | {"hour", "weekday"}
    for name in _SESSION:
        assert len(list(compiled(rule(f"{name}: null", SESSIONS))[0].hits(connection))) in (0, 1)


# A record's worth of JSON in which rules look for texts, against a plain reading of the same in Python.
TEXT = st.text(st.sampled_from('aAkK\u212aé"\\/%_*?. \n\x00ß'), max_size=4)
LEAF = TEXT | st.integers(-9, 9) | st.booleans() | st.none()
VALUE = st.recursive(
    LEAF, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("pq"), inner), max_leaves=6
)
MODIFIERS = st.sampled_from(["", "|contains", "|startswith", "|endswith"])


def leaves(value):
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return [leaf for element in value for leaf in leaves(element)]
    return [] if value is None else [json.dumps(value) if not isinstance(value, str) else value]


def at(value, keys):
    if isinstance(value, list):
        return [found for element in value for found in at(element, keys)]
    if not keys:
        return leaves(value)
    return at(value[keys[0]], keys[1:]) if isinstance(value, dict) and keys[0] in value else []


def folded(text):
    return text.replace("\u212a", "k").lower()


TESTS = {"": str.__eq__, "|contains": str.__contains__, "|startswith": str.startswith, "|endswith": str.endswith}


@settings(max_examples=60, deadline=None)
@given(st.lists(VALUE, min_size=1, max_size=4), st.lists(st.sampled_from("pq"), max_size=2), MODIFIERS, TEXT, st.booleans())
@example(['a"\n'], [], "|contains", "", False)
def test_a_text_is_found_where_a_plain_reading_finds_it(reused, values, keys, modifier, text, keyword):
    literal = json.dumps(text.replace("\\", "\\\\").replace("*", "\\*").replace("?", "\\?"))
    records = [call(str(number), "Call", requestParameters={"p": value}) for number, value in enumerate(values)]
    if keyword:
        found = hit_ids(
            database(records, connection=reused), rule(f"k: [{literal}]\nn:\n  eventName: Call\ncondition: k and n")
        )
        expected = [any(folded(text) in folded(leaf) for leaf in leaves(record)) for record in records]
    else:
        field = ".".join(["requestParameters", "p", *keys])
        found = hit_ids(database(records, connection=reused), rule(f'"{field}{modifier}": {literal}'))
        expected = [any(TESTS[modifier](folded(leaf), folded(text)) for leaf in at(value, keys)) for value in values]
    assert {record["eventID"] for record in records if record["eventID"] in found} == {
        record["eventID"] for record, one in zip(records, expected, strict=True) if one
    }
