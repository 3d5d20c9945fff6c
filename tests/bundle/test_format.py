"""A bundle gives back what was packed, to the byte; whatever else comes in its place is refused and leaves nothing."""

import hashlib
import io
import os
import subprocess
import tarfile
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trailscan.archive.custody_log import CustodyLog
from trailscan.archive.folder import ArchiveFolder
from trailscan.archive.loaded_paths import is_elsewhere, loaded_name
from trailscan.archive.object_paths import path_of
from trailscan.archive.origin import Origin
from trailscan.bundle.format import BLOCK, END, SUMS, Header, Names, header, padding, parse_header, pax_size, sums_line, unsafe
from trailscan.bundle.pack import Load, Narrowing, Packed, pack
from trailscan.bundle.unpack import Unpacked, unpack
from trailscan.errors import ArchiveError, BundleError, TrailscanError, UsageError

MOMENT = datetime(2026, 3, 1, 9, 15)  # noqa: DTZ001 - UTC without zone, as everywhere
KEY = (
    "AWSLogs/{account}/CloudTrail/{region}/2026/03/{day:02}/{account}_CloudTrail_{region}_202603{day:02}T0915Z_{n:016}.json.gz"
)


def key(n: int = 0, *, account: str = "111122223333", region: str = "eu-west-1", day: int = 1) -> str:
    return KEY.format(account=account, region=region, day=day, n=n)


def keep(archive: ArchiveFolder, *keys: str, body: bytes = b"body of ") -> list[Origin]:
    """Objects as a sync lays them down."""
    origins = []
    for each in keys:
        path, sha256 = archive.put(f"objects/{path_of('b', each)}", body + each.encode(), MOMENT)
        origins.append(Origin("s3", each, path, 1, bucket="b", etag=sha256, last_modified=MOMENT, sha256=sha256))
    archive.record(origins)
    CustodyLog(archive).append("sync", {"source": "s3://b/"}, {"fetched": len(keys)})
    return origins


def packed(archive: ArchiveFolder, out: Path, narrowing: Narrowing | None = None, load: Load | None = None) -> Packed:
    with archive.lock():
        return pack(archive, str(out), narrowing or Narrowing(), load or Load(archive.database), lambda _: None)


def unpacked(bundle: bytes, root: Path, sha256: str | None = None) -> Unpacked:
    return unpack(io.BytesIO(bundle), str(root), sha256, lambda _: None)


