"""Rule files and folders into rules: what is taken, what is refused and why, and that nothing hostile gets further."""

import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.detect.sql_rule import sql_rule
from trailscan.detect import rulebook
from trailscan.detect.rulebook import Rulebook, RuleFile, Shelf, chosen, read_rules
from trailscan.errors import UsageError

PATTERN = b'{"detail": {"eventName": ["StartSession"]}}'


def taken(*paths):
    return [file.path for file in read_rules([*map(str, paths)]).shelf.files]


def refused(*paths):
    return {each.path: each.reason for each in read_rules([*map(str, paths)]).shelf.refused}


@pytest.fixture
def folder(tmp_path):
    """A folder with rules, a folder in it, a hidden file, a hidden folder and a README."""
    for name in ("a.json", "b.yml", "deep/er/c.YAML", ".hidden.yml", ".git/d.yml", "README.md"):
        path = tmp_path / "rules" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(PATTERN)
    return tmp_path / "rules"


def test_a_folder_is_read_with_all_below_it_but_for_what_is_hidden_or_no_rule(folder):
    book = read_rules([str(folder)])
    assert [file.path for file in book.shelf.files] == [f"{folder}/a.json", f"{folder}/b.yml", f"{folder}/deep/er/c.YAML"]
    assert (book.shelf.hidden, book.shelf.others, book.shelf.refused) == (2, 1, ())


def test_a_file_that_is_named_is_taken_even_if_it_is_hidden_and_once(folder):
    assert taken(folder / ".hidden.yml", folder / ".hidden.yml", f"{folder}/deep/../.hidden.yml") == [f"{folder}/.hidden.yml"]


def test_without_paths_the_rules_of_the_project_are_read():
    assert taken() == taken("builtin")
    assert {path.partition("/")[0] for path in taken()} == {"builtin"}


@pytest.mark.parametrize("name", ["nowhere", "nowhere.yml", "README.md", "/dev/null"])
def test_a_path_that_is_no_rule_is_wrong_usage(folder, name):
    with pytest.raises(UsageError):
        read_rules([str(folder / name)])


def test_links_are_followed_only_within_the_folder_and_only_to_files(folder, tmp_path):
    (tmp_path / "secret.yml").write_bytes(b"secret")
    os.symlink(tmp_path / "secret.yml", folder / "out.yml")
    os.symlink("/etc/passwd", folder / "passwd.json")
    os.symlink(tmp_path, folder / "up")
    os.symlink(folder, folder / "deep" / "loop")
    os.symlink("itself.yml", folder / "itself.yml")
    os.symlink("gone.yml", folder / "dangling.yml")
    os.symlink("a.json", folder / "within.json")
    assert taken(folder) == [f"{folder}/a.json", f"{folder}/b.yml", f"{folder}/deep/er/c.YAML"]
    reasons = {path.removeprefix(f"{folder}/"): reason for path, reason in refused(folder).items()}
    assert reasons == {
        "out.yml": "a link that leaves the folder is not followed",
        "passwd.json": "a link that leaves the folder is not followed",
        "up": "a link that leaves the folder is not followed",
        "deep/loop": "a link that leaves the folder is not followed",
        "itself.yml": "cannot be read: Too many levels of symbolic links",
        "dangling.yml": "cannot be read: No such file or directory",
    }


def test_what_is_no_file_or_too_large_is_refused_and_waits_for_nobody(folder):
    os.mkfifo(folder / "pipe.yml")
    (folder / "large.yml").write_bytes(b" " * (rulebook.LARGEST + 1))
    assert refused(folder) == {
        f"{folder}/pipe.yml": "cannot be read: it is neither a file nor a folder: a pipe or a device is not read",
        f"{folder}/large.yml": "cannot be read: it has more than 4,194,304 bytes",
    }
    assert len(taken(folder)) == 3


@pytest.mark.parametrize(("limit", "value"), [("MOST_FILES", 2), ("MOST_BYTES", 2 * len(PATTERN) - 1)])
def test_more_rules_than_anybody_has_are_refused_by_name(folder, monkeypatch, limit, value):
    monkeypatch.setattr(rulebook, limit, value)
    assert len(taken(folder)) == 2
    assert list(refused(folder)) == [f"{folder}/deep/er/c.YAML"]


