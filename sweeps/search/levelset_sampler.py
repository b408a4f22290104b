"""A sampler for plain Optuna studies that searches where thresholds hold, not for the best point.

sampler = LevelSetSampler(thresholds=[0.9], seed=0)
study = optuna.create_study(direction="maximize", sampler=sampler)
study.optimize(objective, n_trials=80)      # may also call trial.set_constraint(name, value)
region = sampler.region(study)
region.probability({"lr": 0.01, "weight_decay": 0.001}), region.shares()
"""

from __future__ import annotations

import json
import logging
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from sweeps.levelset.columns import Floats
from sweeps.levelset.gaussian_process import Hyperparameters
from sweeps.levelset.plain import PlainModel, fit_plain
from sweeps.search.distributions import ParameterDomain, value_at
from sweeps.search.study_region import (
    StudyRegion,
    complete,
    margins_of,
    readings_of,
    space_of,
)

_logger = logging.getLogger(__name__)
#: The attribute in which running trials leave their parameters for other processes, since Optuna
#: stores each only once it has been suggested. A value has fewer than 2,046 characters.
SHARED, MOST_CHARACTERS = "levelset:params", 2000
#: The share of trials that explore at random: they guard against a model that is wrong.
RANDOM_EXPLORATION = 0.1
#: Points drawn for a proposal; of them, references and candidates.
POOL, REFERENCES, CANDIDATES = 2048, 700, 300


class LevelSetSampler(BaseSampler):
    """Proposes parameters where it is least certain whether all thresholds hold.

    A set of parameters is inside where every objective with a threshold is at or beyond it (at
    least it when maximizing, at most it when minimizing) and every constraint that the objective
    function sets by `trial.set_constraint` is 0 or less. Values may be noisy; the noise is learned.
    Running trials of this and of other processes are taken into account, so are failed and pruned
    ones, so that nothing is tried twice; constraints of pruned trials count. Trials depend on the
    seed, on their number and on what the storage holds, so processes may share a seed.

    Args:
        thresholds: one for each objective, None where there is none; a number if there is one
            objective. Not needed where there are constraints.
        seed: of all random numbers.
        n_startup_trials: how many complete trials the initial (space-filling) design has.
        confidence: of IN and OUT, in (0.5, 1).
        independent_sampler: for parameters of the first trial, and for those whose condition is not
            learned; evenly at random by default.
        warn_independent_sampling: whether to log when that happens after the start.
    """

    def __init__(
        self,
        *,
        thresholds: float | Sequence[float | None] | None = None,
        seed: int | None = None,
        n_startup_trials: int = 12,
        confidence: float = 0.95,
        independent_sampler: BaseSampler | None = None,
        warn_independent_sampling: bool = True,
    ) -> None:
        if not 0.5 < confidence < 1:
            raise ValueError(f"`0.5 < confidence < 1` must hold, but got {confidence}.")
        if n_startup_trials < 1:
            raise ValueError(f"`n_startup_trials >= 1` must hold, but got {n_startup_trials}.")
        single = isinstance(thresholds, (int, float))
        given = [thresholds] if single else list(thresholds or ())  # type: ignore[arg-type]
        self._thresholds: tuple[float | None, ...] = tuple(given)  # type: ignore[arg-type]
        if any(t is not None and not np.isfinite(t) for t in self._thresholds):
            raise ValueError(f"`thresholds` must be finite or None, but got {thresholds}.")
        self._seed = seed
        self._design_seed = _entropy() if seed is None else seed
        self._startup, self._confidence = n_startup_trials, confidence
        self._independent = independent_sampler
        self._warn = warn_independent_sampling
        self._fitted: tuple[Any, int, list[Hyperparameters]] | None = None

    # --- the answer -------------------------------------------------------------------------

    def region(self, study: Study) -> StudyRegion:
        """Where all thresholds hold, as far as the study's complete trials tell.

        Any study will do, whichever sampler ran it.
        """
        known = complete(study.get_trials(deepcopy=False))
        if not known:
            raise ValueError("The study must have a complete trial, but it has none.")
        domain = ParameterDomain(space_of(known), known)
        if not domain.space:
            raise ValueError("The study must vary a parameter, but it varies none.")
        metrics = margins_of(study, known, self._thresholds)
        model = fit_plain(domain.columns, readings_of(domain, metrics), np.random.default_rng(0))
        return StudyRegion(domain, model, tuple(metrics), self._confidence)

    # --- what Optuna asks -------------------------------------------------------------------

    def reseed_rng(self) -> None:
        self._seed = None
        if self._independent is not None:
            self._independent.reseed_rng()

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        return space_of(complete(study.get_trials(deepcopy=False)))

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        if not search_space:
            return {}
        trials = study.get_trials(deepcopy=False)
        known = complete(trials)
        domain = ParameterDomain(search_space, known)
        if not domain.space:
            return {}
        others = [t for t in trials if t.number != trial.number]
        params = self._propose(study, trial.number, domain, others)
        self._share(study, trial, params)
        return params

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        if self._warn and not param_distribution.single():
            states = (TrialState.COMPLETE,)
            if len(study.get_trials(deepcopy=False, states=states)) >= self._startup:
                _logger.warning(
                    f"The parameter `{param_name}` of trial {trial.number} is drawn on its own: no "
                    "parameter of the trials so far says when it exists, or its range has changed. "
                    "`warn_independent_sampling=False` silences this."
                )
        if self._independent is not None:
            return self._independent.sample_independent(
                study, trial, param_name, param_distribution
            )
        rng = self._rng(trial.number, zlib.crc32(param_name.encode()))
        return value_at(param_distribution, float(rng.random()))

    def _rng(self, *key: int) -> np.random.Generator:
        """A generator for one trial. There is no common state: processes may share a seed."""
        return np.random.default_rng(None if self._seed is None else [self._seed, *key])

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        if self._independent is not None:
            self._independent.before_trial(study, trial)

    def after_trial(
        self,
        study: Study,
        trial: FrozenTrial,
        state: TrialState,
        values: Sequence[float] | None,
    ) -> None:
        if self._independent is not None:
            self._independent.after_trial(study, trial, state, values)

    # --- proposing --------------------------------------------------------------------------

    def _propose(
        self, study: Study, number: int, domain: ParameterDomain, trials: list[FrozenTrial]
    ) -> dict[str, Any]:
        known = complete(trials)
        rng = self._rng(number)
        if len(known) < self._startup:
            # All processes of one seed take their points from one sequence.
            design = domain.positions(4 * self._startup, self._design_seed)
            return domain.at(design[number % len(design)].tolist())
        if rng.random() < RANDOM_EXPLORATION:
            return domain.at(rng.random(len(domain.space)).tolist())
        model = self._model(study, domain, trials, rng)
        waiting = _waiting(trials)
        if waiting:
            model = model.pending(domain.encode_all(waiting))
        pool = domain.positions(POOL, int(rng.integers(2**31)))
        return domain.at(pool[_most_informative(model, domain.rows(pool), rng)].tolist())

    def _model(
        self,
        study: Study,
        domain: ParameterDomain,
        trials: list[FrozenTrial],
        rng: np.random.Generator,
    ) -> PlainModel:
        """A model of all that is known. Hyperparameters are fitted again once a tenth more trials
        are known, or the parameters or the metrics have changed."""
        known = complete(trials)
        metrics = margins_of(study, known, self._thresholds)
        pruned = [t for t in trials if t.state == TrialState.PRUNED]
        for name, pairs in margins_of(study, pruned, ()).items():
            metrics.setdefault(name, []).extend(pairs)
        task = (tuple(domain.space.items()), tuple(metrics))
        before = self._fitted
        same = before is not None and before[0] == task
        refit = not same or before is None or len(known) >= 1.1 * before[1]
        start = before[2] if same and before is not None else None
        model = fit_plain(domain.columns, readings_of(domain, metrics), rng, start, refit)
        if refit:
            hyperparameters = [process.hyperparameters for process in model.processes]
            self._fitted = (task, len(known), hyperparameters)
        return model

    def _share(self, study: Study, trial: FrozenTrial, params: dict[str, Any]) -> None:
        """Leaves parameters where other processes find them. Optuna has no public way to write an
        attribute of a trial from a sampler: a test holds that this one is there."""
        text = json.dumps(params)
        for index in range(0, len(text), MOST_CHARACTERS):
            study._storage.set_trial_system_attr(
                trial._trial_id,
                f"{SHARED}:{index // MOST_CHARACTERS}",
                text[index : index + MOST_CHARACTERS],
            )


