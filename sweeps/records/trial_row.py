"""A row of the ledger: one trial, what came of it, and where it was computed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from backdoor.result import CurvePoint, Measurement

FAILED, FINISHED, STOPPED = "failed", "finished", "stopped"
#: The `attack_id` of a clean baseline.
CLEAN = "clean"
#: How `reused_from` begins of a verification's training that was fed back; its id follows.
LEARNED = "verify/"


@dataclass(frozen=True)
class TrialRow:
    """One trial as the ledger has it. Counts are of images; what is not known is None.

    config: the canonical configuration. status: finished, stopped or failed; `error` says why one
    failed, and with what a finished clean baseline could not be measured; `stopped_by` what stopped
    one after `epochs_run` epochs. covers: images that carry the stamp and keep their label.
    class_correct, class_total: of the clean test set, by class; clean_loss: its mean cross-entropy
    in nats. collapsed: the model gives one class for nearly all images; diverged: its outputs are
    not finite. seconds: the trial's share of all that its pack took; train_seconds: of training
    alone; peak_memory: bytes, the most that training the pack took; cpus, gpus: what the pack held
    meanwhile. host: the machine, node_id: as Ray names it. Of a failed one: cause, one of
    `sweeps.records.failure.CAUSES`; failed_at, `file:line`; the traceback, and log, the last lines
    that it printed. predicted: the verdict that was certain before the end, and why (the column
    `foretold`); thresholds: that this verdict is about. source_digest: of the source of users'
    kinds that the trial was computed with. reused_from: id of the sweep that trained it, None for
    this one; `verify/ID` where a verification of this sweep did. finished_at: seconds since 1970.

    A stopped trial has a curve, and the numbers of images that its counts are out of, but no other
    counts: those of its measurements are None as well.
    """

    trial_id: str
    defence_id: str
    attack_id: str
    seed: int
    config: Mapping[str, Any]
    status: str
    error: str | None = None
    engine: str | None = None
    engine_version: int | None = None
    data_fingerprint: str | None = None
    train_images: int | None = None
    poisoned: int | None = None
    relabelled: int | None = None
    covers: int | None = None
    validation_correct: int | None = None
    validation_total: int | None = None
    class_correct: tuple[int, ...] = ()
    class_total: tuple[int, ...] = ()
    clean_loss: float | None = None
    collapsed: bool = False
    diverged: bool = False
    measurements: tuple[Measurement, ...] = ()
    curve: tuple[CurvePoint, ...] = ()
    epochs_run: int | None = None
    stopped_by: str | None = None
    pack_id: str | None = None
    seconds: float | None = None
    train_seconds: float | None = None
    trained_images: int | None = None
    peak_memory: int | None = None
    cpus: float | None = None
    gpus: float | None = None
    device: str | None = None
    host: str | None = None
    node_id: str | None = None
    cause: str | None = None
    failed_at: str | None = None
    traceback: str | None = None
    log: str | None = None
    predicted: str | None = None
    thresholds: str | None = None
    source_digest: str | None = None
    reused_from: str | None = None
    finished_at: float = 0.0

    @property
    def finished(self) -> bool:
        """Whether its final figures are known."""
        return self.status == FINISHED

    @property
    def is_clean(self) -> bool:
        """Whether it is a clean baseline, which no attack poisoned."""
        return self.attack_id == CLEAN

    @property
    def learned(self) -> bool:
        """Whether a verification trained it, beyond the budget of the search."""
        return self.reused_from is not None and self.reused_from.startswith(LEARNED)

    @property
    def broken(self) -> bool:
        """Whether its model collapsed or diverged: it says nothing about backdoors."""
        return self.collapsed or self.diverged

    @property
    def attack_success(self) -> float | None:
        """Of a finished poisoned trial, in [0, 1]: its first measurement; None without images."""
        first = self.measurements[0] if self.finished and self.measurements else None
        return first.success / first.total if first is not None and first.total else None

    @cached_property
    def clean_correct(self) -> int:
        """Clean test images that were classified correctly."""
        return sum(self.class_correct)

    @cached_property
    def clean_total(self) -> int:
        """Clean test images."""
        return sum(self.class_total)

    @property
    def epochs(self) -> int:
        """Epochs that were planned; 0 for closed forms."""
        return int(self.config["defence"].get("epochs", 0))

    @property
    def clean_accuracy(self) -> float | None:
        """In [0, 1]; None without images."""
        return self.clean_correct / self.clean_total if self.clean_total else None

    @property
    def validation_accuracy(self) -> float | None:
        """In [0, 1]; None without images."""
        if self.validation_correct is None or not self.validation_total:
            return None
        return self.validation_correct / self.validation_total


#: Field → its column of Parquet, where they differ: columns are promises to users.
COLUMNS = {"predicted": "foretold"}
