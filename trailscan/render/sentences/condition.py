"""In what condition an archive is, in words: the last verification, files that are gone or altered, what is not loaded."""

from typing import TYPE_CHECKING

from trailscan.render.amounts import count
from trailscan.render.escape import for_terminal

if TYPE_CHECKING:  # these load DuckDB, which mere words do not need
    from trailscan.store.condition import Condition
    from trailscan.store.file_check import Files

NOT_LOADED = "fetched but not loaded: `trailscan load`"


def of_condition(condition: "Condition", objects: int, unloaded: int) -> list[str]:
    """For the end of an answer's line, of `objects` that are held: when they were verified, and what is not as it should be.

    `unloaded` counts those that the database knows as fetched and not loaded.
    """
    files, parts = condition.files, _of_verification(condition, objects)
    if files.gone:
        parts.append(f"{count(files.gone, 'object')} gone")
    if files.altered:
        parts.append(f"{count(files.altered, 'object')} altered")
    if behind := unloaded + condition.not_loaded:
        parts.append(f"{count(behind, 'object')} {NOT_LOADED}")
    if condition.lacking:
        parts.append(f"manifest.jsonl has lost {count(condition.lacking, 'byte')} that the database was loaded from")
    if condition.is_log_short:
        parts.append("lines that the database remembers are missing from the custody log: `trailscan custody`")
    return parts


def of_files(files: "Files") -> list[str]:
    """Which files are gone or altered, the first by name, and which were not looked at; a line each."""
    lines = []
    if bad := files.gone + files.altered:
        lines.append(f"{count(bad, 'object')} gone or altered since the objects were taken in:")
        lines += [f"  {for_terminal(name)}: {for_terminal(reason)}" for name, reason in files.named]
        lines += [f"  and {bad - len(files.named):,} more (`trailscan verify`)"] if bad > len(files.named) else []
    if files.unread:
        what = "with another time of change than recorded, not read for lack of time: `trailscan verify`"
        lines.append(f"{count(files.unread, 'object')} {what}")
    if files.seen < files.of:
        lines.append(f"only the files of {files.seen:,} of {count(files.of, 'object')} were looked at: `trailscan verify`")
    return lines


def _of_verification(condition: "Condition", objects: int) -> list[str]:
    """`verified 2026-03-05T10:00:00Z: 3 things invalid or missing`."""
    verified = condition.verified
    if verified is None:
        return []
    covered = f" with {verified.objects:,} of {count(objects, 'object')}" if verified.objects < objects else ""
    if verified.since or verified.until:
        covered += f", digests of {verified.since or 'the first'} to {verified.until or 'the last'} only"
    found = f"{count(verified.failures, 'thing')} invalid or missing" if verified.failures else "nothing invalid or missing"
    if verified.unchecked:
        found += f", {verified.unchecked:,} not verifiable"
    return [f"verified {for_terminal(verified.at + covered)}: {found}"]