_SCRAPS = st.sampled_from(
    ["title: x\n", "detection:\n", "  condition: ", "selection", "logsource: {product: aws, service: cloudtrail}\n", "&a *a"]
) | st.sampled_from(
    ['{"source": ["aws.ssm"]', '"detail"', ": {", "[", "]", "}", '"$or"', '"numeric"', "1e999", "\\ud800", "\0"]
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.binary(max_size=60)
    | st.lists(_SCRAPS | st.text(max_size=5), max_size=12).map(lambda found: "".join(found).encode("utf-8", "surrogatepass"))
)
def test_whatever_a_file_holds_it_is_a_rule_or_named(text):
    for path in ("x.json", "x.yml"):
        book = Rulebook(Shelf((RuleFile(path, text),)))
        assert len(book.rules) + len(book.uncompiled) > 0


def test_a_file_that_breaks_its_compiler_is_named_and_the_others_run(monkeypatch):
    def compile_rules(text, path):
        return {b"b": [sql_rule(path, "")]}[text]

    monkeypatch.setattr(rulebook, "_compiler_of", lambda _path: compile_rules)
    book = Rulebook(Shelf((RuleFile("a.yml", b""), RuleFile("b.yml", b"b"))))
    assert [each.rule.title for each in book.rules] == ["b.yml"]
    assert [each.reason for each in book.uncompiled] == ["it breaks the compiler: KeyError: b''"]


def test_a_name_that_is_not_utf8_stops_nothing(folder):
    with open(os.fsencode(folder) + b"/\xff.json", "wb") as file:
        file.write(PATTERN)
    assert len(taken(folder)) == 4
    assert len(read_rules([str(folder)]).fingerprint) == 64


def test_a_fingerprint_tells_other_rules_from_these():
    def fingerprint(*files):
        return Rulebook(Shelf(tuple(RuleFile(path, text) for path, text in files))).fingerprint

    one, two = ("a.json", PATTERN), ("b.json", PATTERN)
    assert fingerprint(one, two) == fingerprint(two, one)
    assert len({fingerprint(), fingerprint(one), fingerprint(two), fingerprint(one, two), fingerprint(("a.json", b"{}"))}) == 5


def test_a_second_rule_of_the_same_id_is_refused(tmp_path):
    for name in ("a", "b"):
        (tmp_path / f"{name}.yml").write_text(SIGMA.format(title=f"Rule {name}"), encoding="utf-8")
    book = read_rules([str(tmp_path)])
    assert [each.rule.title for each in book.rules] == ["Rule a"]
    [twin] = book.uncompiled
    assert (twin.path, "is that of 'Rule a' in" in twin.reason) == (f"{tmp_path}/b.yml", True)


def test_files_that_are_no_rules_are_named_and_the_others_run(tmp_path):
    files = {
        "a.json": PATTERN,
        "b.json": b"\xff{",
        "c.yml": b"{",
        "d.yml": b"\x00",
        "e.json": b"",
        "f.yml": b"- 1",
        "g.json": b"[]",
    }
    for name, text in files.items():
        (tmp_path / name).write_bytes(text)
    book = read_rules([str(tmp_path)])
    assert [each.rule.path for each in book.rules] == [f"{tmp_path}/a.json"]
    assert {each.path for each in book.uncompiled} == {f"{tmp_path}/{name}" for name in files if name != "a.json"}


@pytest.mark.parametrize(
    ("level", "names", "found"),
    [
        (None, [], ["One", "Two", "three"]),
        ("high", [], ["Two", "three"]),
        ("critical", [], ["three"]),
        (None, ["two", "THREE"], ["Two", "three"]),
        (None, ["t*"], ["Two", "three"]),
        ("critical", ["One"], []),
        (None, ["*"], ["One", "Two", "three"]),
    ],
)
def test_rules_are_chosen_by_level_and_name(level, names, found):
    rules = [sql_rule("One", "", "low"), sql_rule("Two", "", "high"), sql_rule("three", "", "critical")]
    assert [each.rule.title for each in chosen(rules, level, names)] == found


def test_a_name_that_no_rule_has_is_wrong_usage():
    with pytest.raises(UsageError, match=r"'o\.e'"):
        chosen([sql_rule("one", "")], None, ["o.e"])


SIGMA = """
title: {title}
id: 5a1b7a52-9d6f-4c39-9d25-5f5d0f6d2a11
logsource: {{product: aws, service: cloudtrail}}
detection:
  selection: {{eventName: StartSession}}
  condition: selection
"""
