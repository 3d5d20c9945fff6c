"""Digests, logs and archived hashes judged: as values, with keys of our own."""

from datetime import timedelta

import msgspec
import pytest

from tests.support import signer, tamperings
from tests.support.signer import HOUR, START, Stored, Trail, build_chain, resigned
from tests.support.world import gzipped
from trailscan.archive.origin import Origin, name_of, naming_of, state_of
from trailscan.fingerprints import FingerprintIndex
from trailscan.store.verdict import OUT_OF_ORDER, Status
from trailscan.verify.digest_chain import Window, earliest_starts, judge_digests, judge_spans
from trailscan.verify.logs import Logs, Recorded, judge_archived
from trailscan.verify.object_check import CheckedObject, StoredObject, check_bytes, with_digest
from trailscan.verify.signatures import KeyRing, PublicKey

CASES = tamperings.cases()
ALWAYS = Window()
GONE = CheckedObject(1, None, None, "cannot read it: No such file or directory", True)


def held(place, stored, *, number=1, path=None, member=None):
    """An object as the database knows it: fetched, or loaded from a path."""
    bucket, key = place
    if path is None:
        origin = Origin("s3", key, f"objects/{bucket}/{key}", 1, bucket=bucket, metadata=dict(stored.metadata) or None)
    else:
        origin = Origin("file", path, path, 1, member=member)
    naming = naming_of(key)
    checked, raw = check_bytes(number, stored.body)
    is_digest = naming.kind == "digest"
    kept = StoredObject(number, origin, naming.account_id, naming.region, naming.delivered_at, is_digest, naming.kind == "log")
    return kept, with_digest(checked, raw) if is_digest else checked


def fetched(objects):
    return [held(place, stored, number=number) for number, (place, stored) in enumerate(objects.items(), 1)]


def ring(*ders, region="eu-west-1"):
    keys = ders or [*tamperings.public_keys()]
    return KeyRing(PublicKey(signer.fingerprint_of(der), der, region) for der in keys)


def public_key(region="eu-west-1", *, by="main", since=None, until=None, note=""):
    made = signer.signer(by)
    return PublicKey(made.fingerprint, made.der, region, since, until, note)


def judge(pairs, *, keys=None, covered=lambda _place, _at: True, failed=frozenset(), window=ALWAYS):
    """Every verdict on these objects, as the command puts them together."""
    judged = judge_digests([pair for pair in pairs if pair[0].is_digest], keys or ring())
    found = [each.verdict() for each, starts_at in earliest_starts(judged) if window.takes(starts_at, each.ends_at)]
    found += judge_spans(judged, covered, failed, window)
    logs = Logs(judged, window)
    for kept, checked in pairs:
        if not kept.is_digest:
            found += logs.judge(kept, checked)
    return [*found, *logs.missing(covered, failed)]


def wrong(verdicts):
    return sorted((each.kind, str(each.status)) for each in verdicts if each.status is not Status.VALID)


def the(verdicts, status):
    [found] = [each for each in verdicts if each.status == status]
    return found


def naive(moment):
    return moment.replace(tzinfo=None)


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_each_tampering_gets_its_verdict(case):
    assert wrong(judge(fetched(case.objects()))) == sorted(case.says)


def test_a_sound_chain_is_valid_thing_by_thing_and_each_verdict_tells_where_it_belongs():
    chain = build_chain(3, 2)
    verdicts = judge(fetched(chain.objects))
    assert {each.object for each in verdicts} == {f"s3://{bucket}/{key}" for bucket, key in chain.objects}
    assert {(each.status, each.message) for each in verdicts} == {(Status.VALID, "valid")}
    assert {(each.account_id, each.region, each.trail) for each in verdicts} == {("111122223333", "eu-west-1", "main")}
    first = next(each for each in verdicts if each.object.endswith(chain.digests[0][1]))
    assert (first.starts_at, first.ends_at) == (naive(START), naive(START + HOUR))


def test_the_order_in_which_objects_come_changes_no_verdict():
    objects = dict(pair for case in CASES if not case.backfill for pair in case.objects().items())
    pairs = fetched(objects)
    assert sorted(judge(pairs), key=repr) == sorted(judge(pairs[::-1]), key=repr)


