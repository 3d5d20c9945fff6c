"""What an archive holds, against a plain set."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trailscan.fingerprints import FingerprintIndex

NAMES = st.sampled_from(["s3://b/k", "s3://b/k2", "s3://b/", "", "é", "a\0b"]) | st.text(max_size=8)
STATES = st.sampled_from(['"00"', '"01"', "", "12 2026-03-01"]) | st.text(max_size=4)
OBJECTS = st.lists(st.tuples(NAMES, STATES))


@given(OBJECTS, OBJECTS)
def test_held_answers_as_a_set_would(objects: list[tuple[str, str]], others: list[tuple[str, str]]) -> None:
    held, names = FingerprintIndex(objects), {name for name, _ in objects}
    assert len(held) == len(objects)
    for name, state in objects + others:
        assert held.has(name, state) == ((name, state) in objects)
        assert held.has_other(name, state) == (name in names and (name, state) not in objects)


@given(OBJECTS, OBJECTS)
def test_it_does_so_where_somebody_has_set_the_key_of_pythons_hashes(
    objects: list[tuple[str, str]], others: list[tuple[str, str]]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("trailscan.fingerprints._IS_KEYED", False)
        held = FingerprintIndex(objects)
        assert [held.has(*each) for each in others] == [each in objects for each in others]


def test_an_empty_archive_holds_nothing() -> None:
    assert not FingerprintIndex(()).has("s3://b/k", '"00"')
    assert not FingerprintIndex(()).has_other("s3://b/k", '"00"')


def test_a_name_that_is_no_text_is_one_all_the_same() -> None:
    assert FingerprintIndex([("\udc80", "1")]).has("\udc80", "1")
