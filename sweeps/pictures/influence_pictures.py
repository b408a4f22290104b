"""The images behind a study of influence: triggered test images and what moved them most.

Studies have positions; the images are drawn again from the trial, which names them all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from backdoor.config import build_trial
from backdoor.datasets.source import load_source
from backdoor.errors import Mistake, UserError
from backdoor.trial import prepare
from sweeps.ledger import Ledger
from sweeps.records.influence_entry import InfluenceEntry
from sweeps.spec import SweepSpec
from sweeps.storage.paths import SweepPaths
from sweeps.storage.shell import command

Images = npt.NDArray[np.uint8]
#: Training images that are drawn beside a test image at most.
SHOWN = 12


@dataclass(frozen=True)
class Influencer:
    """A training image (c, h, w) uint8 as the model saw it, without augmentation.

    influence: derivative of the test image's loss, with the label that the attacker wants, by this
    image's weight. label: the one that it was trained with.
    """

    image: Images
    influence: float
    poisoned: bool
    label: str


@dataclass(frozen=True)
class Influenced:
    """A triggered test image (c, h, w) uint8, its true class, the wanted one, and the training
    images of largest absolute influence, `SHOWN` at most; empty where it has no influences."""

    image: Images
    truth: str
    target_labels: str
    by: tuple[Influencer, ...]


def one_probe_result(studies: Sequence[InfluenceEntry], trial: str | None) -> InfluenceEntry:
    """The entry of `influential` to draw: the first that has influences, or the one of the trial
    whose id begins so.

    Raises:
        UserError: there is no study, no trial with one begins so, or several do.
    """
    if not studies:
        rule, remedy = "needs a study of influence of a poisoned trial", "Ask for it first: {}."
        again = command("sweeps", "resume", "DIR", "--probes", "[influence]")
        raise UserError(Mistake("DIR", rule, "none", remedy.format(again)))
    found = [e for e in studies if trial is None or e["trial_id"].startswith(trial)]
    distinct = {entry["trial_id"] for entry in found}
    if not found or (trial is not None and len(distinct) > 1):
        rule = "must be the beginning of exactly one poisoned trial with a study of influence"
        remedy = f"{len(distinct)} trials match; without --trial and --out all are listed."
        raise UserError(Mistake("--trial", rule, trial or "", remedy))
    return next((entry for entry in found if entry["images"]), found[0])


def influenced_images(
    paths: SweepPaths, spec: SweepSpec, entry: InfluenceEntry, most: int
) -> list[Influenced]:
    """The first so many test images of a study, an entry of `influential`."""
    ledger = Ledger(paths.ledger)
    (row,) = (row for row in ledger.trials() if row.trial_id == entry["trial_id"])
    results = ledger.probe_results.rows(row.trial_id)
    (result,) = (found for found in results if found.probe_id == entry["probe_id"])
    config = build_trial(row.config, spec.data_root, spec.files)
    try:
        source = load_source(config.data)
    except UserError as error:
        raise error.inside("data") from None
    (member,), store = prepare([config], (), source)
    (triggered,) = member.triggered
    columns: Mapping[str, Any] = result.columns
    names = source.class_names
    found = []
    for test in list(dict.fromkeys(columns["test"]))[:most]:
        places = [i for i, own in enumerate(columns["test"]) if own == test]
        places = [i for i in places if columns["train"][i] >= 0][:SHOWN]
        train = np.array([columns["train"][i] for i in places], dtype=np.int64)
        pictures = store.uint8(member.train[train]).numpy()
        by = tuple(
            Influencer(
                picture, columns["influence"][i], bool(columns["poisoned"][i]),
                names[columns["label"][i]],
            )
            for picture, i in zip(pictures, places, strict=True)
        )  # fmt: skip
        image = store.uint8(triggered.rows[[test]]).numpy()[0]
        found.append(
            Influenced(
                image, names[triggered.truth[test]], names[triggered.target_labels[test]], by
            )
        )
    return found
