"""Correlation rules over records: what they count, by what they group, and what a hit rests on."""

import pytest

from tests.detect.sigma.asking import SESSIONS, compiled, database, refused, rule
from tests.fixtures.invented import ANA, BEN, call, event_id, start
from trailscan.detect.rule import Uncompiled
from trailscan.detect.sigma.compiling import compile_sigma
from trailscan.detect.sigma.correlation import Correlation
from trailscan.store.database import run

KEY = rule("eventName: CreateKey", title="Key made", more="name: key\n")
USE = rule("eventName: UseKey", title="Key used", more="name: use\n")


def correlation(type_, rules, more, title="Many"):
    return f"title: {title}\ncorrelation:\n  type: {type_}\n  rules: [{rules}]\n  timespan: 10m\n" + "".join(
        f"  {line}\n" for line in more.splitlines()
    )


def told(connection, text):
    """Of each hit: the labels of the events it rests on, in order, and its note."""
    labels = {event_id(label): label for label in LABELS}
    found = []
    for each in compiled(text):
        for hit in each.hits(connection) if each.rule.language == "sigma-correlation" else ():
            ids = [run(connection, "SELECT event_id FROM events WHERE rowid = ?", [row])[0][0] for row in hit.row_ids]
            found.append((" ".join(labels[each] for each in ids), hit.note))
    return found


def made(label, at, who=ANA, **more):
    return call(label, "CreateKey", at=at, who=who, **more)


LABELS = ["a1", "a2", "a3", "a4", "b1", "u1", "u2", "none"]
RECORDS = [
    made("a3", "09:07:00", requestParameters={"hosts": ["h1", "h3"]}),
    made("a1", "09:00:00", requestParameters={"hosts": ["h1", "h2"]}, sourceIPAddress="192.0.2.1"),
    made("a2", "09:05:00", requestParameters={"hosts": ["h2"]}),
    made("a4", "12:00:00"),
    made("b1", "09:06:00", who=BEN),
    call("u1", "UseKey", at="09:04:00", who=ANA, sourceIPAddress="192.0.2.1"),
    call("u2", "UseKey", at="12:09:00", who=BEN),
    made("none", "09:06:30", who=None),
]


@pytest.fixture(scope="module")
def archive():
    return database(RECORDS, RECORDS[:3])  # copies count once


@pytest.mark.parametrize(
    ("type_", "rules", "more", "hits"),
    [
        ("event_count", "key", "group-by: userIdentity.arn\ncondition: {gte: 3}", [("a1 a2 a3", "3 events within 10m")]),
        ("event_count", "key", "group-by: userIdentity.arn\ncondition: {gt: 3}", []),
        ("event_count", "key", "condition: {gte: 5}", [("a1 a2 b1 none a3", "5 events within 10m")]),
        ("event_count", "key", "group-by: [userIdentity.arn]\ncondition: {lt: 2}",
         [("b1", "1 event within 10m"), ("a4", "1 event within 10m")]),
        ("event_count", "key, use", "group-by: userIdentity.userName\ncondition: {gte: 4}",
         [("a1 u1 a2 a3", "4 events within 10m")]),
        ("value_count", "key", "group-by: userIdentity.arn\ncondition: {gte: 3, field: requestParameters.hosts}",
         [("a1 a2 a3", "3 values of requestParameters.hosts within 10m")]),
        ("value_count", "key", "group-by: userIdentity.arn\ncondition: {gte: 4, field: requestParameters.hosts}", []),
        ("value_count", "key", "condition: {gte: 3, field: [userIdentity.arn, sourceIPAddress]}",
         [("a1 a2 b1 a3", "3 values of userIdentity.arn, sourceIPAddress within 10m")]),
        ("temporal", "key, use", "group-by: userIdentity.arn", [("a1 u1 a2 a3", "Key made and Key used within 10m")]),
        ("temporal", "key, use", "group-by: sourceIPAddress",
         [("a1 u1", "Key made and Key used within 10m"), ("a4 u2", "Key made and Key used within 10m")]),
        ("temporal", "key, use", "condition: key and not use", [("a2 b1 none a3", "Key made and Key used within 10m")]),
        ("temporal_ordered", "key, use", "group-by: userIdentity.arn", [("a1 u1", "Key made, then Key used within 10m")]),
        ("temporal_ordered", "use, key", "group-by: userIdentity.arn", [("u1 a2", "Key used, then Key made within 10m")]),
        ("temporal_ordered", "key, use", "",
         [("a1 u1", "Key made, then Key used within 10m"), ("a4 u2", "Key made, then Key used within 10m")]),
        ("temporal", "key, use", "group-by: by\naliases:\n  by:\n    key: userIdentity.arn\n    use: userIdentity.arn",
         [("a1 u1 a2 a3", "Key made and Key used within 10m")]),
    ],
)  # fmt: skip
def test_a_correlation_finds(archive, type_, rules, more, hits):
    assert told(archive, f"{KEY}---\n{USE}---\n{correlation(type_, rules, more)}") == hits


