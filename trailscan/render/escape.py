"""Text that attackers wrote, made safe for where it will be read: a terminal, a spreadsheet, a UTF-8 file.

Never drops a character: what may not pass is shown by its number.
"""

import re
from functools import lru_cache

# Unicode's Default_Ignorable_Code_Point letters and marks: they draw nothing, yet `str.isprintable` holds for them.
_UNSEEN = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]")

# OWASP "CSV Injection": = + - @ and their full-width forms, tab, CR; besides LF, and the apostrophe that marks them.
_FORMULA = re.compile("['=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")


def for_terminal(text: str) -> str:
    r"""`text` on one line, with all that could steer a terminal or deceive the eye shown as `\n`, `\x1b`, `\u202e`.

    Shown so: controls, format characters (bidi, zero-width), lone surrogates, private use, characters this Python has
    no name for, every space but the ordinary one, and letters that draw nothing. A backslash stays as it is, so
    the result is for eyes; the JSON and Parquet views are exact.
    """
    if text.isprintable() and (text.isascii() or not _UNSEEN.search(text)):
        return text
    return "".join(map(_visible, text))


def for_spreadsheet(text: str) -> str:
    """`text` with an apostrophe before it where a spreadsheet would run it as a formula.

    Reversible: a cell that already begins with an apostrophe gets another, so whoever takes one leading apostrophe
    off every cell that has one holds the original text again.
    """
    return "'" + text if _FORMULA.match(text) else text


def for_utf8(text: str) -> str:
    r"""`text` with lone surrogates, which UTF-8 cannot hold, shown as `\ud800`."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


@lru_cache(maxsize=4096)
def _visible(char: str) -> str:
    if char.isprintable() and not _UNSEEN.match(char):
        return char
    return char.encode("unicode_escape").decode("ascii")
