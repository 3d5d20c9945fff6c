"""Where a credential came from: the call that issued an access key, the key of who made that call, and so on back.

Just-in-time node access gives keys, too (GetAccessToken). Goes only as far as the archive; says where the line ends and
why. Source: AWS, "Logging IAM and AWS STS API calls with
AWS CloudTrail" (responseElements.credentials.accessKeyId; CreateAccessKey's responseElements.accessKey.accessKeyId).
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from trailscan.investigate.provenance import OBJECT
from trailscan.query.report import Grid, Section
from trailscan.query.table import Row
from trailscan.query.tables import grid_of
from trailscan.store.database import Connection, run

LONGEST = 16  # steps; role chaining in earnest has two or three
_RIVALS = 10  # calls that claim to have issued one key, looked at
BEFORE, AFTER = timedelta(minutes=15), timedelta(minutes=5)  # of a login, around the credentials' creation

# Temporary keys come from STS, long-lived ones (AKIA) from IAM. Names first: they select fast among millions of events.
_STS = """
(event_source = 'sts.amazonaws.com'
 AND event_name IN ('AssumeRole', 'AssumeRoleWithSAML', 'AssumeRoleWithWebIdentity', 'AssumeRoot', 'GetSessionToken',
                    'GetFederationToken')
 OR event_source = 'ssm.amazonaws.com' AND event_name = 'GetAccessToken')
AND response_elements ->> '$.credentials.accessKeyId' = ?
"""
_IAM = """
event_source = 'iam.amazonaws.com' AND event_name = 'CreateAccessKey' AND response_elements ->> '$.accessKey.accessKeyId' = ?
"""
# An assumption across accounts is recorded in both, and only the caller's account knows its key.
_ISSUER = f"""
SELECT ? AS issued_key, event_time, event_name, request_parameters ->> '$.roleArn' AS role_arn, who, user_arn,
       user_access_key_id, mfa_authenticated, user_source_identity, source_ip_address, user_agent, recipient_account_id,
       event_id, {OBJECT} AS object, record_index, shared_event_id
FROM evidence WHERE row_id IN (SELECT unnest(?::BIGINT[]))
ORDER BY coalesce(user_access_key_id, '') = '', event_time, event_id, object_id, record_index LIMIT {_RIVALS}
"""
_LOGINS = f"""
SELECT event_time, source_ip_address, user_agent, mfa_authenticated, result, event_id, {OBJECT} AS object, record_index
FROM evidence
WHERE event_source = 'signin.amazonaws.com' AND event_name = 'ConsoleLogin' AND user_arn = ? AND event_time BETWEEN ? AND ?
ORDER BY event_time, event_id, object_id, record_index LIMIT 10
"""


def lineage(connection: Connection, key: object) -> Section:
    """The calls that issued an access key, and the key that it was called with, back to where the archive knows no more."""
    name, title = "lineage", "Where the credential came from, step by step back"
    if not isinstance(key, str) or not key:
        return Section(name, title, notes=("the record names no access key",))
    steps, notes = _followed(connection, key)
    grid = Grid(steps[0].columns, tuple(step.rows[0] for step in steps)) if steps else None
    return Section(name, title, grid, stacked=True, notes=tuple(notes))


def logins(connection: Connection, arn: object, created: str | None) -> Section | None:
    """Console logins of the same principal about when its credentials were created: a hint, not a proof. None without any."""
    moment = _parsed(created)
    if not isinstance(arn, str) or not arn or moment is None:
        return None
    try:
        span = [moment - BEFORE, moment + AFTER]
    except OverflowError:
        return None
    found = grid_of(connection, _LOGINS, [arn, *span])
    title = f"Console logins of the same principal about {moment}, when its credentials were created"
    note = "near in time, not linked by any id"
    return Section("logins", title, found, stacked=True, notes=(note,)) if found.rows else None


def _followed(connection: Connection, key: str) -> tuple[list[Grid], list[str]]:
    """A grid of one row for each step, and what is to be said of them."""
    steps: list[Grid] = []
    notes: list[str] = []
    seen: set[str] = set()
    while key not in seen and len(steps) < LONGEST:
        seen.add(key)
        found = _issuers(connection, key)
        if not found.rows:
            return steps, [*notes, f"here the line ends: {_unissued(key)}"]
        if rivals := _rivals(found):
            notes.append(f"beware: {rivals} different calls claim to have issued {key}; the first is followed")
        steps.append(Grid(found.columns[:-1], (found.rows[0][:-1],)))
        step = _named(found, found.rows[0])
        if not step["user_access_key_id"]:
            return steps, [
                *notes,
                f"here the line ends: {step['event_name']} was called without an access key, by {step['who']}",
            ]
        key = str(step["user_access_key_id"])
    why = f"{key} is its own ancestor: these records cannot all be true" if key in seen else f"after {LONGEST} steps"
    return steps, [*notes, f"here the line is cut off: {why}"]


def _issuers(connection: Connection, key: str) -> Grid:
    """The calls that issued a key, the caller's own account's record of them first."""
    rows = run(connection, f"SELECT rowid FROM events WHERE {_IAM if key.startswith('AKIA') else _STS}", [key])
    return grid_of(connection, _ISSUER, [key, [row_id for (row_id,) in rows]])


def _unissued(key: str) -> str:
    if key.startswith("AKIA"):
        return f"{key} is a long-lived key, and no CreateAccessKey that made it is in the archive"
    return f"no AssumeRole that issued {key} is in the archive"


def _rivals(found: Grid) -> int:
    """How many calls there are, where they are several: neither copies, nor two accounts' records of one."""
    rows = [_named(found, row) for row in found.rows]
    calls = {row["shared_event_id"] or row["event_id"] for row in rows}
    return len(calls) if len(calls) > 1 else 0


def _named(grid: Grid, row: Row) -> Mapping[str, object]:
    return dict(zip([column.name for column in grid.columns], row, strict=True))


def _parsed(created: str | None) -> datetime | None:
    """`2026-03-01T08:00:00Z` or `20260301T080000Z`, as UTC without zone."""
    try:
        moment = datetime.fromisoformat(created or "")
        return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
    except (ValueError, OverflowError):
        return None
