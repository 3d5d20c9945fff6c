"""What `keys import` and `keys list` do, once their arguments are read."""

import os

import msgspec

from trailscan.archive.custody_log import CustodyLog
from trailscan.archive.folder import ArchiveFolder
from trailscan.cli.run import note
from trailscan.cli.terminal import Terminal
from trailscan.cli.verifying_keys import source_words, told_flaws
from trailscan.cli.writing import write_table
from trailscan.errors import ExitCode, SourceError
from trailscan.query.table import Column, Row, Table
from trailscan.render.amounts import count
from trailscan.render.escape import for_terminal
from trailscan.verify.key_files import FoundKey, by_region, find_keys
from trailscan.verify.key_ledger import IMPORT, KeyLedger, sum_name
from trailscan.verify.signatures import KeyFlaw, hash_of_key, key_of, read_keys


def import_keys(root: str, path: str, region: str | None, quiet: bool) -> int:
    """Keep the keys of a file, folder or archive, note in custody where they came from, and give the exit code."""
    archive, terminal = ArchiveFolder(root), Terminal(quiet)
    found, flaws = find_keys(path, region)
    if not found:
        reasons = "; ".join(f"{flaw.file}: {flaw.reason}" for flaw in flaws[:3])
        raise SourceError(f"{path} holds no public key: {reasons}", "give what `aws cloudtrail list-public-keys` printed")
    archive.create()
    with archive.lock():
        new, held = _keep(archive, found, path, region, flaws)
    lines = [f"{count(new, 'public key')} imported from {path}, {held:,} held already", *told_flaws(flaws)]
    terminal.say("\n".join(map(for_terminal, lines)))
    return ExitCode.DAMAGED if flaws else ExitCode.DONE


def _keep(
    archive: ArchiveFolder, found: list[FoundKey], path: str, region: str | None, flaws: list[KeyFlaw]
) -> tuple[int, int]:
    """How many keys are new, and how many the archive holds already, known to custody: these stay as they are."""
    custody = CustodyLog(archive)
    ledger = KeyLedger(custody.entries())
    known = {(key.region, key.fingerprint) for key in read_keys(archive.keys)[0] if ledger.source_of(key) is not None}
    new = held = 0
    sums: dict[str, str] = {}
    for where, keys in by_region(found):
        fresh = [key for key in keys if (where, key.fingerprint) not in known]
        archive.save_keys(where, [msgspec.to_builtins(key) for key in fresh])
        sums |= {sum_name(where, key.fingerprint): hash_of_key(key) for key in fresh}
        new, held = new + len(fresh), held + len(keys) - len(fresh)
    arguments = {"from": path, "path": os.path.abspath(path), "region": region, **_there(path, found)}
    counts = {"imported": new, "held": held, "unusable": len(flaws)}
    if os.path.exists(archive.database):
        note(archive, IMPORT, arguments, counts, sums)
    else:  # nothing was loaded yet, and there is no database to remember the line
        custody.append(IMPORT, arguments, counts, sums)
    return new, held


def _there(path: str, found: list[FoundKey]) -> dict[str, object]:
    """Of another archive's keys, what its own custody says of them."""
    if not os.path.isdir(os.path.join(path, "keys")):
        return {}
    ledger = KeyLedger(CustodyLog(ArchiveFolder(path)).entries())
    keys = [key_of(each.key, each.region, os.path.basename(each.file)) for each in found]
    return {"there": {f"{key.region} {key.fingerprint}": source_words(key, ledger) for key in keys}}


def list_keys(root: str, wanted: str, output: str | None, quiet: bool) -> int:
    """A row for each key that is kept; gives the exit code: 3 where one cannot be used or is not known to custody."""
    archive = ArchiveFolder(root)
    archive.must_exist()
    ledger = KeyLedger(CustodyLog(archive).entries())
    keys, flaws = read_keys(archive.keys)
    rows: list[Row] = []
    for key in keys:
        source = ledger.source_of(key)
        came = (None, None) if source is None else (source.source, source.at)
        rows.append((key.region, key.fingerprint, key.valid_from, key.valid_until, *came))
    texts = ("region", "fingerprint")
    columns = [Column(name, "text") for name in texts] + [Column(name, "timestamp") for name in ("valid_from", "valid_until")]
    columns += [Column(name, "text") for name in ("source", "at")]
    write_table(Table(tuple(columns), iter([rows] if rows else [])), wanted, output)
    unknown = sum(row[4] is None for row in rows)
    lines = [count(len(rows), "public key")]
    if unknown:
        lines[0] += f", {unknown:,} of which custody does not know where they came from"
    Terminal(quiet).say("\n".join([*lines, *map(for_terminal, told_flaws(flaws))]))
    return ExitCode.DAMAGED if unknown or flaws else ExitCode.DONE
