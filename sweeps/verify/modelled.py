"""The region of a region search: every point of the space has a probability of being inside."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from scipy.special import expit

from backdoor.config import build_defence
from sweeps.ledger import Ledger
from sweeps.levelset.columns import Bools, Floats
from sweeps.levelset.encoding import SpaceDomain
from sweeps.levelset.membership import probability
from sweeps.search.region import HALF, SHARE, RegionSearch
from sweeps.search.sobol import leaf_values
from sweeps.spec import SweepSpec
from sweeps.verify.regions import BORDER, INSIDE, OUTSIDE, Candidate

#: Points looked at, at once and at most, to find those of a part.
BATCH, MOST = 1024, 2**17


class ModelledRegion:
    """Inside where P(inside) >= the spec's confidence, outside where P <= 1 - confidence."""

    def __init__(self, spec: SweepSpec, ledger: Ledger, target: str) -> None:
        search = RegionSearch(spec)
        search.tell(ledger.table())
        domain = search.core.domain
        assert isinstance(domain, SpaceDomain)
        self._domain, self._known = domain, sorted(ledger.finished)
        self._confidence = spec.region.confidence
        self._model = search.core.current()
        seeds = SHARE if target == "share" else HALF
        self._model = replace(self._model, goal=replace(self._model.goal, seeds=seeds))

    @property
    def frozen(self) -> dict[str, Any]:
        """The trials that the model was made from, which with the spec make it what it is."""
        model = self._model
        level = model.level[0] + model.centre[0]
        least = model.goal.clean if model.goal.clean is not None else float(expit(level))
        return {
            "kind": "model",
            "basis": "probability",
            "confidence": self._confidence,
            "seeds": model.goal.seeds,
            # Numerical libraries may differ in the last digits; the claim does not.
            "clean_accuracy": round(least, 6),
            "trials": self._known,
        }

    def draw(self, stratum: str, count: int, draw: np.random.Generator) -> list[Candidate]:
        """Points drawn evenly from the whole space, of which those of the part are kept."""
        belongs = self._test(stratum)
        found: list[Candidate] = []
        for _ in range(MOST // BATCH):
            points = self._evenly(BATCH, draw)
            chance = probability(self._model, points)
            for index in np.flatnonzero(belongs(chance)).tolist():
                factors = build_defence(self._domain.decode(points[index])).active()
                found.append(Candidate(factors, round(float(chance[index]), 6)))
            self._domain.forget()
            if len(found) >= count:
                break
        return found[:count]

    def _test(self, stratum: str) -> Callable[[Floats], Bools]:
        high, low = self._confidence, 1 - self._confidence
        return {
            INSIDE: lambda chance: chance >= high,
            BORDER: lambda chance: (chance > low) & (chance < high),
            OUTSIDE: lambda chance: chance <= low,
        }[stratum]

    def _evenly(self, count: int, draw: np.random.Generator) -> Floats:
        """Independent points, each anywhere in the space with equal chance."""
        space = self._domain.space
        axes = 1 + max(len(branch.leaves) for branch in space.branches)
        units = draw.random((count, axes)).tolist()
        return np.array([self._domain.encode(*leaf_values(space, unit)) for unit in units])
