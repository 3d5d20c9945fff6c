"""Rule files that attackers wrote, or nobody finished: each is named with its reason, bounded, and stops no other."""

import json
import re
import time

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.detect.sigma.asking import SESSIONS, compiled, database, hit_ids, refused, rule
from tests.fixtures.invented import call, event_id, without
from trailscan.detect.rule import RuleFailed, Uncompiled
from trailscan.detect.sigma.compiling import compile_sigma
from trailscan.store.database import run

HEAD = "title: T\nlogsource: {product: aws, service: cloudtrail}\n"
BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{after}: &{after} [{', '.join([f'*{before}'] * 10)}]\n" for before, after in zip("abcdef", "bcdefg", strict=True)
)
MERGES = "a: &a {k0: 1, k1: 1, k2: 1, k3: 1, k4: 1, k5: 1, k6: 1, k7: 1, k8: 1, k9: 1}\n" + "".join(
    f"{after}: &{after} {{<<: [{', '.join([f'*{before}'] * 10)}]}}\n" for before, after in zip("abcdef", "bcdefg", strict=True)
)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"", "no rule in the file"),
        (b"---\n---\n", "no rule in the file"),
        (b"\xff\xfe", "not UTF-8"),
        (b"a: [", "not YAML"),
        (b"a: b: c", "not YAML"),
        (b"a: \x07", "not YAML"),
        (b"a: 1\na: 2", "Duplicate key"),
        (b"a: !!python/object/apply:os.system [id]", "not YAML"),
        (b"? {a: b}\n: c", "not YAML"),
        (b"&a [*a]", "what it is part of"),
        (b"[*none]", "alias"),
        (BOMB.encode(), "aliases unfolded"),
        (MERGES.encode(), "aliases unfolded"),
        (b"[" * 5000, "nested deeper"),
        (b"a: '" + b"x" * (1 << 20) + b"'", "bytes"),
        (b"- 1\n" * 30_000, "more than 20,000 values"),
        (b"just words", "not a rule"),
        (b"[1, 2]", "not a rule"),
        (b"{}", "title"),
        (b"{1: 2, null: 3}", "title"),
    ],
)
def test_a_file_that_is_no_rule_is_named_with_its_reason(text, reason):
    [found] = refused(text)
    assert reason in found


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (HEAD, "detection"),
        (HEAD + "detection: []", "detection"),
        (HEAD + "detection: {a: {eventName: x}}", "condition"),
        (HEAD + "detection: {a: {eventName: x}, condition: b}", "'b' not defined"),
        (HEAD + "detection: {a: {eventName: x}, condition: a | count() > 5}", "pipe"),
        (HEAD + "detection: {a: {eventName: x}, condition: 'a and'}", "Expected"),
        (HEAD + "detection: {a: {eventName: x}, condition: [[]]}", ""),
        (HEAD + "detection: {a: {eventName: x}, condition: 7}", ""),
        (HEAD + "detection: {a: {eventName|magic: x}, condition: a}", "Unknown modifier 'magic'"),
        (HEAD + "detection: {a: {eventName|re: '('}, condition: a}", "Regular expression"),
        (HEAD + "detection: {a: {eventName|re: '(a)\\1'}, condition: a}", "Regular expression"),
        (HEAD + "detection: {a: {eventName|re: '((a{1000}){1000}){1000}'}, condition: a}", "Regular expression"),
        (HEAD + "detection: {a: {sourceIPAddress|cidr: nowhere}, condition: a}", "CIDR"),
        (HEAD + "detection: {a: {eventName|expand: '%users%'}, condition: a}", "%users%"),
        (HEAD + "detection: {a: {eventName|gt: x}, condition: a}", "incompatible"),
        (HEAD + "detection: {a: {eventName: {b: c}}, condition: a}", ""),
        (HEAD + "detection: {a: {eventName: 2026-01-01}, condition: a}", "nsupported type"),
        (HEAD + "detection: {a: {'x\"; DROP TABLE events; --': y}, condition: a}", "cannot be looked for"),
        (HEAD + "detection: {a: {\"requestParameters.'+1+'\": y}, condition: a}", "cannot be looked for"),
        (HEAD + "detection: {a: {requestParameters.$1: y}, condition: a}", "cannot be looked for"),
        (HEAD + "detection: {a: {'requestParameters[*]': y}, condition: a}", "cannot be looked for"),
        (HEAD + "detection: {a: {requestParameters..x: y}, condition: a}", "cannot be looked for"),
        (HEAD + f"detection: {{a: {{{'.'.join('a' * 40)}: y}}, condition: a}}", "cannot be looked for"),
        (HEAD + f"detection: {{a: {{eventName: x}}, condition: '{'(' * 50}a{')' * 50}'}}", "too deep"),
        (HEAD + f"detection: {{a: {{eventName: x}}, condition: '{'a or ' * 5000}a'}}", "too long"),
        (HEAD + "id: 5\ndetection: {a: {eventName: x}, condition: a}", ""),
        (HEAD + "id: five\ndetection: {a: {eventName: x}, condition: a}", "UUID"),
        (HEAD + "level: enormous\ndetection: {a: {eventName: x}, condition: a}", "enormous"),
        (rule("eventName: x", "{product: windows, service: security}"), "for product windows, service security"),
        (rule("eventName: x", "{product: aws, service: guardduty}"), "for product aws, service guardduty"),
        (rule("eventName: x", "{category: process_creation}"), "for category process_creation"),
        (rule("eventName: x", "{}"), "og source"),
        (rule("eventName: x", SESSIONS), "no field 'eventName'"),
        (rule("tarrget: x", SESSIONS), "is it target?"),
        (rule("k: [x]\ncondition: k", SESSIONS), "keywords"),
    ],
)
def test_a_rule_that_cannot_run_is_named_with_its_reason(text, reason):
    [found] = refused(text)
    assert reason in found


