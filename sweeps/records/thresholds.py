"""What a point has to reach to be inside the region."""

from __future__ import annotations

from dataclasses import dataclass

MEDIAN, SHARE = "median", "share"
#: Target → the share of seeds that have to reach the thresholds.
SEED_SHARES = {MEDIAN: 0.5, SHARE: 0.9}


@dataclass(frozen=True, kw_only=True)
class Thresholds:
    """When a point is inside: clean accuracy at least `clean_accuracy` (or the best minus
    `below_best`), and every attack's success at most `attack_success`. Fractions in [0, 1].
    above_baseline: whether that is counted from the success of the clean baseline, of the same
    measure and seed at the same point; then `attack_success` is the x of `baseline + x`.
    confidence: of bounds, of IN and of OUT. target: of a region search, whether the `median` seed
    has to be inside, or a `share` (90 %) of the seeds."""

    clean_accuracy: float | None = None
    below_best: float | None = None
    attack_success: float
    confidence: float = 0.95
    target: str = MEDIAN
    above_baseline: bool = False

    @property
    def rule(self) -> str:
        """The clean accuracy asked for, as the spec writes it."""
        return (
            f"best - {self.below_best:g}"
            if self.clean_accuracy is None
            else f"{self.clean_accuracy:g}"
        )

    @property
    def attack_rule(self) -> str:
        """The attack success allowed, as the spec writes it."""
        return f"{'baseline + ' * self.above_baseline}{self.attack_success:g}"

    @property
    def seed_share(self) -> float:
        """The share of the seeds that have to be inside; 0.5 is the median seed."""
        return SEED_SHARES[self.target]
