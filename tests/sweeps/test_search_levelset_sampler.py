"""The level-set sampler: Optuna's own contract, problems with a known answer, many processes."""

import math
import pickle
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.testing.pytest_samplers import (
    BasicSamplerTestCase,
    MultiObjectiveSamplerTestCase,
    RelativeSamplerTestCase,
)
from optuna.trial import TrialState, create_trial

from sweeps.levelset.columns import Columns
from sweeps.levelset.plain import Readings, fit_plain, scaled
from sweeps.search.distributions import ParameterDomain
from sweeps.search.levelset_sampler import LevelSetSampler, _waiting

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def silence():
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    yield
    optuna.logging.set_verbosity(before)


class TestContract(BasicSamplerTestCase):
    """Optuna's tests of every sampler; the model speaks from the ninth trial on."""

    @pytest.fixture
    def sampler(self):
        return lambda: LevelSetSampler(thresholds=0.5, seed=0, n_startup_trials=8)


class TestContractOfProposals(RelativeSamplerTestCase):
    """Those of samplers that propose all parameters at once; the model speaks from the second."""

    @pytest.fixture
    def sampler(self):
        return lambda: LevelSetSampler(thresholds=0.5, seed=0, n_startup_trials=1)


class TestContractOfSeveralObjectives(MultiObjectiveSamplerTestCase):
    @pytest.fixture
    def sampler(self):
        return lambda: LevelSetSampler(thresholds=[0.5, None], seed=0, n_startup_trials=2)


# --- a problem whose region is known -----------------------------------------------------------


def truth(params):
    """Accuracy and attack success without noise: 6 % of the space is inside."""
    rate, decay = math.log10(params["lr"]), math.log10(params["wd"])
    accuracy = 0.95 - 0.08 * (rate + 2) ** 2 - 0.08 * max(0, decay + 2) ** 2
    shift = {"a": 4.5, "b": 3.9}[params["kind"]]
    return accuracy, 1 / (1 + math.exp(3 * (rate + decay + shift)))


def inside(params) -> bool:
    accuracy, success = truth(params)
    return accuracy >= 0.88 and success <= 0.2


def noisy(rng):
    def objective(trial):
        params = {
            "lr": trial.suggest_float("lr", 1e-4, 1, log=True),
            "wd": trial.suggest_float("wd", 1e-5, 0.1, log=True),
            "kind": trial.suggest_categorical("kind", ["a", "b"]),
        }
        accuracy, success = truth(params)
        trial.set_constraint("attack", success - 0.2 + 0.02 * rng.normal())
        return accuracy + 0.01 * rng.normal()

    return objective


def judged(region):
    """Intersection over union of P >= 0.5 with the truth, and precision of IN, on a grid."""
    grid = region.grid(25)
    real = np.array([inside(params) for params, *_ in grid])
    half = np.array([chance >= 0.5 for _, chance, _ in grid])
    certain = np.array([label == "IN" for *_, label in grid])
    return (
        (half & real).sum() / (half | real).sum(),
        real[certain].mean(),
        certain.sum() / real.sum(),
    )


@pytest.fixture(scope="module")
def searched():
    """Forty trials by the sampler, and by Optuna's random one, with equal noise."""
    found = []
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    for sampler in (
        LevelSetSampler(thresholds=0.88, seed=1),
        optuna.samplers.RandomSampler(seed=1),
    ):
        study = optuna.create_study(direction="maximize", sampler=sampler)
        study.optimize(noisy(np.random.default_rng(1)), n_trials=40)
        found.append(study)
    optuna.logging.set_verbosity(before)
    return found


def test_it_finds_the_region_that_random_trials_do_not(searched) -> None:
    (ours, precision, covered), (random, *_) = (
        judged(LevelSetSampler(thresholds=0.88).region(study)) for study in searched
    )
    assert ours >= 0.85 and ours >= random + 0.1
    assert precision >= 0.95 and covered >= 0.6


