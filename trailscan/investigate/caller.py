"""Who is behind a call: where the credential came from, a login near its creation, and what else the principal did."""

from collections.abc import Mapping
from datetime import datetime, timedelta

import orjson

from trailscan.investigate.activity import by_principal, principal_of, windows
from trailscan.investigate.credential_lineage import lineage, logins
from trailscan.query.filters import Where
from trailscan.query.report import Section
from trailscan.store.database import Connection


def caller_sections(
    connection: Connection,
    call: Mapping[str, object],
    but: Where,
    span: tuple[object, object],
    around: timedelta,
) -> list[Section]:
    """The sections on the caller of a row of `evidence`.

    `span` is from when to when what it did went on, None where no time is known; `but` keeps out what is told elsewhere.
    """
    sections = [lineage(connection, call["user_access_key_id"])]
    if login := logins(connection, call["user_arn"], creation_of(call["user_identity"])):
        sections.append(login)
    sought, (start, end) = principal_of(call, but), span
    title = "What the same principal did before and after"
    if sought is None:
        return [*sections, Section("principal", title, notes=("the record does not say who called",))]
    if not isinstance(start, datetime) or not isinstance(end, datetime):
        return [*sections, Section("principal", title, notes=("no time is known to look around",))]
    return [*sections, by_principal(connection, sought, windows(start, end, around))]


def creation_of(identity: object) -> str | None:
    """When the caller's credentials were created, as its userIdentity says (sessionContext.attributes.creationDate)."""
    try:
        for name in ("sessionContext", "attributes", "creationDate"):
            identity = (orjson.loads(identity) if isinstance(identity, str) else identity)[name]  # type: ignore[index]
    except (KeyError, TypeError, ValueError):
        return None
    return identity if isinstance(identity, str) else None
