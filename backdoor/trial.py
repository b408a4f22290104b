"""`run_pack`: trains and measures a pack of trials. The only entry point that sweeps call."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Collection, Iterable, Sequence
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
from backdoor.settings.users_errors import naming_users_code
from backdoor.trigger_users import TriggerUsers
from backdoor.triggers import Trigger
from backdoor.triggers.donors import DonorImages
from backdoor.triggers.stamping import derived, measured_form
from backdoor.working_on import working_on

OnTrained = Callable[[Fitted, Sequence[Member], ImageStore], None]
#: Called with a trial after an epoch; if it returns True, the trial is stopped.
OnProgress = Callable[[PartialResult], bool | None]


@naming_users_code()
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
        measures: attacks whose triggers clean baselines are measured with; a poisoned trial is
            measured with its own trigger. Poison rates have no effect here.
        curve_every: evaluate on test and validation set after every so many epochs; 0: never.
        device: as torch names it. threads: how many the numerical libraries may use.
        on_progress: called with every trial after each point of its curve except that of the last
            epoch. If it returns True, the trial is stopped. An exception ends the whole training.
        on_trained: called with the models and members of the trials that were not stopped, in the
            order of `configs`, before the models are freed.
        probes: run on every trained model; the seconds of a trial include its own probes.

    Returns:
        One result for each trial that was not stopped, in the order of `configs`. With engines that
        are `pack_invariant` it depends on the trial alone, not on its pack.
    """
    clock = _PackClock(len(configs))
    with using_threads(threads):
        source = load_source(configs[0].data)
        members, store = prepare(configs, measures, source, device)
        classes = len(source.class_names)
        curves: dict[int, list[CurvePoint]] = {index: [] for index in range(len(members))}

        def on_epoch(epoch: int, fitted: Fitted) -> Collection[int]:
            stopped: list[int] = []
            if epoch % curve_every:
                return stopped
            for index, curve in curves.items():
                member = members[index]
                curve.append(_curve_point(epoch, fitted, index, member))
                if on_progress is not None and epoch < member.config.defence.epochs:
                    now = _partial(member, classes, source, tuple(curve), clock.share, device)
                    stopped += [index] if on_progress(now) else []
            for index in stopped:
                del curves[index]
            clock.continue_with(len(curves))
            return stopped

        engine = engine_of(configs[0])
        with Meter(device) as training:
            before = clock.share
            fitted = engine.train(members, store, classes, on_epoch if curve_every else None)
        train_seconds = clock.share - before  # the accelerator has finished, see `Meter`
        fitted, members = _Remaining(fitted, list(curves)), [members[index] for index in curves]
        results = [
            _result(member, index, fitted, classes, source, tuple(curve), device)
            for index, (member, curve) in enumerate(zip(members, curves.values(), strict=True))
        ]
        seconds = clock.share
        if on_trained is not None:
            on_trained(fitted, members, store)
        probed = probe_models(probes, fitted, members, store, source)
    return [
        replace(
            result,
            seconds=seconds + sum(record.seconds for record in records),
            train_seconds=train_seconds,
            peak_memory=training.peak_memory,
            studies=records,
        )
        for result, records in zip(results, probed, strict=True)
    ]


class _PackClock:
    """Each trial's share of the seconds of its pack: they are divided by the number of trials that
    are still in training."""

    def __init__(self, trials: int) -> None:
        self._trials, self._sum, self._since = trials, 0.0, time.perf_counter()

    @property
    def share(self) -> float:
        """Seconds so far of a trial that is still in training."""
        passed = time.perf_counter() - self._since
        return self._sum + passed / max(1, self._trials)

    def continue_with(self, trials: int) -> None:
        """From now on, so many trials are in training."""
        self._sum, self._since, self._trials = self.share, time.perf_counter(), trials


