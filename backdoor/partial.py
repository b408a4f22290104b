"""What is known of a trial while it trains: its curve so far, and what its counts are out of."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from backdoor.config import TrialConfig
    from backdoor.result import CurvePoint


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
