"""The original bytes of records that were found, from the objects that hold them; never rebuilt from columns."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache

import msgspec

from trailscan.errors import SourceError
from trailscan.files.folder import read_bytes
from trailscan.files.local_objects import LocalObject, display_name
from trailscan.query.table import Row
from trailscan.records.formats import unwrap
from trailscan.records.inflate import inflate

OBJECTS_AT_HAND = 16  # hits that follow each other in time often share an object


def originals(rows: Iterable[Row], place: Callable[[str], str], missing: Callable[[str], None]) -> Iterator[bytes]:
    """Each row's record as one line of JSON, as it stands in its object but for white space between its tokens.

    Rows are (path, member, member_offset, object_bytes, sha256, record_index); `place` turns a stored path into one on this
    disk; `missing` is told, in a sentence, of each record whose object can no longer give it, or has other bytes by now.
    """

    @lru_cache(OBJECTS_AT_HAND)
    def records_of(file: LocalObject, sha256: str | None) -> dict[int, bytes]:
        data = read_bytes(file)
        if sha256 is not None and hashlib.sha256(data).hexdigest() != sha256:
            raise SourceError(f"{display_name(file)} has changed since it was loaded")
        found = unwrap(inflate(data).raw)
        return {index: bytes(record) for index, record in zip(found.indexes, found.records, strict=True)}

    for path, member, offset, size, sha256, index in rows:
        file = LocalObject(place(str(path)), "", int(str(size)), 0.0, _text(member), _number(offset))
        try:
            record = records_of(file, _text(sha256)).get(int(str(index)))
        except SourceError as error:
            missing(error.message)
            continue
        if record is None:
            missing(f"{display_name(file)} holds no record {index} any more")
        else:
            yield msgspec.json.format(record, indent=-1)


def _text(cell: object) -> str | None:
    return cell if isinstance(cell, str) else None


def _number(cell: object) -> int | None:
    return cell if isinstance(cell, int) else None