def test_chains_of_many_trails_and_accounts_do_not_mix():
    trails = [Trail("one"), Trail("two"), Trail("one", region="us-east-1"), Trail("one", account="444455556666")]
    objects = {place: stored for trail in trails for place, stored in build_chain(2, 1, trail=trail).objects.items()}
    assert wrong(judge(fetched(objects), keys=KeyRing([public_key(), public_key("us-east-1")]))) == []


def test_a_chain_may_go_on_in_another_bucket_and_another_prefix():
    before = build_chain(2, 1)
    place = before.digests[-1]
    after = build_chain(
        2, 1, trail=Trail(bucket="other-trail", prefix="a/b/"), start=START + 2 * HOUR, after=(place, before.objects[place])
    )
    assert wrong(judge(fetched(before.objects | after.objects))) == []


def test_an_organizations_trail_is_read_like_any_other():
    chain = build_chain(2, 1, trail=Trail(organization="o-exampleorg1", account="444455556666"))
    assert wrong(judge(fetched(chain.objects))) == []


@pytest.mark.parametrize(
    ("region", "status"),
    [("us-east-1", "VALID"), ("eu-west-1", "NOT_VERIFIABLE"), ("any", "VALID"), ("ap-south-1", "NOT_VERIFIABLE")],
)
def test_a_key_counts_for_the_region_whose_digests_it_signed_not_for_the_trails_home(region, status):
    chain = build_chain(2, 0, trail=Trail(region="us-east-1", home_region="eu-west-1"))
    verdicts = judge(fetched(chain.objects), keys=KeyRing([public_key(region)]))
    assert {str(each.status) for each in verdicts} == {status}
    if status != "VALID":
        assert all(each.message.endswith(f": it is held for {region} only") for each in verdicts)


@pytest.mark.parametrize(
    ("since", "until", "status"),
    [
        (None, None, "VALID"),
        (START - 9 * HOUR, START, "VALID"),  # rotated while the digest's hour began
        (START - 9 * HOUR, START - HOUR / 60, "NO_KEY"),
        (START + 3 * HOUR, START + 9 * HOUR, "VALID"),  # two hours are allowed for delivery
        (START + 3.1 * HOUR, START + 9 * HOUR, "NO_KEY"),
    ],
)
def test_a_key_counts_only_while_it_was_valid(since, until, status):
    key = public_key(since=since and naive(since), until=until and naive(until))
    [verdict] = judge(fetched(build_chain(1, 0).objects), keys=KeyRing([key]))
    assert verdict.status == status
    assert status == "VALID" or "not when this was signed" in verdict.message


def test_backfill_digests_are_held_to_the_time_at_which_they_were_made():
    chain = build_chain(1, 0, trail=Trail(backfill=True))
    [(place, stored)] = chain.objects.items()
    late = Stored(stored.body, {**stored.metadata, "backfill-generation-timestamp": "2026-04-03T10:00:00Z"})
    made = naive(START).replace(month=4, day=3, hour=10)
    valid = public_key(since=made, until=made + 30 * HOUR)
    assert wrong(judge(fetched({place: late}), keys=KeyRing([valid]))) == []
    assert wrong(judge(fetched(chain.objects), keys=KeyRing([valid]))) == [("digest", "NO_KEY")]


def test_what_lacks_its_key_is_not_verifiable_unless_cloudtrail_was_asked_for_it():
    chain = build_chain(2, 1)
    unasked = judge(fetched(chain.objects), keys=KeyRing([]))
    assert wrong(unasked) == [("digest", "NOT_VERIFIABLE")] * 2 + [("log", "NOT_VERIFIABLE")] * 2
    asked = judge(fetched(chain.objects), keys=KeyRing([], lambda region, _fingerprint, _times: region == "eu-west-1"))
    assert wrong(asked) == [("digest", "NO_KEY")] * 2 + [("log", "UNCOVERED")] * 2