def test_a_region_answers_for_points_shares_and_grids(searched) -> None:
    region = LevelSetSampler(thresholds=0.88).region(searched[0])
    good = {"lr": 0.01, "wd": 0.03, "kind": "a"}
    assert inside(good) and region.label(good) == "IN" and region.probability(good) >= 0.95
    poor = {"lr": 0.01, "wd": 1e-5, "kind": "a"}
    assert not inside(poor) and region.label(poor) == "OUT" and region.probability(poor) <= 0.05
    assert region.metrics == ("objective 0", "constraint attack")
    shares = region.shares()
    assert sum(shares.values()) == pytest.approx(1) and 0.03 < shares["IN"] < 0.08
    grid = region.grid(5)
    assert len(grid) == 50 and {row[0]["kind"] for row in grid} == {"a", "b"}
    assert [
        row[0]["lr"] for row in grid if row[0]["wd"] == 1e-5 and row[0]["kind"] == "a"
    ] == pytest.approx([1e-4, 1e-3, 1e-2, 0.1, 1])
    assert region.probabilities([row[0] for row in grid]) == pytest.approx([row[1] for row in grid])
    assert region.probabilities([]).shape == (0,)
    labels = {row[2] for row in grid if row[1] <= 0.05}
    assert labels == {"OUT"}


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"lr": 0.01, "kind": "a"}, "`wd` must be given, but got {'lr': 0.01, 'kind': 'a'}."),
        ({"lr": 2.0, "wd": 0.01, "kind": "a"}, "`lr` must be in FloatDistribution"),
    ],
)
def test_a_region_does_not_answer_for_what_was_never_tried(searched, params, message) -> None:
    region = LevelSetSampler(thresholds=0.88).region(searched[0])
    with pytest.raises(ValueError) as caught:
        region.probability(params)
    assert message in str(caught.value)


def test_equal_seeds_give_equal_trials(searched) -> None:
    def run(seed):
        study = optuna.create_study(
            direction="maximize",
            sampler=LevelSetSampler(thresholds=0.88, seed=seed, n_startup_trials=4),
        )
        study.optimize(noisy(np.random.default_rng(0)), n_trials=7)
        return [t.params for t in study.trials]

    assert run(3) == run(3) != run(4)


def test_a_pickled_sampler_goes_on_alike_and_a_reseeded_one_does_not(searched) -> None:
    study, sampler = searched[0], LevelSetSampler(thresholds=0.88, seed=2)
    space = sampler.infer_relative_search_space(study, study.trials[-1])
    same = pickle.loads(pickle.dumps(sampler))
    trial = study.ask()
    expected = sampler.sample_relative(study, study.trials[trial.number], space)
    assert set(expected) == {"lr", "wd", "kind"}
    assert same.sample_relative(study, study.trials[trial.number], space) == expected
    same.reseed_rng()
    assert same.sample_relative(study, study.trials[trial.number], space) != expected
    study.tell(trial, state=TrialState.FAIL)


# --- metrics -----------------------------------------------------------------------------------


def line(directions, thresholds, constraint=None, count=25):
    """x in [0, 1] is the first objective, 1 - x the second; constraint: x <= that."""
    study = optuna.create_study(directions=directions)
    space = {"x": FloatDistribution(0, 1)}
    for x in np.linspace(0, 1, count):
        trial = study.ask(fixed_distributions={"x": FloatDistribution(x, x)})
        del trial
        study.tell(len(study.trials) - 1, state=TrialState.FAIL)
        attributes = {} if constraint is None else {"constraints:most": x - constraint}
        study.add_trial(
            create_trial(
                params={"x": x},
                distributions=space,
                values=[x, 1 - x][: len(directions)],
                system_attrs=attributes,
            )
        )
    region = LevelSetSampler(thresholds=thresholds).region(study)
    return [x for x in np.linspace(0, 1, 101) if region.probability({"x": x}) >= 0.5]


@pytest.mark.parametrize(
    ("directions", "thresholds", "constraint", "ends"),
    [
        (["minimize"], 0.3, None, (0, 0.3)),
        (["maximize"], 0.3, None, (0.3, 1)),
        (["maximize"], [0.3], 0.7, (0.3, 0.7)),
        (["maximize"], None, 0.7, (0, 0.7)),
        (["maximize", "maximize"], [0.2, 0.4], None, (0.2, 0.6)),
        (["maximize", "minimize"], [None, 0.4], None, (0.6, 1)),
    ],
)
def test_thresholds_hold_in_the_direction_of_the_objective(
    directions, thresholds, constraint, ends
) -> None:
    found = line(directions, thresholds, constraint)
    assert (found[0], found[-1]) == pytest.approx(ends, abs=0.021)
    assert len(found) == round(100 * (found[-1] - found[0])) + 1


