"""Where the region is, of a region.json of version 1, as version 2 has it."""

from __future__ import annotations

from sweeps.records.answer_entry import SettingEntry, WhereEntry
from sweeps.records.headline import percent
from sweeps.records.model_answer import DescriptionEntry, Factor, Factors, IntervalEntry
from sweeps.records.region_file import RegionFile


def where_of_before(region: RegionFile, setting: SettingEntry | None) -> WhereEntry:
    """Of a region search its model's box and rule; points are not described in version 1."""
    searched, model = "model" in region, region.get("model")
    box, rule = (model.get("box"), model.get("rule")) if model else (None, None)
    found = {"largest box": box, "short rule": rule}
    return {
        "basis": "model" if box or rule else None,
        "of": "space" if searched else "points",
        "box": box,
        "rule": rule,
        "recommended_outside": _outside(found, setting),
        "text": [_line(title, entry) for title, entry in found.items() if model],
    }


def _line(title: str, found: DescriptionEntry | None) -> str:
    if found is None:
        return f"{title}: none that is 95 % precise"
    kinds = [f"{_short(name)} is {value}" for name, value in found["category"].items()]
    parts = [*kinds, *map(_bounds, found["intervals"])]
    return (
        f"{title}: {' and '.join(parts) or 'everywhere'} ({percent(found['precision'])} of it "
        f"inside, {percent(found['coverage'])} of the region)"
    )


def _bounds(interval: IntervalEntry) -> str:
    name, low, high = interval["factor"], interval["low"], interval["high"]
    if low is None:
        return f"{name} <= {high:.3g}" if high is not None else f"any {name}"
    return f"{name} >= {low:.3g}" if high is None else f"{low:.3g} <= {name} <= {high:.3g}"


def _short(factor: str) -> str:
    return factor.removeprefix("defence.")


# --- whether the recommended setting lies in it ------------------------------------------------


def _outside(found: dict[str, DescriptionEntry | None], setting: SettingEntry | None) -> str | None:
    """A sentence; None where the setting lies in both, and where there is none."""
    if setting is None:
        return None
    named = {_short(name): value for name, value in setting["factors"].items()}
    parts = [
        f"the {title} ({', '.join(missed)})"
        for title, entry in found.items()
        if entry is not None and (missed := _missed(entry, named))
    ]
    if not parts:
        return None
    return (
        f"The recommended setting lies outside {' and '.join(parts)}: these describe only a part "
        "of the region."
    )


def _missed(found: DescriptionEntry, factors: Factors) -> list[str]:
    """The conditions that do not hold; one on a factor that the setting has not is passed over."""
    kinds = [
        f"{_short(name)} is {value}"
        for name, value in found["category"].items()
        if _short(name) in factors and factors[_short(name)] != value
    ]
    intervals = [i for i in found["intervals"] if not _holds(i, _value_of(i["factor"], factors))]
    return [*kinds, *map(_bounds, intervals)]


def _holds(interval: IntervalEntry, value: float | None) -> bool:
    low, high = interval["low"], interval["high"]
    if value is None:
        return True
    return (low is None or value >= low) and (high is None or value <= high)


def _value_of(name: str, factors: Factors) -> float | None:
    """The value of a factor, or of `a x b` or `a / b`."""
    for sign in (" x ", " / "):
        first, found, second = name.partition(sign)
        if found:
            one, other = _number(first, factors), _number(second, factors)
            if one is None or other is None or (sign == " / " and not other):
                return None
            return one * other if sign == " x " else one / other
    return _number(name, factors)


def _number(name: str, factors: Factors) -> float | None:
    """By its whole name or, as in the model's words, the last part of it."""
    own: list[Factor] = [
        value
        for factor, value in factors.items()
        if factor == _short(name) or factor.rpartition(".")[2] == name
    ]
    value = own[0] if own else None
    return float(value) if isinstance(value, int | float) else None