def files(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def made(*members: tuple[str, bytes], sums: bytes | None = None, end: bytes = END) -> bytes:
    """A bundle of any members, whose SHA256SUMS holds unless another is given."""
    lines = b"".join(sums_line(hashlib.sha256(data).hexdigest(), name) for name, data in members)
    everything = [*members, (SUMS, lines if sums is None else sums)]
    return b"".join(header(Header(name, len(data), 0)) + data + padding(len(data)) for name, data in everything) + end


@pytest.fixture
def full(archive: ArchiveFolder) -> ArchiveFolder:
    """An archive with everything in it: small objects and a large one, long names, versions, keys, a database."""
    keep(archive, key(1), key(2, day=2), key(3, account="444455556666"), "odd//key", "a", "A", "x" * 200 + "/y")
    keep(archive, key(1), body=b"another version of ")
    archive.put("objects/b/large.json", b"0123456789abcdef" * (1 << 16) + b"!", MOMENT)  # the manifest does not know it
    archive.save_keys("eu-west-1", [{"fingerprint": "f", "value": "v"}])
    Path(archive.database).write_bytes(b"a database")
    return archive


@pytest.fixture
def bundle(full: ArchiveFolder, tmp_path: Path) -> bytes:
    assert packed(full, tmp_path / "case.tar").problems == []
    return (tmp_path / "case.tar").read_bytes()


def test_what_is_packed_is_unpacked_to_the_byte_and_the_second(full: ArchiveFolder, bundle: bytes, tmp_path: Path) -> None:
    found = unpacked(bundle, tmp_path / "there")
    assert found.sha256 == hashlib.sha256(bundle).hexdigest()
    assert (found.bytes, found.with_database) == (len(bundle), True)
    there = ArchiveFolder(str(tmp_path / "there"))
    for origin in [*full.versions(), *full.strays([])]:
        assert Path(there.place(origin.path)).read_bytes() == Path(full.place(origin.path)).read_bytes()
        assert origin.last_modified is None or Path(there.place(origin.path)).stat().st_mtime == 1772356500
    for name in ("manifest.jsonl", "custody.jsonl", "trailscan.duckdb", "keys/eu-west-1.json"):
        assert Path(there.root, name).read_bytes() == Path(full.root, name).read_bytes()
    assert CustodyLog(there).check() == []
    assert found.objects == len([*full.versions(), *full.strays([])]) == 9


def test_the_same_archive_makes_the_same_bundle_even_once_it_was_packed(
    full: ArchiveFolder, bundle: bytes, tmp_path: Path
) -> None:
    for number in range(2):
        CustodyLog(full).append("pack", {"out": f"{number}.tar"}, {}, {"bundle": "00"})
        packed(full, tmp_path / "again.tar")
        assert (tmp_path / "again.tar").read_bytes() == bundle


def test_an_unpacked_archive_packed_again_makes_the_same_objects(bundle: bytes, tmp_path: Path) -> None:
    unpacked(bundle, tmp_path / "there")
    there = ArchiveFolder(str(tmp_path / "there"))
    there.create()
    assert packed(there, tmp_path / "again.tar").problems == []
    assert (tmp_path / "again.tar").read_bytes() == bundle


def test_tar_and_sha256sum_alone_can_unpack_and_check(bundle: bytes, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    subprocess.run(["tar", "xf", str(tmp_path / "case.tar"), "-C", str(tmp_path / "there")], check=True)
    subprocess.run(["sha256sum", "--quiet", "--strict", "-c", SUMS], cwd=tmp_path / "there", check=True)
    unpacked(bundle, tmp_path / "ours")
    assert files(tmp_path / "there") == files(tmp_path / "ours")


def test_the_tar_is_plain_to_others_and_tells_nothing_of_this_machine(bundle: bytes) -> None:
    with tarfile.open(fileobj=io.BytesIO(bundle)) as tar:
        members = tar.getmembers()
    assert {(member.uid, member.gid, member.uname, member.gname, member.mode) for member in members} == {(0, 0, "", "", 0o644)}
    assert all(member.isreg() for member in members)
    assert members[-1].name == SUMS
    assert {member.mtime for member in members if "T0915Z" in member.name} == {1772356500}


def test_keys_that_differ_in_case_alone_are_carried_apart(full: ArchiveFolder, bundle: bytes, tmp_path: Path) -> None:
    unpacked(bundle, tmp_path / "there")
    there = ArchiveFolder(str(tmp_path / "there"))
    assert Path(there.place("objects/b/a")).read_bytes() == b"body of a"
    assert Path(there.place("objects/b/A")).read_bytes() == b"body of A"
    names = Names()
    assert not any(names.objection(name) for name in files(tmp_path / "there"))


def test_loaded_files_go_along_and_are_found_by_the_path_they_had(archive: ArchiveFolder, tmp_path: Path) -> None:
    origins, bodies = [], {}
    for number, name in enumerate(
        ("logs.tar", "Ünïcode: name?.json.gz", "con.json", ".hidden.gz", "x" * 80 + "é" * 80 + ".zip")
    ):
        file = tmp_path / str(number) / name
        file.parent.mkdir()
        file.write_bytes(name.encode() * 3)
        bodies[str(file)] = name.encode() * 3
        origins += [Origin("file", f"{file}!{member}", str(file), 5, member=member) for member in ("a.json", "b.json")]
    archive.record(origins)
    found = packed(archive, tmp_path / "case.tar")
    assert (found.objects, found.problems) == (5, [])
    unpacked((tmp_path / "case.tar").read_bytes(), tmp_path / "there")
    there = ArchiveFolder(str(tmp_path / "there"))
    for path, body in bodies.items():
        assert there.place(path).startswith(there.root)
        assert Path(there.place(path)).read_bytes() == body
        assert os.path.splitext(there.place(path))[1] == os.path.splitext(path)[1]
    assert there.place("/elsewhere/x.json") == "/elsewhere/x.json"


def test_what_is_missing_altered_or_no_file_is_named_and_the_rest_is_packed(full: ArchiveFolder, tmp_path: Path) -> None:
    first, second, *_ = full.versions()
    Path(full.place(first.path)).unlink()
    Path(full.place(second.path)).write_bytes(b"altered")
    Path(full.objects, "b", "link").symlink_to("large.json")
    Path(full.objects, "b", "no\\name").write_bytes(b"")
    outside = tmp_path / "gone.json"
    full.record([Origin("file", str(outside), str(outside), 5)])
    found = packed(full, tmp_path / "case.tar")
    told = {problem.path.rpartition("/")[2]: problem.reason for problem in found.problems}
    assert told.keys() == {first.path.rpartition("/")[2], second.path.rpartition("/")[2], "link", "no\\name", "gone.json"}
    assert "SHA-256 differs" in told[second.path.rpartition("/")[2]]
    assert "No such file" in told["gone.json"]
    unpacked((tmp_path / "case.tar").read_bytes(), tmp_path / "there")
    assert (tmp_path / "there" / second.path).read_bytes() == b"altered"


def test_a_loaded_file_that_changed_since_is_named(archive: ArchiveFolder, tmp_path: Path) -> None:
    file = tmp_path / "logs.json"
    file.write_bytes(b"now")
    archive.record([Origin("file", str(file), str(file), 3)])
    sums = {str(file): frozenset({hashlib.sha256(b"then").hexdigest()})}
    assert [problem.path for problem in packed(archive, tmp_path / "1.tar", load=Load(known=sums)).problems] == [str(file)]
    assert packed(archive, tmp_path / "2.tar", load=Load(known={})).problems == []


def test_no_bundle_is_left_where_one_cannot_be_written(full: ArchiveFolder, tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match="cannot write"):
        packed(full, tmp_path / "nowhere" / "case.tar")
    assert not (tmp_path / "nowhere").exists()


# A part


def test_a_part_holds_what_was_asked_for_and_tells_of_nothing_else(full: ArchiveFolder, tmp_path: Path) -> None:
    found = packed(full, tmp_path / "part.tar", Narrowing(accounts=("444455556666",)))
    assert (found.objects, found.left_out, found.unnamed) == (1, 7, 4)
    unpacked((tmp_path / "part.tar").read_bytes(), tmp_path / "there")
    held = files(tmp_path / "there")
    assert [name for name in held if name.startswith("objects/")] == [f"objects/b/{key(3, account='444455556666')}"]
    assert "trailscan.duckdb" not in held
    assert b"111122223333" not in b"".join(held.values())
    there = CustodyLog(ArchiveFolder(str(tmp_path / "there")))
    assert there.check() == []
    last = list(there.entries())[-1]
    assert last.arguments["narrowed"] == {"since": None, "until": None, "account": ["444455556666"], "region": []}
    assert last.sums["whole_manifest"] == hashlib.sha256(Path(full.manifest).read_bytes()).hexdigest()


def test_a_part_is_gone_on_with_and_packed_again(full: ArchiveFolder, tmp_path: Path) -> None:
    packed(full, tmp_path / "part.tar", Narrowing(regions=("eu-west-1",)))
    unpacked((tmp_path / "part.tar").read_bytes(), tmp_path / "there")
    there = ArchiveFolder(str(tmp_path / "there"))
    there.create()
    keep(there, key(9))
    assert CustodyLog(there).check() == []
    packed(there, tmp_path / "again.tar")
    unpacked((tmp_path / "again.tar").read_bytes(), tmp_path / "further")
    further = ArchiveFolder(str(tmp_path / "further"))
    assert CustodyLog(further).check() == []
    Path(further.manifest).write_bytes(b"{}\n" + Path(further.manifest).read_bytes()[3:])
    assert CustodyLog(further).check() != []


@pytest.mark.parametrize(
    ("since", "until", "days"),
    [("2026-03-03T01:00", None, [3, 4, 5]), (None, "2026-03-02", [1, 2, 3]), ("2026-03-03", "2026-03-03T01:00", [2, 3, 4])],
)
def test_a_part_by_time_takes_whole_days_of_delivery_with_room_for_late_ones(
    archive: ArchiveFolder, tmp_path: Path, since: str | None, until: str | None, days: list[int]
) -> None:
    keep(archive, *(key(day, day=day) for day in range(1, 6)), "no-date")
    bounds = [None if text is None else datetime.fromisoformat(text) for text in (since, until)]
    found = packed(archive, tmp_path / "part.tar", Narrowing(*bounds))
    assert (found.objects, found.unnamed) == (len(days), 1)
    with tarfile.open(tmp_path / "part.tar") as tar:
        assert [int(name.split("/")[8]) for name in tar.getnames() if name.startswith("objects/")] == days


def test_a_tar_that_also_holds_what_was_not_asked_for_is_left_out_and_named(archive: ArchiveFolder, tmp_path: Path) -> None:
    mixed, pure = tmp_path / "mixed.tar", tmp_path / "pure.tar"
    for file in (mixed, pure):
        file.write_bytes(b"tar")
    accounts = {mixed: ("111122223333", "444455556666"), pure: ("111122223333",)}
    archive.record(
        [
            Origin("file", f"{file}!{key(account=each)}", str(file), 3, member=each)
            for file in accounts
            for each in accounts[file]
        ]
    )
    found = packed(archive, tmp_path / "part.tar", Narrowing(accounts=("111122223333",)))
    assert [problem.path for problem in found.problems] == [str(mixed)]
    assert found.objects == 1


# Bad bundles


def refused(bundle: bytes, tmp_path: Path, error: type[TrailscanError] = BundleError) -> str:
    """Unpack, and be refused with nothing left behind; gives the words."""
    with pytest.raises(error) as caught:
        unpacked(bundle, tmp_path / "nothing")
    assert not [name for name in os.listdir(tmp_path) if name.startswith("nothing")]
    return caught.value.message


GOOD = (("manifest.jsonl", b"{}\n"), ("objects/b/k", b"body"))


def test_a_made_bundle_is_one(tmp_path: Path) -> None:
    assert unpacked(made(*GOOD), tmp_path / "there").members == 2


def test_a_bundle_cut_short_anywhere_is_refused(tmp_path: Path) -> None:
    whole = made(*GOOD)
    for length in {
        0,
        1,
        511,
        512,
        513,
        1024,
        1030,
        2048,
        len(whole) - 1025,
        len(whole) - 1024,
        len(whole) - 512,
        len(whole) - 1,
    }:
        assert "cut short" in refused(whole[:length], tmp_path)


@settings(max_examples=200)
@given(where=st.integers(min_value=0), by=st.integers(1, 255))
def test_a_byte_altered_anywhere_is_refused(tmp_path_factory: pytest.TempPathFactory, where: int, by: int) -> None:
    altered = bytearray(made(*GOOD, ("objects/b/" + "long/" * 60 + "k", b"x" * 600)))
    altered[where % len(altered)] ^= by
    refused(bytes(altered), tmp_path_factory.getbasetemp())


def test_an_altered_file_is_named(tmp_path: Path) -> None:
    assert "objects/b/k was altered" in refused(made(*GOOD).replace(b"body", b"b0dy"), tmp_path)


def test_a_file_more_or_less_than_the_sums_tell_is_named(tmp_path: Path) -> None:
    sums = b"".join(sums_line(hashlib.sha256(data).hexdigest(), name) for name, data in GOOD)
    assert "objects/b/more is not in SHA256SUMS" in refused(made(*GOOD, ("objects/b/more", b""), sums=sums), tmp_path)
    assert "objects/b/k is missing" in refused(made(GOOD[0], sums=sums), tmp_path)
    assert "manifest.jsonl is missing; objects/b/k is missing" in refused(made(sums=sums), tmp_path)


def test_sums_in_another_order_are_as_good_and_rubbish_in_them_is_not(tmp_path: Path) -> None:
    lines = [sums_line(hashlib.sha256(data).hexdigest(), name) for name, data in GOOD]
    assert unpacked(made(*GOOD, sums=b"".join(reversed(lines))), tmp_path / "there").members == 2
    for rubbish in (b"rubbish\n", lines[0], b"\xff\n", b"0" * 64):
        assert "a line that is none" in refused(made(*GOOD, sums=b"".join(lines) + rubbish), tmp_path)


def test_what_follows_the_sums_is_refused(tmp_path: Path) -> None:
    extra = header(Header("objects/b/late", 0, 0))
    for after in (extra + END, END + b"x", END + bytes(BLOCK), END + made(*GOOD)):
        assert "something follows" in refused(made(*GOOD, end=after), tmp_path)
    assert "no SHA256SUMS" in refused(made(*GOOD)[: 4 * BLOCK] + END, tmp_path)


@pytest.mark.parametrize(
    "name",
    [
        "/etc/passwd", "../up", "objects/../../up", "objects/./k", "objects//k", "objects/", "objects", "", ".", "objects/b/..",
        ".lock", "incoming/x", "trailscan.duckdb.wal", "other.txt", "Objects/b/k", "objects/b/a:b", "objects/b/a\\b", "C:/x",
        "objects/b/con", "objects/b/NUL.json.gz", "objects/aux/k", "objects/b/com1.txt", "objects/b/end.", "objects/b/end ",
        "objects/b/a\nb", "objects/b/\x1b[2J", "objects/b/\u202e", "objects/b/e\u0301", "objects/b/" + "x" * 256,
        "objects/" + "x/" * 3000 + "k", "objects/b/q?", "objects/b/*", "SHA256SUMS/x", "manifest.jsonl/x",
    ],
)  # fmt: skip
def test_a_name_that_is_not_one_of_an_archive_on_every_disk_is_refused(tmp_path: Path, name: str) -> None:
    assert unsafe(name)
    refused(made((name, b"x")), tmp_path)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("objects/b/k", "objects/b/k"), ("objects/b/key", "objects/b/KEY"), ("objects/b/k", "objects/B/k"),
        ("objects/b/straße", "objects/b/STRASSE"), ("objects/b/k", "objects/b/k/x"), ("objects/b/K/x", "objects/b/k"),
        ("objects/b/ﬁ", "objects/b/fi"),
    ],
)  # fmt: skip
def test_two_names_that_some_disk_takes_for_one_are_refused(tmp_path: Path, first: str, second: str) -> None:
    assert "ignores case" in refused(made((first, b"1"), (second, b"2")), tmp_path)


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        (tarfile.SYMTYPE, "a symbolic link"), (tarfile.LNKTYPE, "a hard link"), (tarfile.CHRTYPE, "a device"),
        (tarfile.BLKTYPE, "a device"), (tarfile.FIFOTYPE, "a pipe"), (tarfile.DIRTYPE, "a folder"),
        (tarfile.GNUTYPE_SPARSE, "a sparse file"), (tarfile.GNUTYPE_LONGNAME, "altered"), (b"g", "altered"), (b"7", "altered"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_links_devices_and_all_else_that_is_no_plain_file_are_refused(
    tmp_path: Path, kind: bytes, told: str, form: int
) -> None:
    member = tarfile.TarInfo("objects/b/k")
    member.type, member.linkname = kind, "/etc/passwd"
    assert told in refused(member.tobuf(form) + made(*GOOD), tmp_path)


def test_headers_of_others_are_refused_for_they_can_say_more_than_ours(tmp_path: Path) -> None:
    sparse = tarfile.TarInfo("objects/b/k")
    sparse.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "1099511627776"}
    owned = tarfile.TarInfo("objects/b/k")
    owned.uid, owned.mode = 1000, 0o4755
    for member in (sparse, owned):
        assert refused(member.tobuf(tarfile.PAX_FORMAT) + made(*GOOD), tmp_path)
    assert refused(b"\x1f\x8b" + os.urandom(2000), tmp_path)


