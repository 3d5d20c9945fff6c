"""Whether a file's first bytes are those of something that can hold records: what decides where the name does not."""

import re

HEAD = 4096  # bytes

_BOMS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")
_PACKED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd")  # gzip, bzip2, xz, zstd
_TABLES = (b"PAR1", b"Obj\x01")  # Parquet and Avro: not read, but named with what to hand over instead
_JSON = re.compile(rb'[ \t\r\n\x1e]*+(?:\{[ \t\r\n]*+["}]|\[[ \t\r\n]*+[\[{"\]]|"[\[{])')
_STAMPED = re.compile(rb"\d{4}-\d\d-\d\dT[\d:.]{1,20}Z?[ \t]++[\[{]")  # an export of CloudWatch Logs
_PREFIXED = re.compile(
    rb'[^\r\n{"]{0,300}\{[ \t]*+\\?"event(?:Version|Source|Name)\\?"'
)  # a line of syslog with a record in it
_NAMES = rb"@message|_raw|event\.original|eventjson|cloudtrailevent|event ?name|event ?source|awseventid"
_COLUMN = re.compile(rb'(?i)(?:^|[,;\t|])"?(?:' + _NAMES + rb')"?(?:[,;\t|]|$)')


def opens_like_records(head: bytes) -> bool:
    """Whether the first `HEAD` bytes can begin JSON, a table of events, or something compressed."""
    if head.startswith((*_PACKED, *_TABLES)):
        return True
    plain = head
    for mark in _BOMS:
        plain = plain.removeprefix(mark)
    if b"\0" in plain[:2] or head[:2] in _BOMS:
        plain = plain.replace(b"\0", b"")  # UTF-16
    first_line = plain.lstrip(b"\r\n").split(b"\n", 1)[0].rstrip(b"\r")
    tests = (_JSON.match(plain), _STAMPED.match(plain), _PREFIXED.match(plain), _COLUMN.search(first_line))
    return any(found is not None for found in tests)
