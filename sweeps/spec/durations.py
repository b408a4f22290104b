"""Durations as a spec has them, `90s`, `30min`, `1h30m`, and the same in words.

A number without a unit is refused: in some schedulers it means seconds, in others minutes or
hours, and a limit that is sixty times too short ends a training after hours of work.
"""

from __future__ import annotations

import re

from backdoor.settings.schema import is_number

RULE = "must be a duration with its unit, from 1s to 1000d"
#: Unit → its seconds and the ways to write it, from long to short.
UNITS = {
    "d": (86400.0, ("d", "day", "days")),
    "h": (3600.0, ("h", "hr", "hour", "hours")),
    "min": (60.0, ("m", "min", "mins", "minute", "minutes")),
    "s": (1.0, ("s", "sec", "secs", "second", "seconds")),
}
#: The same in words, if the number is 1.
NAMES = {"d": "day", "h": "hour", "min": "minute", "s": "second"}
#: Seconds of the shortest and the longest limit.
SHORTEST, LONGEST = 1.0, 1000 * 86400.0
EXAMPLE = "For example 90s, 30min, 2h, 1h30m or 1d; null is no limit."
_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([a-z]+)\s*")


class DurationError(ValueError):
    """The rule that a value breaks. remedy: what to write."""

    def __init__(self, remedy: str) -> None:
        super().__init__(RULE)
        self.remedy = remedy


def read_duration(value: object) -> float | None:
    """Seconds of `90s`, `30min`, `2h`, `1h30m`, `1.5h`, `1d`; None of `none`, as of null.

    Raises:
        DurationError: the value is something else, or not between 1 second and 1000 days.
    """
    if value is None or value == "none":
        return None
    seconds = _seconds(value) if isinstance(value, str) else None
    if seconds is None or not SHORTEST <= seconds <= LONGEST:
        raise DurationError(_remedy(value))
    return seconds


def _seconds(text: str) -> float | None:
    """The sum of its parts, each shorter than the one before; None where it is no duration."""
    total, at, before = 0.0, 0, 0
    text = text.strip()
    while at < len(text):
        part = _PART.match(text, at)
        if part is None or (number := _place_of(part[2])) < before:
            return None
        total += float(part[1]) * list(UNITS.values())[number][0]
        at, before = part.end(), number + 1
    return total if at else None


def _place_of(unit: str) -> int:
    """Its number in `UNITS`; -1 where there is no such unit."""
    names = [words for _, words in UNITS.values()]
    return next((number for number, words in enumerate(names) if unit in words), -1)


def _remedy(value: object) -> str:
    """What to write, by what the value may mean."""
    if is_number(value) or (isinstance(value, str) and re.fullmatch(r"\s*\d+\.?\d*\s*", value)):
        number = float(str(value))
        if 0 < number <= LONGEST:
            meant = ", ".join(f"{number:.12g}{unit}" for unit in ("s", "min"))
            return f"Say the unit: {meant} or {number:.12g}h."
        return EXAMPLE
    if isinstance(value, str):
        clock = re.fullmatch(r"\s*(\d+):(\d\d)(?::(\d\d))?\s*", value)
        if clock is not None:
            return f"Did you mean {written(_clock_seconds(*clock.groups()))!r}?"
        likely = re.sub(r"(\d),(\d)", r"\1.\2", value.lower().replace(" and ", " "))
        seconds = _seconds(likely)
        if likely != value and seconds is not None and SHORTEST <= seconds <= LONGEST:
            return f"Did you mean {written(seconds)!r}?"
    return EXAMPLE


def _clock_seconds(hours: str, minutes: str, seconds: str | None) -> float:
    """Of `2:30` and `2:30:00`, hours first."""
    return 3600.0 * int(hours) + 60.0 * int(minutes) + float(seconds or 0)


def written(seconds: float) -> str:
    """As a spec has it: `2h`, `1h30min`, `90.5s`; parts that are zero are left out."""
    left, parts = seconds, list[str]()
    for unit, (size, _) in UNITS.items():
        whole = left if unit == "s" else left // size
        if whole > 0:
            parts.append(f"{whole:.12g}{unit}")
            left -= whole * size
    return "".join(parts) or "0s"


def in_words(seconds: float) -> str:
    """For people, to three digits: `41.2 seconds`, `10 minutes`, `2 hours`, `1.5 days`."""
    for unit, (size, _) in UNITS.items():
        if seconds >= size or unit == "s":
            number = f"{seconds / size:.3g}" if seconds < 1000 * size else f"{seconds / size:,.0f}"
            return f"{number} {NAMES[unit]}{'' if number == '1' else 's'}"
    raise AssertionError("unreachable")
