"""`run_pack`: trains and measures a pack of trials. The only entry that sweeps call."""

from __future__ import annotations

import functools
import os
import platform
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
import torch

from backdoor.accounting import Meter
from backdoor.config import Attack, TrialConfig
from backdoor.datasets.source import Source, load_source, split
from backdoor.engines import Fitted, Ids, Lane, Triggered, classes_of, engine_of
from backdoor.engines import threads as using_threads
from backdoor.evaluate import CleanCounts, attack_counts, clean_counts, mean_cross_entropy
from backdoor.image_store.feature_store import FeatureBank
from backdoor.image_store.store import Bank
from backdoor.partial import PartialResult
from backdoor.poison import Poison, draw_poison, wanted_labels
from backdoor.probes import Probe
from backdoor.probes.record import study_models
from backdoor.result import CurvePoint, Measurement, TrialResult
from backdoor.settings.digest import digest
from backdoor.triggers import Trigger
from backdoor.triggers.donors import Others

OnTrained = Callable[[Fitted, Sequence[Lane], Bank], None]
#: Told of a trial after an epoch; True trains it no further.
OnProgress = Callable[[PartialResult], bool | None]


def run_pack(
    configs: Sequence[TrialConfig],
    measures: Sequence[Attack] = (),
    *,
    curve_every: int = 0,
    device: str = "cpu",
    threads: int = 1,
    on_progress: OnProgress | None = None,
    on_trained: OnTrained | None = None,
    probes: Sequence[Probe] = (),
) -> list[TrialResult]:
    """Trains trials of equal `pack_key` together and measures them.

    Args:
        configs: the trials, distinct.
        measures: attacks whose triggers a clean baseline is measured with; a poisoned trial is
            measured with its own. Poison rates play no part here.
        curve_every: evaluate on test and validation set after every so many epochs; 0 never.
        device: as torch names it. threads: how many the numerical libraries may use.
        on_progress: called with every trial after each point of its curve but that of the last
            epoch. Where it answers True, the trial is trained no further. What it raises ends the
            training.
        on_trained: given the trained models, whose lane i is configs[i], or the i-th of those that
            were trained to their end, before they are let go.
        probes: studies of every trained model; a trial's seconds count its own studies.

    Returns:
        One result a trial, in the order of `configs`, of those trained to their end. It depends on
        the trial alone, not on the pack, for engines that are `pack_invariant`.
    """
    share = _Share(len(configs))
    with using_threads(threads):
        source = load_source(configs[0].data)
        lanes, bank = prepare(configs, measures, source, device)
        classes = len(source.class_names)
        curves: dict[int, list[CurvePoint]] = {index: [] for index in range(len(lanes))}

        def on_epoch(epoch: int, fitted: Fitted) -> Collection[int]:
            gone: list[int] = []
            if epoch % curve_every:
                return gone
            for index, curve in curves.items():
                lane = lanes[index]
                curve.append(_curve_point(epoch, fitted, index, lane))
                if on_progress is not None and epoch < lane.config.defence.epochs:
                    now = _partial(lane, classes, source, tuple(curve), share.so_far, device)
                    gone += [index] if on_progress(now) else []
            for index in gone:
                del curves[index]
            share.part(len(curves))
            return gone

        engine = engine_of(configs[0])
        grad = torch.no_grad() if engine.name != "serial" else torch.enable_grad()
        with grad, Meter(device) as training:
            before = share.so_far
            fitted = engine.train(lanes, bank, classes, on_epoch if curve_every else None)
        train_seconds = share.so_far - before  # by now, an accelerator has done what it was given
        fitted, lanes = _Kept(fitted, list(curves)), [lanes[index] for index in curves]
        results = [
            _result(lane, index, fitted, classes, source, tuple(curve), device)
            for index, (lane, curve) in enumerate(zip(lanes, curves.values(), strict=True))
        ]
        seconds = share.so_far
        if on_trained is not None:
            on_trained(fitted, lanes, bank)
        studies = study_models(probes, fitted, lanes, bank, source)
    return [
        replace(
            r, seconds=seconds + sum(record.seconds for record in found),
            train_seconds=train_seconds, peak_memory=training.peak_memory, studies=found,
        )
        for r, found in zip(results, studies, strict=True)
    ]  # fmt: skip