def test_a_rule_that_is_correlated_reports_by_itself_only_when_asked_to(archive):
    text = f"{KEY}---\n{correlation('event_count', 'key', 'condition: {gte: 3}')}"
    assert [each.rule.title for each in compiled(text)] == ["Many"]
    assert [each.rule.title for each in compiled(text + "  generate: true\n")] == ["Key made", "Many"]


def test_an_identity_names_group_and_first_event(archive):
    text = f"{KEY}---\n{correlation('event_count', 'key', 'group-by: userIdentity.userName' + chr(10) + 'condition: {gte: 3}')}"
    [hit] = compiled(text)[0].hits(archive)
    assert hit.identity == f'[["ana"], "event 111122223333 {event_id("a1")}"]'


def test_sessions_can_be_correlated():
    sessions = [start(f"s{number}", f"ana-{number}", f"i-{number:017x}", at=f"09:0{number}:00") for number in range(4)]
    text = rule("outcome: opened", SESSIONS, more="name: s\n") + "---\n"
    text += correlation("value_count", "s", "group-by: user_arn\ncondition: {gte: 4, field: target}")
    [hit] = compiled(text)[0].hits(database(sessions))
    assert (len(hit.row_ids), hit.note) == (4, "4 values of target within 10m")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (correlation("event_count", "nowhere", "condition: {gte: 1}"), "Rule 'nowhere' not found"),
        (f"{KEY}---\n{correlation('value_sum', 'key', 'condition: {gte: 1, field: x}')}", "value_sum is not supported"),
        (f"{KEY}---\n{correlation('value_count', 'key', 'condition: {gte: 1}')}", "without field"),
        (f"{KEY}---\n{correlation('event_count', 'key', '')}", "without condition"),
        (f"{KEY}---\n{correlation('magic', 'key', '')}", "no valid Sigma correlation type"),
        (f"{KEY}---\n{correlation('event_count', 'key', 'condition: {gte: 1}').replace('10m', '10 moons')}", "Timespan"),
        (f"{KEY}---\n{correlation('event_count', 'key', 'condition: {gte: 1}').replace('10m', '9999999999y')}", "timespan"),
        (f"{KEY}---\n{correlation('temporal_ordered', 'key', 'condition: {gte: 2}')}", "condition of a temporal_ordered"),
        (
            f"{KEY}---\n{correlation('event_count', 'key', 'group-by: x;y' + chr(10) + 'condition: {gte: 1}')}",
            "cannot be looked for",
        ),
        (
            KEY.replace("eventName", "we;ird") + "---\n" + correlation("event_count", "key", "condition: {gte: 1}"),
            "needs the rule",
        ),
        ("title: T\ncorrelation: []", "must be a dict"),
        ("title: T\ncorrelation: {type: temporal, timespan: 1h, condition: '(a and'}", ""),
    ],
)
def test_a_correlation_that_cannot_run_is_named_with_its_reason(text, reason):
    found = compile_sigma(text.encode(), "rules/test.yml")
    assert any(reason in each.reason for each in found if isinstance(each, Uncompiled))
    assert not [each for each in found if isinstance(each, Correlation)]


def test_a_correlation_of_correlations_is_refused():
    inner = correlation("event_count", "key", "condition: {gte: 1}", title="Inner").replace(
        "title: Inner", "title: Inner\nname: inner"
    )
    outer = correlation("event_count", "inner", "condition: {gte: 1}", title="Outer")
    assert "a correlation of correlations is not supported" in refused(f"{KEY}---\n{inner}---\n{outer}")
