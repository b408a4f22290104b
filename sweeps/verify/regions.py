"""Regions that can be sampled: inside, near the border, outside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from sweeps.records.verification_file import FrozenRegion

INSIDE, BORDER, OUTSIDE = STRATA = ("inside", "border", "outside")
#: What counts as inside, the default first: of points that were tried, where `model` judges them
#: together by the errors that they share, and of a region search, whose model has a whole space.
MEANS, BOUNDS, MODEL = POINT_BASES = ("means", "bounds", "model")
VERDICT, PROBABILITY = MODEL_BASES = ("verdict", "probability")


@dataclass(frozen=True)
class Candidate:
    """A defence point by its active factors, as a trial's canonical form has them.

    probability: of being inside, as the region has it; passing: that the draw will pass as it is
    judged, by few seeds. None where the region has none.
    """

    defence: Mapping[str, Any]
    probability: float | None
    passing: float | None = None


class SampledRegion(Protocol):
    """A region whose three parts can be sampled, uniformly and independently."""

    @property
    def frozen(self) -> FrozenRegion:
        """All that makes it this region, as plain values."""
        ...

    @property
    def predicted(self) -> float | None:
        """The share of draws inside that are expected to pass; None where it is not known."""
        ...

    def sample(self, stratum: str, count: int, rng: np.random.Generator) -> list[Candidate]:
        """`count` points of a part; fewer, or none, where too little of it can be found."""
        ...