class _Share:
    """Each trial's share of the seconds that its pack has taken, while there are fewer and fewer
    trials to share them."""

    def __init__(self, trials: int) -> None:
        self._trials, self._sum, self._since = trials, 0.0, time.perf_counter()

    @property
    def so_far(self) -> float:
        """Seconds of a trial that is still in training."""
        passed = time.perf_counter() - self._since
        return self._sum + passed / max(1, self._trials)

    def part(self, trials: int) -> None:
        """From now on, so many trials are in training."""
        self._sum, self._since, self._trials = self.so_far, time.perf_counter(), trials


@dataclass(frozen=True)
class _Kept:
    """Models numbered anew: lane i of these is lane `numbers[i]` of those of `fitted`."""

    fitted: Fitted
    numbers: list[int]

    def predict(self, lane: int, rows: Ids) -> Ids:
        return self.fitted.predict(self.numbers[lane], rows)

    def scores(self, lane: int, rows: Ids) -> torch.Tensor:
        return self.fitted.scores(self.numbers[lane], rows)

    def state(self, lane: int) -> dict[str, torch.Tensor]:
        return self.fitted.state(self.numbers[lane])


# --- lanes: which rows of the bank each trial trains on and is measured on -------------------


@dataclass(frozen=True)
class _Draft:
    """A trial's images by their number in the source, before the bank exists."""

    config: TrialConfig
    poison: Poison
    train: Ids
    validation: Ids
    test: Ids
    attacked: tuple[tuple[Attack, Ids], ...]
    others: Others

    def trigger(self, attack: Attack) -> Trigger:
        """What marks the images of this trial: equal ones are stamped once a pack."""
        return attack.trigger.for_seed(self.config.seed).lent(self.others)

    def training_marks(self) -> list[tuple[Trigger, Ids]]:
        """What marks which positions of the training set: the poisoned ones, and the covers."""
        if self.config.attack is None:
            return []
        trigger = self.trigger(self.config.attack)
        marks = [(trigger, self.poison.positions)]
        if self.poison.covered:
            marks.append((trigger.cover(self.others), self.poison.covers))
        return marks


def prepare(
    configs: Sequence[TrialConfig], measures: Sequence[Attack], source: Source, device: str = "cpu"
) -> tuple[list[Lane], Bank]:
    """Draws splits and poison sets and gathers the images of a pack.

    Trials of equal seed and attack meet the same images, which are drawn once for all of them.
    """
    firsts = {(config.seed, config.attack): config for config in reversed(configs)}
    drawn = {key: _draft(config, measures, source) for key, config in firsts.items()}
    drafts = list(drawn.values())
    clean = np.concatenate([np.concatenate([d.train, d.validation, d.test]) for d in drafts])
    stamped: dict[Trigger, list[Ids]] = {}
    for draft in drafts:
        for mark, positions in draft.training_marks():
            stamped.setdefault(mark, []).append(draft.train[positions])
        for attack, ids in draft.attacked:
            stamped.setdefault(draft.trigger(attack).for_test(), []).append(ids)
    wanted = {trigger: np.concatenate(ids) for trigger, ids in stamped.items()}
    training = configs[0].training
    bank = Bank(source, clean, wanted, training.normalization, device, alone=len(configs) == 1)
    if training.features is not None:
        bank = FeatureBank(bank, training.features, np.unique(clean))
    lanes = {key: _lane(draft, bank, source) for key, draft in drawn.items()}
    return [replace(lanes[c.seed, c.attack], config=c) for c in configs], bank


def _draft(config: TrialConfig, measures: Sequence[Attack], source: Source) -> _Draft:
    parts = split(config.data, source, config.seed)
    classes = len(source.class_names)
    poison = draw_poison(source.labels[parts.train], config.attack, config.seed, classes)
    attacks = [config.attack.measure()] if config.attack else [a.measure() for a in measures]
    truth = source.labels[parts.test]
    attacked = tuple((a, parts.test[wanted_labels(truth, a, classes)[0]]) for a in attacks)
    pool = digest("others", [source.fingerprint, config.data.identity(), config.seed])
    others = Others(pool, config.seed, source.images, parts.train, parts.train)
    return _Draft(config, poison, parts.train, parts.validation, parts.test, attacked, others)


