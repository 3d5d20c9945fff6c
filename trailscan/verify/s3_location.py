"""Which key an object had in its bucket, be it held as S3 had it or as a file that somebody copied; pure.

A copy's path tells the key from `AWSLogs/` on, seldom what stood before it, and never surely the bucket.
"""

from trailscan.archive.origin import Origin
from trailscan.cloudtrail.object_keys import ObjectName, parse_key, parse_name

Place = tuple[str, str]  # bucket and key


def url_of(origin: Origin) -> str:
    """What an object is called in a verdict: `s3://bucket/key`, or its path on this disk."""
    if origin.source == "s3":
        return place_url((origin.bucket or "", origin.key))
    return origin.path if origin.member is None else f"{origin.path}!{origin.member}"


def place_url(place: Place) -> str:
    """`s3://bucket/key`."""
    return f"s3://{place[0]}/{place[1]}"


def place_of(origin: Origin) -> Place | None:
    """The bucket and key that an object was fetched from; None for a file."""
    return (origin.bucket or "", origin.key) if origin.source == "s3" else None


def tail_of(key: str) -> str:
    """A key from its last `AWSLogs/` on, when it is one of CloudTrail's; else the file name."""
    key = key.replace("\\", "/")
    parsed = parse_key(key)
    return key[len(parsed.prefix) :] if parsed else key.rpartition("/")[2]


def file_tail(origin: Origin) -> str:
    """The tail of a file's path, in its tar or zip if it lies in one."""
    return tail_of(origin.path if origin.member is None else origin.member)


def tail_in(origin: Origin) -> str:
    """The tail of the key that an object was fetched from, or of the path of a file."""
    return tail_of(origin.key) if origin.source == "s3" else file_tail(origin)


def beside(found: Place, place: Place) -> Place:
    """Where a copy of an object should lie whose own place is `place`, by where a copy of another one was found."""
    tail = tail_of(found[1])
    wanted = tail_of(place[1])
    return found[0], found[1][: len(found[1]) - len(tail)] + (wanted if "/" in tail else wanted.rpartition("/")[2])


def name_in(key: str) -> ObjectName | None:
    """What the file name of a key or path tells."""
    return parse_name(key.replace("\\", "/").rpartition("/")[2])


def could_be(tail: str, key: str) -> bool:
    """Whether a file with this tail can be the object of this key: by the tail, or where that is but a name, by the name.

    A name may have been changed in saving (`.json`, ` (1)`); one that tells nothing contradicts nothing.
    """
    if "/" in tail:
        return tail == tail_of(key)
    named = parse_name(tail)
    return named is None or named == name_in(key)
