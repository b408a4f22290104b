"""How long does a backdoor last when its model is trained further on few clean images?

Finding 4 of Truong et al. 2020 (arXiv 2004.11514), whose figures were never published. It reads
the results of the probe `persistence`; `backdoor.probes.persistence` describes the fine-tuning.
Figures are means over seeds with Student's t-intervals over seeds. Epochs of fine-tuning are
images seen / clean images.

The schema of what `persistence` returns; success and accuracy are fractions in [0, 1]:

    schema_version  1
    success, confidence  as asked for
    studies         one entry a defence point, attack and setting of the probe:
        defence_id, label, attack_id, attack
        probe           the probe's settings
        clean_images    how many it was trained further on
        seeds           seeds with such a result
        broken          models among them that had collapsed or diverged before; their figures
                        are in the means
        course          one entry a step that was evaluated: {step, epochs,
                        attack_success, clean_change: {n, mean, lower, upper}, the latter against
                        the same model before it; clean_accuracy: mean;
                        baseline_success: mean of the clean models' success on the same images
                        after their own fine-tuning, or null}
        took            whether mean attack success was at least `success` before fine-tuning
        gone_after      the first epochs from which on mean attack success stays below `success`;
                        null where it does not by the last step, or where it never took
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypedDict

from sweeps.analyses.trials import attack_label, points_of
from sweeps.ledger import CLEAN
from sweeps.records.trial_row import TrialRow
from sweeps.statistics.intervals import MeanIntervalEntry, mean_interval, rate_interval

SCHEMA_VERSION = 1
KIND = "persistence"
#: A row of `load_results(folder, "persistence")`: column to value.
Flat = Mapping[str, Any]


class CourseEntry(TypedDict):
    """One step of the further training."""

    step: int
    epochs: float
    attack_success: MeanIntervalEntry
    clean_change: MeanIntervalEntry
    clean_accuracy: float
    baseline_success: float | None


class PersistenceEntry(TypedDict):
    """One defence point, attack and setting of the probe."""

    label: str
    defence_id: str
    attack_id: str
    attack: str
    probe: dict[str, Any]
    clean_images: int
    seeds: list[int]
    broken: int
    course: list[CourseEntry]
    took: bool
    gone_after: float | None


class Persistence(TypedDict):
    """What `persistence` returns."""

    schema_version: int
    success: float
    confidence: float
    studies: list[PersistenceEntry]


def persistence(
    trials: Iterable[TrialRow],
    results: Iterable[Flat],
    success: float = 0.5,
    confidence: float = 0.95,
) -> Persistence:
    """Plain values; see the module for their schema. results: the rows of
    `load_results(folder, "persistence")`."""
    finished = {row.trial_id: row for row in trials if row.finished}
    labels = {point.defence_id: point.label for point in points_of(finished.values())}
    grouped: dict[tuple[str, str, str], list[Flat]] = {}
    for row in results:
        if row["attack_id"] != CLEAN and row["trial_id"] in finished:
            key = (row["defence_id"], row["attack_id"], row["probe_id"])
            grouped.setdefault(key, []).append(row)
    found = [
        _entry(labels[some[0]["defence_id"]], some, finished, success, confidence)
        for some in grouped.values()
    ]
    return {
        "schema_version": SCHEMA_VERSION,
        "success": success,
        "confidence": confidence,
        "studies": sorted(found, key=_order),
    }


def _order(entry: PersistenceEntry) -> tuple[str, str, str]:
    return entry["label"], entry["attack"], json.dumps(entry["probe"], sort_keys=True)


def _entry(
    label: str,
    rows: Sequence[Flat],
    trials: Mapping[str, TrialRow],
    success: float,
    confidence: float,
) -> PersistenceEntry:
    ids = {row["trial_id"]: row["seed"] for row in rows}
    first = rows[0]
    steps = sorted({row["step"] for row in rows})
    by_step = {step: [row for row in rows if row["step"] == step] for step in steps}
    start = {row["trial_id"]: row for row in by_step[steps[0]]}
    course = [_course_entry(step, by_step[step], start, confidence) for step in steps]
    means = [entry["attack_success"]["mean"] for entry in course]
    took = means[0] is not None and means[0] >= success
    return {
        "label": label,
        "defence_id": first["defence_id"],
        "attack_id": first["attack_id"],
        "attack": attack_label(trials[first["trial_id"]].config["attack"]),
        "probe": {k.removeprefix("probe."): v for k, v in first.items() if k.startswith("probe.")},
        "clean_images": first["clean_images"],
        "seeds": sorted(ids.values()),
        "broken": sum(trials[trial_id].broken for trial_id in ids),
        "course": course,
        "took": took,
        "gone_after": _removed_after(course, means, success) if took else None,
    }


def _course_entry(
    step: int, rows: Sequence[Flat], start: Mapping[str, Flat], confidence: float
) -> CourseEntry:
    counted = [row["success"] / row["total"] for row in rows if row["total"]]
    changes = [
        row["clean_accuracy"] - start[row["trial_id"]]["clean_accuracy"]
        for row in rows
        if row["trial_id"] in start
    ]
    baselines = [row["baseline_attack_success"] for row in rows]
    known = [value for value in baselines if value is not None and value == value]
    return {
        "step": step,
        "epochs": rows[0]["images_seen"] / rows[0]["clean_images"],
        "attack_success": rate_interval(counted, confidence).plain(),
        "clean_change": mean_interval(changes, confidence).plain(),
        "clean_accuracy": sum(row["clean_accuracy"] for row in rows) / len(rows),
        "baseline_success": sum(known) / len(known) if known else None,
    }


def _removed_after(
    course: Sequence[CourseEntry], means: Sequence[float | None], success: float
) -> float | None:
    """The first epochs from which on every mean is below `success`."""
    found = None
    for entry, mean in zip(reversed(course), reversed(means), strict=True):
        if mean is None or mean >= success:
            break
        found = entry["epochs"]
    return found