def _lane(draft: _Draft, bank: Bank, source: Source) -> Lane:
    train, labels = bank.clean_rows(draft.train), source.labels
    classes = len(source.class_names)
    for mark, positions in draft.training_marks():
        train[positions] = bank.stamped_rows(mark, draft.train[positions])
    triggered = tuple(
        Triggered(
            a,
            bank.stamped_rows(draft.trigger(a).for_test(), ids),
            labels[ids],
            wanted_labels(labels[ids], a, classes)[1],
        )
        for a, ids in draft.attacked
    )
    return Lane(
        draft.config, draft.poison, train, draft.poison.labels,
        bank.clean_rows(draft.validation), labels[draft.validation],
        bank.clean_rows(draft.test), labels[draft.test], triggered,
    )  # fmt: skip


# --- results -----------------------------------------------------------------------------------


@functools.lru_cache(maxsize=1024)
def measure_id(attack: Attack) -> str:
    """The name of what a measurement measures: trigger, target and label mode."""
    return digest("measure", attack.measure_identity())


def _clean(fitted: Fitted, index: int, lane: Lane, classes: int) -> CleanCounts:
    if not lane.config.defence.architecture.cross_entropy:
        return clean_counts(fitted.predict(index, lane.test), lane.test_labels, classes)
    logits = fitted.scores(index, lane.test)
    counts = clean_counts(classes_of(logits), lane.test_labels, classes)
    return replace(counts, loss=mean_cross_entropy(logits, lane.test_labels))


def _curve_point(epoch: int, fitted: Fitted, index: int, lane: Lane) -> CurvePoint:
    correct = int((fitted.predict(index, lane.test) == lane.test_labels).sum())
    success = tuple(int((fitted.predict(index, t.rows) == t.wanted).sum()) for t in lane.triggered)
    validation = int((fitted.predict(index, lane.validation) == lane.validation_labels).sum())
    return CurvePoint(epoch, correct, success, validation)


def _partial(
    lane: Lane, classes: int, source: Source, curve: tuple[CurvePoint, ...], seconds: float,
    device: str,
) -> PartialResult:  # fmt: skip
    engine = engine_of(lane.config)
    return PartialResult(
        lane.config, engine.name, engine.version, source.fingerprint,
        len(lane.train), lane.poison.poisoned, lane.poison.relabelled, len(lane.validation),
        tuple(np.bincount(lane.test_labels, minlength=classes).tolist()),
        {measure_id(t.attack): len(t.rows) for t in lane.triggered},
        curve, seconds, device, _host(), lane.poison.covered,
    )  # fmt: skip


def _result(
    lane: Lane, index: int, fitted: Fitted, classes: int, source: Source,
    curve: tuple[CurvePoint, ...], device: str,
) -> TrialResult:  # fmt: skip
    config, engine = lane.config, engine_of(lane.config)
    clean = _clean(fitted, index, lane, classes)
    validation = fitted.predict(index, lane.validation)
    measurements = []
    for t in lane.triggered:
        counts = attack_counts(fitted.predict(index, t.rows), t.truth, t.wanted)
        measurements.append(Measurement(measure_id(t.attack), **asdict(counts)))
    return TrialResult(
        config.trial_id, config.defence_id, config.attack_id, config.seed, config.canonical,
        engine.name, engine.version, source.fingerprint,
        len(lane.train), lane.poison.poisoned, lane.poison.relabelled,
        int((validation == lane.validation_labels).sum()), len(validation),
        clean.correct, clean.total, clean.collapsed, clean.diverged,
        tuple(measurements), curve, 0.0, device, _host(),
        trained_images=trained_images(config, len(lane.train)), covers=lane.poison.covered,
        clean_loss=clean.loss,
    )  # fmt: skip


def trained_images(config: TrialConfig, images: int, epochs: int | None = None) -> int:
    """Images that the model learned from, once for each epoch; a closed form sees each once."""
    if "epochs" in config.defence.architecture.inactive:
        return images
    return images * (config.defence.epochs if epochs is None else epochs)


def _host() -> str:
    return platform.node() or os.uname().nodename