def test_a_digest_verified_by_a_key_from_elsewhere_says_so():
    [verdict] = judge(fetched(build_chain(1, 0).objects), keys=KeyRing([public_key(note="its key was imported from a.json")]))
    assert (verdict.status, verdict.message) == (Status.VALID, "valid: its key was imported from a.json")
    both = KeyRing([public_key(note="its key was imported from a.json"), public_key()])
    assert judge(fetched(build_chain(1, 0).objects), keys=both)[0].message == "valid"


def test_an_edited_key_is_a_bad_key_but_a_sound_one_beside_it_serves():
    chain = build_chain(1, 0)
    fingerprint = signer.signer().fingerprint
    edited = PublicKey(fingerprint, signer.signer("other").der, "eu-west-1")
    bad = judge(fetched(chain.objects), keys=KeyRing([edited]))
    assert wrong(bad) == [("digest", "BAD_KEY")]
    assert f"has the fingerprint {signer.signer('other').fingerprint}: it was altered" in bad[0].message
    assert wrong(judge(fetched(chain.objects), keys=KeyRing([edited, public_key()]))) == []


def replica(chain, bucket="replica-trail", prefix="copy/", *, metadata=True):
    """The same objects in another bucket, below another prefix; tools that copy may lose the metadata."""
    kept = {place: stored if metadata else Stored(stored.body) for place, stored in chain.objects.items()}
    return {(bucket, prefix + key): stored for (_, key), stored in kept.items()}


@pytest.mark.parametrize("prefix", ["", "copy/"])
def test_a_replica_is_verified_for_the_place_that_its_digests_name(prefix):
    chain = build_chain(3, 2)
    verdicts = judge(fetched(replica(chain, prefix=prefix)), covered=lambda place, _at: place[0] == "replica-trail")
    assert wrong(verdicts) == []
    assert sorted(each.object for each in verdicts) == sorted(f"s3://replica-trail/{prefix}{key}" for _, key in chain.objects)
    digest = next(each for each in verdicts if each.object.endswith(chain.digests[0][1]))
    assert digest.message == f"valid: a copy, which CloudTrail delivered as s3://example-trail/{chain.digests[0][1]}"


def test_what_a_replica_lacks_or_has_altered_is_named_there():
    chain = build_chain(5, 1)
    objects = replica(chain)
    gone = [chain.digests[1], chain.logs[2], chain.logs[1]]
    for _, key in gone:
        del objects["replica-trail", f"copy/{key}"]
    objects["replica-trail", f"copy/{chain.logs[3][1]}"] = Stored(gzipped(b"{}"))
    verdicts = judge(fetched(objects), covered=lambda place, _at: place[0] == "replica-trail")
    assert wrong(verdicts) == [("digest", "MISSING_DIGEST"), ("log", "INVALID_HASH"), ("log", "MISSING_LOG")]
    missing = [each.object for each in verdicts if "MISSING" in each.status]
    assert missing == [f"s3://replica-trail/copy/{key}" for key in (chain.digests[1][1], chain.logs[2][1])]


def test_a_digest_of_a_replica_that_cannot_be_read_is_not_missing_as_well():
    chain = build_chain(3, 0)
    objects = replica(chain)
    objects["replica-trail", f"copy/{chain.digests[1][1]}"] = Stored(b"x")
    assert wrong(judge(fetched(objects))) == [("digest", "INVALID_FORMAT")]


def test_a_replica_without_metadata_lacks_only_the_newest_signature():
    objects = replica(build_chain(3, 1), metadata=False)
    assert wrong(judge(fetched(objects))) == [("digest", "NOT_VERIFIABLE"), ("log", "NOT_VERIFIABLE")]


def test_a_bucket_and_its_replica_together_are_each_verified_once():
    chain = build_chain(2, 2)
    verdicts = judge(fetched(chain.objects | replica(chain)))
    assert wrong(verdicts) == []
    assert len(verdicts) == 2 * len(chain.objects)
    short = {place: stored for place, stored in chain.objects.items() if place != chain.logs[0]} | replica(chain)
    assert wrong(judge(fetched(short))) == [("log", "MISSING_LOG")]


