"""What an id on the command line names: one event or one session. Never guesses between two."""

from collections.abc import Sequence

import msgspec

from trailscan.errors import TrailscanError, UsageError
from trailscan.store.database import Connection, run

SHORTEST = 4  # characters of a prefix
_NAMED = 5  # candidates that an error lists
_LONGEST = 100  # characters of a candidate: the ids of forged records may have thousands

_EVENTS = "SELECT DISTINCT 'event', event_id, NULL, NULL FROM events WHERE {} ORDER BY 2 LIMIT 6"
_SESSIONS = """SELECT DISTINCT 'session', session_id, recipient_account_id, aws_region FROM events WHERE {}
               ORDER BY 2, 3, 4 LIMIT 6"""
_COLUMNS: dict[str, tuple[str, str]] = {"event": ("event_id", _EVENTS), "session": ("session_id", _SESSIONS)}


class Subject(msgspec.Struct, frozen=True):
    """An `event`, whichever accounts recorded it; or a `session`, which is one of an account and region."""

    kind: str
    id: str
    account: str | None = None
    region: str | None = None


class NotFound(TrailscanError, LookupError):
    """No event and no session has such an id."""


def subject_of(connection: Connection, text: str, kind: str | None = None) -> Subject:
    """What `text` names: an id exactly, else the one id that begins with it; `kind` leaves only events, or sessions.

    Raises UsageError when several do or fewer than 4 characters are given, NotFound when none does.
    """
    kinds: Sequence[str] = [kind] if kind else ["event", "session"]
    if found := _candidates(connection, kinds, "{} = ?", text):
        return _only(found, text)
    if len(text) < SHORTEST:
        raise UsageError(f"{text!r} is too short to tell one id from others", f"give at least {SHORTEST} characters of it")
    if found := _candidates(connection, kinds, "starts_with({}, ?)", text):
        return _only(found, text)
    raise NotFound(
        f"no {' and no '.join(kinds)} in this archive has an id that is or begins with {text!r}",
        "find ids with `trailscan query --columns event_id,session_id`; what is held at all: `trailscan status`",
    )


def _candidates(connection: Connection, kinds: Sequence[str], test: str, text: str) -> list[Subject]:
    found = []
    for kind in kinds:
        column, statement = _COLUMNS[kind]
        found += [Subject(*row) for row in run(connection, statement.format(test.format(column)), [text])]
    return found


def _only(found: list[Subject], text: str) -> Subject:
    if len(found) == 1:
        return found[0]
    named = ", ".join(map(_described, found[:_NAMED])) + (", and more" if len(found) > _NAMED else "")
    hint = "give more of it" if len({each.id for each in found}) > 1 else "--kind event or --kind session decides"
    if len({each.kind for each in found}) == 1 and len({each.id for each in found}) == 1:
        hint = "see them all: `trailscan query --session ID`"
    raise UsageError(f"{text!r} may be any of: {named}", hint)


def _described(subject: Subject) -> str:
    place = " ".join(filter(None, (subject.account, subject.region)))
    shown = subject.id if len(subject.id) <= _LONGEST else subject.id[:_LONGEST] + "…"
    return f"{subject.kind} {shown}" + (f" ({place})" if place else "")
