"""Each operator on one value. The answers are those of aws/event-ruler 2.0.1, which was asked the same."""

import time

import pytest

from tests.detect.eventbridge.asking import matched

TABLE: list[tuple[str, list[object], list[object], list[object]]] = [
    ("exact", ["x"], ["x"], ["X", "x ", "", None, 1]),
    ("the empty text", [""], [""], [" ", None, 0, False]),
    ("text is no literal", ["true", "300", "null"], ["true", "300", "null"], [True, 300, None]),
    ("true", [True], [True], ["true", False, 1, None]),
    ("false", [False], [False], ["false", 0, None, ""]),
    ("null", [None], [None], ["null", "", 0, False]),
    ("mixed", ["x", 1, None], ["x", 1, None], ["1", "null", 0]),
    ("address", ["10.0.0.1"], ["10.0.0.1", "10.0.0.01", "010.000.00.1"], ["10.0.0.10", "10.0.0.1 ", "10.0.0", 10]),
    ("IPv6 address", ["2001:db8::1"], ["2001:db8::1", "2001:0DB8:0000::1", "2001:db8:0:0:0:0:0:1"], ["2001:db8::11", "::1"]),
    ("mapped address", ["::ffff:c000:201"], ["192.0.2.1", "::FFFF:c000:201"], ["::ffff:192.0.2.1"]),
    ("almost an address", ["300.1.1.1"], ["300.1.1.1"], ["300.1.1.01", "0300.1.1.1"]),
    ("long zeros", ["1.2.3.4"], ["01.02.03.00004"], ["000000000001.2.3.4"]),
    ("exactly", [{"exactly": "10.0.0.1"}], ["10.0.0.1"], ["10.0.0.01"]),
    ("prefix", [{"prefix": "ab"}], ["ab", "abc"], ["a", "Ab", "xab", 1, None]),
    ("empty prefix", [{"prefix": ""}], ["", "x"], [1, None, True]),
    ("prefix of an address", [{"prefix": "10.0."}], ["10.0.0.1"], ["10.00.0.1"]),
    ("suffix", [{"suffix": "bc"}], ["bc", "abc"], ["c", "BC", "bcx", 1]),
    ("empty suffix", [{"suffix": ""}], ["", "x"], [1, None]),
    ("prefix, any case", [{"prefix": {"equals-ignore-case": "éA"}}], ["Éab", "éAx"], ["eab", "É"]),
    ("suffix, any case", [{"suffix": {"equals-ignore-case": "Éa"}}], ["xéA", "Éa"], ["a", "Éab", 1]),
    ("any case", [{"equals-ignore-case": "RÉsumé"}], ["rÉsumÉ", "RÉSUMÉ"], ["resume", "RÉsumé ", None]),
    ("any case of nothing", [{"equals-ignore-case": ""}], [""], ["x"]),
    ("a character's upper case may be two", [{"equals-ignore-case": "ß"}], ["ß", "SS"], ["ss", "S"]),
    ("two characters are no case of one", [{"equals-ignore-case": "SS"}], ["ss", "sS"], ["ß"]),
    ("a sign that only looks like k", [{"equals-ignore-case": "k"}], ["K", "k"], ["\u212a"]),
    ("dotted and dotless i", [{"equals-ignore-case": "\u0131"}], ["\u0131", "I"], ["i"]),
    ("wildcard", [{"wildcard": "a*b"}], ["ab", "axb", "abab", "a*b"], ["a", "abx", "xab", "A*b", 1]),
    ("wildcards overlap nowhere", [{"wildcard": "ab*ba"}], ["abba", "abxba"], ["aba"]),
    ("wildcard alone", [{"wildcard": "*"}], ["", "x"], [1, None]),
    ("no wildcard", [{"wildcard": "ab"}, {"wildcard": ""}], ["ab", ""], ["a", "abc"]),
    ("many wildcards", [{"wildcard": "*a*b*"}], ["ab", "xaxbx"], ["ba", "a"]),
    ("escaped wildcard", [{"wildcard": "a\\*\\\\*"}], ["a*\\", "a*\\x"], ["a\\", "ax\\"]),
    ("anything but", [{"anything-but": "x"}], ["y", "X", "", None, 1, True], ["x"]),
    ("anything but these", [{"anything-but": ["x", "y"]}], ["z", 1], ["x", "y"]),
    ("anything but a number", [{"anything-but": 1}], [2, "1", None, 1e300], [1, 1.0]),
    ("anything but numbers", [{"anything-but": [1, 2.5]}], [2, "2.5"], [1.0, 2.5]),
    ("anything but an address is a text", [{"anything-but": "10.0.0.1"}], ["10.0.0.01"], ["10.0.0.1"]),
    ("anything but a prefix", [{"anything-but": {"prefix": "a"}}], ["b", "", 1, None], ["a", "ab"]),
    ("anything but prefixes", [{"anything-but": {"prefix": ["a", "b"]}}], ["c"], ["ax", "bx"]),
    ("anything but a suffix", [{"anything-but": {"suffix": "a"}}], ["b", 1], ["a", "ba"]),
    ("anything but a text in any case", [{"anything-but": {"equals-ignore-case": ["a", "É"]}}], ["b", None], ["A", "é"]),
    ("anything but a wildcard", [{"anything-but": {"wildcard": ["a*", "*b"]}}], ["c", 1], ["a", "xb"]),
    ("equal", [{"numeric": ["=", 5]}], [5, 5.0], [4, "5", None, True]),
    ("less", [{"numeric": ["<", 5]}], [4.999, -1e300], [5, "4", None]),
    ("at most", [{"numeric": ["<=", 5]}], [5, 4], [5.001]),
    ("more", [{"numeric": [">", -0.5]}], [0, 1e300], [-0.5, -1, True]),
    ("at least", [{"numeric": [">=", 5]}], [5], [4.999]),
    ("between", [{"numeric": [">", 0, "<=", 5]}], [0.1, 5], [0, 5.1]),
    ("between, other ends", [{"numeric": [">=", 0, "<", 5]}], [0, 4.9], [5, -1]),
    ("network", [{"cidr": "10.0.0.0/24"}], ["10.0.0.0", "10.0.0.255", "10.0.0.07"], ["10.0.1.0", "AWS Internal", "", 10]),
    ("network with bits beyond its mask", [{"cidr": "10.0.0.5/24"}], ["10.0.0.1"], ["10.0.1.5"]),
    ("network of IPv6", [{"cidr": "2001:db8::/32"}], ["2001:db8:ffff::1"], ["2001:db9::", "10.0.0.1", "32.1.13.184"]),
    ("network of any family", [{"cidr": "0.0.0.0/0"}], ["1.2.3.4", "2001:db8::1"], ["ssm.amazonaws.com"]),
    ("four bytes of sixteen", [{"cidr": "10.0.0.0/8"}], ["a00::1", "aff:ffff::"], ["b00::1"]),
    ("exists", [{"exists": True}], ["", None, 0, False], [{}, [], {"b": 1}]),
    ("does not exist", [{"exists": False}], [{}, [], {"b": 1}, [{"b": 1}]], ["", None, 0, [None]]),
    ("one or none", ["x", {"exists": False}], ["x", []], ["y", None]),
]
YES = [(name, alternatives, value) for name, alternatives, yes, _ in TABLE for value in yes]
NO = [(name, alternatives, value) for name, alternatives, _, no in TABLE for value in no]


