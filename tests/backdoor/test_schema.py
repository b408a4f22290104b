"""Fields conform their values and report every mistake with rule and value."""

from dataclasses import dataclass
from typing import Annotated, Literal

import pytest

from backdoor.errors import UserError
from backdoor.settings.schema import Count, Fields, Fraction, Range, build_fields


@dataclass(frozen=True)
class Sample(Fields):
    share: Fraction = 0.5
    count: Count = 3
    mode: Literal["a", "b"] = "a"
    several: tuple[int, ...] | None = None
    positive: Annotated[float, Range(gt=0)] = 1.0
    flag: bool = False


def test_values_are_conformed() -> None:
    made = build_fields(Sample, {"share": 1, "several": [1, 2], "count": 4.0, "positive": 1e-5})
    assert made == Sample(1.0, 4, "a", (1, 2), 1e-5)
    assert isinstance(made.share, float) and isinstance(made.count, int)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"share": 1.5}, "share: must be >= 0 and <= 1, but got 1.5."),
        ({"share": True}, "share: must be a number, but got True."),
        ({"share": "x"}, "share: must be a number, but got 'x'."),
        ({"share": float("nan")}, "share: must be a finite number, but got nan."),
        ({"count": 1.5}, "count: must be a whole number, but got 1.5."),
        ({"mode": "c"}, "mode: must be one of a, b, but got 'c'."),
        ({"several": 3}, "several: must be a list, but got 3."),
        ({"several": [1, "x"]}, "several: must be a whole number, but got [1, 'x']."),
        ({"positive": 0}, "positive: must be > 0, but got 0."),
        ({"flag": 1}, "flag: must be true or false, but got 1."),
        ({"coutn": 1}, "coutn: is not a known setting, but got 1. Did you mean 'count'?"),
    ],
)
def test_mistakes_say_rule_and_value(given: dict[str, object], text: str) -> None:
    with pytest.raises(UserError) as caught:
        build_fields(Sample, given)
    assert text in str(caught.value)


@dataclass(frozen=True)
class Lamp(Fields):
    on: bool = True
    colour: str = "white"

    def inert(self) -> frozenset[str]:
        return frozenset() if self.on else frozenset({"colour"})


def test_inactive_fields_make_no_difference() -> None:
    assert Lamp(False, "red") == Lamp(False, "blue") and hash(Lamp(False, "red")) == hash(
        Lamp(False)
    )
    assert Lamp(False, "red").identity() == {"on": False}
    assert Lamp(True, "red").identity() == {"on": True, "colour": "red"}
    with pytest.raises(UserError, match="colour: must be text, but got 3"):
        Lamp(False, 3)


def test_all_mistakes_together() -> None:
    with pytest.raises(UserError) as caught:
        build_fields(Sample, {"share": 2, "count": 0, "mode": "z", "nothing": 1})
    assert {m.place for m in caught.value.mistakes} == {"share", "count", "mode", "nothing"}
