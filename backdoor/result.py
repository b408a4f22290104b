"""What comes of a trial: counts, never percentages. Plain values: reading them needs no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal

from backdoor.settings.digest import digest

if TYPE_CHECKING:
    from backdoor.config import TrialConfig

Value = float | int | str
Outcome = Literal["found", "nothing", "failed"]
#: A probe found something, had nothing to say about this kind of model, or raised.
FOUND: Outcome = "found"
NOTHING: Outcome = "nothing"
FAILED: Outcome = "failed"


@dataclass(frozen=True)
class ProbeRecord:
    """One probe on one trained model. columns: as in `ProbeResult`, empty unless `outcome` is
    found; error: why it failed; seconds: what it took."""

    probe: Mapping[str, Any]
    outcome: Outcome
    columns: Mapping[str, tuple[Value, ...]] = field(default_factory=dict)
    error: str | None = None
    seconds: float = 0.0


def probe_id(identity: Mapping[str, Any]) -> str:
    """The name of a probe with its settings: sixteen hex digits."""
    return digest("probe", dict(identity))


@dataclass(frozen=True)
class Measurement:
    """Attack success of one trigger on one model. `measure_id` names trigger, target and mode."""

    measure_id: str
    success: int
    robust: int
    total: int


@dataclass(frozen=True)
class CurvePoint:
    """The model after `epoch` epochs of a longer training: counts on the test set, and on the
    validation set, which rows of older releases lack."""

    epoch: int
    clean_correct: int
    success: tuple[int, ...]
    validation_correct: int | None = None


@dataclass(frozen=True)
class TrialResult:
    """One row of the ledger: what was trained, and what came of it. Counts, never percentages.

    seconds: the trial's share of all that its pack took; train_seconds: of the training alone.
    trained_images: images learned from, counted in every epoch. peak_memory: bytes that training
    the whole pack took at most (see `backdoor.memory.Meter`). covers: images that carry the
    mark and keep their label. clean_loss: mean cross-entropy on the clean test set, in nats, of
    what learns by it. studies: what probes found.
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
    """A trial after the epoch of its last curve point.

    validation_total, class_total and attack_total (images that count, by `measure_id`) are what
    the curve's counts are out of.
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
        """Epochs the model has been trained for."""
        return self.curve[-1].epoch

    def row(self) -> dict[str, Any]:
        """The columns of a finished result as plain values, those of an end left out: an
        unfinished model has totals and a curve, but no counts that anybody could average."""
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
