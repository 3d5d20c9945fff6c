import bz2
import gzip
import io
import lzma
import multiprocessing
import os
import tarfile
import zipfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from trailscan.errors import SourceError
from trailscan.files.folder import find_objects, read_bytes
from trailscan.files.local_objects import LocalObject, Problem, Survey, display_name

LOG_NAME = "111122223333_CloudTrail_eu-west-1_20260301T0915Z_a1B2c3D4e5F6g7H8.json.gz"
PACKERS = {".tar": bytes, ".tar.gz": gzip.compress, ".tgz": gzip.compress, ".tar.bz2": bz2.compress, ".txz": lzma.compress}


def find(*paths):
    survey = Survey()
    return list(find_objects([str(path) for path in paths], survey)), survey


def put(path, content=b"{}"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def tar_of(*members):
    """The bytes of a tar with (name, content) members; a TarInfo in place of a name is taken as it is."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in members:
            info = name if isinstance(name, tarfile.TarInfo) else tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def zip_of(path, *members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in members:
            packed.writestr(zipfile.ZipInfo(name, (2026, 3, 1, 9, 15, 0)), content, zipfile.ZIP_DEFLATED)
    return path


def reasons(survey):
    return sorted((problem.path.rpartition("/")[2], problem.reason) for problem in survey.problems)


def test_a_folder_is_walked_in_order_of_names(tmp_path):
    for name in ("b/2.json.gz", "b/1.jsonl", "a.csv", "c.log", "b/d/e/f.ndjson"):
        put(tmp_path / name, name.encode())
    found, survey = find(tmp_path)
    assert [os.path.relpath(obj.path, tmp_path) for obj in found] == [
        "a.csv", "b/1.jsonl", "b/2.json.gz", "b/d/e/f.ndjson", "c.log",
    ]  # fmt: skip
    assert [read_bytes(obj) for obj in found] == [b"a.csv", b"b/1.jsonl", b"b/2.json.gz", b"b/d/e/f.ndjson", b"c.log"]
    assert (found[0].name, found[0].bytes, found[0].member, found[0].offset) == ("a.csv", 5, None, None)
    assert found[0].mtime == os.stat(found[0].path).st_mtime
    assert survey == Survey()


def test_what_cannot_be_cloudtrails_is_counted_not_lost(tmp_path):
    names = ("._a.json.gz", "._b.json", ".DS_Store", "Thumbs.db", "a.json.part", "b.TMP", "c.txt", "d.TXT", "README")
    for name in (*names, LOG_NAME.removesuffix(".json.gz"), "UPPER.JSON.GZ"):
        put(tmp_path / name, b"words")
    found, survey = find(tmp_path)
    assert [obj.name for obj in found] == [LOG_NAME.removesuffix(".json.gz"), "UPPER.JSON.GZ"]
    assert survey.passed_over == Counter(
        {"._*": 2, ".ds_store": 1, "thumbs.db": 1, "*.part": 1, "*.tmp": 1, "*.txt": 2, "without extension": 1}
    )


OPENINGS = {
    "a JSON object": b'{"Records":[]}',
    "an array of texts": b' [ "{',
    "records behind separators": b'\x1e{"eventVersion":"1.08"',
    "UTF-16 with a mark": '\ufeff{"Events":[]}'.encode("utf-16-le"),
    "UTF-16 without one": '{"Events":[]}'.encode("utf-16-be"),
    "an export of CloudWatch Logs": b'2026-03-01T09:00:00.000Z {"eventVersion":"1.08"',
    "a table of raw texts": b'_time,host,_raw\n1,h,"{""eventVersion"',
    "the console's table": b"User name,AWS access key,Event time,Event source,Event name\n",
    "gzip": b"\x1f\x8b\x08\x00",
    "Parquet": b"PAR1\x15\x04",
    "syslog": b'<134>Mar  2 10:01:00 host cloudtrail: {"eventVersion":"1.08"',
}


@pytest.mark.parametrize("opening", OPENINGS)
@pytest.mark.parametrize("name", ["x", "a.json.gz.1a2B3c4D", "firehose-2026-03-02-10-1-abc", "a.partial", "b.raw", "c.TXT"])
def test_the_first_bytes_decide_and_not_the_name(tmp_path, opening, name):
    put(tmp_path / "in" / name, OPENINGS[opening])
    zip_of(tmp_path / "in.zip", (name, OPENINGS[opening]))
    put(tmp_path / "in.tgz", gzip.compress(tar_of((name, OPENINGS[opening]), ("b.json", b"{}"))))
    for place, names in (("in", [name]), ("in.zip", [name]), ("in.tgz", [name, "b.json"])):
        found, survey = find(tmp_path / place)
        assert [obj.name for obj in found] == names
        assert next(map(read_bytes, found)) == OPENINGS[opening]
        assert survey == Survey()


@pytest.mark.parametrize(
    "content", [b"", b"[section]\nkey=1", b"{braces} in prose", b"\x89PNG\r\n", b"import json\n", b"a,b\n1,2\n"]
)
def test_what_does_not_begin_like_records_is_passed_over(tmp_path, content):
    put(tmp_path / "x.abc", content)
    assert find(tmp_path) == ([], Survey(passed_over=Counter({"*.abc": 1})))


@pytest.mark.parametrize("name", ["notes.txt", "._x", "a.part", "README"])
def test_a_file_that_is_named_is_always_taken(tmp_path, name):
    found, survey = find(put(tmp_path / name, b"x"))
    assert [read_bytes(obj) for obj in found] == [b"x"]
    assert survey == Survey()


def test_an_archive_of_ours_gives_its_objects_only(tmp_path):
    put(tmp_path / "trailscan.duckdb")
    put(tmp_path / "keys" / "eu-west-1.json")
    put(tmp_path / "objects" / "bucket" / LOG_NAME)
    assert [obj.name for obj in find(tmp_path)[0]] == [LOG_NAME]


def test_a_missing_path_fails_before_anything_is_walked(tmp_path):
    with pytest.raises(SourceError, match="gone"):
        find_objects([str(tmp_path), str(tmp_path / "gone")], Survey())
    with pytest.raises(SourceError, match=r"a\\x00b"):
        find_objects(["a\0b"], Survey())


def test_links_are_followed_to_files_within_the_folder_only(tmp_path):
    put(tmp_path / "outside" / "secret.json")
    put(tmp_path / "rootless" / "x.json")  # a sibling whose name begins like the root's
    root = tmp_path / "root"
    put(root / "sub" / "a.json", b"a")
    (root / "inside.json").symlink_to("sub/a.json")
    (root / "out.json").symlink_to(tmp_path / "outside" / "secret.json")
    (root / "sibling.json").symlink_to("../rootless/x.json")
    (root / "outside").symlink_to(tmp_path / "outside")
    (root / "sub" / "up").symlink_to("..")
    (root / "sub" / "loop").symlink_to(root / "sub")
    (root / "self.json").symlink_to("self.json")
    (root / "dangling.json.gz").symlink_to("nowhere")
    found, survey = find(root)
    assert [(obj.name, read_bytes(obj)) for obj in found] == [("inside.json", b"a"), ("a.json", b"a")]
    told = dict(reasons(survey))
    assert {name for name, reason in told.items() if "leaves" in reason} == {"out.json", "sibling.json", "outside", "up"}
    assert told["loop"] == "a link to a folder is not followed"
    assert "No such file" in told["dangling.json.gz"]
    assert "symbolic links" in told["self.json"]


def test_a_root_that_is_a_link_is_walked(tmp_path):
    put(tmp_path / "real" / "a.json")
    (tmp_path / "link").symlink_to("real")
    assert [obj.name for obj in find(tmp_path / "link")[0]] == ["a.json"]


def test_a_pipe_in_a_folder_is_told_and_does_not_block(tmp_path):
    os.mkfifo(tmp_path / "pipe.json")
    assert reasons(find(tmp_path)[1]) == [("pipe.json", "neither a file nor a folder")]


def test_a_folder_named_like_a_file_is_a_folder(tmp_path):
    put(tmp_path / "x.json.gz" / "y.json")
    assert [obj.name for obj in find(tmp_path)[0]] == ["y.json"]


def test_an_unreadable_object_is_an_error_that_names_it(tmp_path):
    (tmp_path / "x.json.gz").mkdir()
    for name in ("x.json.gz", "gone.json"):
        with pytest.raises(SourceError, match=name):
            read_bytes(LocalObject(str(tmp_path / name), name, 10, 0.0))


def test_a_file_that_grew_or_shrank_since_is_read_as_it_is(tmp_path):
    (found,), _ = find(put(tmp_path / "a.json", b"12345"))
    for now in (b"123", b"", b"1234567" * 500_000):
        put(tmp_path / "a.json", now)
        assert read_bytes(found) == now
    with pytest.raises(SourceError, match="limit"):
        read_bytes(found, limit=1_000_000)


def test_odd_names_are_kept_and_shown_harmlessly(tmp_path):
    names = ["a%3Ab.json", "esc\x1b[2J.json", "new\nline.json", os.fsdecode(b"raw\xff.json")]
    for name in names:
        put(tmp_path / name, name.encode("utf-8", "surrogateescape"))
    found, _ = find(tmp_path)
    assert [obj.name for obj in found] == names
    assert [read_bytes(obj) for obj in found] == [name.encode("utf-8", "surrogateescape") for name in names]
    shown = [display_name(obj).rpartition("/")[2] for obj in found]
    assert shown == ["a%3Ab.json", r"esc\x1b[2J.json", r"new\nline.json", r"raw\udcff.json"]


@pytest.mark.parametrize("ending", PACKERS)
def test_members_of_a_tar_are_found_and_read_in_any_order(tmp_path, ending):
    long = "AWSLogs/" + "x" * 150 + "/long.json"
    members = [("../../etc/up.json", b"up" * 700), ("/abs.json.gz", b""), (long, b"l"), ("notes.txt", b"n")]
    path = put(tmp_path / ("case" + ending), PACKERS[ending](tar_of(*members, ("._a.json", b"m"), ("in.zip", b"z"))))
    found, survey = find(tmp_path)
    assert [(obj.member, obj.name, obj.bytes) for obj in found] == [
        ("../../etc/up.json", "up.json", 1400),
        ("/abs.json.gz", "abs.json.gz", 0),
        (long, "long.json", 1),
    ]
    assert [read_bytes(obj) for obj in (*found, *found[::-1])] == [b"up" * 700, b"", b"l", b"l", b"", b"up" * 700]
    assert display_name(found[0]) == f"{path}!../../etc/up.json"
    assert survey.passed_over == Counter({"*.txt": 1, "._*": 1})
    assert survey.problems == [Problem(f"{path}!in.zip", "an archive within an archive is not opened: unpack it")]
    assert os.listdir(tmp_path) == ["case" + ending]


def test_tar_members_that_are_no_files_are_counted(tmp_path):
    link, device = tarfile.TarInfo("link.json"), tarfile.TarInfo("device.json")
    link.type, link.linkname, device.type = tarfile.SYMTYPE, "/etc/passwd", tarfile.CHRTYPE
    put(tmp_path / "case.tar", tar_of((link, b""), (device, b""), ("a.json", b"a")))
    found, survey = find(tmp_path)
    assert [obj.member for obj in found] == ["a.json"]
    assert survey.passed_over == Counter({"links and devices in a tar": 2})


def test_a_damaged_tar_gives_what_it_can_and_tells_the_rest(tmp_path):
    whole = tar_of(("a.json", b"a" * 2000), ("b.json", b"b" * 2000))
    second = 512 + 2048
    cases = {
        "short.tar": (whole[: second + 700], "unexpected end"),
        "cut.tar": (whole[:second], "no end mark"),
        "bent.tar": (whole[:second] + b"?" * 512 + whole[second + 512 :], "no tar from byte 2,560 on"),
        "two.tar": (whole + whole, "behind its end mark: read again from the next header"),
        "packed.tgz": (gzip.compress(whole)[:-9], "end-of-stream"),
        "not.tar": (b"{}" * 600, "invalid header"),
        "empty.tar": (b"", "empty"),
        "not.tgz": (b"{}" * 600, "gzip"),
    }
    for name, (content, reason) in cases.items():
        found, survey = find(put(tmp_path / name, content))
        assert [problem.path for problem in survey.problems] == [str(tmp_path / name)], name
        assert reason in survey.problems[0].reason, (name, survey.problems)
        if not name.startswith(("not", "empty")):
            assert read_bytes(found[0]) == b"a" * 2000
    (_, cut), _ = find(tmp_path / "short.tar")
    with pytest.raises(SourceError, match=r"short\.tar!b\.json: the archive ends"):
        read_bytes(cut)


def test_a_tar_header_of_gigabytes_is_refused_unread(tmp_path):
    bomb = tarfile.TarInfo("bomb")
    bomb.type, bomb.size = tarfile.XHDTYPE, 7 << 30
    _, survey = find(put(tmp_path / "bomb.tgz", gzip.compress(bomb.tobuf() + b"\0" * 4096)))
    assert "a header of 7,516,192,768 bytes" in survey.problems[0].reason


def test_a_tar_with_endless_long_names_is_a_problem_not_a_crash(tmp_path):
    header = tarfile.TarInfo("././@LongLink")
    header.type, header.size = tarfile.GNUTYPE_LONGNAME, 4
    _, survey = find(put(tmp_path / "deep.tar", (header.tobuf() + b"abc".ljust(512, b"\0")) * 5000))
    assert len(survey.problems) == 1


def test_members_of_a_zip_are_found_and_read_in_any_order(tmp_path):
    zip_of(tmp_path / "case.zip", ("d/", b""), ("d\\a.json", b"a" * 5000), ("../b.json", b"b"), ("c.txt", b"c"))
    found, survey = find(tmp_path)
    assert [(obj.member, obj.name, obj.bytes) for obj in found] == [
        ("d\\a.json", "a.json", 5000),
        ("../b.json", "b.json", 1),
    ]
    assert [read_bytes(obj) for obj in found[::-1]] == [b"b", b"a" * 5000]
    assert found[0].mtime == 1772356500.0
    assert survey == Survey(passed_over=Counter({"*.txt": 1}))


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_zip_members_that_share_a_name_are_told_apart(tmp_path):
    zip_of(tmp_path / "case.zip", ("a.json", b"one"), ("a.json", b"two"))
    assert [read_bytes(obj) for obj in find(tmp_path)[0]] == [b"one", b"two"]


def test_encrypted_and_damaged_zips_are_told(tmp_path):
    whole = zip_of(tmp_path / "whole.zip", ("a.json", b"a" * 99)).read_bytes()
    entry = whole.index(b"PK\x01\x02")
    locked = whole[: entry + 8] + b"\x01" + whole[entry + 9 :]
    put(tmp_path / "locked.zip", locked)
    put(tmp_path / "cut.zip", whole[:-30])
    put(tmp_path / "bent.zip", whole.replace(b"PK\x03\x04", b"PK\x03\x05"))
    found, survey = find(tmp_path)
    assert [obj.path.rpartition("/")[2] for obj in found] == ["bent.zip", "whole.zip"]
    assert reasons(survey) == [("cut.zip", "File is not a zip file"), ("locked.zip!a.json", "the member is encrypted")]
    with pytest.raises(SourceError, match=r"bent\.zip!a\.json"):
        read_bytes(found[0])


def test_a_zip_bomb_is_refused_by_what_it_declares_and_by_what_it_holds(tmp_path):
    whole = zip_of(tmp_path / "bomb.zip", ("a.json", b"\0" * 3_000_000)).read_bytes()
    (bomb,), _ = find(tmp_path / "bomb.zip")
    with pytest.raises(SourceError, match=r"bomb\.zip!a\.json: it has 3,000,000 bytes"):
        read_bytes(bomb, limit=2_999_999)
    declared = LocalObject(bomb.path, bomb.name, 1, 0.0, bomb.member, bomb.offset)
    with pytest.raises(SourceError, match="larger than the limit"):
        read_bytes(declared, limit=1000)
    put(tmp_path / "liar.zip", whole.replace((3_000_000).to_bytes(4, "little"), (10).to_bytes(4, "little")))
    (liar,), _ = find(tmp_path / "liar.zip")
    assert liar.bytes == 10
    with pytest.raises(SourceError, match=r"liar\.zip!a\.json"):
        read_bytes(liar)


@pytest.mark.parametrize("ending", ["zip", "tgz"])
def test_threads_and_forked_processes_read_one_archive_without_harm(tmp_path, ending):
    members = [(f"{number:03}.json", bytes([number]) * 5000) for number in range(100)]
    if ending == "zip":
        zip_of(tmp_path / "case.zip", *members)
    else:
        put(tmp_path / "case.tgz", gzip.compress(tar_of(*members)))
    found, _ = find(tmp_path)
    expected = [content for _, content in members]
    read_bytes(found[50])  # leaves this process's own handle in the middle of the file
    with multiprocessing.get_context("fork").Pool(2) as pool:
        children = pool.map_async(read_bytes, found, chunksize=5)
        assert [read_bytes(obj) for obj in found] == expected
        assert children.get(30) == expected
    with ThreadPoolExecutor(2) as threads:
        assert list(threads.map(read_bytes, found)) == expected


def test_an_archive_replaced_by_another_is_opened_anew(tmp_path):
    for content in (b"one", b"other"):
        zip_of(tmp_path / "case.zip", ("a.json", content))
        assert [read_bytes(obj) for obj in find(tmp_path)[0]] == [content]


def test_a_time_that_is_nonsense_is_no_time(tmp_path):
    os.utime(put(tmp_path / "a.json"), (-5, -5))
    late = tarfile.TarInfo("b.json")
    late.mtime = 1 << 40
    put(tmp_path / "b.tar", tar_of((late, b"")))
    assert [obj.mtime for obj in find(tmp_path)[0]] == [0.0, 0.0]
