import os
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from trailscan.archive.object_paths import fold, key_of, path_of
from trailscan.errors import UnsafeKey

LOG = (
    "AWSLogs/o-exampleorg1/111122223333/CloudTrail/eu-west-1/2026/03/01/"
    "111122223333_CloudTrail_eu-west-1_20260301T0915Z_a1B2c3D4e5F6g7H8.json.gz"
)
DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d|conin\$|conout\$|clock\$) *(\.|$)", re.IGNORECASE)

parts = st.sampled_from(
    ["..", ".", "", "%", "%_", "%2F", "CON", "con.json", "com1", "nul .gz", "aux", "LPT9", "~1", "a ", "a.", "._a"]
) | st.sampled_from(
    ["x.part", "x.tmp", "Thumbs.db", "\\", "C:", "\x00", "\x1b[2J", "\n", "\u212a", "\u00e9", "e\u0301", "\ud800"]
)
words = st.lists(parts | st.text(max_size=4), max_size=4)
buckets = words.map("/".join) | words.map("".join)
keys = buckets | st.builds(lambda prefix, tail: f"{prefix}/{tail}", buckets, st.just(LOG))


@pytest.mark.parametrize("key", [LOG, "my trail/x_y-z.1/" + LOG, LOG.replace(".json.gz", " (1).json")])
def test_a_normal_key_is_its_own_path(key):
    assert path_of("logs-111122223333", key) == f"logs-111122223333/{key}"


@given(buckets, keys)
@example("..", "../../etc/passwd")
@example("a/b", "/")
@example("b", "\ud83d\ude00")
@example("b", "\ud83d" + "\ude00")
@example("b", "../" + LOG)
def test_a_path_gives_back_its_bucket_and_key(bucket, key):
    assert key_of(path_of(bucket, key)) == (bucket, key)


@given(buckets, keys)
def test_a_path_is_safe_on_every_file_system(bucket, key):
    path = path_of(bucket, key)
    assert path.isascii()
    assert path.isprintable()
    assert not set(path) & set('\\:*?"<>|~')
    for part in path.split("/"):
        assert part
        assert part[0] != "."
        assert part[-1] not in ". "
        assert not DEVICES.match(part)
        assert not part.lower().endswith((".part", ".tmp"))
    assert os.path.normpath(path) == path
    assert os.path.normpath(os.path.join("/archive", path)).startswith("/archive/")


@given(keys, keys)
@example("a//b", "a/%_/b")
@example("a%2Fb", "a/b")
def test_two_keys_never_share_a_path(one, other):
    assert (path_of("b", one) == path_of("b", other)) == (one == other)


def test_a_bucket_and_key_cannot_trade_their_slash():
    assert path_of("a/b", "c") != path_of("a", "b/c")


def test_keys_that_differ_in_case_alone_are_seen_by_folding():
    one, other = path_of("b", LOG), path_of("b", LOG.replace("a1B2", "A1b2"))
    assert one != other
    assert fold(one) == fold(other)
    assert fold(path_of("b", "k")) != fold(path_of("b", "\u212a"))


def test_only_what_no_file_name_can_hold_is_refused():
    assert path_of("b", "x" * 255 + "/" + LOG)
    for key in ("x" * 256, "x" * 256 + "/" + LOG, "\u00e9" * 43):
        with pytest.raises(UnsafeKey, match="too long"):
            path_of("b", key)


@pytest.mark.parametrize("path", ["", "b", "b/..", "b/a//c", "/b/a", "b/%41", "b/%2e%2e", "b/a%2Fb", "b/%FF", "b/%", "b/a\\c"])
def test_a_path_that_no_key_has_is_refused(path):
    with pytest.raises(UnsafeKey, match="not the path"):
        key_of(path)
