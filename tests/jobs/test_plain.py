"""Dataclasses through JSON: what comes back is the same, and what is wrong is said with its place."""

import json
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InputError
from core.jobs import plain


@dataclass(frozen=True)
class Inner:
    x: float
    path: Path = Path("/a")


@dataclass(frozen=True)
class Outer:
    name: str
    n: int | None = None
    is_on: bool = False
    how: Literal["a", "b"] = "a"
    day: date | None = None
    inner: Inner = Inner(1.0)
    several: list[Inner] = field(default_factory=list)
    pairs: tuple[int, ...] = ()
    named: dict[str, str] = field(default_factory=dict)
    anything: Any = None


INNER = st.builds(Inner, st.floats(allow_nan=False, allow_infinity=False), st.just(Path("/x/y")))
OUTER = st.builds(
    Outer, st.text(), st.none() | st.integers(), st.booleans(), st.sampled_from(["a", "b"]), st.none() | st.dates(), INNER,
    st.lists(INNER, max_size=3), st.lists(st.integers()).map(tuple), st.dictionaries(st.text(), st.text(), max_size=3),
)  # fmt: skip


@given(OUTER)
def test_what_was_written_is_read_back(value: Outer) -> None:
    assert plain.load(Outer, plain.dump(value)) == value


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("not json", "A Outer is one JSON object; this text is none"),
        ([], "Outer must be an object; it is \\[\\]"),
        ({}, "Outer needs the fields name; name is missing"),
        ({"name": "a", "nam": 1}, "Outer has the fields name, n, .*; nam is not one of them"),
        ({"name": 1}, "Outer.name must be text; it is 1"),
        ({"name": "a", "n": "1"}, "Outer.n must be a whole number; it is '1'"),
        ({"name": "a", "n": True}, "Outer.n must be a whole number; it is True"),
        ({"name": "a", "n": 1.5}, "Outer.n must be a whole number; it is 1.5"),
        ({"name": "a", "is_on": 1}, "Outer.is_on must be true or false; it is 1"),
        ({"name": "a", "how": "c"}, "Outer.how must be one of 'a', 'b'; it is 'c'"),
        ({"name": "a", "day": "tomorrow"}, "Outer.day must be a day such as 2026-11-30; it is 'tomorrow'"),
        ({"name": "a", "inner": {"x": "y"}}, "Outer.inner.x must be a number; it is 'y'"),
        ({"name": "a", "several": [{"x": 1}, {}]}, r"Outer.several\[1\] needs the fields x; x is missing"),
        ({"name": "a", "pairs": 3}, "Outer.pairs must be a list; it is 3"),
        ({"name": "a", "named": {"k": 1}}, r"Outer.named\['k'\] must be text; it is 1"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(given: Any, says: str) -> None:
    with pytest.raises(InputError, match=says):
        plain.load(Outer, given if isinstance(given, str) else json.dumps(given))


def test_a_whole_number_is_a_number_too() -> None:
    assert plain.load(Inner, '{"x": 2}') == Inner(2.0)


def test_what_json_cannot_hold_is_not_written() -> None:
    with pytest.raises(TypeError, match="holds no set"):
        plain.dump(Outer("a", anything={1}))
    with pytest.raises(ValueError, match="not JSON compliant"):
        plain.dump(Inner(float("nan")))
