"""Colours of the user: `"#ff0000"`, `"#f00"` or `{rgb: [1, 0, 0]}`, and grey values from 0 to 1."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from backdoor.errors import Mistake, UserError
from backdoor.settings.schema import change_remedy, is_number

_HEX = re.compile(r"#[0-9a-fA-F]{3}(?:[0-9a-fA-F]{3})?")
RULE = "must be a number from 0 to 1, or a colour"
REMEDY = "Write a colour as '#ff0000', in quotes, or as {rgb: [1, 0, 0]}, fractions from 0 to 1."


def in_spec(place: str, given: Any) -> Any:
    """A grey value or colour of a spec as `colour` reads it; ranges stay as they are."""
    if isinstance(given, Mapping) and "rgb" not in given:
        return given
    return colour(place, given)


def colour(place: str, given: Any) -> float | str:
    """A colour as `#rrggbb`, or as its grey value from 0 to 1 where it is a grey; numbers stay.

    given: a number, text such as `#ff0000` or `#f00`, or a mapping {rgb: [r, g, b]} of fractions.

    Raises:
        UserError: at `place`; it is nothing of these.
    """
    if is_number(given):
        number: float = given
        if not math.isfinite(number):
            raise UserError(Mistake(place, "must be a finite number", given, "Change the value."))
        return number
    if isinstance(given, str) and _HEX.fullmatch(given.strip()):
        digits = given.strip()[1:].lower()
        text = "#" + ("".join(2 * digit for digit in digits) if len(digits) == 3 else digits)
        return _grey_or(text)
    if isinstance(given, Mapping) and set(given) == {"rgb"}:
        return _grey_or(_from_fractions(f"{place}.rgb", given["rgb"]))
    if isinstance(given, (list, tuple)) and len(given) == 3 and all(map(is_number, given)):
        return _refused(place, given, f"For a colour write {{rgb: {list(given)}}}.")
    if isinstance(given, str) and _HEX.match(given.strip()):
        return _refused(
            place, given, "A colour has 3 or 6 digits, without transparency: '#ff0000'."
        )
    remedy = change_remedy(given)
    return _refused(place, given, REMEDY if remedy.startswith("Change") else remedy)


def channels(text: str) -> tuple[int, int, int]:
    """Red, green and blue of `#rrggbb`, 0 to 255 each."""
    return int(text[1:3], 16), int(text[3:5], 16), int(text[5:7], 16)


def luminance(text: str) -> float:
    """The grey value of `#rrggbb` from 0 to 1, by the weights of ITU-R BT.601 as Pillow's."""
    red, green, blue = channels(text)
    return round((0.299 * red + 0.587 * green + 0.114 * blue) / 255, 3)


def _refused(place: str, given: Any, remedy: str) -> float:
    raise UserError(Mistake(place, RULE, given, remedy))


def _from_fractions(place: str, given: Any) -> str:
    rule = "must be red, green and blue, three numbers from 0 to 1"
    remedy = "For example {rgb: [1, 0, 0]}, which is '#ff0000'."
    if not isinstance(given, (list, tuple)) or len(given) != 3 or not all(map(is_number, given)):
        raise UserError(Mistake(place, rule, given, remedy))
    if not all(0 <= each <= 1 for each in given):
        if all(isinstance(each, int) and 0 <= each <= 255 for each in given):
            remedy = f"Divide by 255, or write '#{bytes(given).hex()}'."
        raise UserError(Mistake(place, rule, list(given), remedy))
    return "#" + bytes(round(255 * each) for each in given).hex()


def _grey_or(text: str) -> float | str:
    """A grey is a number, so that it has the same name however it is written."""
    red, green, blue = channels(text)
    return red / 255 if red == green == blue else text
