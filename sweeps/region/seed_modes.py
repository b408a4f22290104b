"""Whether the seeds of a sweep have two modes, in clean accuracy and in attack success."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sweeps.statistics.arrays import Floats
from sweeps.statistics.bimodality import Bimodality, bimodality
from sweeps.statistics.seed_bounds import Counts


@dataclass(frozen=True)
class SeedModes:
    """What the test says of clean accuracy and of attack success."""

    clean: Bimodality
    success: Bimodality

    @property
    def fired(self) -> bool:
        """Whether either has two modes."""
        return self.clean.fired or self.success.fired


#: Where nothing was tested.
ONE_MODE = SeedModes(Bimodality(0.0, 0.0, 0), Bimodality(0.0, 0.0, 0))


def seed_modes(
    clean: Sequence[Mapping[int, Counts]], success: Sequence[Mapping[int, Counts]]
) -> SeedModes:
    """The tests on counts by seed of many cells, a point under an attack each, all with the same
    seeds."""
    if not clean:
        return ONE_MODE
    return SeedModes(bimodality(*_arrays(clean)), bimodality(*_arrays(success)))


def _arrays(cells: Sequence[Mapping[int, Counts]]) -> tuple[Floats, Floats]:
    """Successes and totals, (cells, seeds) each."""
    both = np.array([list(counts.values()) for counts in cells], dtype=np.float64)
    return both[:, :, 0], both[:, :, 1]