def test_a_log_that_lies_elsewhere_does_not_stand_in_for_one_missing_from_the_trails_own_bucket():
    chain = build_chain(1, 1)
    objects = {place: stored for place, stored in chain.objects.items() if place != chain.logs[0]}
    planted = {("other-bucket", chain.logs[0][1]): chain.objects[chain.logs[0]]}
    assert wrong(judge(fetched(objects | planted))) == [("log", "MISSING_LOG"), ("log", "UNCOVERED")]


def test_a_digest_forged_where_its_key_is_not_held_is_given_away_by_the_one_after_it():
    chain = build_chain(3, 0)
    place, other = chain.digests[1], signer.signer("unknown")
    forged = resigned(chain.objects[place], other, logFiles=[], digestPublicKeyFingerprint=other.fingerprint)
    assert wrong(judge(fetched(chain.objects | {place: forged}))) == [("digest", "INVALID_HASH")]


def test_a_window_in_which_every_digest_is_gone_names_the_last_of_them():
    """The one after the window names its predecessor, and nothing tells when that one's chain of missing ones began."""
    chain = build_chain(30, 1)
    left = {place: chain.objects[place] for place in [*chain.digests[26:], *chain.logs[26:]]}
    for hour in (0, 12, 25):
        window = Window(naive(START + hour * HOUR), naive(START + (hour + 1) * HOUR))
        assert wrong(judge(fetched(left), window=window)) == [("digest", "MISSING_DIGEST")]
    assert wrong(judge(fetched(left), window=Window(since=naive(START + 26 * HOUR)))) == []


def test_a_digest_that_cannot_be_read_belongs_to_all_the_time_since_the_one_before():
    chain = build_chain(6, 0)
    left = {place: chain.objects[place] for place in (chain.digests[0], chain.digests[5])}
    left[chain.digests[4]] = Stored(b"x")
    window = Window(naive(START + 2 * HOUR), naive(START + 3 * HOUR))
    assert wrong(judge(fetched(left), window=window)) == [("digest", "INVALID_FORMAT")]


def test_a_loop_of_digests_that_all_verify_is_named_and_does_not_hang():
    chain = build_chain(3, 0)
    unsure = {"previousDigestHashValue": None, "previousDigestSignature": None}
    objects = {place: resigned(stored, **unsure) for place, stored in chain.objects.items()}
    bucket, key = chain.digests[-1]
    turned = {"previousDigestS3Bucket": bucket, "previousDigestS3Object": key}
    objects[chain.digests[0]] = resigned(objects[chain.digests[0]], **turned)
    verdicts = judge(fetched(objects))
    assert wrong(verdicts) == []
    named = [each.object for each in verdicts if OUT_OF_ORDER in each.message]
    assert [url.endswith(chain.digests[0][1]) for url in named] == [True]


def test_a_digest_that_ends_no_later_than_the_one_before_is_checked_and_its_logs_too():
    chain = build_chain(2, 2)
    last = chain.digests[1]
    early = {"digestStartTime": "2026-03-01T00:14:05Z", "digestEndTime": "2026-03-01T01:14:05Z"}
    objects = chain.objects | {last: resigned(chain.objects[last], **early)}
    verdicts = judge(fetched(objects))
    assert wrong(verdicts) == []
    assert sum(each.kind == "log" for each in verdicts) == 4
    assert [each.object for each in verdicts if OUT_OF_ORDER in each.message] == [f"s3://{last[0]}/{last[1]}"]
    altered = objects | {chain.logs[2]: Stored(gzipped(b"{}"))}
    assert wrong(judge(fetched(altered))) == [("log", "INVALID_HASH")]


def test_a_signature_that_was_altered_in_the_metadata_alone_is_told_from_content_that_was_altered():
    by_name = {case.name: case for case in CASES}
    metadata = the(judge(fetched(by_name["signature-altered"].objects())), Status.INVALID_SIGNATURE)
    content = the(judge(fetched(by_name["digest-forged"].objects())), Status.INVALID_SIGNATURE)
    assert "its content is authentic by the signature that the digest after it holds" in metadata.message
    assert "swears by other bytes of it" in content.message