def test_the_other_rules_of_a_file_run():
    good = rule("eventName: GetThing", title="Good")
    found = compile_sigma(f"{good}---\ntitle: Bad\n---\n{good.replace('Good', 'Better')}".encode(), "rules/three.yml")
    assert [each.rule.title for each in found[:2]] == ["Good", "Better"]
    assert found[2] == Uncompiled("rules/three.yml", "Bad", "Sigma rule must have a log source")


def test_a_document_without_a_title_is_named_by_its_number():
    found = compile_sigma(f"{rule('eventName: x')}---\nlevel: low\n".encode(), "f.yml")
    assert [each.place for each in found if isinstance(each, Uncompiled)] == ["document 2"]


HOSTILE = [
    "'; DROP TABLE events; --",
    "') OR true --",
    "$1",
    "{v}",
    "{0}",
    "{",
    "\\",
    "\\\\'",
    '"',
    "a\0b",
    "%",
    "_",
    "(?i)",
    "\u202e\x1b[2J",
    "x" * 100_000,
]


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("modifier", ["", "|contains", "|cased", "|startswith"])
def test_hostile_values_match_themselves_and_nothing_else(text, modifier):
    value = json.dumps(text.replace("\\", "\\\\"))
    records = [
        call("it", "GetThing", userAgent=text, requestParameters={"a": text}),
        without(call("other", "GetThing"), "userAgent"),
    ]
    connection = database(records)
    for field in ("userAgent", "requestParameters.a"):
        assert hit_ids(connection, rule(f"{field}{modifier}: {value}")) == [event_id("it")]
    assert hit_ids(connection, rule(f"k: [{value}]\ncondition: k")) == [event_id("it")]
    assert run(connection, "SELECT count(*) FROM events") == [(2,)]


def test_many_wildcards_take_linear_time():
    connection = database([call("it", "GetThing", userAgent="a" * 50_000)])
    started = time.monotonic()
    assert hit_ids(connection, rule(f"userAgent: '{'*a' * 40}*b'")) == []
    assert hit_ids(connection, rule(f"userAgent: '{'*a' * 40}?b'")) == []
    assert hit_ids(connection, rule("userAgent|re: '(a*)*b'")) == []
    assert time.monotonic() - started < 5


def test_a_rule_of_a_thousand_values_runs():
    values = ", ".join(f"Name{number}" for number in range(1000))
    nested = " and ".join(["not not a"] * 3)
    connection = database([call("it", "GetThingName999")])
    assert hit_ids(connection, rule(f"a:\n  eventName|contains: [{values}]\ncondition: {nested}")) == [event_id("it")]


def test_what_the_database_refuses_is_a_failure_of_the_rule():
    connection = database([call("it", "GetThing")])
    run(connection, "DROP VIEW evidence; ALTER TABLE events RENAME COLUMN user_agent TO gone")
    [each] = compiled(rule("userAgent: x"))
    with pytest.raises(RuleFailed, match="database refused"):
        list(each.hits(connection))


def test_a_rule_without_an_id_keeps_the_one_that_its_content_gives_it():
    text = rule("eventName: x") + "---\n" + rule("eventName: y")
    one, other = compiled(text, "a/r.yml")
    assert one.rule.id != other.rule.id
    assert re.fullmatch("[0-9a-f]{64}", one.rule.id)
    assert [each.rule.id for each in compiled("# said before\n" + text, "b/r.yml")] == [one.rule.id, other.rule.id]
    assert compiled(text, "a/s.yml")[0].rule.id != one.rule.id


def test_what_a_rule_says_of_itself_is_kept():
    more = "id: 3f0e0d0a-0000-4000-8000-111122223333\nauthor: A. N. Other\nlevel: critical\n"
    more += "status: deprecated\ntags: [attack.t1021.007]\n"
    [each] = compiled(rule("eventName: x", more=more))
    said = each.rule
    assert (said.id, said.author, said.level) == ("3f0e0d0a-0000-4000-8000-111122223333", "A. N. Other", "critical")
    assert (said.tags, said.language) == (("attack.t1021.007",), "sigma")
    assert compiled(rule("eventName: x"))[0].rule.level == "medium"


KEYS = [
    "title",
    "detection",
    "condition",
    "correlation",
    "logsource",
    "product",
    "rules",
    "type",
    "a",
    "eventName|re",
    "action",
]
PLAIN = st.text(max_size=6) | st.integers() | st.booleans() | st.none()


@settings(max_examples=150, deadline=None)
@given(
    st.recursive(PLAIN, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4))
)
def test_no_document_crashes_the_compiler(content):
    source = {"product": "aws", "service": "cloudtrail"}
    in_a_rule = {"title": "T", "logsource": source, "detection": content, "correlation": content}
    for document in (content, in_a_rule, in_a_rule | {"correlation": None}):
        assert compile_sigma(yaml.safe_dump(document).encode(), "f.yml")
