"""`run_pack`: trains and measures a pack of trials. The only entry that sweeps call."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
import torch

from backdoor.config import Attack, TrialConfig, measure_id
from backdoor.datasets.source import Source, load_source, split
from backdoor.engines import Fitted, Ids, Member, Triggered, classes_of, engine_of
from backdoor.engines import threads as using_threads
from backdoor.evaluate import CleanCounts, attack_counts, clean_counts, mean_cross_entropy
from backdoor.image_store.feature_store import FeatureStore
from backdoor.image_store.store import ImageStore
from backdoor.memory import Meter
from backdoor.poison import Poison, draw_poison, target_labels_of
from backdoor.probes import Probe
from backdoor.probes.record import probe_models
from backdoor.result import CurvePoint, Measurement, PartialResult, TrialResult
from backdoor.settings.digest import digest
from backdoor.triggers import Trigger
from backdoor.triggers.donors import DonorImages

OnTrained = Callable[[Fitted, Sequence[Member], ImageStore], None]
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
        members, store = prepare(configs, measures, source, device)
        classes = len(source.class_names)
        curves: dict[int, list[CurvePoint]] = {index: [] for index in range(len(members))}

        def on_epoch(epoch: int, fitted: Fitted) -> Collection[int]:
            gone: list[int] = []
            if epoch % curve_every:
                return gone
            for index, curve in curves.items():
                member = members[index]
                curve.append(_curve_point(epoch, fitted, index, member))
                if on_progress is not None and epoch < member.config.defence.epochs:
                    now = _partial(member, classes, source, tuple(curve), share.so_far, device)
                    gone += [index] if on_progress(now) else []
            for index in gone:
                del curves[index]
            share.part(len(curves))
            return gone

        engine = engine_of(configs[0])
        with Meter(device) as training:
            before = share.so_far
            fitted = engine.train(members, store, classes, on_epoch if curve_every else None)
        train_seconds = share.so_far - before  # by now, an accelerator has done what it was given
        fitted, members = _Kept(fitted, list(curves)), [members[index] for index in curves]
        results = [
            _result(member, index, fitted, classes, source, tuple(curve), device)
            for index, (member, curve) in enumerate(zip(members, curves.values(), strict=True))
        ]
        seconds = share.so_far
        if on_trained is not None:
            on_trained(fitted, members, store)
        studies = probe_models(probes, fitted, members, store, source)
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

    def predict(self, member: int, rows: Ids) -> Ids:
        return self.fitted.predict(self.numbers[member], rows)

    def scores(self, member: int, rows: Ids) -> torch.Tensor:
        return self.fitted.scores(self.numbers[member], rows)

    def state(self, member: int) -> dict[str, torch.Tensor]:
        return self.fitted.state(self.numbers[member])


# --- lanes: which rows of the bank each trial trains on and is measured on -------------------


@dataclass(frozen=True)
class TrialImages:
    """A trial's images by their number in the source, before the bank exists."""

    config: TrialConfig
    poison: Poison
    train: Ids
    validation: Ids
    test: Ids
    attacked: tuple[tuple[Attack, Ids], ...]
    donors: DonorImages

    def trigger(self, attack: Attack) -> Trigger:
        """What marks the images of this trial: equal ones are stamped once a pack."""
        return attack.trigger.for_seed(self.config.seed).lent(self.donors)

    def training_stamps(self) -> list[tuple[Trigger, Ids]]:
        """What marks which positions of the training set: the poisoned ones, and the covers."""
        if self.config.attack is None:
            return []
        trigger = self.trigger(self.config.attack)
        stamps = [(trigger, self.poison.positions)]
        if self.poison.covered:
            stamps.append((trigger.cover(self.donors), self.poison.covers))
        return stamps


def prepare(
    configs: Sequence[TrialConfig], measures: Sequence[Attack], source: Source, device: str = "cpu"
) -> tuple[list[Member], ImageStore]:
    """Draws splits and poison sets and gathers the images of a pack.

    Trials of equal seed and attack meet the same images, which are drawn once for all of them.
    """
    firsts = {(config.seed, config.attack): config for config in reversed(configs)}
    drawn = {key: _trial_images(config, measures, source) for key, config in firsts.items()}
    drafts = list(drawn.values())
    clean = np.concatenate([np.concatenate([d.train, d.validation, d.test]) for d in drafts])
    stamped: dict[Trigger, list[Ids]] = {}
    for trial_images in drafts:
        for stamp_pattern, positions in trial_images.training_stamps():
            stamped.setdefault(stamp_pattern, []).append(trial_images.train[positions])
        for attack, ids in trial_images.attacked:
            stamped.setdefault(trial_images.trigger(attack).for_test(), []).append(ids)
    target_labels = {trigger: np.concatenate(ids) for trigger, ids in stamped.items()}
    training = configs[0].training
    store = ImageStore(
        source, clean, target_labels, training.normalization, device, alone=len(configs) == 1
    )
    if training.features is not None:
        store = FeatureStore(store, training.features, np.unique(clean))
    members = {key: _member(trial_images, store, source) for key, trial_images in drawn.items()}
    return [replace(members[c.seed, c.attack], config=c) for c in configs], store