@dataclass(frozen=True)
class _Remaining:
    """Models of the trials that were not stopped: member i is member `numbers[i]` of `fitted`."""

    fitted: Fitted
    numbers: list[int]

    def predict(self, member: int, rows: Ids) -> Ids:
        return self.fitted.predict(self.numbers[member], rows)

    def scores(self, member: int, rows: Ids) -> torch.Tensor:
        return self.fitted.scores(self.numbers[member], rows)

    def state(self, member: int) -> dict[str, torch.Tensor]:
        return self.fitted.state(self.numbers[member])


# --- members: which rows of the image store each trial trains on and is measured on ------------


@dataclass(frozen=True)
class TrialImages:
    """A trial's images by their numbers in the source, before there is an image store."""

    config: TrialConfig
    poison: Poison
    train: Ids
    validation: Ids
    test: Ids
    attacked: tuple[tuple[Attack, Ids], ...]
    donors: DonorImages

    def trigger(self, attack: Attack) -> Trigger:
        """The trigger of this trial's images; images of equal triggers are stamped once a pack."""
        seeded = derived(attack.trigger.for_seed, self.config.seed)
        return derived(seeded.lent, self.donors)

    def test_trigger(self, attack: Attack) -> Trigger:
        """The trigger of its test images."""
        return measured_form(attack.trigger, self.config.seed, self.donors)

    def training_stamps(self) -> list[tuple[Trigger, Ids]]:
        """Triggers and the positions in the training set that they stamp: of the poisoned images,
        and of the cover samples."""
        if self.config.attack is None:
            return []
        trigger = self.trigger(self.config.attack)
        stamps = [(trigger, self.poison.positions)]
        if self.poison.covered:
            stamps.append((derived(trigger.cover, self.donors), self.poison.covers))
        return stamps


def prepare(
    configs: Sequence[TrialConfig], measures: Sequence[Attack], source: Source, device: str = "cpu"
) -> tuple[list[Member], ImageStore]:
    """Draws splits and poison sets and gathers the images of a pack.

    Trials of equal seed and attack have the same images, which are drawn once for all of them.
    """
    firsts = {(config.seed, config.attack): config for config in reversed(configs)}
    same: dict[tuple[int, Attack | None], list[str]] = {key: [] for key in firsts}
    for config in configs:
        same[config.seed, config.attack].append(config.trial_id)
    images = {key: _trial_images(c, measures, source, same[key]) for key, c in firsts.items()}
    parts = [part for each in images.values() for part in (each.train, each.validation, each.test)]
    users = TriggerUsers(configs, measures)
    clean, stamped = np.concatenate(parts), _stamped_ids(images.values(), users)
    training, alone = configs[0].training, len(configs) == 1
    store = ImageStore(
        source, clean, stamped, training.normalization, device, alone, users.stamping
    )
    if training.features is not None:
        store = FeatureStore(store, training.features, np.unique(clean))
    members = {key: _member(each, store, source, users) for key, each in images.items()}
    return [replace(members[c.seed, c.attack], config=c) for c in configs], store


def _stamped_ids(images: Iterable[TrialImages], users: TriggerUsers) -> dict[Trigger, Ids]:
    """For each trigger, the numbers of the images that some trial needs stamped, (n,) int64."""
    found: dict[Trigger, list[Ids]] = {}

    def need(attack: Attack, trigger: Trigger, ids: Ids) -> None:
        found.setdefault(trigger, []).append(ids)
        users.note(attack, trigger)

    for of in images:
        if (own := of.config.attack) is not None:
            with users.working_for(own):
                for trigger, positions in of.training_stamps():
                    need(own, trigger, of.train[positions])
        for attack, ids in of.attacked:
            with users.working_for(attack):
                need(attack, of.test_trigger(attack), ids)
    return {trigger: np.concatenate(ids) for trigger, ids in found.items()}


def _trial_images(
    config: TrialConfig, measures: Sequence[Attack], source: Source, same: Sequence[str]
) -> TrialImages:
    """same: ids of the trials that have these images."""
    parts = split(config.data, source, config.seed)
    classes = len(source.class_names)
    with working_on(same):
        poison = draw_poison(source.labels[parts.train], config.attack, config.seed, classes)
    attacks = [config.attack.measure()] if config.attack else [a.measure() for a in measures]
    truth = source.labels[parts.test]
    attacked = tuple((a, parts.test[target_labels_of(truth, a, classes)[0]]) for a in attacks)
    name = digest("others", [source.fingerprint, config.data.identity(), config.seed])
    donors = DonorImages(name, config.seed, source.images, parts.train, parts.train)
    return TrialImages(config, poison, parts.train, parts.validation, parts.test, attacked, donors)


