"""The images behind the probe `influence`: triggered test images and what moved them most.

Results have positions only. The images are made again from the trial's configuration.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from backdoor.config import build_trial
from backdoor.datasets.source import load_source
from backdoor.errors import Mistake, UserError
from backdoor.trial import prepare
from sweeps.ledger import Ledger
from sweeps.records.influence_entry import InfluenceEntry
from sweeps.records.probe_row import ProbeRow
from sweeps.spec import SweepSpec
from sweeps.storage.paths import SweepPaths
from sweeps.storage.shell import command

Images = npt.NDArray[np.uint8]
Ids = npt.NDArray[np.int64]
#: Training images that are shown beside a test image at most.
SHOWN = 12


@dataclass(frozen=True)
class Influencer:
    """A training image (c, h, w) uint8 as the model saw it, without augmentation.

    influence: derivative of the test image's loss, with the label that the attacker wants, by this
    image's weight. label: the class name that it was trained with.
    """

    image: Images
    influence: float
    poisoned: bool
    label: str


@dataclass(frozen=True)
class Influenced:
    """A triggered test image (c, h, w) uint8 and the training images of largest absolute influence.

    truth, target: names of its true class and of the one that the attacker wants. by: at most
    `SHOWN` training images; empty where the probe found no influences.
    """

    image: Images
    truth: str
    target: str
    by: tuple[Influencer, ...]


def one_probe_result(results: list[InfluenceEntry], trial: str | None) -> InfluenceEntry:
    """The entry of `influential` to draw: the first that has influences, or the one of the trial
    whose id begins with `trial`.

    Raises:
        UserError: there are no results, or not exactly one trial's id begins so.
    """
    if not results:
        rule, remedy = "needs influences of a poisoned trial", "Ask for the probe first: {}."
        again = command("sweeps", "resume", "DIR", "--probes", "[influence]")
        raise UserError(Mistake("DIR", rule, "none", remedy.format(again)))
    found = [e for e in results if trial is None or e["trial_id"].startswith(trial)]
    distinct = {entry["trial_id"] for entry in found}
    if not found or (trial is not None and len(distinct) > 1):
        rule = "must be the beginning of exactly one poisoned trial with influences"
        remedy = f"{len(distinct)} trials match; without --trial and --out all are listed."
        raise UserError(Mistake("--trial", rule, trial or "", remedy))
    return next((entry for entry in found if entry["images"]), found[0])


def influenced_images(
    paths: SweepPaths, spec: SweepSpec, entry: InfluenceEntry, most: int
) -> list[Influenced]:
    """The first `most` test images of one probe result, an entry of `influential`."""
    ledger = Ledger(paths.ledger)
    trial_id, probe_id = entry["trial_id"], entry["probe_id"]
    (row,) = (row for row in ledger.trials() if row.trial_id == trial_id)
    results = ledger.probe_results.rows(trial_id)
    (found,) = (result for result in results if result.probe_id == probe_id)
    config = build_trial(dict(row.config), spec.data_root, spec.files)
    try:
        source = load_source(config.data)
    except UserError as error:
        raise error.inside("data") from None
    (member,), store = prepare([config], (), source)
    (triggered,) = member.triggered
    names, tests = source.class_names, _ints(found, "test")
    shown = []
    for test in list(dict.fromkeys(tests))[:most]:
        places = [place for place, own in enumerate(tests) if own == test]
        image = store.uint8(triggered.rows[[test]]).numpy()[0]
        truth, target = names[triggered.truth[test]], names[triggered.target_labels[test]]
        by = _moved_by(found, places, names, lambda ids: store.uint8(member.train[ids]).numpy())
        shown.append(Influenced(image, truth, target, by))
    return shown


def _moved_by(
    found: ProbeRow, places: Sequence[int], names: Sequence[str], images: Callable[[Ids], Images]
) -> tuple[Influencer, ...]:
    """The training images at these places of the probe's columns, `SHOWN` at most.

    images: training images (n, c, h, w) uint8 by their positions (n,); -1 is none.
    """
    train, poisoned, labels = (_ints(found, name) for name in ("train", "poisoned", "label"))
    influences = found.columns["influence"]
    places = [place for place in places if train[place] >= 0][:SHOWN]
    pictures = images(np.array([train[place] for place in places], dtype=np.int64))
    return tuple(
        Influencer(picture, float(influences[at]), bool(poisoned[at]), names[labels[at]])
        for picture, at in zip(pictures, places, strict=True)
    )


def _ints(found: ProbeRow, column: str) -> list[int]:
    return [int(value) for value in found.columns[column]]
