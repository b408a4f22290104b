"""Results of a trial: counts, never percentages. Plain values: reading them needs no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal

from backdoor.settings.digest import digest

if TYPE_CHECKING:
    from backdoor.config import TrialConfig

Value = float | int | str
Outcome = Literal["found", "nothing", "failed"]
#: A probe found something, does not apply to this model, or raised an error.
FOUND: Outcome = "found"
NOTHING: Outcome = "nothing"
FAILED: Outcome = "failed"


@dataclass(frozen=True)
class ProbeRecord:
    """One probe on one trained model.

    columns: as in `ProbeResult`, empty unless `outcome` is found. error: why it failed. seconds:
    how long it took.
    """

    probe: Mapping[str, Any]
    outcome: Outcome
    columns: Mapping[str, tuple[Value, ...]] = field(default_factory=dict)
    error: str | None = None
    seconds: float = 0.0


def probe_id(identity: Mapping[str, Any]) -> str:
    """The id of a probe with its settings: sixteen hex digits."""
    return digest("probe", dict(identity))


@dataclass(frozen=True)
class Measurement:
    """Attack success of one trigger on one model. measure_id: of trigger, target and label mode;
    success, robust and total: see `backdoor.evaluate.AttackCounts`."""

    measure_id: str
    success: int
    robust: int
    total: int


@dataclass(frozen=True)
class CurvePoint:
    """The model after `epoch` epochs: counts on the test set and the validation set.

    success: for each trigger that the model is measured with. validation_correct: None in rows of
    older releases.
    """

    epoch: int
    clean_correct: int
    success: tuple[int, ...]
    validation_correct: int | None = None


@dataclass(frozen=True)
class TrialResult:
    """One row of the ledger: what was trained, and its results. Counts, never percentages.

    seconds: the trial's share of the time of its pack; train_seconds: of the training alone.
    trained_images: images learned from, counted once for every epoch. peak_memory: bytes, the most
    that training the whole pack used (see `backdoor.memory.Meter`). covers: number of cover
    samples, which carry the trigger and keep their label. clean_loss: mean cross-entropy on the
    clean test set in nats, None if the model does not learn by it. studies: results of probes.
    """

    trial_id: str
    defence_id: str
    attack_id: str
    seed: int
    config: dict[str, Any]
    engine: str
    engine_version: int
    data_fingerprint: str
    train_images: int
    poisoned: int
    relabelled: int
    validation_correct: int
    validation_total: int
    class_correct: tuple[int, ...]
    class_total: tuple[int, ...]
    collapsed: bool
    diverged: bool
    measurements: tuple[Measurement, ...]
    curve: tuple[CurvePoint, ...]
    seconds: float
    device: str
    host: str
    train_seconds: float | None = None
    trained_images: int | None = None
    peak_memory: int | None = None
    covers: int | None = None
    clean_loss: float | None = None
    studies: tuple[ProbeRecord, ...] = ()

    def row(self) -> dict[str, Any]:
        """The result as plain values."""
        return asdict(self)


@dataclass(frozen=True)
class PartialResult:
    """A trial in training, after the epoch of its last curve point.

    validation_total, class_total (by class) and attack_total (by `measure_id`): numbers of images
    behind the counts of the curve. seconds: the trial's share of the time of its pack so far.
    """

    config: TrialConfig
    engine: str
    engine_version: int
    data_fingerprint: str
    train_images: int
    poisoned: int
    relabelled: int
    validation_total: int
    class_total: tuple[int, ...]
    attack_total: dict[str, int]
    curve: tuple[CurvePoint, ...]
    seconds: float
    device: str
    host: str
    covers: int = 0

    @property
    def epochs_run(self) -> int:
        """Number of epochs trained so far."""
        return self.curve[-1].epoch

    def row(self) -> dict[str, Any]:
        """The columns of `TrialResult` as plain values, without final counts: an unfinished model
        has totals and a curve, but no counts that may enter an average."""
        config, values = self.config, {f.name: getattr(self, f.name) for f in fields(self)}
        totals = values.pop("attack_total")
        return values | {
            "trial_id": config.trial_id,
            "defence_id": config.defence_id,
            "attack_id": config.attack_id,
            "seed": config.seed,
            "config": config.canonical,
            "curve": [asdict(point) for point in self.curve],
            "epochs_run": self.epochs_run,
            "trained_images": self.train_images * self.epochs_run,
            "measurements": [
                {"measure_id": name, "success": None, "robust": None, "total": total}
                for name, total in totals.items()
            ],
        }
