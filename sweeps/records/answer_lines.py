"""The answer as lines for people, in the same order for every search: `text` of region.json.

How the region stands with fresh trainings and the headline come first, then what they rest on, the
recommended setting, where the region is, what limits it, and how far the sweep is.
"""

from __future__ import annotations

from collections.abc import Sequence

from backdoor.wording import counted
from sweeps.records.answer_entry import VerdictsEntry
from sweeps.records.control_text import control_answer
from sweeps.records.headline import percent
from sweeps.records.model_notes import model_notes, other_points
from sweeps.records.region_file import RegionFile
from sweeps.records.seed_model_text import seed_model_lines

#: What each kind of claim rests on.
CLAIMS_MEAN = (
    "  certainly: by bounds of its own seeds, each point by itself; likely: by a model of all "
    "points; by means: no claim about new seeds"
)
#: Why counts of the points of a region search are no shares.
AT_THE_BORDER = "; the search tries most points near the border, so that these are no shares"


def answer_lines(region: RegionFile, described: Sequence[str] | None = None) -> list[str]:
    """The lines; all that it names must be in the file: it is of version 2. described: where the
    region is and what limits it, in lines; by default where it is."""
    return [
        f"Verification: {region['verification']['text']}",
        f"Answer: {region['headline']['text']}",
        *verdict_lines(region["verdicts"]),
        *model_notes(region),
        *control_answer(region),
        *seed_model_lines(region),
        f"State: {region['state']['text']}",
        "",
        *(region["setting"]["text"] if region["setting"] else ["Recommended: none."]),
        *other_points(region),
        "",
        *(region["where"]["text"] if described is None else described),
        *stability_lines(region),
    ]


def stability_lines(region: RegionFile) -> list[str]:
    """What of the region survives small changes, where that was computed."""
    found = region.get("stability")
    return list(found["text"]) if found else []


def verdict_lines(verdicts: VerdictsEntry) -> list[str]:
    """How many points, and of a region search which share of the space, have each verdict."""
    points, space = verdicts["points"], verdicts["space"]
    at = f"at {100 * verdicts['confidence']:g} %"
    lines = []
    if space is not None:
        lines.append(
            f"Of the defence space, {at}: {percent(space['likely_in'])} likely IN, "
            f"{percent(space['undecided'])} undecided, {percent(space['likely_out'])} likely OUT; "
            f"best estimate of the share inside {percent(space['volume'])} (90 % interval "
            f"{percent(space['volume_lower'])} to {percent(space['volume_upper'])})"
        )
    if points["total"]:
        lines += [_of_points(verdicts, at), CLAIMS_MEAN]
    return lines


def _of_points(verdicts: VerdictsEntry, at: str) -> str:
    points = verdicts["points"]
    named = {
        "certainly IN": points["certainly_in"],
        "likely IN": points["likely_in"],
        "undecided": points["undecided"],
        "likely OUT": points["likely_out"],
        "certainly OUT": points["certainly_out"],
    }
    told = ", ".join(f"{count:,} {name}" for name, count in named.items())
    incomplete = f", {points['incomplete']:,} incomplete" if points["incomplete"] else ""
    means = f"; {points['in_by_means']:,} IN by means"
    if verdicts["space"] is not None:
        means = AT_THE_BORDER
    return f"Of {counted(points['total'], 'tried point')}, {at}: {told}{incomplete}{means}"
