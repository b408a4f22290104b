"""Whether a setting lies in a box or a rule, and what keeps it out."""

from __future__ import annotations

import math
import re

from backdoor.settings.schema import is_number
from sweeps.records.model_answer import DescriptionEntry, Factor, Factors, IntervalEntry

#: Bounds of products are rounded, and a product is computed again.
TOLERANCE = 1e-9
#: A factor that has a whole scale beside single values, as a category says it.
SCALE = re.compile(r"(\S+) to (\S+)")
#: Between the two factors of a product or a ratio.
JOINED = re.compile(r" ([x/]) ")


def misses(factors: Factors, described: DescriptionEntry) -> list[str]:
    """What of a description does not hold at a setting, such as `learning_rate 0.3 > 0.12`; nothing
    where the setting lies in it."""
    found = []
    for name, fixed in described["category"].items():
        value = factors.get(name)
        if not _is_category(value, fixed):
            found.append(f"{short(name)} {shown(value)}, not {shown(fixed)}")
    for interval in described["intervals"]:
        found += _beyond(interval, value_at(factors, interval["factor"]))
    return found


def value_at(factors: Factors, name: str) -> float | None:
    """The value of a factor, or of a product or ratio, named as an interval does; None where it has
    none: the factor is absent, or belongs to another kind."""
    one, *rest = JOINED.split(name)
    values = [_number(factors, part) for part in (one, *rest[1::2])]
    if len(values) == 1:
        return values[0]
    first, second = values
    if first is None or second is None or (rest[0] == "/" and not second):
        return None
    return first * second if rest[0] == "x" else first / second


def _number(factors: Factors, name: str) -> float | None:
    """name: of a factor without `defence.`; `architecture=mlp.width` belongs to one kind."""
    slot, _, rest = name.partition("=")
    if rest:
        kind, _, setting = rest.partition(".")
        if factors.get(f"defence.{slot}") != kind:
            return None
        name = f"{slot}.{setting}"
    value = factors.get(f"defence.{name}", factors.get(name))
    return float(value) if is_number(value) else None  # type: ignore[arg-type]


def _is_category(value: Factor, fixed: Factor) -> bool:
    scale = SCALE.fullmatch(fixed) if isinstance(fixed, str) else None
    if scale and is_number(value):
        ends = float(scale[1]), float(scale[2])
        number = float(value)  # type: ignore[arg-type]
        return ends[0] * (1 - 1e-5) <= number <= ends[1] * (1 + 1e-5)  # ends have 6 digits
    return value == fixed and isinstance(value, bool) == isinstance(fixed, bool)


def _beyond(interval: IntervalEntry, value: float | None) -> list[str]:
    name, low, high = short(interval["factor"]), interval["low"], interval["high"]
    if value is None:
        return [f"{name} has no value there"]
    if low is not None and value < low and not math.isclose(value, low, rel_tol=TOLERANCE):
        return [f"{name} {shown(value)} < {shown(low)}"]
    if high is not None and value > high and not math.isclose(value, high, rel_tol=TOLERANCE):
        return [f"{name} {shown(value)} > {shown(high)}"]
    return []


def short(name: str) -> str:
    """A factor's name without `defence.`."""
    return name.removeprefix("defence.")


def shown(value: Factor) -> str:
    """A value with at most six digits, as text or `none`."""
    if value is None:
        return "none"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
