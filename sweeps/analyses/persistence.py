"""How long does a backdoor last when its model is trained further on few clean images?

Finding 4 of Truong et al. 2020 (arXiv 2004.11514), whose figures were never published. It reads
what the probe `persistence` recorded; `backdoor.probes.persistence` says what was done. Figures
are means over seeds with Student's t-intervals over seeds. A step counts as
images seen / clean images epochs of fine-tuning.

The schema of what `persistence` returns; success and accuracy are fractions in [0, 1]:

    schema_version  1
    success, confidence  as asked for
    studies         one entry a defence point, attack and setting of the probe:
        defence_id, label, attack_id, attack
        probe           the probe's settings
        clean_images    how many it was trained further on
        seeds           seeds with such a study
        broken          models among them that had collapsed or diverged before it; their figures
                        are in the means
        course          one entry a step that was looked at: {step, epochs,
                        attack_success, clean_change: {n, mean, lower, upper}, the latter against
                        the same model before it; clean_accuracy: mean;
                        baseline_success: mean of the clean models' success on the same images
                        after their own fine-tuning, or null}
        took            whether mean attack success was at least `success` before it
        gone_after      the first epochs from which on mean attack success stays below `success`;
                        null where it does not within the study, or where it never took
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sweeps.analyses.trials import CLEAN, Row, attack_label, is_broken, points_of
from sweeps.ledger import FINISHED
from sweeps.statistics.intervals import mean_interval, rate_interval

SCHEMA_VERSION = 1
KIND = "persistence"
Entry = dict[str, Any]


def persistence(
    trials: Iterable[Row], studies: Iterable[Row], success: float = 0.5, confidence: float = 0.95
) -> Entry:
    """Rows of `Ledger.rows`, and of `load_results(folder, "persistence")` as dictionaries, to
    plain values; see the module for their schema."""
    finished = {row["trial_id"]: row for row in trials if row["status"] == FINISHED}
    labels = {point.defence_id: point.label for point in points_of(finished.values())}
    grouped: dict[tuple[str, str, str], list[Row]] = {}
    for row in studies:
        if row["attack_id"] != CLEAN and row["trial_id"] in finished:
            key = (row["defence_id"], row["attack_id"], row["probe_id"])
            grouped.setdefault(key, []).append(row)
    found = [
        {"label": labels[some[0]["defence_id"]]} | _entry(some, finished, success, confidence)
        for some in grouped.values()
    ]
    return {
        "schema_version": SCHEMA_VERSION,
        "success": success,
        "confidence": confidence,
        "studies": sorted(found, key=_order),
    }


def _order(entry: Entry) -> tuple[str, str, str]:
    return entry["label"], entry["attack"], json.dumps(entry["probe"], sort_keys=True)


def _entry(
    rows: Sequence[Row], trials: Mapping[str, Row], success: float, confidence: float
) -> Entry:
    ids = {row["trial_id"]: row["seed"] for row in rows}
    first = rows[0]
    steps = sorted({row["step"] for row in rows})
    by_step = {step: [row for row in rows if row["step"] == step] for step in steps}
    start = {row["trial_id"]: row for row in by_step[steps[0]]}
    course = [_look(step, by_step[step], start, confidence) for step in steps]
    means = [look["attack_success"]["mean"] for look in course]
    took = means[0] is not None and means[0] >= success
    return {
        "defence_id": first["defence_id"],
        "attack_id": first["attack_id"],
        "attack": attack_label(trials[first["trial_id"]]["config"]["attack"]),
        "probe": {k.removeprefix("probe."): v for k, v in first.items() if k.startswith("probe.")},
        "clean_images": first["clean_images"],
        "seeds": sorted(ids.values()),
        "broken": sum(is_broken(trials[trial_id]) for trial_id in ids),
        "course": course,
        "took": took,
        "gone_after": _gone([look["epochs"] for look in course], means, success) if took else None,
    }


def _look(step: int, rows: Sequence[Row], start: Mapping[str, Row], confidence: float) -> Entry:
    """One entry of the course."""
    counted = [row["success"] / row["total"] for row in rows if row["total"]]
    changes = [
        row["clean_accuracy"] - start[row["trial_id"]]["clean_accuracy"]
        for row in rows
        if row["trial_id"] in start
    ]
    floor = [row["baseline_attack_success"] for row in rows]
    known = [value for value in floor if value is not None and value == value]
    return {
        "step": step,
        "epochs": rows[0]["images_seen"] / rows[0]["clean_images"],
        "attack_success": rate_interval(counted, confidence).plain(),
        "clean_change": mean_interval(changes, confidence).plain(),
        "clean_accuracy": sum(row["clean_accuracy"] for row in rows) / len(rows),
        "baseline_success": sum(known) / len(known) if known else None,
    }


def _gone(epochs: Sequence[float], means: Sequence[float | None], success: float) -> float | None:
    """The first epochs from which on every mean is below `success`."""
    found = None
    for after, mean in zip(reversed(epochs), reversed(means), strict=True):
        if mean is None or mean >= success:
            break
        found = after
    return found