def test_scaled_margins_keep_their_signs_whatever_their_unit() -> None:
    rng = np.random.default_rng(0)
    margins = rng.normal(3, 2, 200)
    for factor in (1e-9, 1.0, 1e9):
        found = scaled(margins * factor)
        assert (np.sign(found) == np.sign(margins)).all()
        assert found == pytest.approx(scaled(margins))
    assert 1.2 < scaled(margins - 3).std() < 1.8
    assert list(scaled(np.array([np.inf, -np.inf, 0.0]))) == [5, -5, 0]
    assert scaled(np.full(4, -2.0)) == pytest.approx(-1.5) and not scaled(np.zeros(3)).any()
    # One value far off does not make all others equal.
    assert (
        np.ptp(scaled(np.array([*margins, 1e6]))[:-1]) < 1e-3
        or np.ptp(scaled(np.array([*margins, 100.0]))[:-1]) > 1
    )


def test_a_model_knows_what_it_was_told_and_that_trials_are_under_way() -> None:
    rng = np.random.default_rng(0)
    points = rng.random((40, 1))
    model = fit_plain(Columns((0,)), [Readings(points, points[:, 0] - 0.4)], rng)
    chance = model.probability(np.array([[0.1], [0.35], [0.45], [0.9]]))
    assert chance[0] < 0.01 and chance[1] < 0.5 < chance[2] and chance[3] > 0.99
    sparse = fit_plain(Columns((0,)), [Readings(points[:3], points[:3, 0] - 0.4)], rng)
    before = sparse.processes[0].at(np.array([[0.95]])).variance()
    after = sparse.pending(np.array([[0.95]])).processes[0].at(np.array([[0.95]])).variance()
    assert after < 0.5 * before


# --- what a study may do -----------------------------------------------------------------------


def test_conditional_parameters_are_proposed_where_they_exist() -> None:
    asked = {"kind": CategoricalDistribution([True, False]), "layers": IntDistribution(1, 3)}
    more = {
        "width": FloatDistribution(1, 8),
        "depth": FloatDistribution(0, 1),
        "odd": FloatDistribution(0, 1),
    }
    trials = []
    rng = np.random.default_rng(0)
    for index in range(24):
        params = {"kind": index % 2 == 0, "layers": 1 + index % 3}
        if params["kind"]:
            params["width"] = 1 + 7 * rng.random()
        if params["layers"] > 1:
            params["depth"] = rng.random()
        if rng.random() < 0.5:
            params["odd"] = rng.random()
        trials.append(
            create_trial(
                params=params, distributions={n: {**asked, **more}[n] for n in params}, value=0.0
            )
        )
    domain = ParameterDomain({**asked, **more}, trials)
    assert set(domain.space) == {"kind", "layers", "width", "depth"}
    drawn = [domain.at(position) for position in domain.positions(64, 0).tolist()]
    for params in drawn:
        assert ("width" in params) == (params["kind"] is True)
        assert ("depth" in params) == (params["layers"] > 1)
    assert {p["layers"] for p in drawn} == {1, 2, 3} and {p["kind"] for p in drawn} == {True, False}
    assert domain.sample(64, 0) == pytest.approx(domain.encode_all(drawn), abs=1e-12)
    # Layers 1, 2 and 3 have 1, 3 and 3 depths; one of the kinds has 3 widths.
    assert len(list(domain.grid(3))) == (1 + 3 + 3) * (3 + 1)