def test_a_folder_with_something_in_it_is_left_alone_and_an_empty_one_is_taken(tmp_path: Path) -> None:
    there = tmp_path / "there"
    there.mkdir()
    unpacked(made(*GOOD), there)
    before = files(there)
    for root in (there, there / "manifest.jsonl"):
        with pytest.raises(UsageError, match="is there already"):
            unpacked(made(("objects/b/other", b"")), root)
    assert files(there) == before


def test_the_bundle_s_own_sum_is_compared(tmp_path: Path) -> None:
    whole = made(*GOOD)
    with pytest.raises(BundleError, match="SHA-256 is"):
        unpacked(whole, tmp_path / "there", "0" * 64)
    assert os.listdir(tmp_path) == []
    unpacked(whole, tmp_path / "there", hashlib.sha256(whole).hexdigest().upper())


def test_a_bundle_that_comes_in_bits_is_the_same(tmp_path: Path, bundle: bytes) -> None:
    class Slow(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            return super().read(min(size or 1, 700))

    assert unpack(Slow(bundle), str(tmp_path / "there"), None, lambda _: None).sha256 == hashlib.sha256(bundle).hexdigest()


# Headers and names


names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=300)


def _read(blocks: bytes) -> Header:
    more = pax_size(blocks[:BLOCK])
    assert len(blocks) == (BLOCK if more is None else BLOCK + more + len(padding(more)) + BLOCK)
    return parse_header(blocks)


