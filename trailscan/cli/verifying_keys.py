"""The public keys that a verification goes by, and a verdict on each: where it came from and when."""

import os
from collections.abc import Iterator, Sequence

import msgspec

from trailscan.archive.custody_log import CustodyLog
from trailscan.archive.folder import ArchiveFolder
from trailscan.render.amounts import count
from trailscan.store.verdict import Status, Verdict
from trailscan.verify.key_files import find_keys
from trailscan.verify.key_ledger import KeyLedger
from trailscan.verify.signatures import ANY_REGION, BadKey, KeyFlaw, PublicKey, key_of, load_key, read_keys


class Gathered(msgspec.Struct, frozen=True):
    """The keys, what custody tells of them, and the verdicts on them."""

    keys: list[PublicKey]
    ledger: KeyLedger
    verdicts: list[Verdict]


def gather_keys(archive: ArchiveFolder, paths: Sequence[str], region: str | None) -> Gathered:
    """The archive's keys, and those of files that were given for this verification alone. Raises SourceError."""
    ledger = KeyLedger(CustodyLog(archive).entries())
    kept, flaws = read_keys(archive.keys)
    verdicts = [_bad(flaw, "keys/") for flaw in flaws] + [_verdict(key, ledger) for key in kept if _is_sound(key)]
    keys = [ledger.with_note(key) for key in kept]
    for path in paths:
        given, more = _given(path, region)
        keys += given
        verdicts += [_bad(flaw, "") for flaw in more]
        verdicts += [
            Verdict("key", name_of_key(key), Status.VALID, f"given with --public-keys {path}; not kept") for key in given
        ]
    return Gathered(keys, ledger, verdicts)


def name_of_key(key: PublicKey) -> str:
    """`keys/eu-west-1.json 60cbdd...`: the file and the fingerprint."""
    return f"keys/{key.kept_in} {key.fingerprint}"


def source_words(key: PublicKey, ledger: KeyLedger) -> str:
    """Where a key came from and when, and for when it is valid."""
    source = ledger.source_of(key)
    if source is None:
        return "custody does not know where it came from: import it from a source you trust, or sync again"
    told = "from CloudTrail by ListPublicKeys" if source.is_listed else f"imported from {source.source}"
    valid = f"valid {key.valid_from or '?'} to {key.valid_until or '?'} UTC"
    of = "any region, since none was named" if key.region == ANY_REGION else key.region
    return f"{told} at {source.at}; for {of}, {valid}"


def _given(path: str, region: str | None) -> tuple[list[PublicKey], list[KeyFlaw]]:
    found, flaws = find_keys(path, region)
    note = f"its key was given with --public-keys {path}"
    keys = [key_of(each.key, each.region, os.path.basename(each.file)) for each in found]
    return [msgspec.structs.replace(key, note=note) for key in keys], flaws


def _verdict(key: PublicKey, ledger: KeyLedger) -> Verdict:
    known = ledger.source_of(key) is not None
    status = Status.VALID if known else Status.NOT_VERIFIABLE
    return Verdict("key", name_of_key(key), status, source_words(key, ledger), region=key.region)


def _bad(flaw: KeyFlaw, folder: str) -> Verdict:
    return Verdict("archive", f"{folder}{flaw.file}", Status.BAD_KEY, flaw.reason)


def _is_sound(key: PublicKey) -> bool:
    try:
        load_key(key)
    except BadKey:
        return False
    return True


def told_flaws(flaws: Sequence[KeyFlaw]) -> Iterator[str]:
    """Lines that name what could not be used."""
    if flaws:
        yield f"{count(len(flaws), 'key or file', 'keys and files')} not usable:"
        yield from (f"  {flaw.file}: {flaw.reason}" for flaw in flaws[:10])
