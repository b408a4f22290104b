"""The region of a region search: every point of the space has a probability of being inside."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from scipy.special import expit

from backdoor.config import build_defence
from backdoor.streams import stream
from sweeps.ledger import Ledger
from sweeps.levelset.columns import Bools, Floats
from sweeps.levelset.encoding import SpaceDomain
from sweeps.levelset.excursion_set import cutoff
from sweeps.levelset.membership import IN, labels, probability
from sweeps.levelset.verdict_power import Verdicts, passing_verdict
from sweeps.region.model_region import POINTS
from sweeps.search.level_set import RegionSearch
from sweeps.spec import SweepSpec
from sweeps.verify.regions import BORDER, INSIDE, OUTSIDE, PROBABILITY, VERDICT, Candidate

#: Points looked at, at once and at most, to find those of a part.
BATCH, MOST = 1024, 2**17
#: Points inside from which it is predicted how many draws will pass.
PREDICTED_FROM = 512


class ModelRegion:
    """Where the model is as sure as the spec's confidence asks for.

    basis: `probability`, inside is all that `sweeps region` calls IN: P(inside) is the confidence,
    or more where points might be wrong together. Or `verdict`, the default: the part of it whose
    draws, judged by so many fresh seeds and counted on so many images, pass with that confidence.
    Outside is where P(inside) <= 1 - confidence.
    """

    def __init__(
        self, spec: SweepSpec, ledger: Ledger, target: str, seeds: int, basis: str | None = None
    ) -> None:
        search = RegionSearch(spec)
        search.tell(ledger.table())
        domain = search.optimizer.domain
        assert isinstance(domain, SpaceDomain)
        self._domain, self._known = domain, sorted(ledger.ended)
        self._confidence = spec.region.confidence
        self._model = search.optimizer.current()
        self._model = replace(
            self._model, thresholds=replace(self._model.thresholds, target=target)
        )
        known = search.optimizer.trials()
        totals = known.images, known.triggered
        # Nothing is inside where nothing is known: one image will do.
        counted = (total[total > 0] if total.any() else np.ones(1) for total in totals)
        images, triggered = (float(np.median(total)) for total in counted)
        self._verdicts = Verdicts(seeds, images, triggered)
        self._basis = basis or VERDICT
        self._least = self._cutoff()

    @property
    def frozen(self) -> dict[str, Any]:
        """The trials that the model was made from, which with the spec make it what it is."""
        model = self._model
        least = model.thresholds.clean_accuracy
        if least is None:
            least = float(expit(model.accuracy_threshold.mean + model.centre[0]))
        verdicts = {} if self._basis == PROBABILITY else {"verdict_seeds": self._verdicts.seeds}
        return {
            "kind": "model",
            "basis": self._basis,
            **verdicts,
            "confidence": self._confidence,
            "seeds": model.thresholds.seed_share,
            # Numerical libraries may differ in the last digits; the claim does not.
            "clean_accuracy": round(least, 6),
            "trials": self._known,
        }

    @property
    def predicted(self) -> float | None:
        """The share of draws inside that the model expects to pass; None where nothing is."""
        drawn = self.sample(INSIDE, PREDICTED_FROM, stream("verify-power", *self._known))
        chances = [c.passing for c in drawn if c.passing is not None]
        return sum(chances) / len(chances) if chances else None

    def sample(self, stratum: str, count: int, rng: np.random.Generator) -> list[Candidate]:
        """Points drawn evenly from the whole space, of which those of the part are kept."""
        found: list[Candidate] = []
        if stratum == INSIDE and np.isinf(self._least):
            return found  # no need to look for long
        for _ in range(MOST // BATCH):
            points = self._evenly(BATCH, rng)
            chance = probability(self._model, points)
            passing = passing_verdict(self._model, points, self._verdicts)
            for index in np.flatnonzero(self._part(stratum, chance, passing)).tolist():
                factors = build_defence(self._domain.decode(points[index])).active()
                known = round(float(chance[index]), 6), round(float(passing[index]), 6)
                found.append(Candidate(factors, *known))
            if len(found) >= count:
                break
        return found[:count]

    def _cutoff(self) -> float:
        """The least P(inside) that is IN, from the points that `sweeps region` looks at."""
        points = self._domain.sample(POINTS, seed=1)
        chance = probability(self._model, points)
        return cutoff(self._model, points, chance, self._confidence)

    def _part(self, stratum: str, chance: Floats, passing: Floats) -> Bools:
        inside: Bools = labels(chance, self._confidence, self._least) == IN
        if self._basis == VERDICT:
            inside &= passing >= self._confidence
        outside = chance <= 1 - self._confidence
        return {INSIDE: inside, OUTSIDE: outside, BORDER: ~inside & ~outside}[stratum]

    def _evenly(self, count: int, rng: np.random.Generator) -> Floats:
        """Independent points, each anywhere in the space with equal chance."""
        return self._domain.at(rng.random((count, self._domain.axes)))
