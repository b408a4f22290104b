"""From posteriors to answers: the probability that a point is inside, labels, and the expected F1.

Notation: n points, w attacks, s quadrature points; margins are logits, above 0 inside.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from scipy.special import log_ndtr, ndtr, ndtri
from scipy.stats import qmc

from sweeps.levelset.columns import Floats, Ints
from sweeps.levelset.model import Margins, Model
from sweeps.records.thresholds import MEDIAN

OUT, UNDECIDED, IN = -1, 0, 1
#: Probabilities below it count as 0 and are not computed any further.
NEGLIGIBLE = 1e-5


@functools.cache
def _uniform(axes: int, count: int) -> Floats:
    """Scrambled Sobol points strictly inside the unit cube, (count, axes); always the same."""
    drawn = qmc.Sobol(axes, scramble=True, rng=np.random.default_rng(0)).random(count)
    return np.asarray(np.clip(drawn, 1e-6, 1 - 1e-6), dtype=np.float64)


def probability(model: Model, points: Floats, chunk: int = 4096, fine: int = 64) -> Floats:
    """P(inside) at (n, d) points: clean accuracy holds and all attacks of the panel fail, (n,).

    fine: quadrature points of the integral over attacks; exact within 0.01 for 64, 0.04 for 16.
    """
    parts = [points[i : i + chunk] for i in range(0, len(points), chunk)]
    return np.concatenate([_probability(model, part, fine) for part in parts] or [np.zeros(0)])


def _probability(model: Model, points: Floats, fine: int) -> Floats:
    found = _median_probability(model, points, fine)
    if model.thresholds.target == MEDIAN:
        return found
    # Where so many seeds pass, so does the median seed: its probability is never the smaller one.
    likely = found > NEGLIGIBLE
    margins = model.margins(points[likely])
    share = share_probability(margins, model.noise, model.thresholds.seed_share)
    found[likely] = np.minimum(found[likely], share)
    return found


def _median_probability(model: Model, points: Floats, fine: int) -> Floats:
    """P(the median seed is inside), (n,), averaged over all alternative models. Many have a process
    in common, which is asked once."""
    alternatives = [(1 - sum(weight for weight, _ in model.others), model), *model.others]
    accurate, resisting = dict[tuple[int, int], Floats](), dict[int, Floats]()
    for _, alternative in alternatives:
        if (key := _clean_key(alternative)) not in accurate:
            accurate[key] = above_zero(alternative.clean_margin(alternative.clean.at(points)))
    likely = np.max(list(accurate.values()), axis=0) > NEGLIGIBLE
    found = np.zeros(len(points))
    for weight, alternative in alternatives:
        if (number := id(alternative.attack)) not in resisting:
            resisting[number] = orthant(*alternative.attack_margins(points[likely]), fine)
        found[likely] += weight * accurate[_clean_key(alternative)][likely] * resisting[number]
    return found


def _clean_key(model: Model) -> tuple[int, int]:
    """Equal for models that say the same of clean accuracy."""
    return id(model.clean), id(model.accuracy_threshold)


def above_zero(margin: tuple[Floats, Floats]) -> Floats:
    """P(above 0) of normal values, from their means and variances, (n,) each."""
    mean, variance = margin
    return np.asarray(ndtr(mean / np.sqrt(variance)), dtype=np.float64)


def joint_probability(margins: Margins) -> Floats:
    """P(all margins above 0), (n,)."""
    return np.asarray(above_zero(margins.clean) * orthant(*margins.attack), dtype=np.float64)


def orthant(mean: Floats, covariance: Floats, count: int = 64) -> Floats:
    """P(all of a Gaussian's entries above 0): means (n, w), covariances (n, w, w) to (n,).

    Sequential conditioning with `count` Sobol points (Genz 1992), where single entries do not
    decide it: the probability is at most that of each, and at least 1 less the sum of those that
    they fail.
    """
    width = mean.shape[1]
    places = np.arange(width)
    safe = covariance.copy()
    safe[:, places, places] += 1e-6
    alone = ndtr(mean / np.sqrt(safe[:, places, places]))
    found = alone.min(axis=1, initial=1.0)
    undecided = (found > NEGLIGIBLE) & ((1 - alone).sum(axis=1) > NEGLIGIBLE)
    if width > 1:
        found[undecided] = _genz(mean[undecided], np.linalg.cholesky(safe[undecided]), count)
    return np.asarray(found, dtype=np.float64)


def _genz(mean: Floats, root: Floats, count: int) -> Floats:
    """root: the lower Cholesky factors, (n, w, w)."""
    width = mean.shape[1]
    uniform = _uniform(width - 1, count)
    found = np.ones((len(mean), count))
    drawn = np.zeros((len(mean), count, width))
    for index in range(width):
        shifted = mean[:, index, None] + np.einsum(
            "nsv,nv->ns", drawn[:, :, :index], root[:, index, :index]
        )
        passing = ndtr(shifted / root[:, index, index, None])
        found *= passing
        if index < width - 1:
            quantile = 1 - passing * uniform[None, :, index]
            drawn[:, :, index] = ndtri(np.clip(quantile, 1e-12, 1 - 1e-12))
    return np.asarray(found.mean(axis=1), dtype=np.float64)


def share_probability(
    margins: Margins, noise: tuple[float, float], share: float, count: int = 256
) -> Floats:
    """P(at least `share` of the seeds pass all metrics), (n,). The noise of seeds is assumed to be
    independent between metrics, which is the cautious assumption. noise: of `Model`."""
    clean, (mean, covariance) = margins.clean, margins.attack
    width = mean.shape[1]
    normal = ndtri(_uniform(width + 1, count))
    safe = covariance.copy()
    safe[:, np.arange(width), np.arange(width)] += 1e-6
    attack = mean[:, None, :] + np.einsum("nvw,sw->nsv", np.linalg.cholesky(safe), normal[:, 1:])
    first = clean[0][:, None] + np.sqrt(clean[1])[:, None] * normal[None, :, 0]
    passing = log_ndtr(first / np.sqrt(noise[0])) + log_ndtr(attack / np.sqrt(noise[1])).sum(2)
    return np.asarray((passing >= np.log(share)).mean(axis=1), dtype=np.float64)


def labels(inside: Floats, confidence: float, least: float = 0.0) -> Ints:
    """IN, OUT or UNDECIDED for probabilities, (n,). least: the probability from which on a point is
    IN, where it is above `confidence`: see `sweeps.levelset.excursion_set.cutoff`."""
    found = np.full(len(inside), UNDECIDED, dtype=np.int64)
    found[inside >= max(confidence, least)] = IN
    found[inside <= 1 - confidence] = OUT
    return found


@dataclass(frozen=True)
class Summary:
    """Of evenly drawn points: fractions of the space that are IN and UNDECIDED, the expected
    fraction inside, and the F1 that is expected of the points with P(inside) >= 1/2."""

    inside: float
    undecided: float
    expected: float
    expected_f1: float


def summary(inside: Floats, confidence: float, least: float = 0.0) -> Summary:
    """What probabilities at evenly drawn points say of the whole space. least: as for `labels`."""
    found = labels(inside, confidence, least)
    chosen = inside >= 0.5
    mass = inside.sum()
    f1 = 2 * inside[chosen].sum() / (chosen.sum() + mass) if chosen.any() else 0.0
    return Summary(
        float((found == IN).mean()),
        float((found == UNDECIDED).mean()),
        float(mass / len(inside)),
        float(f1),
    )