@pytest.mark.parametrize(
    ("distribution", "values"),
    [
        (FloatDistribution(-1, 3), [-1.0, 1.0, 3.0]),
        (FloatDistribution(1e-4, 1, log=True), [1e-4, 1e-2, 1.0]),
        (FloatDistribution(0, 1, step=0.25), [0.0, 0.5, 1.0]),
        (IntDistribution(3, 11, step=4), [3, 7, 11]),
        (IntDistribution(1, 100, log=True), [1, 7, 100]),
        (CategoricalDistribution(["x", None, 3]), ["x", None, 3]),
    ],
)
def test_parameters_and_positions(distribution, values) -> None:
    domain = ParameterDomain({"p": distribution, "q": FloatDistribution(0, 1)}, [])
    for where, value in zip((0.0, 0.5, 1.0), values, strict=True):
        found = domain.at([where, 0.5])["p"]
        assert found == (
            pytest.approx(value, rel=0.12) if isinstance(value, (int, float)) else value
        )
        assert type(found) is type(value)
    points = [domain.at(position) for position in domain.positions(512, 0).tolist()]
    assert domain.sample(512, 0) == pytest.approx(domain.encode_all(points), abs=1e-12)
    drawn = [params["p"] for params in points]
    assert all(distribution._contains(distribution.to_internal_repr(v)) for v in drawn)
    if not isinstance(distribution, FloatDistribution) or distribution.step:
        counts = {v: drawn.count(v) for v in drawn}
        if not getattr(distribution, "log", False):
            assert max(counts.values()) - min(counts.values()) <= 4


def flat(trial):
    return trial.suggest_float("x", 0, 1) - 0.5 + 0 * trial.suggest_float("y", 0, 1)


def test_trials_under_way_tell_others_where_before_they_have_suggested_anything() -> None:
    study = optuna.create_study(sampler=LevelSetSampler(thresholds=0.0, seed=0, n_startup_trials=6))
    study.optimize(flat, n_trials=12)
    trial = study.ask()
    planned = trial.relative_params
    assert study.trials[-1].params == {} and set(planned) == {"x", "y"}
    assert _waiting(study.trials) == [planned]
    assert trial.suggest_float("x", 0, 1) == planned["x"]
    assert _waiting(study.trials) == [planned]


def test_trials_under_way_elsewhere_are_kept_away_from() -> None:
    study = optuna.create_study(sampler=LevelSetSampler(thresholds=0.0, seed=0, n_startup_trials=6))
    study.optimize(flat, n_trials=8)
    moved = []
    for seed in range(6):
        sampler = LevelSetSampler(thresholds=0.0, seed=seed, n_startup_trials=6)
        done = optuna.create_study(sampler=sampler)
        done.add_trials(study.trials)
        space = sampler.infer_relative_search_space(done, done.trials[-1])
        number = done.ask().number
        trial = done.trials[number]
        alone = sampler.sample_relative(done, trial, space)
        for _ in range(5):
            state = TrialState.RUNNING
            done.add_trial(create_trial(state=state, params=alone, distributions=space))
        beside = sampler.sample_relative(done, trial, space)
        moved.append(math.dist(alone.values(), beside.values()))
    assert np.median(moved) > 0.1 and max(moved) > 0.3


def test_failed_and_pruned_trials_do_not_stop_it_and_are_not_tried_for_ever() -> None:
    def objective(trial):
        x, y = trial.suggest_float("x", 0, 1), trial.suggest_float("y", 0, 1)
        if y > 0.5 and trial.number > 12:
            if trial.number % 2:
                raise optuna.TrialPruned
            raise RuntimeError("out of memory")
        return x

    sampler = LevelSetSampler(thresholds=0.5, seed=0, n_startup_trials=6)
    study = optuna.create_study(sampler=sampler)
    study.optimize(objective, n_trials=28, catch=RuntimeError)
    lost = [t.params for t in study.trials if t.state != TrialState.COMPLETE]
    assert 3 < len(lost) < 14
    apart = [math.dist(a.values(), b.values()) for i, a in enumerate(lost) for b in lost[:i]]
    assert min(apart) > 1e-3 and np.median(apart) > 0.1
    region = sampler.region(study)
    assert (
        region.label({"x": 0.1, "y": 0.2}) == "IN" and region.label({"x": 0.9, "y": 0.2}) == "OUT"
    )