def test_logs_of_an_invalid_digest_are_not_checked_and_it_is_said():
    case = next(case for case in CASES if case.name == "digest-forged")
    chain = build_chain(tamperings.HOURS, tamperings.LOGS, trail=case.trail)
    place = chain.digests[1]
    forged = signer.forged(chain.objects[place], digestEndTime="2026-03-01T02:14:06Z")
    verdicts = judge(fetched(chain.objects | {place: forged}))
    assert the(verdicts, Status.INVALID_SIGNATURE).message.endswith("the logs it lists (2) were not checked against it")
    whys = {each.message for each in verdicts if each.status is Status.UNCOVERED}
    assert whys == {f"listed only by s3://{place[0]}/{place[1]}, which is INVALID_SIGNATURE"}


def test_a_log_that_was_altered_and_is_held_in_both_versions_is_judged_in_both():
    chain = build_chain(1, 1)
    pairs = [*fetched(chain.objects), held(chain.logs[0], Stored(gzipped(b"{}")), number=99)]
    logs = [(each.object_id, each.status) for each in judge(pairs) if each.kind == "log"]
    assert logs == [(1, Status.VALID), (99, Status.INVALID_HASH)]


def test_what_no_sync_covered_is_not_synced_and_what_could_not_be_fetched_neither():
    chain = build_chain(3, 1)
    kept = {place: stored for place, stored in chain.objects.items() if place not in (chain.digests[0], chain.logs[2])}
    never = judge(fetched(kept), covered=lambda _place, _at: False)
    assert [pair for pair in wrong(never) if pair[1] != "UNCOVERED"] == [("digest", "NOT_SYNCED"), ("log", "NOT_SYNCED")]
    failed = judge(fetched(kept), failed=frozenset({chain.digests[0], chain.logs[2]}))
    assert {each.message.partition(";")[0] for each in failed if each.status is Status.NOT_SYNCED} == {
        "it could not be fetched"
    }


def test_what_covers_a_missing_object_is_asked_with_its_place_and_time_of_delivery():
    chain = build_chain(2, 1)
    asked = []
    kept = {place: stored for place, stored in chain.objects.items() if place not in (chain.digests[0], chain.logs[1])}
    judge(fetched(kept), covered=lambda place, at: asked.append((place, at)) or True)
    assert asked == [
        (chain.digests[0], naive(START + HOUR)),
        (chain.logs[1], naive(START + HOUR + timedelta(seconds=60)).replace(second=0)),
    ]


def test_an_object_whose_file_is_gone_is_missing_for_the_digest_too():
    chain = build_chain(1, 1)
    pairs = [(kept, GONE) for kept, _ in fetched(chain.objects)]
    assert wrong(judge(pairs)) == [("digest", "MISSING_DIGEST"), ("log", "UNCOVERED")]
    [log, digest] = fetched(chain.objects)
    assert wrong(judge([(log[0], GONE), digest])) == [("log", "MISSING_LOG")]


@pytest.mark.parametrize(
    ("at", "why"),
    [
        (START + timedelta(hours=9), "newer than the last digest, which ends at 2026-03-01T04:14:05Z"),
        (START - timedelta(hours=9), "older than the first digest that is held, which starts at 2026-03-01T00:14:05Z"),
        (START + timedelta(hours=1.5), "which is valid and does not list it"),
    ],
)
def test_why_no_digest_lists_a_log_is_told(at, why):
    extra = {Trail().log_place(at, "aaaabbbbccccdddd"): Stored(gzipped(b'{"Records":[]}'))}
    verdicts = judge(fetched(build_chain(4, 0).objects | extra))
    assert why in the(verdicts, Status.UNCOVERED).message


def test_without_any_digest_no_log_can_be_verified():
    chain = build_chain(1, 3)
    logs = {place: chain.objects[place] for place in chain.logs}
    assert wrong(judge(fetched(logs))) == [("log", "NOT_VERIFIABLE")] * 3


