"""What a zip's directory claims, checked before anything is inflated: sizes, overlaps, and how far it unfolds.

Source: PKWARE, "APPNOTE.TXT - .ZIP File Format Specification", sections 4.3.14 to 4.3.16.
"""

import os
import struct
import zipfile
from typing import BinaryIO

LARGEST_DIRECTORY = 256 << 20  # bytes: some two million members
MOST_TIMES = 250  # bytes out for each byte in, of a large member: JSON of CloudTrail reaches about 30
LARGE = 64 << 20  # bytes
LARGEST_SIZE = 1 << 62  # bytes; no disk holds more
_END = struct.Struct("<4s4H2LH")
_END64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR = struct.Struct("<4sLQL")
_LONGEST_COMMENT = 0xFFFF
_IN_ZIP64 = 0xFFFFFFFF  # the number stands in the zip64 record
_LOCAL_HEADER = 30  # bytes, before the name


def check_directory(file: BinaryIO) -> None:
    """Raise ValueError where the directory is larger than can be taken into memory; what is no zip is left to others."""
    size = os.fstat(file.fileno()).st_size
    start = max(0, size - _LONGEST_COMMENT - _END.size - _LOCATOR.size)
    file.seek(start)
    tail = file.read(size - start) or b""
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or len(tail) - at < _END.size:
        return
    claimed = _END.unpack_from(tail, at)[5]
    if claimed == _IN_ZIP64 and at >= _LOCATOR.size:
        claimed = _claimed_by_zip64(file, tail[at - _LOCATOR.size : at])
    if claimed > LARGEST_DIRECTORY:
        raise ValueError(f"its directory claims {claimed:,} bytes, more than {LARGEST_DIRECTORY:,}")


def _claimed_by_zip64(file: BinaryIO, locator: bytes) -> int:
    magic, _, offset, _ = _LOCATOR.unpack(locator)
    if magic != b"PK\x06\x07" or offset > LARGEST_SIZE:
        return 0
    file.seek(offset)
    record = file.read(_END64.size)
    return int(_END64.unpack(record)[8]) if len(record) == _END64.size else 0


def overlapping(file: zipfile.ZipFile) -> set[zipfile.ZipInfo]:
    """The members whose stored bytes reach into the next one or into the directory: how small files unfold without end."""
    entries = sorted(file.infolist(), key=lambda info: info.header_offset)
    ends = [info.header_offset for info in entries[1:]] + [file.start_dir]
    return {info for info, end in zip(entries, ends, strict=True) if _end_of(info) > end}


def _end_of(info: zipfile.ZipInfo) -> int:
    """Where a member's stored bytes end at the earliest."""
    return info.header_offset + _LOCAL_HEADER + len(info.orig_filename.encode("utf-8", "replace")) + info.compress_size


def flaw_of_entry(info: zipfile.ZipInfo, is_overlapping: bool) -> str:
    """Why a member is not read; empty where it is."""
    if info.flag_bits & 1:
        return "the member is encrypted"
    if not (0 <= info.file_size <= LARGEST_SIZE and 0 <= info.header_offset <= LARGEST_SIZE):
        return "it claims a size that no file has"
    if is_overlapping:
        return "its bytes overlap those of another member: a zip that unfolds without end is built like this"
    if info.file_size > LARGE and info.file_size > MOST_TIMES * max(1, info.compress_size):
        return f"it claims to unfold from {info.compress_size:,} to {info.file_size:,} bytes: it was not read"
    return ""
