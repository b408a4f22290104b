"""The recorded trainings as trials of our own, after the bundled spec `learning-curves`."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import repeat
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from curves.draws import their_images, with_their_noise

from backdoor.config import Attack, TrialConfig, build_data, build_defence
from backdoor.datasets.source import load_source
from backdoor.engines import engine_of
from backdoor.errors import Mistake, UserError
from backdoor.probes import ProbedModel
from backdoor.probes.slope import Slope
from backdoor.trial import run_pack
from sweeps.packs.pack import PackSettings, make_packs
from sweeps.spec import load_spec

SPEC = "learning-curves"
ARCHITECTURES = {"svm": "linear_svm", "svm-rbf": "rbf_svm", "logistic": "logistic", "ridge": "ridge"}  # fmt: skip


class NotHad(Exception):  # noqa: N818 (a state of the world, no error)
    """A recorded file that cannot be trained here; says why."""


@dataclass(frozen=True)
class SetUp:
    """What is common to all files: the spec's attack and training, and where images come from.

    own: whether images and noise are sampled by our streams, as in `sweeps run learning-curves`;
    otherwise they are the authors' own, written to `scratch`.
    """

    root: Path
    attack: Attack
    document: Mapping[str, Any]
    training: Any
    scratch: Path
    own: bool = False
    _known: dict[tuple[int, int], Any] = field(default_factory=dict)

    @staticmethod
    def of(data_folder, scratch, own=False):
        root = mnist_root(data_folder)
        spec = load_spec(SPEC, [f"data.root={root}"])
        poisoned = next(attack for attack in spec.panel if attack.poison_rate)
        return SetUp(root, poisoned, spec.document["data"], spec.training, scratch, own)

    def trials(self, file):
        """The trial of each row of the file; `NotHad` where its images or its trigger are not."""
        if file.data != "mnist":
            raise NotHad(f"`{file.data}`: only raw MNIST pixels can be had, not the features of a "
                         "pretrained network that its recorded models were trained on")  # fmt: skip
        if file.trigger != "badnet" or file.size is None:
            raise NotHad(
                f"the trigger `{file.trigger}`: only `badnet`, a square of noise, is known"
            )
        data, patch = self.images(file.pair), replace(self.attack.trigger, size=file.size)
        attack = replace(self.attack, trigger=patch)
        attack = attack if self.own else with_their_noise(attack)
        return [
            TrialConfig(data, defence(file.learner, row, data.train), attack, self.training, row.seed)
            for row in file.rows
        ]  # fmt: skip

    def images(self, pair):
        if pair not in self._known:
            given = {**self.document, "root": str(self.root), "classes": list(pair)}
            data = build_data(given)
            self._known[pair] = data if self.own else their_images(data, self.scratch)
        return self._known[pair]


def defence(learner, row, n):
    """Their strength C as our weight decay: 1 / (n C) for every learner, n training images.

    SVC and LogisticRegression minimise C sum loss + |w|^2 / 2. The ridge's alpha is 1 / (2C), and
    ours is n weight_decay / 2. Their logistic regression (liblinear) decays the intercept as well,
    which ours leaves free.
    """
    kind = {"kind": ARCHITECTURES[learner]}
    if row.gamma is not None:
        kind["gamma"] = row.gamma
    return build_defence({"architecture": kind, "weight_decay": 1 / (n * row.c)})


def mnist_root(folder):
    """The folder that torchvision calls root: this one, or one above where it is MNIST or raw."""
    given = Path(folder).expanduser().resolve()
    for root in (given, *given.parents[:2]):
        if (root / "MNIST" / "raw").is_dir():
            return root
    raise UserError(Mistake("DATA", "must be a folder that holds MNIST/raw with the idx files", str(folder), "Point it at what torchvision calls root."))  # fmt: skip


@dataclass(frozen=True)
class Trained:
    """The result of one trial: accuracies on clean and triggered test images; the columns of its
    `slope`, where they were asked for."""

    clean: float
    backdoor: float
    slope: Mapping[str, Any] | None = None


def train(configs, workers, slopes=False):
    """trial_id → Trained of all trials, packs in several processes; with one worker in this one."""
    by_root = {}
    for config in configs:
        by_root.setdefault(config.data.root, []).append(config)
    packs = [
        p
        for root, some in by_root.items()
        for p in make_packs(some, PackSettings((), data_root=root))
    ]
    # The slowest first: the last one to end decides how long it takes.
    packs.sort(key=lambda pack: (engine_of(pack.trials[0]).name != "svm", -len(pack.trials)))
    found = {}
    if workers == 1:
        parts = [train_pack(pack, slopes) for pack in packs]
    else:
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
            parts = list(pool.map(train_pack, packs, repeat(slopes)))
    for part in parts:
        found |= part
    return found


def train_pack(pack, slopes):
    columns = {}

    def slope_of(fitted, members, store):
        source = load_source(members[0].config.data)
        for index, member in enumerate(members):
            found = Slope().study(ProbedModel(fitted, index, member, store, source))
            columns[member.config.trial_id] = {
                name: value[0] for name, value in found.columns.items()
            }

    found = {}
    for result in run_pack(pack.trials, on_trained=slope_of if slopes else None):
        (attack,) = result.measurements
        clean = sum(result.class_correct) / sum(result.class_total)
        slope = columns.get(result.trial_id)
        found[result.trial_id] = Trained(clean, attack.success / attack.total, slope)
    return found
