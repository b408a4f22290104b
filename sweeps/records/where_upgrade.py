"""Where the region is, of a region.json of version 1, as version 2 has it."""

from __future__ import annotations

from sweeps.records.answer_entry import SettingEntry, WhereEntry
from sweeps.records.headline import percent
from sweeps.records.model_answer import DescriptionEntry, IntervalEntry
from sweeps.records.outside import misses, short
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
    kinds = [f"{short(name)} is {value}" for name, value in found["category"].items()]
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


# --- whether the recommended setting lies in it ------------------------------------------------


def _outside(found: dict[str, DescriptionEntry | None], setting: SettingEntry | None) -> str | None:
    """A sentence; None where the setting lies in both, and where there is none."""
    if setting is None:
        return None
    parts = [
        f"the {title} ({'; '.join(missed)})"
        for title, entry in found.items()
        if entry is not None and (missed := misses(setting["factors"], entry))
    ]
    if not parts:
        return None
    return (
        f"The recommended setting lies outside {' and '.join(parts)}: these describe only a part "
        "of the region."
    )
