"""What a reader must know before believing a table of points: broken models, few test images."""

from __future__ import annotations

from collections.abc import Sequence

from sweeps.early_stopping.audit import sentence
from sweeps.records.region_file import PanelEntry, PointEntry, PredictionAudit
from sweeps.records.trial_row import TrialRow

#: Below so many triggered test images a seed, one image moves attack success by more than 5 %.
FEW_IMAGES = 20

#: When a model has collapsed (`backdoor.evaluate.CleanCounts.collapsed`).
COLLAPSED = (
    "a model that gives one class for at least 99 % of the clean test images (of a share q > 0.98 "
    "of images of this class: for at least (1 + q) / 2)"
)


def broken_seeds(rows: Sequence[TrialRow]) -> set[int]:
    """Seeds for which some model of the point collapsed or diverged."""
    return {row.seed for row in rows if row.broken}


def caveats(
    panel: Sequence[PanelEntry], points: Sequence[PointEntry], audit: PredictionAudit | None = None
) -> list[str]:
    """Sentences about the panel and the points of region.json, empty where there is nothing to
    say. audit: of predicted verdicts, where there were any."""
    predicted = [sentence(audit)] if audit and audit["stopped"] else []
    return [*_broken(points), *_few_images(panel, points), *predicted]


def met_without_learning(least: float | None, rows: Sequence[TrialRow]) -> list[str]:
    """A sentence where the clean accuracy asked for, in [0, 1], is no more than one answer for all
    images has: `best - x` asks for as little when no model has learnt anything."""
    counts = next((row.class_total for row in rows if row.class_total), None)
    if least is None or not counts or least > max(counts) / sum(counts):
        return []
    return [
        f"Clean accuracy >= {least:.3f} is met without learning: the same answer for every image "
        f"has {max(counts) / sum(counts):.3f}. This region is meaningless; train longer, or "
        "raise the threshold."
    ]


def _broken(points: Sequence[PointEntry]) -> list[str]:
    broken = [point["broken"] for point in points if point["broken"]]
    if not broken:
        return []
    models = "1 model" if sum(broken) == 1 else f"{sum(broken)} models"
    found = "1 defence point" if len(broken) == 1 else f"{len(broken)} defence points"
    return [
        f"{models} of {found} collapsed to one answer or diverged: such a point is never IN, and "
        "success or failure of an attack on such a model says nothing of the defence.",
        f"Collapsed is {COLLAPSED}; diverged is a model some of whose answers are not finite.",
    ]


def _few_images(panel: Sequence[PanelEntry], points: Sequence[PointEntry]) -> list[str]:
    numbers = {attack["attack_id"]: number for number, attack in enumerate(panel, 1)}
    images: dict[str, int] = {}
    for attack in (attack for point in points for attack in point["attacks"]):
        name = attack["attack_id"]
        images[name] = min(attack["images"], images.get(name, attack["images"]))
    few = [(name, count) for name, count in images.items() if count < FEW_IMAGES]
    return [
        f"Attack {numbers[name]} is measured on {count} triggered test image"
        f"{'' if count == 1 else 's'} of some seed, so its success has steps of 1/{count}."
        for name, count in few
    ]
