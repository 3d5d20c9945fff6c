"""The words of `verify`: a line for each verdict that must be named, and the summary. Pure text.

Lines and summary read as those of `aws cloudtrail validate-logs`, for who knows them; what that does not check follows.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from trailscan.errors import ExitCode
from trailscan.render.amounts import count
from trailscan.render.escape import for_terminal
from trailscan.store.verdict import COPIED, INVALID, OUT_OF_ORDER, UNCHECKED, Status

if TYPE_CHECKING:  # it loads DuckDB, which mere words do not need
    from trailscan.verify.verdict_queries import Tally

NAMED = 3  # objects of a kind that are named in the summary
_TYPES = {"digest": "Digest file", "log": "Log file", "archive": "Archive", "custody": "Custody", "key": "Public key"}
_LATE = "_backfill."

Some = Callable[[str, str, int], list[tuple[str, str]]]
"""The first few objects of a kind and status, with messages."""

Noted = Callable[[str, int], tuple[int, list[str]]]
"""How many digests have a note in their message, and the first few of them."""


def line(kind: str, url: str, status: str, message: str) -> str:
    """`Log file<TAB>s3://bucket/key<TAB>INVALID: hash value doesn't match ...`."""
    late = "(backfill) " if kind == "digest" and _LATE in url.rpartition("/")[2] else ""
    if status == Status.GAP:
        return f"{late}{for_terminal(message)}"
    said = message if status == Status.VALID else f"{'INVALID' if _is_failure(status) else status}: {message}"
    return f"{late}{_TYPES[kind]}\t{for_terminal(url)}\t{for_terminal(said)}"


def exit_code(counted: "Sequence[Tally]") -> ExitCode:
    """4 where anything is invalid or missing, 3 where a digest, key or file could not be verified, else 0."""
    if any(_is_failure(each.status) for each in counted):
        return ExitCode.NOT_VERIFIED
    return ExitCode.DAMAGED if _unchecked(counted, "digest", "key", "archive") else ExitCode.DONE


def counts(counted: "Sequence[Tally]") -> dict[str, int]:
    """For the custody log: `log_valid`, `digest_missing_log` ..."""
    found: dict[str, int] = {}
    for each in counted:
        name = f"{each.kind}_{each.status.lower()}"
        found[name] = found.get(name, 0) + each.number
    return found


def summary(
    counted: "Sequence[Tally]",
    requested: tuple[datetime | None, datetime | None],
    found: tuple[object, object],
    some: Some,
    noted: Noted,
    keys: Sequence[tuple[str, str, str]],
) -> Iterator[str]:
    """What all of it amounts to."""
    yield ""
    yield f"Results requested for {_span(*requested)}"
    if not _sum(counted, "digest"):
        where = "no digests are held" if requested == (None, None) else "no digest of that time is held"
        yield f"No digests found: nothing could be checked against CloudTrail's signatures, since {where}"
    elif found[0] is None:
        yield "No valid digests found in range"
    else:
        yield f"Results found for {_time(found[0])} to {_time(found[1])}:"
    yield ""
    yield from _ratio(counted, "digest", "digest files", False)
    yield from _ratio(counted, "digest", "backfill digest files", True)
    yield from _ratio(counted, "log", "log files", False)
    yield from _notes(noted)
    yield from _keys(keys)
    yield from _archive(counted)
    yield from _others(counted, some)
    yield from _custody(counted)


def basis(counted: "Sequence[Tally]") -> list[str]:
    """What the answer rests on."""
    objects = sum(each.number for each in counted if each.kind == "archive" and each.status != Status.BAD_KEY)
    digests = _sum(counted, "digest", Status.VALID)
    failures = sum(each.number for each in counted if _is_failure(each.status))
    said = count(failures, "thing") + " invalid or missing" if failures else "nothing invalid or missing"
    if unchecked := _unchecked(counted, "digest", "key", "archive"):
        said += f"; {count(unchecked, 'digest, key or file', 'digests, keys and files')} could not be verified"
    return [f"{said}; {count(objects, 'object')} read, {count(digests, 'valid digest')}"]


def _is_failure(status: str) -> bool:
    return status in INVALID


def _unchecked(counted: "Sequence[Tally]", *kinds: str) -> int:
    return sum(each.number for each in counted if each.kind in kinds and each.status in UNCHECKED)


def _sum(counted: "Sequence[Tally]", kind: str, status: str | None = None) -> int:
    return sum(each.number for each in counted if each.kind == kind and status in {None, each.status})


def _ratio(counted: "Sequence[Tally]", kind: str, noun: str, late: bool) -> Iterator[str]:
    of_kind = [each for each in counted if each.kind == kind and each.late == late]
    valid = sum(each.number for each in of_kind if each.status == Status.VALID)
    invalid = sum(each.number for each in of_kind if _is_failure(each.status))
    unchecked = _unchecked(of_kind, kind)
    total = valid + invalid + unchecked
    if total:
        parts = [
            (valid, "valid"),
            *((number, state) for number, state in ((invalid, "INVALID"), (unchecked, "NOT_VERIFIABLE")) if number),
        ]
        yield ", ".join(f"{number}/{total} {noun} {state}" for number, state in parts)


def _notes(noted: Noted) -> Iterator[str]:
    """What is told of valid digests, and is no failure."""
    for note, name, told in (
        (COPIED, "copies", "elsewhere than where CloudTrail delivered them: checked for the place they name"),
        (OUT_OF_ORDER, "order", "that end no later than the one they name as the one before: checked, with their logs"),
    ):
        number, urls = noted(note, NAMED)
        if number:
            yield f"{name}: {count(number, 'digest file')} {told}"
            yield from (f"  {for_terminal(url)}" for url in urls)


def _keys(keys: Sequence[tuple[str, str, str]]) -> Iterator[str]:
    """Every key by which a digest can be verified, and where it came from."""
    if keys:
        yield f"keys: {count(len(keys), 'public key')}"
    for name, status, message in keys:
        said = message if status == Status.VALID else f"{status}: {message}"
        yield f"  {for_terminal(name)}: {for_terminal(said)}"


def _archive(counted: "Sequence[Tally]") -> Iterator[str]:
    objects = [each for each in counted if each.kind == "archive" and each.status != Status.BAD_KEY]
    total, valid = sum(each.number for each in objects), _sum(objects, "archive", Status.VALID)
    yield f"archive: {valid:,} of {count(total, 'object')} have the SHA-256 they were recorded with"
    if bad := _sum(counted, "archive", Status.BAD_KEY):
        yield f"archive: {count(bad, 'public key or file of keys', 'public keys or files of keys')} unusable"


def _others(counted: "Sequence[Tally]", some: Some) -> Iterator[str]:
    """Gaps, logs without digests, what could not be verified and what was never fetched: told, and no failure."""
    if gaps := _sum(counted, "digest", Status.GAP):
        yield f"gaps: {count(gaps, 'time')} for which CloudTrail made no digest"
    for status, told in (
        (Status.UNCOVERED, "held, and no valid digest speaks of it"),
        (Status.NOT_VERIFIABLE, "held, and what it takes to verify it is not"),
        (Status.NOT_SYNCED, "named by a digest, and never fetched"),
    ):
        for kind, noun in (("log", "log file"), ("digest", "digest file"), ("archive", "object")):
            if number := _sum(counted, kind, status):
                yield f"{status}: {count(number, noun)} {told}"
                yield from (f"  {for_terminal(url)}: {for_terminal(why)}" for url, why in some(kind, status, NAMED))


def _custody(counted: "Sequence[Tally]") -> Iterator[str]:
    if flaws := sum(each.number for each in counted if each.kind == "custody" and each.status != Status.VALID):
        yield f"custody: {count(flaws, 'flaw')} in the log of what was done to this archive (`trailscan custody`)"
    elif _sum(counted, "custody"):
        yield "custody: every line of the log follows the one before it (`trailscan custody`)"
    else:
        yield "custody: this archive has no log of what was done to it"


def _span(since: datetime | None, until: datetime | None) -> str:
    if since is None and until is None:
        return "all that is held"
    return f"{_time(since) if since else 'the first digest'} to {_time(until) if until else 'the last'}"


def _time(moment: object) -> str:
    return f"{moment.replace(microsecond=0).isoformat()}Z" if isinstance(moment, datetime) else "?"
