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
        expected        the share that poisoned images would hold if influence did not know them:
                        their share of the training set
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from sweeps.analyses.trials import CLEAN, Row, attack_label, points_of
from sweeps.ledger import FINISHED, columns_of

SCHEMA_VERSION = 1
KIND = "influence"
Entry = dict[str, Any]


def influential(trials: Iterable[Row], studies: Iterable[Row]) -> Entry:
    """Rows of `Ledger.rows` and of the ledger's studies to plain values."""
    finished = {row["trial_id"]: row for row in trials if row["status"] == FINISHED}
    labels = {point.defence_id: point.label for point in points_of(finished.values())}
    entries = []
    for study in studies:
        probe, row = json.loads(study["probe"]), finished.get(study["trial_id"])
        if row is None or probe["kind"] != KIND or not study["columns"]:
            continue
        if row["attack_id"] != CLEAN:
            entries.append(_entry(row, labels[row["defence_id"]], study, probe))
    return {"schema_version": SCHEMA_VERSION, "studies": entries}


def _entry(row: Row, label: str, study: Row, probe: Mapping[str, Any]) -> Entry:
    columns = columns_of(study)
    places = list(
        zip(*(columns[c] for c in ("test", "train", "influence", "poisoned")), strict=True)
    )
    known = [place for place in places if place[1] >= 0]
    return {
        "trial_id": row["trial_id"],
        "defence_id": row["defence_id"],
        "label": label,
        "attack_id": row["attack_id"],
        "attack": attack_label(row["config"]["attack"]),
        "seed": row["seed"],
        "probe_id": study["probe_id"],
        "probe": dict(probe),
        "tested": len({test for test, *_ in known}),
        "without": len(places) - len(known),
        "images": len(known),
        "poisoned": sum(poisoned for *_, poisoned in known),
        "helping": sum(1 for *_, value, poisoned in known if poisoned and value < 0),
        "expected": row["poisoned"] / row["train_images"],
    }


def influential_text(answer: Entry) -> str:
    """What `sweeps probe influence` prints."""
    from sweeps.analyses.measures_text import table

    if not answer["studies"]:
        return (
            "No poisoned trial has a study of influence: sweeps resume DIR --probes '[influence]'"
        )
    head = ["trial", "point", "attack", "seed", "beta", "poisoned among the most influential"]
    rows = [
        [
            entry["trial_id"][:8], entry["label"], entry["attack"], str(entry["seed"]),
            f"{entry['probe']['beta']:g}", _share(entry),
        ]
        for entry in answer["studies"]
    ]  # fmt: skip
    return "\n".join(
        [
            table(head, rows),
            "",
            "Of the training images of largest absolute influence on triggered test images, how "
            "many are poisoned, how many of those help the attacker, and in brackets the share "
            "that chance would give them.",
        ]
    )


def _share(entry: Entry) -> str:
    if not entry["images"]:
        return f"- ({entry['without']} test images without influences)"
    return (
        f"{entry['poisoned']} of {entry['images']}, {entry['helping']} helping "
        f"({100 * entry['expected']:.3g} %)"
    )