def test_a_pruned_trials_constraints_count() -> None:
    space = {"x": FloatDistribution(0, 1)}
    sampler = LevelSetSampler(thresholds=0.5, seed=0)
    study = optuna.create_study(sampler=sampler)
    for x in np.linspace(0, 1, 14):
        study.add_trial(create_trial(params={"x": x}, distributions=space, value=x))
        study.add_trial(
            create_trial(
                state=TrialState.PRUNED,
                params={"x": x},
                distributions=space,
                system_attrs={"constraints:c": x - 0.2},
            )
        )
    domain = ParameterDomain(space, [])
    model = sampler._model(study, domain, study.trials, np.random.default_rng(0))
    assert len(model.processes) == 2
    assert model.probability(np.array([[0.1], [0.35]])) == pytest.approx([1, 0], abs=0.05)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"thresholds": [0.1, 0.2]}, "`thresholds` must have one entry for each objective (None where it has no threshold), but got 2 for 1 objectives."),
        ({}, "There must be something to hold: give `thresholds` for the objectives, or call `trial.set_constraint(name, value)`"),
    ],
)  # fmt: skip
def test_a_question_that_is_none_is_refused(settings, message) -> None:
    study = optuna.create_study(sampler=LevelSetSampler(n_startup_trials=2, seed=0, **settings))
    with pytest.raises(ValueError) as caught:
        study.optimize(flat, n_trials=12)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"confidence": 0.4}, "`0.5 < confidence < 1` must hold, but got 0.4."),
        ({"n_startup_trials": 0}, "`n_startup_trials >= 1` must hold, but got 0."),
        ({"thresholds": float("nan")}, "`thresholds` must be finite or None, but got nan."),
    ],
)
def test_settings_are_checked(settings, message) -> None:
    with pytest.raises(ValueError) as caught:
        LevelSetSampler(**settings)
    assert str(caught.value) == message


def test_the_private_parts_of_optuna_that_are_used_are_as_they_are_used() -> None:
    """`study._storage` and `trial._trial_id` share a running trial's parameters, and a
    distribution's `_contains` says what was tried."""
    study = optuna.create_study()
    number = study.ask().number
    study._storage.set_trial_system_attr(study.trials[number]._trial_id, "levelset:test", "text")
    assert study.trials[number].system_attrs["levelset:test"] == "text"
    span, choice = FloatDistribution(0, 1), CategoricalDistribution(["a", "b"])
    assert [span._contains(span.to_internal_repr(v)) for v in (0.0, 1.0, 1.1)] == [
        True,
        True,
        False,
    ]
    assert choice._contains(choice.to_internal_repr("b"))
    stepped = IntDistribution(1, 9, step=2)
    assert [stepped._contains(v) for v in (3, 4)] == [True, False]


# --- many processes ----------------------------------------------------------------------------

WORKER = """
import sys, optuna
from optuna.storages.journal import JournalFileBackend
from sweeps.search.levelset_sampler import LevelSetSampler
optuna.logging.set_verbosity(optuna.logging.ERROR)
storage = optuna.storages.JournalStorage(JournalFileBackend(sys.argv[1]))
study = optuna.load_study(study_name="s", storage=storage, sampler=LevelSetSampler(thresholds=0.0, seed=7, n_startup_trials=8))
study.optimize(lambda t: t.suggest_float("x", 0, 1) + t.suggest_float("y", 0, 1) - 1, n_trials=int(sys.argv[2]))
"""


def test_two_processes_share_a_journal(tmp_path) -> None:
    journal = str(tmp_path / "journal.log")
    storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(journal))
    study = optuna.create_study(study_name="s", storage=storage)
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, journal, "14"],
            cwd=ROOT,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    complaints = [worker.communicate(timeout=120)[1] for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0], complaints
    trials = study.trials
    assert len(trials) == 28 and all(t.state == TrialState.COMPLETE for t in trials)
    places = {(t.params["x"], t.params["y"]) for t in trials}
    assert len(places) == 28  # one seed for both, and no place twice
    region = LevelSetSampler(thresholds=0.0).region(study)
    right = [
        (x + y <= 1) == (region.probability({"x": x, "y": y}) >= 0.5)
        for x in np.linspace(0, 1, 15)
        for y in np.linspace(0, 1, 15)
        if abs(x + y - 1) > 0.02
    ]
    assert np.mean(right) > 0.97


def test_threads_of_one_process() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        study = optuna.create_study(sampler=LevelSetSampler(thresholds=0.0, n_startup_trials=5))
        study.optimize(flat, n_trials=16, n_jobs=2)
    assert len(study.trials) == 16 and len({t.params["x"] for t in study.trials}) == 16


def test_the_sampler_is_imported_without_torch() -> None:
    code = (
        "import sys\nimport sweeps.search.levelset_sampler\n"
        "print([m for m in ('torch', 'ray', 'mlflow', 'pydantic', 'sklearn') if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert run.stdout.strip() == "[]", run.stderr
