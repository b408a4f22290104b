"""The region of a region search: every point of the space has a probability of being inside."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from scipy.special import expit

from backdoor.config import build_defence
from backdoor.streams import stream
from sweeps.levelset.columns import Bools, Floats
from sweeps.levelset.excursion_set import cutoff
from sweeps.levelset.membership import IN, labels, probability
from sweeps.levelset.verdict_power import Verdicts, passing_verdict
from sweeps.records.verification_file import FrozenRegion
from sweeps.region.fitted_region import FittedRegion
from sweeps.verify.regions import BORDER, INSIDE, OUTSIDE, VERDICT, Candidate

#: Points that are tried, at once and at most, to find those of a part.
BATCH, MOST = 1024, 2**17
#: Points inside by which the share of draws that will pass is predicted.
PREDICTED_FROM = 512


class ModelRegion:
    """Where the model is as sure as the spec's confidence asks for.

    basis: `probability`, inside is all that `sweeps region` calls IN: P(inside) is the confidence,
    or more where points might be wrong together. Or `verdict`, the default: the part of it whose
    draws, judged by so many fresh seeds and counted on so many images, pass with that confidence.
    Outside is where P(inside) <= 1 - confidence. trials: ids that the model was fitted to.
    """

    def __init__(
        self,
        fitted: FittedRegion,
        trials: Iterable[str],
        target: str,
        seeds: int,
        basis: str | None = None,
    ) -> None:
        self._domain, self._known = fitted.domain, sorted(trials)
        self._confidence = fitted.spec.region.confidence
        model = fitted.search.model()
        self._model = replace(model, thresholds=replace(model.thresholds, target=target))
        known = fitted.search.trials()
        totals = known.images, known.triggered
        # Without any trial nothing is inside, and the number of images has no effect.
        counted = (total[total > 0] if total.any() else np.ones(1) for total in totals)
        images, triggered = (float(np.median(total)) for total in counted)
        self._verdicts = Verdicts(seeds, images, triggered)
        self._basis = basis or VERDICT
        chance = probability(self._model, fitted.points)
        self._least = cutoff(self._model, fitted.points, chance, self._confidence)

    @property
    def frozen(self) -> FrozenRegion:
        model = self._model
        least = model.thresholds.clean_accuracy
        if least is None:
            least = float(expit(model.accuracy_threshold.mean + model.centre[0]))
        frozen: FrozenRegion = {
            "kind": "model",
            "basis": self._basis,
            "confidence": self._confidence,
            "seeds": model.thresholds.seed_share,
            # Numerical libraries may differ in the last digits; the claim does not.
            "clean_accuracy": round(least, 6),
            "trials": self._known,
        }
        if self._basis == VERDICT:
            frozen["verdict_seeds"] = self._verdicts.seeds
        return frozen

    @property
    def predicted(self) -> float | None:
        """The share of draws inside that the model expects to pass; None without any."""
        drawn = self.sample(INSIDE, PREDICTED_FROM, stream("verify-power", *self._known))
        chances = [c.passing for c in drawn if c.passing is not None]
        return sum(chances) / len(chances) if chances else None

    def sample(self, stratum: str, count: int, rng: np.random.Generator) -> list[Candidate]:
        """Points drawn evenly from the whole space; those of the part are kept."""
        found: list[Candidate] = []
        if stratum == INSIDE and np.isinf(self._least):
            return found
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

    def _part(self, stratum: str, chance: Floats, passing: Floats) -> Bools:
        inside: Bools = labels(chance, self._confidence, self._least) == IN
        if self._basis == VERDICT:
            inside &= passing >= self._confidence
        outside = chance <= 1 - self._confidence
        return {INSIDE: inside, OUTSIDE: outside, BORDER: ~inside & ~outside}[stratum]

    def _evenly(self, count: int, rng: np.random.Generator) -> Floats:
        """Independent points, each anywhere in the space with equal chance."""
        return self._domain.at(rng.random((count, self._domain.axes)))
