"""Clean accuracy over the defence space, attack success over defence times attack.

Rates enter as logits of counts, centred at their threshold and clipped symmetrically, so that the
sign of the mean says on which side of the threshold the median seed is, whatever the noise's size.

Notation: n points or rows of d columns, w attacks of the panel, m reference points. Counts are of
images; rates are fractions in [0, 1]; values, margins and centres are logits; noises and spreads
are variances of logits. Where a pair has one entry for each metric, clean accuracy is the first.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
from scipy.special import expit, logit

from sweeps.levelset.best_threshold import AccuracyThreshold, threshold_below_best
from sweeps.levelset.columns import Columns, Floats
from sweeps.levelset.gaussian_process import (
    Data,
    Hyperparameters,
    Prior,
    Process,
    fit,
    left_out,
)
from sweeps.levelset.model import CLIP, Model, Panel, Trials, spread_shape
from sweeps.levelset.model_averaging import (
    FEWEST,
    MIN_WEIGHT,
    AlternativeModel,
    as_binary_outcomes,
    binary_model,
    logit_model,
    weights,
)
from sweeps.records.thresholds import Thresholds

#: More rows than this would make an ask take too long, and add little.
LARGEST = 900


class Refit(NamedTuple):
    """Whether hyperparameters are fitted again, and if so from several starts."""

    refit: bool
    multi_start: bool


@dataclass
class Surrogate:
    """Fits models, each beginning where the last one ended.

    reference: points among which the best accuracy is searched, (m, d). hyperparameters,
    binary_hyperparameters: the last ones of both metrics, of the processes of logits and of those
    of binary outcomes. fitted, multi_started: rows when they were last fitted, and when from
    several starts.
    """

    columns: Columns
    panel: Panel
    thresholds: Thresholds
    reference: Floats
    prior: Prior = field(default_factory=Prior)
    hyperparameters: list[Hyperparameters | None] = field(default_factory=lambda: [None, None])
    binary_hyperparameters: list[Hyperparameters | None] = field(
        default_factory=lambda: [None, None]
    )
    fitted: int = 0
    multi_started: int = 0

    def fit(self, trials: Trials, rng: np.random.Generator) -> Model:
        """A model of these trials.

        Hyperparameters are fitted again once a tenth more is known, and from several starts once
        half as much more is: of 700 times, 4 found better ones there.
        """
        rows = len(trials)
        refit = rows >= 1.1 * self.fitted
        refitting = Refit(refit, refit and rows >= 1.5 * self.multi_started)
        self.fitted = rows if refitting.refit else self.fitted
        self.multi_started = rows if refitting.multi_start else self.multi_started
        accurate, attacked = trials.having(trials.images), trials.having(trials.triggered)
        centre = self._centre(accurate)
        limit = float(countable(self.thresholds.attack_success, largest_total(attacked.triggered)))
        clean = self._alternatives(0, self._clean_data(accurate, centre), centre, rng, refitting)
        attack = self._alternatives(1, self._attack_data(attacked), limit, rng, refitting)
        noise = (
            seed_variance(clean[0].process.hyperparameters, centre, accurate.images),
            seed_variance(attack[0].process.hyperparameters, limit, attacked.triggered),
        )
        unbroken = self._unbroken(clean[0].process, accurate, centre, rng)
        threshold = self._accuracy_threshold(unbroken, centre, rng)
        likeliest = clean[0].process, attack[0].process
        model = Model(self.thresholds, self.panel, *likeliest, (centre, limit), threshold, noise)
        return replace(model, others=tuple(alternative_models(model, clean, attack)))

    def _unbroken(
        self, clean: Process, trials: Trials, centre: float, rng: np.random.Generator
    ) -> Process:
        """Accuracy by the models that neither collapsed nor diverged, from which the best is taken:
        one broken model would lower it. It is `clean` where none is broken, or all are."""
        kept = trials.unbroken
        if len(kept) in (0, len(trials)) or self.thresholds.clean_accuracy is not None:
            return clean
        data = thinned(self._clean_data(kept, centre), rng)
        shape = expected_shape(*left_out(data, clean.hyperparameters), centre)
        data = replace(data, shape=shape)
        # The broken ones make seeds look as if they differed by much more.
        own = fit(data, self.prior, clean.hyperparameters, rng)
        return logit_model(data, own).process

    def _accuracy_threshold(
        self, clean: Process, centre: float, rng: np.random.Generator
    ) -> AccuracyThreshold:
        if self.thresholds.clean_accuracy is not None:
            return AccuracyThreshold()
        below = self.thresholds.below_best or 0.0
        return threshold_below_best(clean, self.reference, below, centre, rng)

    def _alternatives(
        self, which: int, data: Data, centre: float, rng: np.random.Generator, refitting: Refit
    ) -> list[AlternativeModel]:
        """The models of the clean (0) or the attack (1) metric: of logits, and of binary outcomes
        if it has one."""
        hyperparameters = self.hyperparameters[which] or fit(data, self.prior, None, rng)
        if len(data) > LARGEST:
            mean = Process.of(thinned(data, rng), hyperparameters).at(data.points).mean
            data = thinned(data, rng, np.abs(mean))
        # Seeds differ most where the rate is near one half. The rate is the one that the last model
        # predicts from all other trials: a seed's own value would make it look more certain.
        data = replace(data, shape=expected_shape(*left_out(data, hyperparameters), centre))
        if refitting.refit:
            hyperparameters = fit(data, self.prior, hyperparameters, rng, refitting.multi_start)
        self.hyperparameters[which] = hyperparameters
        return [
            logit_model(data, hyperparameters),
            *self._binary_outcomes(which, data, rng, refitting),
        ]

    def _binary_outcomes(
        self, which: int, data: Data, rng: np.random.Generator, refitting: Refit
    ) -> Iterator[AlternativeModel]:
        """The model of binary outcomes, where these tell of the median seed: not where accuracy has
        to be near the best, since the threshold then moves."""
        fixed = which == 1 or self.thresholds.clean_accuracy is not None
        if not fixed or len(data) < FEWEST:
            return
        binary, hyperparameters = as_binary_outcomes(data), self.binary_hyperparameters[which]
        if refitting.refit or hyperparameters is None:
            hyperparameters = fit(binary, self.prior, hyperparameters, rng, refitting.multi_start)
        self.binary_hyperparameters[which] = hyperparameters
        yield binary_model(binary, hyperparameters)

    def _centre(self, trials: Trials) -> float:
        """The logit at which accuracies are centred: the threshold, as far as it is known."""
        if self.thresholds.clean_accuracy is not None:
            return float(countable(self.thresholds.clean_accuracy, largest_total(trials.images)))
        trials = trials.unbroken
        rates = (trials.correct + 0.5) / (trials.images + 1)
        # Not the largest: it would follow from which single seed happened to be best.
        best = float(np.quantile(rates, 0.95)) if len(rates) else 0.9
        return float(logit(np.clip(best - (self.thresholds.below_best or 0.0), 1e-4, 1 - 1e-4)))

    def _clean_data(self, trials: Trials, centre: float) -> Data:
        fixed = self.thresholds.clean_accuracy
        at = countable(fixed, trials.images) if fixed is not None else np.full(len(trials), centre)
        values, known = centred(trials.correct, trials.images, at)
        return Data(self.columns, trials.points, values, known, np.zeros(len(trials)))

    def _attack_data(self, trials: Trials) -> Data:
        at = countable(self.thresholds.attack_success, trials.triggered)
        values, known = centred(trials.success, trials.triggered, at)
        points = self.panel.join(trials.points, trials.attacks)
        return Data(self.columns + self.panel.columns, points, values, known, np.zeros(len(trials)))


def thinned(data: Data, rng: np.random.Generator, far: Floats | None = None) -> Data:
    """At most `LARGEST` rows: half of them those least `far` from the threshold, which matter most,
    the others by chance. They are chosen by place, never by outcome, which leaves no bias."""
    if len(data) <= LARGEST:
        return data
    order = rng.permutation(len(data))
    near = order[:0] if far is None else np.argsort(far)[: LARGEST // 2]
    rest = order[~np.isin(order, near)][: LARGEST - len(near)]
    return data.take(np.sort(np.concatenate([near, rest])))


def countable(threshold: float, images: Floats) -> Floats:
    """A threshold as logits, one for each number of images that a rate may be counted on, (n,).

    Where it is 0 or 1, it lies between no hit and one hit, or between all and all but one: half a
    hit is added to every count, so that no hit at all would be above a threshold of 0.
    """
    nearest = np.clip(1 / (np.maximum(images, 0) + 1), 1e-4, 0.5)
    return np.asarray(logit(np.clip(threshold, nearest, 1 - nearest)), dtype=np.float64)


def largest_total(totals: Floats) -> Floats:
    """The largest total; infinite where there is none, so that every threshold is countable."""
    return np.asarray(totals.max(initial=0.0) or np.inf, dtype=np.float64)


def alternative_models(
    model: Model, clean: Sequence[AlternativeModel], attack: Sequence[AlternativeModel]
) -> Iterator[tuple[float, Model]]:
    """All pairs of processes but the first, of which `model` consists, with their weights."""
    pairs = zip(weights(clean), clean, strict=True), zip(weights(attack), attack, strict=True)
    for number, ((share, one), (other_share, other)) in enumerate(itertools.product(*pairs)):
        if number and share * other_share >= MIN_WEIGHT:
            centre = (
                0.0 if one.binary else model.centre[0],
                0.0 if other.binary else model.centre[1],
            )
            yield (
                float(share * other_share),
                replace(model, clean=one.process, attack=other.process, centre=centre),
            )


def seed_variance(hyperparameters: Hyperparameters, centre: float, totals: Floats) -> float:
    """Variance of one seed's logit at the threshold. A seed is judged by counts on finitely many
    images, so that counting adds to how seeds differ. totals: images, (n,)."""
    rate = float(expit(centre))
    counting = 1 / (float(np.median(totals)) * rate * (1 - rate)) if len(totals) else 0.0
    return float(hyperparameters.learned_noise(np.array([4 * rate * (1 - rate)]))[0]) + counting


def expected_shape(mean: Floats, variance: Floats, centre: float) -> Floats:
    """Means of `spread_shape` over normal logits, (n,), by Gauss-Hermite quadrature."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(7)
    values = mean[:, None] + np.sqrt(variance)[:, None] * nodes
    return np.asarray(spread_shape(values, centre) @ weights / weights.sum(), dtype=np.float64)


def centred(hits: Floats, total: Floats, centre: Floats) -> tuple[Floats, Floats]:
    """Logits of counts minus `centre`, clipped, and the variances of counting, (n,) each."""
    rates = (hits + 0.5) / (total + 1)
    values = np.clip(logit(rates) - centre, -CLIP, CLIP)
    return values, 1 / ((total + 1) * rates * (1 - rates))
