"""Do the poisoned training images make the backdoor, by the probe `influence`?

The influence of a training image on a triggered test image is below 0 where it helps the attacker
(Koh and Liang 2017, arXiv 1703.04730; *Backdoor Learning Curves*, arXiv 2106.07214, looks at the
seven of largest absolute value). The schema of what `influential` returns, fractions in [0, 1]:

    schema_version  1
    studies         one entry a poisoned trial and setting of the probe, in the ledger's order:
        trial_id, defence_id, label, attack_id, attack, seed
        probe_id, probe   the probe's name and settings
        tested          triggered test images that have influences; `without` have none, their
                        damped Hessian not being positive or no support vector being on the margin
        images          places in their lists of the most influential training images
        poisoned        how many of these places poisoned images hold, and `helping`, how many hold
                        poisoned images that help the attacker
        expected        the share that poisoned images would hold if influence did not depend on
                        poison: their share of the training set
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypedDict

from sweeps.analyses.trials import attack_label, points_of
from sweeps.records.influence_entry import InfluenceEntry
from sweeps.records.probe_row import ProbeRow
from sweeps.records.trial_row import TrialRow
from sweeps.storage.tables import table

SCHEMA_VERSION = 1
KIND = "influence"


class Influential(TypedDict):
    """What `influential` returns."""

    schema_version: int
    studies: list[InfluenceEntry]


def influential(trials: Iterable[TrialRow], results: Iterable[ProbeRow]) -> Influential:
    """Plain values; see the module for their schema. results: of all probes."""
    finished = {row.trial_id: row for row in trials if row.finished}
    labels = {point.defence_id: point.label for point in points_of(finished.values())}
    entries = []
    for result in results:
        row = finished.get(result.trial_id)
        if row is not None and not row.is_clean and result.kind == KIND and result.columns:
            entries.append(_entry(row, labels[row.defence_id], result))
    return {"schema_version": SCHEMA_VERSION, "studies": entries}


def _entry(row: TrialRow, label: str, result: ProbeRow) -> InfluenceEntry:
    columns: Mapping[str, Any] = result.columns
    names = ("test", "train", "influence", "poisoned")
    places = list(zip(*(columns[name] for name in names), strict=True))
    known = [place for place in places if place[1] >= 0]
    return {
        "trial_id": row.trial_id,
        "defence_id": row.defence_id,
        "label": label,
        "attack_id": row.attack_id,
        "attack": attack_label(row.config["attack"]),
        "seed": row.seed,
        "probe_id": result.probe_id,
        "probe": dict(result.probe),
        "tested": len({test for test, *_ in known}),
        "without": len(places) - len(known),
        "images": len(known),
        "poisoned": sum(poisoned for *_, poisoned in known),
        "helping": sum(1 for *_, value, poisoned in known if poisoned and value < 0),
        "expected": (row.poisoned or 0) / (row.train_images or 1),
    }


def influential_text(answer: Influential, width: int | None = None) -> str:
    """What `sweeps probe influence` prints. width: of the terminal, None for a file."""
    if not answer["studies"]:
        return (
            "No poisoned trial has a study of influence: sweeps resume DIR --probes '[influence]'"
        )
    head = ["trial", "point", "attack", "seed", "beta", "poisoned among the most influential"]
    rows = [
        [
            entry["trial_id"][:8],
            entry["label"],
            entry["attack"],
            str(entry["seed"]),
            f"{entry['probe']['beta']:g}",
            _share(entry),
        ]
        for entry in answer["studies"]
    ]
    return "\n".join(
        [
            table(head, rows, width),
            "",
            "Of the training images of largest absolute influence on triggered test images, how "
            "many are poisoned, how many of those help the attacker, and in brackets the share "
            "that chance would give them.",
        ]
    )


def _share(entry: InfluenceEntry) -> str:
    if not entry["images"]:
        return f"- ({entry['without']} test images without influences)"
    return (
        f"{entry['poisoned']} of {entry['images']}, {entry['helping']} helping "
        f"({100 * entry['expected']:.3g} %)"
    )
