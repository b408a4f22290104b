"""Where the region is: intervals of factors, and why the recommended setting may lie outside."""

from __future__ import annotations

from backdoor.wording import noun_for
from sweeps.answer.point_description import Described, PointDescription, described_points
from sweeps.records.answer_entry import WhereEntry
from sweeps.records.model_answer import DescriptionEntry, Factors, IntervalEntry
from sweeps.records.outside import misses, short, shown
from sweeps.records.region_file import RegionFile
from sweeps.region.model_text import described, percent

#: By which verdict points are IN, in words.
BY = {"bounds": "by bounds", "model": "by the model", "means": "by means"}
TITLES = {"box": "largest box", "rule": "short rule"}


def where_of(region: RegionFile) -> WhereEntry:
    """The region as the model of a region search describes it, or as the tried points do; nothing
    where none is IN. Needs `points` and `recommended`, or `model`, of the file."""
    if "model" in region:
        return _of_space(region)
    found = described_points(region["points"])
    if found is None:
        return _nothing("points")
    box, rule = (None if part is None else part.entry for part in (found.box, found.rule))
    outside = _outside(_recommended(region), box, rule, _share_of_points(found))
    return {
        "basis": found.basis,
        "of": "points",
        "box": box,
        "rule": rule,
        "recommended_outside": outside,
        "text": [*_point_lines(found), *([outside] if outside else [])],
    }


def _of_space(region: RegionFile) -> WhereEntry:
    model = region.get("model")
    if model is None:
        return _nothing("space")
    box, rule = model["box"], model["rule"]
    share = "" if box is None else f"{percent(box['coverage'])} of it"
    outside = _outside(_recommended(region), box, rule, share)
    lines = [*described(TITLES["box"], box), *described(TITLES["rule"], rule)]
    return {
        "basis": "model" if box or rule or model["recommended"] else None,
        "of": "space",
        "box": box,
        "rule": rule,
        "recommended_outside": outside,
        "text": [*lines, *([outside] if outside else [])],
    }


def _nothing(of: str) -> WhereEntry:
    return {
        "basis": None,
        "of": "space" if of == "space" else "points",
        "box": None,
        "rule": None,
        "recommended_outside": None,
        "text": [],
    }


# --- the recommended setting -------------------------------------------------------------------


def _recommended(region: RegionFile) -> Factors | None:
    """The factors of the recommended setting, of a region search that of its model."""
    if "model" in region:
        model = region.get("model")
        point = model["recommended"] if model else None
        return point["factors"] if point else None
    chosen = region["recommended"]
    if chosen is None:
        return None
    return next(p["factors"] for p in region["points"] if p["defence_id"] == chosen["defence_id"])


def _outside(
    factors: Factors | None,
    box: DescriptionEntry | None,
    rule: DescriptionEntry | None,
    share: str,
) -> str | None:
    """Why the setting lies outside; None where it does not. share: of the region, what the box
    holds."""
    if factors is None:
        return None
    missed = {
        name: found
        for name, part in (("box", box), ("rule", rule))
        if part is not None and (found := misses(factors, part))
    }
    if not missed:
        return None
    parts = [f"the {name} ({'; '.join(found)})" for name, found in missed.items()]
    if len(missed) == 2 and missed["box"] == missed["rule"]:
        parts = ["the box", parts[1]]
    where = " and ".join(parts)
    if "box" in missed:
        why = f"the box is the largest simple part of the region, and holds {share}"
    else:
        why = "the rule is a simple part of the region, not all of it"
    these = " and ".join(f"the {name}" for name in missed)
    return (
        f"The recommended setting lies outside {where}: {why}. For one setting take the "
        f"recommended one; {these} {noun_for(len(missed), 'is', 'are')} for a choice of one's own."
    )


def _share_of_points(found: Described) -> str:
    if found.box is None:
        return ""
    return f"{found.box.held:,} of its {found.box.inside:,} tried points"


# --- words -------------------------------------------------------------------------------------


def _point_lines(found: Described) -> list[str]:
    if found.box is None:
        least = "none holds two points or more, 95 % of them IN"
        least += f" {BY[found.basis]}, and 5 % of all that are"
        lines = [f"{TITLES['box']}: {least}"]
    else:
        lines = [_line(TITLES["box"], found, found.box)]
    return lines if found.rule is None else [*lines, _line(TITLES["rule"], found, found.rule)]


def _line(title: str, found: Described, part: PointDescription) -> str:
    kind = "tried" if found.judged == found.tried else "judged"
    return (
        f"{title}: {_conditions(part.entry)} ({part.held:,} of {part.size:,} {kind} points in it "
        f"are IN {BY[found.basis]}; it holds {part.held:,} of {part.inside:,} that are)"
    )


def _conditions(entry: DescriptionEntry) -> str:
    fixed = [f"{short(name)} {shown(value)}" for name, value in entry["category"].items()]
    return " and ".join([*fixed, *map(_bounds, entry["intervals"])]) or "everywhere"


def _bounds(interval: IntervalEntry) -> str:
    name, low, high = interval["factor"], interval["low"], interval["high"]
    if low is not None and low == high:
        return f"{name} = {shown(low)}"
    if low is None:
        return f"{name} <= {shown(high)}"
    return f"{name} >= {shown(low)}" if high is None else f"{shown(low)} <= {name} <= {shown(high)}"
