"""Where JSON values begin and end in text that may be cut off or broken, and where to go on behind the damage.

Positions are character offsets into text decoded as Latin-1, which are the byte offsets of the object. Every scan
either ends a value or moves past the error, so the time stays linear in the input however hostile it is.
"""

import json
import re

import msgspec

_SPACE = re.compile(r"[ \t\r\n]*+")
# An unescaped quote cannot stand inside a JSON string, so these openings are structure wherever they occur; and an
# object that starts in column 0 of a line starts a line of JSON Lines.
_RECORD_KEYS = (
    "eventVersion|userIdentity|eventTime|eventSource|eventName|awsRegion|sourceIPAddress|userAgent|addendum|"
    "additionalEventData|apiVersion|errorCode|errorMessage|eventID|eventId|eventType|eventCategory|requestID|accountId|"
    "EventId|EventName|Events|Records|records|events|version|messageType|logStreamName|timestamp|@timestamp|@message|field|"
    "insightDetails|timeWindow|requestParameters|responseElements|resources|readOnly|recipientAccountId|sharedEventID"
)
_OPENING = re.compile(
    r'\{[ \t\r\n]*+"(?:' + _RECORD_KEYS + r')"[ \t\r\n]*+:|(?<=\n)\{|(?<=\n)\d{4}-\d\d-\d\dT[\d:.]{1,20}Z? [\[{]'
)
_BRACKETS = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[\[{]++|[\]}]++', re.DOTALL)
_DEEP = 500  # levels: fewer than Python's scanner bears
_PATIENCE = 8  # how much further to look for the end than the way to the depth, so that the time stays linear
_LONGEST_TOKEN = 6  # characters: an escape such as \\u00e9
_scan = json.JSONDecoder(parse_int=str, parse_float=str).raw_decode


class Text(str):
    """The bytes of an object as characters, one each; made by `Text(raw, "latin-1")`.

    An error of `json` counts the lines before it to tell its line and column. Nobody asks for these, and with an error on
    each of many lines the counting would be quadratic, so this text does not count.
    """

    __slots__ = ()

    def count(self, *_: object) -> int:
        """No lines."""
        return 0

    def rfind(self, *_: object) -> int:
        """Nowhere."""
        return -1


class Broken(msgspec.Struct, frozen=True):
    """A value that could not be read: why, and the first position past what was tried."""

    what: str  # "truncated", "not-json" or "too-deep"
    reason: str
    position: int


def skip_space(text: str, position: int) -> int:
    """The first position from here on that is not JSON white space."""
    found = _SPACE.match(text, position)
    return found.end() if found else position


def end_of_value(text: str, position: int) -> int | Broken:
    """The position behind the JSON value that starts here, or what is wrong with it."""
    if position >= len(text):
        return cut_off(text)
    try:
        return _scan(text, position)[1]
    except json.JSONDecodeError as error:
        if _ends_early(text, error):
            return cut_off(text)
        return Broken("not-json", f"This is not JSON: {error.msg[0].lower()}{error.msg[1:]}.", max(error.pos, position))
    except RecursionError:
        return Broken("too-deep", "This value is nested too deeply to be a CloudTrail record.", _balanced_end(text, position))


def cut_off(text: str) -> Broken:
    """The damage of text that stops inside a value."""
    return Broken("truncated", "The text ends inside this value: the rest is missing.", len(text))


def resume(text: str, position: int) -> int:
    """The start of the next thing that opens like a record, or the end of the text.

    Never a value behind a colon, unless it opens a line: there the colon is the end of a line cut off.
    """
    for found in _OPENING.finditer(text, position):
        before = text[max(0, found.start() - 64) : found.start()].rstrip()
        if not before.endswith(":") or text[found.start() - 1] == "\n":
            return found.start()
    return len(text)


def name_at(text: str, position: int) -> tuple[str, int] | Broken:
    """The member name that starts here and the position of its value, or what is wrong."""
    if position < len(text) and text[position] != '"':
        return Broken("not-json", "This is not JSON: a quoted name was expected.", position)
    end = end_of_value(text, position)
    if isinstance(end, Broken):
        return end
    colon = skip_space(text, end)
    if colon >= len(text):
        return cut_off(text)
    if text[colon] != ":":
        return Broken("not-json", "This is not JSON: a colon was expected.", colon)
    return str(_scan(text, position)[0]), skip_space(text, colon + 1)


def _ends_early(text: str, error: json.JSONDecodeError) -> bool:
    unterminated = error.msg.startswith("Unterminated string")
    rest = text[error.pos : error.pos + _LONGEST_TOKEN]
    return unterminated or skip_space(text, error.pos) >= len(text) or (len(rest) < _LONGEST_TOKEN and _is_cut_token(rest))


def _is_cut_token(rest: str) -> bool:
    return rest.startswith("\\") or any(word.startswith(rest) for word in ("true", "false", "null", "-"))


def _balanced_end(text: str, position: int) -> int:
    """The position behind the brackets that open here, counted without recursion.

    Brackets that nobody closes must not swallow the records behind them: when the end is not found soon, it is the place
    where the nesting became too deep.
    """
    depth, peak, far = 0, len(text), len(text)
    for token in _BRACKETS.finditer(text, position):
        if token.start() > far:
            break
        first = token[0][0]
        if first in "[{":
            depth += len(token[0])
            if depth > _DEEP and peak == len(text):
                peak = token.end()
                far = peak + _PATIENCE * (peak - position)
        elif first in "]}":
            if len(token[0]) >= depth:
                return token.start() + depth
            depth -= len(token[0])
    return peak