def _trial_images(config: TrialConfig, measures: Sequence[Attack], source: Source) -> TrialImages:
    parts = split(config.data, source, config.seed)
    classes = len(source.class_names)
    poison = draw_poison(source.labels[parts.train], config.attack, config.seed, classes)
    attacks = [config.attack.measure()] if config.attack else [a.measure() for a in measures]
    truth = source.labels[parts.test]
    attacked = tuple((a, parts.test[target_labels_of(truth, a, classes)[0]]) for a in attacks)
    pool = digest("others", [source.fingerprint, config.data.identity(), config.seed])
    donors = DonorImages(pool, config.seed, source.images, parts.train, parts.train)
    return TrialImages(config, poison, parts.train, parts.validation, parts.test, attacked, donors)


def _member(trial_images: TrialImages, store: ImageStore, source: Source) -> Member:
    train, labels = store.clean_rows(trial_images.train), source.labels
    classes = len(source.class_names)
    for stamp_pattern, positions in trial_images.training_stamps():
        train[positions] = store.stamped_rows(stamp_pattern, trial_images.train[positions])
    triggered = tuple(
        Triggered(
            a,
            store.stamped_rows(trial_images.trigger(a).for_test(), ids),
            labels[ids],
            target_labels_of(labels[ids], a, classes)[1],
        )
        for a, ids in trial_images.attacked
    )
    return Member(
        trial_images.config, trial_images.poison, train, trial_images.poison.labels,
        store.clean_rows(trial_images.validation), labels[trial_images.validation],
        store.clean_rows(trial_images.test), labels[trial_images.test], triggered,
    )  # fmt: skip


# --- results -----------------------------------------------------------------------------------


def _clean(fitted: Fitted, index: int, member: Member, classes: int) -> CleanCounts:
    if not member.config.defence.architecture.cross_entropy:
        return clean_counts(fitted.predict(index, member.test), member.test_labels, classes)
    logits = fitted.scores(index, member.test)
    counts = clean_counts(classes_of(logits), member.test_labels, classes)
    return replace(counts, loss=mean_cross_entropy(logits, member.test_labels))


def _curve_point(epoch: int, fitted: Fitted, index: int, member: Member) -> CurvePoint:
    correct = int((fitted.predict(index, member.test) == member.test_labels).sum())
    success = tuple(
        int((fitted.predict(index, t.rows) == t.target_labels).sum()) for t in member.triggered
    )
    validation = int((fitted.predict(index, member.validation) == member.validation_labels).sum())
    return CurvePoint(epoch, correct, success, validation)


def _partial(
    member: Member, classes: int, source: Source, curve: tuple[CurvePoint, ...], seconds: float,
    device: str,
) -> PartialResult:  # fmt: skip
    engine = engine_of(member.config)
    return PartialResult(
        member.config, engine.name, engine.version, source.fingerprint,
        len(member.train), member.poison.poisoned, member.poison.relabelled, len(member.validation),
        tuple(np.bincount(member.test_labels, minlength=classes).tolist()),
        {measure_id(t.attack): len(t.rows) for t in member.triggered},
        curve, seconds, device, _host(), member.poison.covered,
    )  # fmt: skip


def _result(
    member: Member, index: int, fitted: Fitted, classes: int, source: Source,
    curve: tuple[CurvePoint, ...], device: str,
) -> TrialResult:  # fmt: skip
    config, engine = member.config, engine_of(member.config)
    clean = _clean(fitted, index, member, classes)
    validation = fitted.predict(index, member.validation)
    measurements = []
    for t in member.triggered:
        counts = attack_counts(fitted.predict(index, t.rows), t.truth, t.target_labels)
        measurements.append(Measurement(measure_id(t.attack), **asdict(counts)))
    return TrialResult(
        config.trial_id, config.defence_id, config.attack_id, config.seed, config.canonical,
        engine.name, engine.version, source.fingerprint,
        len(member.train), member.poison.poisoned, member.poison.relabelled,
        int((validation == member.validation_labels).sum()), len(validation),
        clean.correct, clean.total, clean.collapsed, clean.diverged,
        tuple(measurements), curve, 0.0, device, _host(),
        trained_images=trained_images(config, len(member.train)), covers=member.poison.covered,
        clean_loss=clean.loss,
    )  # fmt: skip


def trained_images(config: TrialConfig, images: int, epochs: int | None = None) -> int:
    """Images that the model learned from, once for each epoch; a closed form sees each once."""
    if not config.defence.architecture.trained_by_epochs:
        return images
    return images * (config.defence.epochs if epochs is None else epochs)


def _host() -> str:
    return platform.node() or os.uname().nodename
