"""What messages show of foreign data."""

import pytest

from elmo_tagger.errors import escaped, shown


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("B-PER", "'B-PER'"),
        ("\x1b]0;title\x07", r"'\x1b]0;title\x07'"),
        ("x" * 80, repr("x" * 80)),
        ("x" * 81, repr("x" * 79 + "…")),
        ("x" * 2_000_000, repr("x" * 79 + "…")),
        ({"a": [1] * 1000}, "{'a': [" + "1, " * 24 + "…"),
        (None, "None"),
    ],
)
def test_a_value_is_escaped_and_cut_at_80_characters(value: object, expected: str) -> None:
    assert shown(value) == expected


def test_a_terminal_is_not_steered_by_what_it_shows() -> None:
    assert escaped("\x1b[2J\r\x9b1m\u202eabc\ud800") == r"\x1b[2J\r\x9b1m\u202eabc\ud800"
    family = "Zoë 👩‍👩‍👧 naïve ❤️ العربية"
    assert escaped(family) == family
