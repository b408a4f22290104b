"""What is known of a region so far, for `sweeps status`."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

from sweeps.records.control_text import control_summary

if TYPE_CHECKING:
    from sweeps.records.answer_entry import HeadlineEntry, VerdictsEntry
    from sweeps.records.model_answer import Shares
    from sweeps.records.region_file import RegionFile


class Verdict(TypedDict):
    """What is known of the defence points.

    by_means, by_bounds, by_model: verdict to how many points that were tried have it. by_model: of
    all points together, None where no model judges them or region.json is of an earlier release.
    points: how many were tried; not_begun: how many were not, None where nobody knows. controls:
    state of an attack (`takes`, `nowhere`, `unknown`) to the labels of those attacks of the panel;
    empty where region.json is of an earlier release. threshold_known: whether the clean accuracy
    that is asked for is known yet. space: of a region search, the shares of the defence space by
    its model, None without one. recommended: whether a point is. as_of: when region.json was
    written that says all this, in seconds since 1970; None where it is judged now.
    """

    by_means: dict[str, int]
    by_bounds: dict[str, int]
    by_model: dict[str, int] | None
    points: int
    not_begun: int | None
    controls: dict[str, list[str]]
    threshold_known: bool
    space: Shares | None
    recommended: bool
    as_of: float | None


class StatusLead(TypedDict):
    """What the answer leads with. headline, verdicts: as in region.json; None where they are not
    known. as_of: as of `Verdict`."""

    headline: HeadlineEntry | None
    verdicts: VerdictsEntry | None
    as_of: float | None


def lead_of(region: RegionFile | None, written: float | None) -> StatusLead:
    """Of a region that was judged now, or of region.json as it was written then, in seconds since
    1970; None where there is none. Of a file of before, without a headline, nothing is said."""
    from sweeps.records.headline import headline_of
    from sweeps.records.verdicts import verdicts_of

    if region is None:
        return {"headline": None, "verdicts": None, "as_of": None}
    if written is None:
        headline, verdicts = headline_of(region), verdicts_of(region)
        return {"headline": headline, "verdicts": verdicts, "as_of": None}
    return {
        "headline": region.get("headline"),
        "verdicts": region.get("verdicts"),
        "as_of": written,
    }


def judged(region: RegionFile, planned_points: int | None) -> Verdict:
    """Of a region that was judged now. planned_points: in all, None where that is not known."""
    found = _counts(region)
    if planned_points is not None:
        found["not_begun"] = max(0, planned_points - found["points"])
    return found


def of_file(region: RegionFile, written: float) -> Verdict:
    """Of region.json as it was written then, in seconds since 1970."""
    model = region.get("model")
    space = None if model is None else model["space"]
    recommended = region["recommended"] if model is None else model["recommended"]
    return {
        **_counts(region),
        "space": space,
        "recommended": recommended is not None,
        "as_of": written,
    }


def _counts(region: RegionFile) -> Verdict:
    return {
        "by_means": dict(region["counts"]["by_means"]),
        "by_bounds": dict(region["counts"]["by_bounds"]),
        "by_model": _by_model(region),
        "points": len(region["points"]),
        "not_begun": None,
        "controls": control_summary(region),
        "threshold_known": region["thresholds"]["clean_accuracy"]["value"] is not None,
        "space": None,
        "recommended": region["recommended"] is not None,
        "as_of": None,
    }


def _by_model(region: RegionFile) -> dict[str, int] | None:
    entry, counts = region.get("seed_model"), region["counts"].get("by_model")
    return dict(counts) if entry is not None and entry["used"] and counts is not None else None
