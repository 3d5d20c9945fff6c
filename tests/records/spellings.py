"""All the ways in which JSON can spell a text."""

from hypothesis import strategies as st

_SHORT = {'"': '\\"', "\\": "\\\\", "/": "\\/", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def _units(character: str) -> list[int]:
    utf16 = character.encode("utf-16-be")
    return [int.from_bytes(utf16[at : at + 2], "big") for at in range(0, len(utf16), 2)]


def _ways(character: str) -> list[str]:
    escaped = "".join(f"\\u{unit:04x}" for unit in _units(character))
    ways = [escaped, escaped.upper().replace("\\U", "\\u")]
    if character in _SHORT:
        ways.append(_SHORT[character])
    if character >= " " and character not in '"\\':
        ways = [character, *ways]
    return ways


@st.composite
def spelled(draw: st.DrawFn, text: str) -> bytes:
    """The text as a JSON string, each character in any of its spellings."""
    return b'"' + "".join(draw(st.sampled_from(_ways(character))) for character in text).encode() + b'"'


texts = st.text(st.characters(codec="utf-8", exclude_categories=("Cs",)), max_size=20)