@pytest.mark.parametrize(("name", "alternatives", "value"), YES)
def test_a_value_matches(name, alternatives, value):
    assert matched({"a": alternatives}, {"a": value})


@pytest.mark.parametrize(("name", "alternatives", "value"), NO)
def test_a_value_does_not_match(name, alternatives, value):
    assert not matched({"a": alternatives}, {"a": value})


@pytest.mark.parametrize("alternatives", [row[1] for row in TABLE if {"exists": False} not in row[1]])
def test_a_field_that_is_not_there_matches_nothing(alternatives):
    assert not matched({"a": alternatives}, {"b": "x"})


NUMBERS = [
    ("300", "300.0", True), ("300", "3.0e2", True), ("0.1", "0.10", True), ("-0", "0", True), ("1e22", "1" + "0" * 22, True),
    ("111122223333", "111122223333", True), ("9007199254740993", "9007199254740993", True),
    ("9007199254740993", "9007199254740992", False), ("9007199254740993", "9007199254740993.0", False),
    ("12345678901234567890123", "12345678901234567890123", True), ("12345678901234567890123", "12345678901234567890124", False),
    ("1e400", "1e401", False),
]  # fmt: skip


@pytest.mark.parametrize(("asked", "given", "same"), NUMBERS)
def test_numbers_are_compared_by_value_and_never_rounded(asked, given, same):
    assert matched(f'{{"a":[{asked}]}}', f'{{"a":{given}}}') == same


@pytest.mark.parametrize("number", ["9007199254740993", "1" + "0" * 400, "1e400", "12345678901234567890"])
def test_a_number_that_no_double_holds_is_in_no_range(number):
    assert not matched('{"a":[{"numeric":[">",0]},{"numeric":["<=",0]}]}', f'{{"a":{number}}}')


@pytest.mark.parametrize(
    "operator",
    [
        {"wildcard": "*a" * 2000 + "*b"},
        {"anything-but": {"wildcard": "*a*a*a*a*a*a*a*a*a*a*a*a*b"}},
        {"equals-ignore-case": "ß" * 5000},
        {"suffix": {"equals-ignore-case": "İ" * 5000}},
        {"prefix": {"equals-ignore-case": "a" * 5000}},
    ],
)
@pytest.mark.parametrize("letter", ["a", "S", "A", "ß", ":", "1"])
def test_no_operator_takes_long_over_a_long_value(operator, letter):
    start = time.process_time()
    matched({"a": [operator, {"cidr": "10.0.0.0/8"}]}, {"a": letter * 100_000})
    assert time.process_time() - start < 0.5
