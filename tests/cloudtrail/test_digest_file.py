"""Digest files taken apart, whatever the bytes; public keys and signatures."""

import json
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import signer
from tests.support.signer import START, Trail, build_chain, content_of, inflated
from trailscan.archive.folder import ArchiveFolder
from trailscan.cloudtrail.digest_file import FormatError, parse_digest, signed_text
from trailscan.verify.signatures import BadKey, KeyFlaw, KeyRing, NoKey, PublicKey, is_signed, load_key, read_keys

CHAIN = build_chain(2, 2)
FIRST, SECOND = (CHAIN.objects[place] for place in CHAIN.digests)
CONTENT = content_of(SECOND)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def at(time):
    return datetime.fromisoformat(f"2026-03-01T{time}")


def digest_with(**changes):
    return json.dumps(CONTENT | changes).encode()


def key_of(der, region="eu-west-1"):
    return PublicKey(signer.fingerprint_of(der), der, region)


def test_a_digest_is_taken_apart():
    digest = parse_digest(inflated(SECOND.body))
    assert (digest.account_id, digest.ends_text) == ("111122223333", "2026-03-01T02:14:05Z")
    assert (digest.starts_at, digest.ends_at) == (at("01:14:05"), at("02:14:05"))
    assert (digest.bucket, digest.key) == CHAIN.digests[1]
    assert (digest.previous_bucket, digest.previous_key) == CHAIN.digests[0]
    assert digest.previous_sha256 == signer.sha256(inflated(FIRST.body))
    assert digest.previous_signature == FIRST.metadata["signature"]
    assert digest.fingerprint == signer.signer().fingerprint
    assert [(log.bucket, log.key) for log in digest.logs] == CHAIN.logs[2:]
    assert digest.logs[0].sha256 == signer.sha256(inflated(CHAIN.objects[CHAIN.logs[2]].body))
    assert digest.logs[0].newest_event == at("01:14:05")


def test_the_first_digest_of_a_chain_names_none_before_it():
    digest = parse_digest(inflated(FIRST.body))
    assert (digest.previous_bucket, digest.previous_key, digest.previous_sha256, digest.previous_signature) == (None,) * 4


def test_fields_that_are_not_known_and_event_times_that_are_none_do_no_harm():
    logs = [CONTENT["logFiles"][0] | {"newestEventTime": None, "oldestEventTime": "yesterday", "more": [1]}]
    [log] = parse_digest(digest_with(more={"a": 1}, logFiles=logs)).logs
    assert (log.oldest_event, log.newest_event) == (None, None)


@pytest.mark.parametrize("field", ["awsAccountId", "digestEndTime", "digestS3Bucket", "previousDigestSignature", "logFiles"])
def test_what_is_lacking_is_named(field):
    raw = json.dumps({name: value for name, value in CONTENT.items() if name != field}).encode()
    with pytest.raises(FormatError, match=field):
        parse_digest(raw)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"digestStartTime": "soon"}, "its digestStartTime is not a time: 'soon'"),
        ({"digestEndTime": "2026-02-01T00:00:00Z"}, "digestEndTime is before its digestStartTime"),
        ({"logFiles": {}}, "Expected `array`"),
        ({"logFiles": [{"s3Bucket": 7}]}, r"logFiles\[0\].s3Bucket"),
        ({"logFiles": [CONTENT["logFiles"][0] | {"hashAlgorithm": "MD5"}]}, "'MD5', not SHA-256"),
        ({"previousDigestHashAlgorithm": "SHA-1"}, "'SHA-1', not SHA-256"),
    ],
)
def test_what_is_wrong_is_named(changes, reason):
    with pytest.raises(FormatError, match=reason):
        parse_digest(digest_with(**changes))


@pytest.mark.parametrize(
    "raw", [b"", b"{}", b"[]", b"null", b"\xff\xfe{}", b'{"awsAccountId":"\\ud800"}', b'{"a":' + b"[" * 100_000]
)
def test_what_is_no_digest_is_told_and_never_crashes(raw):
    with pytest.raises(FormatError):
        parse_digest(raw)


