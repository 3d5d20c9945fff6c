import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trailscan.render.escape import for_spreadsheet, for_terminal, for_utf8

ANY_TEXT = st.text(st.characters(codec=None, categories=None))
STEERING = {"Cc", "Cf", "Cs", "Zl", "Zp"}


@given(ANY_TEXT)
def test_nothing_that_steers_a_terminal_passes(text):
    assert not STEERING & {unicodedata.category(char) for char in for_terminal(text)}


def test_no_character_of_all_unicode_steers_a_terminal():
    every = for_terminal("".join(map(chr, range(0x110000))))
    assert not STEERING & set(map(unicodedata.category, every))
    assert every.isprintable()


@given(st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E)))
def test_printable_ascii_passes_as_it_is(text):
    assert for_terminal(text) == text


@given(ANY_TEXT)
def test_escaping_for_the_terminal_twice_changes_nothing_more(text):
    assert for_terminal(for_terminal(text)) == for_terminal(text)


@pytest.mark.parametrize("text", ["Ünal", "Ελένη", "Дмитрий", "山田太郎", "مريم", "नमस्ते", "한국", "🐚", "C:\\x1b"])
def test_letters_of_any_script_pass(text):
    assert for_terminal(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\nb\r\tc", "a\\nb\\r\\tc"),
        ("\x1b[2J", "\\x1b[2J"),
        ("\x9b31m", "\\x9b31m"),
        ("\x00\x7f", "\\x00\\x7f"),
        ("moc\u202egpj", "moc\\u202egpj"),
        ("\u2066\u2069", "\\u2066\\u2069"),
        ("ad\u200bmin\ufeff", "ad\\u200bmin\\ufeff"),
        ("\u2028\u2029\x85", "\\u2028\\u2029\\x85"),
        ("\ud800", "\\ud800"),
        ("\U000e0041", "\\U000e0041"),
        ("\u3164\ufe0f\U000e0100", "\\u3164\\ufe0f\\U000e0100"),
        ("root\xa0", "root\\xa0"),
    ],
)
def test_what_may_not_pass_is_shown_by_its_number(text, shown):
    assert for_terminal(text) == shown


@pytest.mark.parametrize("start", [*"=+-@\t\r\n\uff1d\uff0b\uff0d\uff20'"])
def test_a_cell_that_a_spreadsheet_would_run_gets_an_apostrophe(start):
    assert for_spreadsheet(start + "1") == "'" + start + "1"


@pytest.mark.parametrize("text", ["", "a=1", "i-0abc", "1+1", " =1", '"=1"'])
def test_a_cell_that_is_no_formula_stays_as_it_is(text):
    assert for_spreadsheet(text) == text


@given(ANY_TEXT)
def test_taking_one_apostrophe_off_restores_the_cell(text):
    assert for_spreadsheet(text).removeprefix("'") == text


@given(ANY_TEXT)
def test_any_text_fits_utf8_and_only_lone_surrogates_change(text):
    shown = for_utf8(text)
    assert shown.encode("utf-8").decode("utf-8") == shown
    assert shown == "".join(f"\\u{ord(char):x}" if "\ud800" <= char <= "\udfff" else char for char in text)
