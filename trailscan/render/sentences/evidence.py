"""What a rebuild says of evidence that is not as it was recorded, or never was recorded in full. Pure text."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from trailscan.render.amounts import count
from trailscan.render.sentences.funnels import told
from trailscan.store.counts import NAMED

if TYPE_CHECKING:
    from trailscan.archive.custody_log import Flaw
    from trailscan.archive.origin import Origin
    from trailscan.files.local_objects import Problem


def of_altered(number: int, accepted: bool) -> list[str]:
    """Objects whose bytes have another SHA-256 than was recorded."""
    if not number:
        return []
    done = "loaded all the same, as --accept-altered asked" if accepted else "nothing was loaded of them"
    return [f"altered: {count(number, 'object')} whose bytes are not those that were recorded; {done}; the recorded hash stays"]


def of_strays(number: int, problems: "Sequence[Problem]") -> list[str]:
    """What lies among the objects and has no line in the manifest."""
    lines = []
    if number:
        lines.append(f"not on record: {count(number, 'file')} in objects/ that no line of the manifest knew: `stray`")
    if problems:
        lines.append(f"not taken: {count(len(problems), 'thing')} in objects/:")
        lines += told([(problem.path, problem.reason) for problem in problems])
    return lines


def of_unhashed(number: int, named: "Sequence[Origin]") -> list[str]:
    """Objects of an archive of an earlier version, which recorded no hash of loaded files."""
    if not number:
        return []
    lines = [f"never hashed: {count(number, 'object')} of which no SHA-256 was recorded when taken in, as before version 0.2:"]
    return lines + told([(origin.key, "what a rebuild found is on record, and counts from then on") for origin in named])


def of_flaws(flaws: "Sequence[Flaw]") -> list[str]:
    """That the manifest, which all of this was compared with, may have been altered itself."""
    if not flaws:
        return []
    lines = [f"custody: {count(len(flaws), 'flaw')} in the log that proves the manifest, whose hashes may be altered, too:"]
    return lines + told([(f"line {flaw.line}", flaw.reason) for flaw in flaws[:NAMED]])
