"""Settings stated in Python as the plain values that YAML would have given."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from backdoor.errors import Mistake, UserError
from backdoor.settings.limits import DEEPEST, MOST_BITS, MOST_VALUES
from backdoor.settings.registry import Kind

Warn = Callable[[Mistake], None]


def plain_values(
    given: Mapping[Any, Any], warn: Warn, place: str = "", kinds: bool = False
) -> dict[str, Any]:
    """A copy of a mapping without numpy numbers, tuples, paths and the like.

    warn: gets a mistake for each value that no settings can hold, which becomes None. kinds:
    whether instances of kinds may stay as they are.

    Raises:
        UserError: the mapping has more values or levels than settings may have, such as one that
            contains itself.
    """
    return _Copy(warn, kinds).mapping(given, place, 1)


def plain_settings(given: object, place: str) -> dict[str, Any]:
    """The same of settings that are taken as they are; instances of kinds may stay.

    Raises:
        UserError: with all mistakes; also where it is no mapping.
    """
    if not isinstance(given, Mapping):
        remedy = "For example {'trigger': 'patch', 'poison_rate': 0.01}."
        raise UserError(Mistake(place, "must be a mapping of settings", repr(given), remedy))
    mistakes: list[Mistake] = []
    plain = plain_values(given, mistakes.append, place, kinds=True)
    if mistakes:
        raise UserError(mistakes)
    return plain


class _Copy:
    """One copy of a mapping; it ends where there are too many values."""

    def __init__(self, warn: Warn, kinds: bool) -> None:
        self.warn, self.kinds, self.left = warn, kinds, MOST_VALUES

    def mapping(self, given: Mapping[Any, Any], place: str, level: int) -> dict[str, Any]:
        """A mapping. level: how many lists and mappings it lies in, itself included."""
        plain: dict[str, Any] = {}
        self._take(len(given), place, level)
        for key, value in given.items():
            inner = f"{place}.{key}" if place else str(key)
            if not isinstance(key, str):
                rule = "must have text as its key"
                self.warn(Mistake(inner, rule, repr(key), "Put it in quotes."))
            elif self.kinds and level == 1 and isinstance(value, Kind):
                plain[key] = value
            else:
                plain[key] = self._value(value, inner, level)
        return plain

    def _take(self, count: int, place: str, level: int) -> None:
        """Counts values that are about to be copied."""
        self.left -= count
        if self.left < 0:
            rule = f"must not make the settings hold more than {MOST_VALUES:,} values"
            remedy = "State fewer; a range with `steps`, or `seeds: 100`, stands for a long list."
            raise UserError(Mistake(_beginning(place), rule, f"{count:,} more", remedy))
        if level > DEEPEST:
            rule = f"must have at most {DEEPEST} levels of lists and mappings"
            remedy = "Nothing may contain itself, and no setting has more than ten."
            raise UserError(Mistake(_beginning(place), rule, f"more than {DEEPEST}", remedy))

    def _value(self, value: Any, place: str, level: int) -> Any:
        if isinstance(value, Mapping):
            return self.mapping(value, place, level + 1)
        if isinstance(value, (list, tuple, range)):
            self._take(_length(value), place, level + 1)
            return [self._value(v, f"{place}[{i}]", level + 1) for i, v in enumerate(value)]
        if isinstance(value, (np.ndarray, np.generic)):
            self._take(value.size - 1, place, level)
            return self._value(value.tolist(), place, level)
        if isinstance(value, Path):
            return str(value)
        if isinstance(value, int) and value.bit_length() > MOST_BITS:
            rule = "must be a number that a computer can hold, from 1e-300 to 1e300"
            self.warn(Mistake(place, rule, f"about 2**{value.bit_length()}", "Choose another one."))
            return None
        if value is None or isinstance(value, (str, bool, int, float)):
            return value
        rule = "must be text, a number, true, false, None, or a list or mapping of these"
        remedy = "Write what a YAML file would say."
        if isinstance(value, Kind):
            remedy = f"Write {value.identity()!r}."
        self.warn(Mistake(place, rule, repr(value), remedy))
        return None


def _beginning(place: str) -> str:
    """The section of a place, which may have very many parts."""
    return re.split(r"[.\[]", place)[0]


def _length(value: list[Any] | tuple[Any, ...] | range) -> int:
    """The length, also of a range that is longer than `len` can say."""
    try:
        return len(value)
    except OverflowError:
        return sys.maxsize
