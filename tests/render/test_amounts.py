import pytest

from trailscan.render.amounts import count, duration, rate, size


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (count(0, "object"), "0 objects"),
        (count(1, "object"), "1 object"),
        (count(7883, "object"), "7,883 objects"),
        (count(1, "copy", "copies"), "1 copy"),
        (count(2, "copy", "copies"), "2 copies"),
    ],
)
def test_counts_are_exact_and_agree_in_number(said, expected):
    assert said == expected


@pytest.mark.parametrize(
    ("n", "expected"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (999, "999 bytes"),
        (1000, "1 KB"),
        (1536, "1.5 KB"),
        (9_960, "10 KB"),
        (254_000_000, "254 MB"),
        (999_499, "999 KB"),
        (999_999, "1 MB"),
        (3 * 10**18, "3,000 PB"),
    ],
)
def test_sizes_are_in_powers_of_1000_and_never_say_1000(n, expected):
    assert size(n) == expected


def test_a_rate_needs_time_to_have_passed():
    assert (rate(1642, 1), rate(2, 5), rate(3, 0)) == ("1,642/s", "0.4/s", "-")


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0, "0 s"),
        (0.42, "0.4 s"),
        (9.97, "10 s"),
        (12.3, "12 s"),
        (59.6, "1 min"),
        (192, "3 min 12 s"),
        (3599.6, "1 h"),
        (7500, "2 h 5 min"),
        (27 * 3600, "1 d 3 h"),
        (-90, "-1 min 30 s"),
    ],
)
def test_durations_name_the_two_greatest_units(seconds, expected):
    assert duration(seconds) == expected
