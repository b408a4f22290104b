"""How a point stands that is IN by no verdict, for whoever trains a model there all the same."""

from __future__ import annotations

from sweeps.records.question_text import asked
from sweeps.records.region_file import PointEntry, RegionFile
from sweeps.region.point_table import INCOMPLETE
from sweeps.region.standing import BASES, IN, inside_words, verdict_by

#: Verdicts of a point that is IN, in region.json since version 2.
VERDICTS_IN = ("certainly in", "likely in")


def not_in(point: PointEntry, region: RegionFile) -> str | None:
    """`OUT by means: clean accuracy 0.950, attack success 0.850 (...), but asked for are ...`; None
    where the point is IN by some verdict."""
    verdict = point.get("verdict", "incomplete")
    if verdict in VERDICTS_IN or any(verdict_by(point, basis) == IN for basis in BASES):
        return None
    if point["by_means"] != INCOMPLETE:
        return f"{point['by_means']} by means: {_figures(point, region)}"
    if verdict != "incomplete":
        return f"{verdict}{inside_words(point)}: asked for are {asked(region)}"
    return f"{INCOMPLETE}: some of its trials have not ended, and it has no verdict"


def _figures(point: PointEntry, region: RegionFile) -> str:
    clean, success, worst = (
        point["clean_accuracy"], point["attack_success"], point["worst_attack"]
    )  # fmt: skip
    label = next((a["label"] for a in region["panel"] if a["attack_id"] == worst), worst)
    known = [] if clean is None else [f"clean accuracy {clean:.3f}"]
    known += [] if success is None else [f"attack success {success:.3f} ({label})"]
    return f"{', '.join(known)}, but asked for are {asked(region)}"