@given(names, st.sampled_from([0, 1, 8**11 - 1, 8**11, 1 << 50]), st.integers(0, 8**11 - 1))
def test_a_header_gives_back_name_size_and_time_to_us_and_to_others(name: str, size: int, mtime: int) -> None:
    blocks = header(Header(name, size, mtime))
    assert _read(blocks) == Header(name, size, mtime)
    with tarfile.open(fileobj=io.BytesIO(blocks), mode="r:") as tar:
        (info,) = tar.getmembers() if size == 0 else [tar.next()]
    assert (info.name, info.size, info.mtime) == (name.rstrip("/"), size, mtime)


@given(names)
def test_any_name_is_either_unsafe_or_a_file_below_the_folder(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    for each in (name, f"objects/{name}", f"loaded/{name}"):
        if not unsafe(each):
            root = str(tmp_path_factory.getbasetemp())
            path = os.path.normpath(os.path.join(root, each))
            assert path.startswith(root + os.sep)
            assert os.path.relpath(path, root) == each


@given(st.lists(st.text("aAbß/.", min_size=1, max_size=6), max_size=12))
def test_names_that_pass_make_as_many_files_on_a_disk_that_ignores_case(parts: list[str]) -> None:
    taken = Names()
    passed = [name for part in parts if not taken.objection(name := f"objects/{part}")]
    folded = [name.casefold() for name in passed]
    assert len(set(folded)) == len(passed)
    assert not any(other.startswith(f"{name}/") for name in folded for other in folded)


@given(st.text(min_size=1, max_size=400).map(lambda text: "/" + text))
def test_any_path_has_a_safe_name_of_its_own_in_loaded(path: str) -> None:
    assert is_elsewhere(path)
    assert unsafe(loaded_name(path)) == ""


@pytest.mark.parametrize("part", ["NUL0", "console-logs", "com10", "auxiliary", "prnt.json.gz", "nul1.gz"])
def test_what_only_begins_like_a_device_is_no_device(part: str) -> None:
    assert unsafe(f"objects/{part}/{part}") == ""


@pytest.mark.parametrize("part", ["NUL", "con.gz", "Com1.json.gz", "aux .x", "lpt9"])
def test_devices_of_windows_are_no_files(part: str) -> None:
    assert unsafe(f"objects/b/{part}") != ""
    assert unsafe(f"objects/{part}/k") != ""


def test_paths_of_other_systems_are_elsewhere_too() -> None:
    assert is_elsewhere("C:\\evidence\\x.zip")
    assert is_elsewhere("\\\\server\\share\\x.zip")
    assert loaded_name("C:\\evidence\\x.zip").endswith("/x.zip")
    assert not is_elsewhere("objects/b/k")
