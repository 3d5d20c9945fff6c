"""What is wrong with an object, as a value: it becomes a row of `damage`, a count in the last line, and exit code 3."""

import msgspec

FOREIGN = "not-cloudtrail"  # the one `what` that is no damage: sound, and something else


class Damage(msgspec.Struct, frozen=True):
    """One thing that could not be read, or that must not be trusted.

    `record_index` counts from 0 within the object, None when the whole object is meant; `where_bytes` is an offset
    into the inflated bytes, None when it means nothing.
    """

    what: str  # a stable name: "truncated", "not-json", "duplicate-key" ... (the README of docs lists them)
    reason: str  # one sentence for a person
    record_index: int | None = None
    where_bytes: int | None = None