def _member(
    trial_images: TrialImages, store: ImageStore, source: Source, users: TriggerUsers
) -> Member:
    train, labels = store.clean_rows(trial_images.train), source.labels
    classes = len(source.class_names)
    if (own := trial_images.config.attack) is not None:
        with users.working_for(own):
            for trigger, positions in trial_images.training_stamps():
                train[positions] = store.stamped_rows(trigger, trial_images.train[positions])

    def triggered(attack: Attack, ids: Ids) -> Triggered:
        with users.working_for(attack):
            rows = store.stamped_rows(trial_images.test_trigger(attack), ids)
        return Triggered(
            attack, rows, labels[ids], target_labels_of(labels[ids], attack, classes)[1]
        )

    return Member(
        trial_images.config,
        trial_images.poison,
        train,
        trial_images.poison.labels,
        store.clean_rows(trial_images.validation),
        labels[trial_images.validation],
        store.clean_rows(trial_images.test),
        labels[trial_images.test],
        tuple(triggered(attack, ids) for attack, ids in trial_images.attacked),
    )


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
    member: Member,
    classes: int,
    source: Source,
    curve: tuple[CurvePoint, ...],
    seconds: float,
    device: str,
) -> PartialResult:
    engine = engine_of(member.config)
    return PartialResult(
        config=member.config,
        engine=engine.name,
        engine_version=engine.version,
        data_fingerprint=source.fingerprint,
        train_images=len(member.train),
        poisoned=member.poison.poisoned,
        relabelled=member.poison.relabelled,
        validation_total=len(member.validation),
        class_total=tuple(np.bincount(member.test_labels, minlength=classes).tolist()),
        attack_total={measure_id(t.attack): len(t.rows) for t in member.triggered},
        curve=curve,
        seconds=seconds,
        device=device,
        host=_host(),
        covers=member.poison.covered,
    )


def _result(
    member: Member,
    index: int,
    fitted: Fitted,
    classes: int,
    source: Source,
    curve: tuple[CurvePoint, ...],
    device: str,
) -> TrialResult:
    config, engine = member.config, engine_of(member.config)
    clean = _clean(fitted, index, member, classes)
    validation = fitted.predict(index, member.validation)
    measurements = []
    for t in member.triggered:
        counts = attack_counts(fitted.predict(index, t.rows), t.truth, t.target_labels)
        measurements.append(Measurement(measure_id(t.attack), **asdict(counts)))
    return TrialResult(
        trial_id=config.trial_id,
        defence_id=config.defence_id,
        attack_id=config.attack_id,
        seed=config.seed,
        config=config.canonical,
        engine=engine.name,
        engine_version=engine.version,
        data_fingerprint=source.fingerprint,
        train_images=len(member.train),
        poisoned=member.poison.poisoned,
        relabelled=member.poison.relabelled,
        validation_correct=int((validation == member.validation_labels).sum()),
        validation_total=len(validation),
        class_correct=clean.correct,
        class_total=clean.total,
        collapsed=clean.collapsed,
        diverged=clean.diverged,
        measurements=tuple(measurements),
        curve=curve,
        seconds=0.0,
        device=device,
        host=_host(),
        trained_images=trained_images(config, len(member.train)),
        covers=member.poison.covered,
        clean_loss=clean.loss,
    )


def trained_images(config: TrialConfig, images: int, epochs: int | None = None) -> int:
    """Images learned from, counted once for every epoch; learners that are solved count one."""
    if not config.defence.architecture.trained_by_epochs:
        return images
    return images * (config.defence.epochs if epochs is None else epochs)


def _host() -> str:
    return platform.node() or os.uname().nodename
