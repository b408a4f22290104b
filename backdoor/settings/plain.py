"""Settings stated in Python as the plain values that YAML would have given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from backdoor.errors import Mistake, UserError
from backdoor.settings.registry import Kind

Warn = Callable[[Mistake], None]


def plain_values(
    given: Mapping[Any, Any], warn: Warn, place: str = "", kinds: bool = False
) -> dict[str, Any]:
    """A copy of a mapping without numpy numbers, tuples, paths and the like.

    warn: gets a mistake for each value that no settings can hold, which becomes None. kinds:
    whether instances of kinds may stay as they are.
    """
    plain: dict[str, Any] = {}
    for key, value in given.items():
        inner = f"{place}.{key}" if place else str(key)
        if not isinstance(key, str):
            warn(Mistake(inner, "must have text as its key", repr(key), "Put it in quotes."))
        elif kinds and isinstance(value, Kind):
            plain[key] = value
        else:
            plain[key] = _plain(value, warn, inner)
    return plain


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


def _plain(value: Any, warn: Warn, place: str) -> Any:
    if isinstance(value, Mapping):
        return plain_values(value, warn, place)
    if isinstance(value, (list, tuple, range)):
        return [_plain(each, warn, f"{place}[{index}]") for index, each in enumerate(value)]
    if isinstance(value, (np.ndarray, np.generic)):
        return _plain(value.tolist(), warn, place)
    if isinstance(value, Path):
        return str(value)
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    rule = "must be text, a number, true, false, None, or a list or mapping of these"
    remedy = "Write what a YAML file would say."
    if isinstance(value, Kind):
        remedy = f"Write {value.identity()!r}."
    warn(Mistake(place, rule, repr(value), remedy))
    return None