@given(st.sampled_from(sorted(CONTENT)), JSON)
def test_any_value_in_any_field_gives_a_digest_or_a_format_error(field, value):
    try:
        digest = parse_digest(digest_with(**{field: value}))
    except FormatError:
        return
    signed_text(digest, "0" * 64)


@given(st.binary())
def test_any_bytes_give_a_format_error(raw):
    with pytest.raises(FormatError):
        parse_digest(raw)


def test_the_signature_is_over_end_place_hash_and_the_signature_before():
    raw = inflated(SECOND.body)
    lines = signed_text(parse_digest(raw), signer.sha256(raw)).decode().split("\n")
    bucket, key = CHAIN.digests[1]
    assert lines == ["2026-03-01T02:14:05Z", f"{bucket}/{key}", signer.sha256(raw), FIRST.metadata["signature"]]
    first = inflated(FIRST.body)
    assert signed_text(parse_digest(first), signer.sha256(first)).endswith(b"\nnull")


@pytest.mark.parametrize("name", ["main", "spki"])
def test_signatures_verify_with_keys_in_either_encoding_and_with_no_other(name):
    by = signer.signer(name)
    key = load_key(key_of(by.der))
    assert is_signed(b"text", by.sign(b"text"), key)
    assert not is_signed(b"other text", by.sign(b"text"), key)
    assert not is_signed(b"text", signer.signer("other").sign(b"text"), key)
    assert not is_signed(b"text", "no hex", key)
    assert not is_signed(b"text", "", key)


def test_a_key_ring_takes_its_regions_key_and_names_what_is_wrong():
    by = signer.signer()
    assert KeyRing([key_of(by.der, "us-east-1")]).key(by.fingerprint, "us-east-1")
    assert KeyRing([key_of(by.der, "us-east-1")]).key(by.fingerprint, None)
    with pytest.raises(NoKey, match=f"public key not found in region eu-west-1 for fingerprint {by.fingerprint}: .* us-east-1"):
        KeyRing([key_of(by.der, "us-east-1")]).key(by.fingerprint, "eu-west-1")
    with pytest.raises(NoKey, match="public key not found in region"):
        KeyRing([]).key(by.fingerprint, None)
    with pytest.raises(BadKey, match="it was altered"):
        KeyRing([PublicKey(by.fingerprint, b"junk", "eu-west-1")]).key(by.fingerprint, None)
    with pytest.raises(BadKey, match="Unable to load PKCS #1 key"):
        KeyRing([key_of(b"junk")]).key(signer.fingerprint_of(b"junk"), None)


def test_keys_are_read_from_an_archive_and_what_cannot_be_used_is_told(tmp_path):
    archive = ArchiveFolder(str(tmp_path / "case"))
    archive.create()
    archive.save_keys("eu-west-1", [signer.signer().public_key()])
    edited = signer.signer("spki").public_key() | {"value": signer.signer().public_key()["value"]}
    archive.save_keys("us-east-1", [edited])
    for name, text in {"a": "{", "b": "[1]", "c": '[{"fingerprint":"x","value":"~"}]', "d": "[" * 100_000}.items():
        (tmp_path / "case/keys" / f"{name}.json").write_text(text)
    keys, flaws = read_keys(archive.keys)
    assert [(key.region, key.der) for key in keys] == [("eu-west-1", signer.signer().der), ("us-east-1", signer.signer().der)]
    assert [flaw.file for flaw in flaws] == ["a.json", "b.json", "c.json", "d.json", "us-east-1.json"]
    assert "it was altered" in flaws[-1].reason
    assert isinstance(flaws[0], KeyFlaw)


def test_an_archive_without_keys_has_none(tmp_path):
    assert read_keys(str(tmp_path / "keys")) == ([], [])


def test_the_signers_chain_starts_where_it_is_told():
    assert build_chain(1, 0, trail=Trail("other"), start=START).digests[0][1].endswith("_20260301T011405Z.json.gz")