def _entropy() -> int:
    return int(np.random.default_rng().integers(2**31))


def _waiting(trials: Sequence[FrozenTrial]) -> list[dict[str, Any]]:
    """Parameters of trials that are running, and of those that ended without values."""
    states = (TrialState.RUNNING, TrialState.FAIL, TrialState.PRUNED)
    found = [_params(trial) for trial in trials if trial.state in states]
    return [params for params in found if params]


def _params(trial: FrozenTrial) -> dict[str, Any]:
    """What the trial has suggested, and what it is going to."""
    parts: list[str] = []
    while (part := trial.system_attrs.get(f"{SHARED}:{len(parts)}")) is not None:
        parts.append(part)
    planned: dict[str, Any] = json.loads("".join(parts)) if parts else {}
    return trial.params if trial.state != TrialState.RUNNING else planned | trial.params


def _most_informative(model: PlainModel, points: Floats, rng: np.random.Generator) -> int:
    """Which of the points tells most about the border, judged at some others of them."""
    inside = model.probability(points)
    spread = np.sqrt(inside * (1 - inside))
    chance = (spread + 0.01) / (spread + 0.01).sum()
    chosen = np.unique(rng.choice(len(points), REFERENCES, p=chance))
    references = model.reference_set(points[chosen], 1 / (len(points) * chance[chosen]))
    chance = (spread + 0.02) / (spread + 0.02).sum()
    candidates = np.unique(rng.choice(len(points), CANDIDATES, p=chance))
    return int(candidates[model.choose(references, points[candidates])])