def test_only_digests_whose_time_reaches_into_the_window_are_judged():
    chain = build_chain(4, 1)
    window = Window(naive(START + HOUR), naive(START + 3 * HOUR))
    verdicts = judge(fetched(chain.objects), window=window)
    wanted = [*chain.digests[1:3], *chain.logs[1:3]]
    assert sorted(each.object for each in verdicts) == sorted(f"s3://{bucket}/{key}" for bucket, key in wanted)


def test_a_digest_outside_the_window_still_vouches_for_its_neighbour():
    case = next(case for case in CASES if case.name == "digest-of-two-versions")
    verdicts = judge(fetched(case.objects()), window=Window(until=naive(START + 2 * HOUR)))
    assert the(verdicts, Status.INVALID_HASH).kind == "digest"


def test_copies_are_recognised_by_the_tail_of_their_path():
    chain = build_chain(2, 1)
    pairs = [
        held(place, stored, number=number, path=f"/mnt/usb/bundle-3/{place[1]}")
        for number, (place, stored) in enumerate(chain.objects.items(), 1)
    ]
    verdicts = judge(pairs)
    assert wrong(verdicts) == [("digest", "NOT_VERIFIABLE"), ("log", "NOT_VERIFIABLE")]  # the last: no metadata, no successor
    log = next(each for each in verdicts if each.kind == "log" and each.status is Status.VALID)
    assert "recognised by its path from AWSLogs/ on" in log.message


def test_copies_in_a_flat_folder_are_recognised_by_their_names_however_they_were_saved():
    chain = build_chain(2, 1)
    pairs = []
    for number, (place, stored) in enumerate(chain.objects.items(), 1):
        name = place[1].rpartition("/")[2]
        if "CloudTrail-Digest" not in name:
            name, stored = name.replace(".json.gz", " (1).json"), Stored(signer.inflated(stored.body))  # noqa: PLW2901
        pairs.append(held(place, stored, number=number, path="/case.tar", member=name))
    verdicts = judge(pairs)
    assert wrong(verdicts) == [("digest", "NOT_VERIFIABLE"), ("log", "NOT_VERIFIABLE")]
    assert any("it is not compressed; recognised by its file name" in each.message for each in verdicts)


def test_a_log_missing_from_copies_is_missing_and_the_digest_before_the_first_was_never_asked_for():
    chain = build_chain(4, 1)
    gone = (chain.digests[0], chain.logs[1])
    pairs = [
        held(place, stored, number=number, path=f"/mnt/{place[1]}")
        for number, (place, stored) in enumerate(chain.objects.items(), 1)
        if place not in gone
    ]
    found = wrong(judge(pairs, covered=lambda _place, _at: False))
    assert ("log", "MISSING_LOG") in found
    assert ("digest", "NOT_SYNCED") in found


def archived(body=b"x", recorded=None, **more):
    checked, _ = check_bytes(1, body)
    origin = Origin("s3", "key", "objects/b/key", 1, bucket="b", etag="e", sha256=recorded or checked.sha256)
    kept = StoredObject(1, msgspec.structs.replace(origin, **more))
    return kept, checked


def test_an_object_is_held_to_the_hash_it_was_taken_in_with_by_database_and_manifest():
    kept, checked = archived()
    nothing = Recorded(FingerprintIndex(()))
    assert judge_archived(kept, checked, nothing).status is Status.VALID
    assert judge_archived(kept, GONE, nothing).status is Status.MISSING_LOG
    assert judge_archived(msgspec.structs.replace(kept, is_digest=True), GONE, nothing).status is Status.MISSING_DIGEST
    was, now = archived(recorded="0" * 64)
    assert judge_archived(was, now, nothing).status is Status.INVALID_HASH
    other = Recorded(FingerprintIndex([(f"{name_of(kept.origin)}\0{state_of(kept.origin)}", "0" * 64)]))
    assert judge_archived(kept, checked, other).status is Status.INVALID_HASH
    unhashed = msgspec.structs.replace(kept, origin=msgspec.structs.replace(kept.origin, sha256=None))
    assert judge_archived(unhashed, checked, nothing).status is Status.UNCOVERED
