"""The words of a finding: a subject, a line for a person, a text with the record, and the JSON that programs take.

Pure; never cuts anything without saying what. Source of the JSON's shape: AWS, "AWS service events delivered via CloudTrail"
(the EventBridge envelope), to which the line and the rule are added.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from trailscan.detect.eventbridge.envelope import envelope
from trailscan.detect.finding_table import Notice
from trailscan.render.escape import for_terminal
from trailscan.store.record_rebuild import record_of

SUBJECT = 99  # characters: SNS takes fewer than 100
LONGEST = 400  # characters of a single value in a line
_PARTS = 20  # that give way one by one
_MARK = "..."


def subject(notice: Notice) -> str:
    """`[high] Session by root: root on i-0123456789abcdef0`: printable ASCII on one line, within what SNS takes."""
    finding, event = notice.finding, notice.event or {}
    named = " on ".join(str(event[name]) for name in ("who", "target") if event.get(name))
    text = f"[{finding.level}] {finding.title}" + (f": {named}" if named else "")
    plain = "".join(char if " " <= char <= "~" else "?" for char in text)
    return _cut(plain, SUBJECT)


def line(notice: Notice) -> str:
    """Who, when, from where, what, on which target, and how it ended: one line, with nothing in it that could deceive."""
    finding, event = notice.finding, notice.event or {}
    told = [
        _shown(event.get("who")) or "unknown caller",
        f"{_moment(finding.event_time)} UTC" if finding.event_time else "at an unknown time",
        f"from {_shown(event.get('source_ip_address')) or 'an unknown address'}",
        _call(event),
    ]
    where = ", ".join(filter(None, [_account(finding.account_id), _shown(event.get("aws_region"))]))
    note = f"; {_shown(finding.note)}" if finding.note else ""
    return f"{_shown(finding.title)}: {', '.join(filter(None, told))}{f' ({where})' if where else ''}{note}"


def text(notice: Notice, longest: int | None = None) -> str:
    """The line, the rule, where the record lies, and the record; cut to a number of characters where a medium has one."""
    finding, event = notice.finding, notice.event or {}
    lies = f"s3://{finding.bucket}/{finding.key}" if finding.bucket else finding.key
    facts = {
        "rule": f"{finding.title} ({finding.rule_id}), {finding.level}" + (f", by {finding.author}" if finding.author else ""),
        "tags": finding.tags,
        "event": finding.event_id,
        "object": f"{lies}, record {finding.record_index}" if finding.key else None,
        "sha-256": event.get("sha256"),
        "finding": finding.finding_id,
    }
    head = [line(notice), "", *(f"{name + ':':9}{_shown(value)}" for name, value in facts.items() if value)]
    whole = "\n".join([*head, "", *_record_lines(notice.event)])
    if longest is None or len(whole) <= longest:
        return whole
    left_out = f"\n{_MARK} cut here: the archive has the whole record"
    return whole[: max(0, longest - len(left_out))] + left_out


def body(notice: Notice) -> dict[str, Any]:
    """The EventBridge event of the record, with `message` before it and the rule and the record's place after it."""
    finding = notice.finding
    place = {"bucket": finding.bucket, "key": finding.key, "record_index": finding.record_index}
    return {
        "message": line(notice),
        **_envelope(notice),
        "rule": {
            "id": finding.rule_id,
            "title": finding.title,
            "level": finding.level,
            "author": finding.author,
            "tags": finding.tags,
            "language": finding.language,
            "note": finding.note,
        },
        "finding_id": finding.finding_id,
        "object": place | {"sha256": (notice.event or {}).get("sha256")},
    }


def encoded(notice: Notice, limit: int | None = None) -> bytes:
    """The body as ASCII JSON of at most so many bytes: the largest parts give way and are named in `truncated`."""
    whole = body(notice)
    found = _dumped(whole)
    truncated: list[str] = whole.get("truncated", [])
    while limit is not None and len(found) > limit and len(truncated) < _PARTS:
        holder, name, path = _largest(whole)
        if path in truncated:
            break
        holder[name] = _lessened(holder[name])
        truncated.append(path)
        found = _dumped(whole | {"truncated": truncated})
    if limit is not None and len(found) > limit:  # of very many parts, each small: none of them tells much
        found = _dumped(whole | {"detail": {}, "truncated": ["detail"]})
    return found


def _envelope(notice: Notice) -> dict[str, Any]:
    """The record as EventBridge would have sent it; without a record, as far as the finding tells."""
    record = _record(notice.event)
    if record is not None:
        event = envelope(record)
        return {name: _bounded(value) for name, value in event.items()} | {"detail": record}
    lost = {} if notice.event is None else {"truncated": ["detail"]}
    finding, moment = notice.finding, notice.finding.event_time
    told = {"id": finding.event_id, "account": finding.account_id}
    return envelope({}) | {"time": f"{moment.isoformat()}Z" if moment else ""} | told | {"detail": {}} | lost


def _record(event: Mapping[str, object] | None) -> dict[str, Any] | None:
    """The record; None when it is not loaded any more, or was made to be beyond what JSON readers bear."""
    if event is None:
        return None
    try:
        record = record_of(event)
        json.dumps(record, indent=1)
    except (ValueError, RecursionError):
        return None
    return record


def _largest(whole: dict[str, Any]) -> tuple[dict[str, Any], str, str]:
    """The part of the record or the rule that takes most room: what holds it, its name, and both as a path."""
    parts = [(whole[holder], name, f"{holder}.{name}") for holder in ("detail", "rule") for name in whole[holder]]
    return max(parts, key=lambda part: len(_dumped(part[0][part[1]])))


def _lessened(value: object) -> object:
    """What stays of a part that gave way: the beginning of a text, nothing of anything else."""
    return _cut(value, LONGEST) if isinstance(value, str) else None


def _dumped(value: object) -> bytes:
    return json.dumps(value, default=str).encode("ascii")


def _record_lines(event: Mapping[str, object] | None) -> list[str]:
    record = _record(event)
    if record is None:
        return ["the record cannot be shown here: " + ("it is not loaded any more" if event is None else "it is too deep")]
    return [for_terminal(found) for found in json.dumps(record, indent=2, ensure_ascii=False).split("\n")]


def _call(event: Mapping[str, object]) -> str:
    name, target, result = (_shown(event.get(column)) for column in ("event_name", "target", "result"))
    return f"{name or 'a call'}{f' on {target}' if target else ''}{f': {result}' if result else ''}"


def _account(account_id: str | None) -> str:
    return f"account {_shown(account_id)}" if account_id else ""


def _moment(moment: datetime) -> str:
    return moment.isoformat(" ", "seconds")


def _shown(value: object) -> str:
    return "" if value is None else for_terminal(_cut(str(value), LONGEST))


def _bounded(value: object) -> object:
    return _cut(value, LONGEST) if isinstance(value, str) else value


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - len(_MARK)] + _MARK
