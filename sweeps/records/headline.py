"""The headline: the strongest claim of a sweep's answer that holds, as one sentence.

Certain claims come first, then those of a model of all points, and means last, which claim nothing
about new seeds. Where nothing is inside, that is the headline.
"""

from __future__ import annotations

from backdoor.wording import counted, noun_for
from sweeps.records.answer_entry import Claim, HeadlineEntry, VerdictCounts, VerdictsEntry
from sweeps.records.question_text import asked
from sweeps.records.region_file import RegionFile
from sweeps.records.success_words import and_baseline
from sweeps.records.unknown_best import unknown_best
from sweeps.records.verdicts import verdicts_of

#: Of a space, what is undecided below this share does not leave the answer open.
OPEN = 0.01


def headline_of(region: RegionFile) -> HeadlineEntry:
    """The strongest claim; figures of a region search are of its whole space."""
    verdicts = verdicts_of(region)
    counts = verdicts["points"]
    if counts["certainly_in"] and verdicts["space"] is None:
        return _said("certain", f"{_are(counts, 'certainly_in')} certainly IN: {asked(region)}.")
    if verdicts["space"] is not None:
        return _of_space(region, verdicts)
    if counts["likely_in"]:
        text = f"{_are(counts, 'likely_in')} likely IN, none certainly: {asked(region)}."
        return _said("likely", text)
    if counts["in_by_means"]:
        text = f"{_are(counts, 'in_by_means')} IN by means only, which claims nothing about new "
        return _said("means", f"{text}seeds: {asked(region)}.")
    return _nothing_inside(region, counts)


def _said(claim: Claim, text: str) -> HeadlineEntry:
    return {"claim": claim, "text": text}


def _are(counts: VerdictCounts, key: str) -> str:
    """`3 of 36 defence points are`."""
    count: int = counts[key]  # type: ignore[literal-required]
    return (
        f"{count:,} of {counted(counts['total'], 'defence point')} {noun_for(count, 'is', 'are')}"
    )


def _of_space(region: RegionFile, verdicts: VerdictsEntry) -> HeadlineEntry:
    space = verdicts["space"]
    assert space is not None
    if space["likely_in"]:
        text = f"{percent(space['likely_in'])} of the defence space is likely IN: {asked(region)}."
        return _said("likely", text)
    if space["undecided"] < OPEN:
        text = f"No region found: no point of the defence space is likely to meet {asked(region)}."
        return _said("none", text)
    text = f"No point of the defence space is likely IN yet: {asked(region)}."
    return _said("none", text)


def _nothing_inside(region: RegionFile, counts: VerdictCounts) -> HeadlineEntry:
    if "model" in region:
        return _said("unknown", without_model(region))
    total, left = counts["total"], region["counts"]["by_means"]["INCOMPLETE"]
    early = _stopped_early(region)
    incomplete = f" {left:,} {noun_for(left, 'is', 'are')} incomplete{early}." if left else ""
    clean = region["thresholds"]["clean_accuracy"]
    if clean["value"] is None and (unknown := unknown_best(clean.get("left_out", []))):
        found = " found" if left else ""
        return _said("none", f"No region{found}: {unknown}{incomplete}")
    if clean["value"] is None or total == left:
        rule = f"every attack of the panel{and_baseline(region['thresholds'])} needs every seed"
        are = counted(total, "is", "are")
        tried = f"{are} tried and incomplete{early}" if total else "none is tried"
        return _said("unknown", f"No defence point is complete yet, {tried}: {rule}.")
    open_ = counts["undecided"]
    undecided = f" {open_:,} {noun_for(open_, 'is', 'are')} undecided." if open_ else ""
    judged_points = counted(total - left, "judged point" if left else "defence point")
    found = " found" if left or open_ else ""
    text = f"No region{found}: none of {judged_points} meets {asked(region)}.{undecided}"
    return _said("none", f"{text}{incomplete}")


def _stopped_early(region: RegionFile) -> str:
    """Why points may stay incomplete: ` (2 trials were stopped early)`."""
    stopped = region["trials"].get("stopped") or 0
    return f" ({counted(stopped, 'trial was', 'trials were')} stopped early)" if stopped else ""


def without_model(region: RegionFile) -> str:
    """Why a region search has no answer yet."""
    broken = sum(point["broken"] for point in region["points"])
    if 0 < broken == region["trials"]["finished"]:
        return "Every model collapsed or diverged: nothing can be said about the region."
    return "Too few trials have finished to say anything about the region."


def percent(fraction: float) -> str:
    """`12.3 %`, three digits; a share that is almost nothing as such."""
    if 0 < fraction < 5e-5:
        return "less than 0.01 %"
    return f"{100 * fraction:.3g} %"
