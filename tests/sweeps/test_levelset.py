"""The level-set search's parts against independent computations, and the whole on known truth."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit, logit, ndtr
from scipy.stats import multivariate_normal
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern

from sweeps.levelset.acquisition import OutputState, ReferenceSet, choose, reference_set
from sweeps.levelset.columns import Box, Columns
from sweeps.levelset.gaussian_process import (
    MEAN_VARIANCE,
    Data,
    Hyperparameters,
    Prior,
    Process,
    _objective,
    fit,
)
from sweeps.levelset.kernel import per_column
from sweeps.levelset.membership import IN, OUT, labels, orthant, probability, share_probability
from sweeps.levelset.model import CLIP, Margins, Panel, Trials
from sweeps.levelset.search import LevelSetSearch, LevelSetSettings, Outcome
from sweeps.levelset.surrogate import Surrogate, centred, countable, seed_variance, thinned
from sweeps.levelset.verdict_power import Verdicts, passing_verdict
from sweeps.records.thresholds import Thresholds

MIXED = Columns((0, 3, 0))
LINE = Panel(Columns(()), np.zeros((1, 0)))
IMAGES = 1000.0
EVEN9 = np.linspace(0, 1, 9)[:, None]


def data(rows=25, columns=MIXED, seed=0):
    rng = np.random.default_rng(seed)
    points = Box(columns).sample(rows, seed)
    return Data(
        columns, points, rng.standard_normal(rows), 0.1 * rng.random(rows), rng.random(rows)
    )


def hyperparameters(columns=MIXED):
    return Hyperparameters(np.linspace(0.3, 0.9, len(columns)), 1.7, 0.2, 0.5)


def test_the_gradient_is_the_slope_of_the_objective() -> None:
    rows = data()
    centre, spread = Prior().arrays(MIXED)
    packed = centre + 0.3 * np.random.default_rng(1).standard_normal(len(centre))
    arguments = (rows, per_column(rows.points, MIXED), centre, spread)
    steps = 1e-5 * np.eye(len(packed))
    slopes = [
        (_objective(packed + s, *arguments)[0] - _objective(packed - s, *arguments)[0]) / 2e-5
        for s in steps
    ]
    assert _objective(packed, *arguments)[1] == pytest.approx(slopes, abs=1e-6)


def test_the_posterior_is_that_of_scikit_learn() -> None:
    columns, chosen = Columns((0, 0)), hyperparameters(Columns((0, 0)))
    rows = data(columns=columns)
    noise = rows.known + chosen.learned_noise(rows.shape) + 1e-8
    kernel = ConstantKernel(1.7, "fixed") * Matern(
        chosen.lengths, "fixed", nu=2.5
    ) + ConstantKernel(MEAN_VARIANCE, "fixed")
    peer = GaussianProcessRegressor(kernel, alpha=noise, optimizer=None).fit(
        rows.points, rows.values
    )
    points = Box(columns).sample(9, 5)
    mean, covariance = peer.predict(points, return_cov=True)
    ours = Process.of(rows, chosen).at(points)
    assert ours.mean == pytest.approx(mean, abs=1e-8)
    assert ours.covariance(ours) == pytest.approx(covariance, abs=1e-8)
    assert ours.variance() == pytest.approx(np.diag(covariance), abs=1e-8)


def test_categories_differ_or_not() -> None:
    """Two categories are as far apart as any other two, whatever their codes."""
    points = np.array([[0.5, code, 0.5] for code in (0.0, 1.0, 2.0)])
    posterior = Process.of(data(0), hyperparameters()).at(points)
    found = posterior.covariance(posterior)
    assert found[0, 1] == pytest.approx(found[0, 2]) == pytest.approx(found[1, 2])
    assert found[0, 1] < found[0, 0]


def test_a_pending_trial_reduces_variances_and_leaves_means() -> None:
    rows, chosen = data(), hyperparameters()
    more, points = Box(MIXED).sample(4, 8), Box(MIXED).sample(7, 9)
    noise = np.array([0.1, 0.2, 0.3, 0.4])
    pending = Process.of(rows, chosen).pending(more, noise).at(points)
    both = Data(
        MIXED, np.r_[rows.points, more], np.r_[rows.values, np.zeros(4)],
        np.r_[rows.known + chosen.learned_noise(rows.shape), noise], np.zeros(29),
    )  # fmt: skip
    known = Process.of(both, Hyperparameters(chosen.lengths, chosen.variance, 1e-12, 0.0)).at(
        points
    )
    assert pending.variance() == pytest.approx(known.variance(), abs=1e-6)
    assert pending.mean == pytest.approx(Process.of(rows, chosen).at(points).mean)


def test_few_rows_raise_variances_as_hyperparameters_are_uncertain() -> None:
    assert Process.of(data(5), hyperparameters()).variance_inflation == 2
    assert Process.of(data(60), hyperparameters()).variance_inflation == pytest.approx(60 / 54)
    model = model_of(EVEN9)
    assert model.clean.variance_inflation == pytest.approx(9 / 5)
    clean, attack = model.clean.at(EVEN9), model.attack.at(EVEN9)
    found = model.margins(EVEN9)
    assert found.clean[1] == pytest.approx(1.8 * clean.variance())
    assert found.attack[1][:, 0, 0] == pytest.approx(1.8 * attack.variance())


def test_hyperparameters_of_a_known_process_are_found() -> None:
    columns, rng = Columns((0, 0)), np.random.default_rng(3)
    truth = Hyperparameters(np.array([0.2, 2.0]), 2.0, 0.05, 0.0)
    points = Box(columns).sample(200, 1)
    empty = Data(columns, points[:0], np.zeros(0), np.zeros(0), np.zeros(0))
    prior = Process.of(empty, truth).at(points)
    values = np.linalg.cholesky(prior.covariance(prior) + 0.05 * np.eye(200)) @ rng.standard_normal(
        200
    )
    found = fit(Data(columns, points, values, np.zeros(200), np.zeros(200)), Prior(), None, rng)
    assert found.lengths[0] == pytest.approx(0.2, rel=0.4) and found.lengths[1] > 0.8
    assert found.noise == pytest.approx(0.05, rel=0.5)


def test_the_orthant_probability_is_scipys() -> None:
    rng = np.random.default_rng(0)
    for _ in range(5):
        root = rng.standard_normal((4, 4))
        covariance, mean = root @ root.T + 0.2 * np.eye(4), rng.standard_normal(4)
        expected = multivariate_normal(-mean, covariance).cdf(np.zeros(4))
        found = orthant(mean[None], covariance[None])[0]
        assert found == pytest.approx(expected, abs=0.01)
    alike = np.ones((3, 3)) + 1e-9 * np.eye(3)
    assert orthant(np.zeros((1, 3)), alike[None])[0] == pytest.approx(0.5, abs=0.02), (
        "three of a kind are one attack"
    )


def test_chances_that_single_entries_decide_are_not_worked_out_further() -> None:
    """One entry all but fails, all all but pass: both are as near as what is left out."""
    covariance = np.tile(0.2 + 0.8 * np.eye(3), (3, 1, 1))
    mean = np.array([[-5.0, 9.0, 9.0], [9.0, 9.0, 9.0], [-4.0, -4.0, 3.0]])
    expected = [multivariate_normal(-m, covariance[0]).cdf(np.zeros(3)) for m in mean]
    assert orthant(mean, covariance) == pytest.approx(expected, abs=2e-5)
    assert orthant(mean[:, :1], covariance[:, :1, :1]) == pytest.approx(ndtr(mean[:, 0]), abs=1e-5)


def test_the_probability_of_alternative_models_is_the_mean_of_each_ones_own() -> None:
    """Alternative models have processes in common; each pair counts with its weight all the same."""
    one, other = model_of(EVEN9), model_of(np.linspace(0, 1, 5)[:, None])
    mixed = replace(one, attack=other.attack)
    alternatives = replace(one, others=((0.3, other), (0.2, mixed)))
    even = np.linspace(0, 1, 50)[:, None]
    expected = sum(
        weight * probability(model, even) for weight, model in ((0.5, one), *alternatives.others)
    )
    assert probability(alternatives, even) == pytest.approx(expected, abs=2e-5)
    assert np.ptp(expected) > 0.5 and not np.allclose(expected, probability(one, even), atol=0.01)


def test_nothing_is_inside_where_no_point_is_likely_accurate_enough() -> None:
    """The attacks are then asked for at no point at all."""
    model = model_of(EVEN9, Thresholds(attack_success=0.3, clean_accuracy=0.9999))
    far = replace(model, centre=(20.0, model.centre[1]))
    hopeless = replace(far, clean=replace(far.clean, alpha=-1e3 * np.abs(far.clean.alpha)))
    mean, covariance = model.attack_margins(EVEN9[:0])
    assert mean.shape == (0, len(model.panel))
    assert covariance.shape == (0, len(model.panel), len(model.panel))
    assert probability(hopeless, EVEN9).tolist() == [0.0] * len(EVEN9)


def test_nine_seeds_in_ten_ask_for_more_than_the_median_seed() -> None:
    """Where a metric is known for sure, 90 % of seeds pass if it lies 1.28 deviations inside."""

    def sure(margin):
        level = np.array([[margin]]), np.full((1, 1, 1), 1e-9)
        return Margins((np.array([50.0]), np.array([1e-9])), level)

    assert share_probability(sure(1.27 * 0.5), (0.25, 0.25), 0.9)[0] == 0
    assert share_probability(sure(1.30 * 0.5), (0.25, 0.25), 0.9)[0] == 1


@pytest.mark.parametrize("images", [100, 1000])
def test_a_seed_passes_by_what_is_counted_on_its_images(images) -> None:
    """Simulated seeds: normal logits around the threshold, counts of images, and their logits."""
    rng, limit = np.random.default_rng(0), float(logit(0.2))
    seeds = expit(limit + 0.3 * rng.standard_normal(20_000))
    counted = (rng.binomial(images, seeds) + 0.5) / (images + 1)
    quiet = Hyperparameters(np.ones(1), 1.0, 0.3**2, 0.0)
    found = seed_variance(quiet, limit, np.full(7, float(images)))
    assert found == pytest.approx(np.var(logit(counted)), rel=0.08)
    assert found == pytest.approx(0.3**2 + 1 / (0.16 * images))
    assert seed_variance(quiet, limit, np.zeros(0)) == pytest.approx(0.3**2), "nothing is known yet"


def test_smaller_test_sets_leave_less_inside_where_a_share_of_seeds_is_asked_for() -> None:
    even, model = (
        np.linspace(0, 1, 200)[:, None],
        model_of(EVEN9, Thresholds(attack_success=0.1, clean_accuracy=0.9, target="share")),
    )
    counting = 1 / (IMAGES * 0.09)
    learned = [
        float(p.hyperparameters.learned_noise(np.array([0.36]))[0])
        for p in (model.clean, model.attack)
    ]
    assert model.noise == pytest.approx([v + counting for v in learned])
    quiet = replace(model, noise=(learned[0], learned[1]))
    assert 0 < probability(model, even).sum() < probability(quiet, even).sum()


def test_the_random_and_the_repeated_share_are_of_trials_not_of_asks() -> None:
    """Asked for in tens, a fifth of a hundred trials are not chosen where they tell most."""
    chosen = LevelSetSettings(budget=400, f1=2.0, undecided=-1.0, random=0.15, again=0.15)
    search = LevelSetSearch(Box(Columns((0,))), LINE, THRESHOLDS, chosen)
    for _ in range(12):
        asked = search.ask(10)
        for number, outcome in zip(
            asked, outcomes(np.array([search.points[i] for i in asked])), strict=True
        ):
            search.tell(number, outcome)
    repeated = len(search.points) - len({p.tobytes() for p in search.points})
    assert 7 <= repeated <= 30


def test_a_resumed_search_tries_what_is_missing_of_its_initial_design() -> None:
    """Packs come back in any order; what was known was tried again, and what was not never."""
    panel = Panel(Columns((2,)), np.array([[0.0], [1.0]]))
    first, resumed = (LevelSetSearch(Box(Columns((0, 0))), panel, THRESHOLDS) for _ in range(2))
    asked = [(first.points[i].tobytes(), first.attacks[i]) for i in first.ask(first.initial)]
    for number in range(first.initial // 2, first.initial):
        point, attack = first.points[number], first.attacks[number]
        resumed.tell(resumed.add(point, attack), outcomes(point[None, :])[0])
    more = resumed.ask(first.initial - first.initial // 2)
    found = [(resumed.points[i].tobytes(), resumed.attacks[i]) for i in more]
    assert found == asked[: first.initial // 2]


def test_counts_become_clipped_logits_around_the_threshold() -> None:
    values, known = centred(
        np.array([100.0, 0.0, 1000.0]), np.full(3, IMAGES), np.full(3, logit(0.1))
    )
    assert values[0] == pytest.approx(0.0, abs=0.01) and values[2] == CLIP
    assert values[1] == max(-CLIP, logit(0.5 / 1001) - logit(0.1))
    assert known[0] == pytest.approx(1 / (1000 * 0.1 * 0.9), rel=0.01)


@pytest.mark.parametrize(("clean", "success"), [(0.9, 0.0), (0.9, 0.0005), (1.0, 0.2)])
@pytest.mark.parametrize("images", [10.0, 450.0])
def test_a_threshold_of_none_or_all_is_one_that_can_be_had(clean, success, images) -> None:
    """Where all trials hold it exactly the region is everywhere, and where none does nowhere."""
    rng, points = np.random.default_rng(0), Box(Columns((0,))).sample(40, 0)
    every = np.full(len(points), images)
    for off, expected in ((0, 1.0), (1, 0.0)):
        correct = every - off if clean == 1 else every
        hits = np.full(len(points), 0.0 if clean == 1 else off)
        trials = Trials(points, np.zeros(len(points), dtype=int), correct, every, hits, every)
        model = Surrogate(
            Columns((0,)), LINE, Thresholds(attack_success=success, clean_accuracy=clean), EVEN9
        ).fit(trials, rng)
        assert probability(model, EVEN9) == pytest.approx(expected, abs=0.1)


def test_few_images_of_one_attack_do_not_move_the_threshold_of_others() -> None:
    assert countable(0.02, np.array([10.0, 450.0])) == pytest.approx(logit([1 / 11, 0.02]))


def test_many_rows_are_thinned_to_those_near_the_threshold() -> None:
    rows, far = data(2000, Columns((0,))), np.abs(np.linspace(-1, 1, 2000))
    kept = thinned(rows, np.random.default_rng(0), far)
    assert len(kept) == 900 and len(np.unique(kept.points)) == 900
    near = set(rows.points[np.argsort(far)[:450], 0])
    assert near <= set(kept.points[:, 0])


# --- what is tried next --------------------------------------------------------------------------


def outcomes(points, noise=0.2, seed=0):
    """Clean accuracy falls at x = 0.8, attack success at x = 0.4: inside between them."""
    rng = np.random.default_rng(seed)
    found = []
    for x in points[:, 0]:
        clean = expit(12 * (0.8 - x) + logit(0.9) + noise * rng.standard_normal())
        success = expit(12 * (0.4 - x) + logit(0.1) + noise * rng.standard_normal())
        found.append(Outcome(np.round(IMAGES * clean), IMAGES, np.round(IMAGES * success), IMAGES))
    return found


THRESHOLDS = Thresholds(attack_success=0.1, clean_accuracy=0.9)


def model_of(points, thresholds=THRESHOLDS):
    counts = np.array([(o.correct, o.images, o.success, o.triggered) for o in outcomes(points)])
    trials = Trials(points, np.zeros(len(points), dtype=np.int64), *counts.T)
    surrogate = Surrogate(Columns((0,)), LINE, thresholds, np.linspace(0, 1, 200)[:, None])
    return surrogate.fit(trials, np.random.default_rng(0))


@pytest.mark.parametrize("seeds", [1, 5])
def test_the_chance_of_a_verdict_is_that_of_simulated_seeds(seeds) -> None:
    """Latent rates from the posterior, seeds around them, counts of images, and their median."""
    model, rng, many, images = model_of(EVEN9), np.random.default_rng(0), 4000, 200
    points = np.linspace(0.02, 0.98, 13)[:, None]
    chances = passing_verdict(model, points, Verdicts(seeds, images, images))
    clean, attack = model.clean.at(points), model.attack.at(model.crossed(points))
    passes = np.ones((many, len(points)), dtype=bool)
    for which, process, posterior, limit in (
        (0, model.clean, clean, model.thresholds.clean_accuracy),
        (1, model.attack, attack, model.thresholds.attack_success),
    ):
        spread = np.sqrt(process.variance_inflation * posterior.variance())
        latent = posterior.mean + spread * rng.standard_normal((many, len(points)))
        noise = np.sqrt(model.seed_noise(posterior, which))
        each = latent[..., None] + noise[:, None] * rng.standard_normal((many, len(points), seeds))
        found = np.median(rng.binomial(images, expit(each + model.centre[which])) / images, axis=2)
        passes &= found >= limit - 1e-9 if which == 0 else found <= limit + 1e-9
    assert chances == pytest.approx(passes.mean(axis=0), abs=0.06)
    assert chances.max() > 0.9 and chances.min() < 0.1


def test_trials_go_to_the_borders_of_the_joint_set() -> None:
    """The border of one metric does not matter where the other fails: with clean accuracy bad
    from 0.3 on, the fall of attack success at 0.4 is of no interest."""
    points = np.linspace(0, 1, 9)[:, None]
    even = np.linspace(0, 1, 400)[:, None]
    shares = np.full(400, 1 / 400)

    def spread(thresholds):
        model = model_of(points, thresholds)
        chosen = choose(
            model, reference_set(model, even, shares), even, np.zeros(400, dtype=np.int64), 4
        )
        return even[chosen, 0]

    both = spread(THRESHOLDS)
    assert min(abs(both - 0.4)) < 0.12 and min(abs(both - 0.8)) < 0.12
    strict = spread(
        Thresholds(attack_success=0.1, clean_accuracy=float(expit(12 * 0.5 + logit(0.9))))
    )  # fails beyond 0.3
    assert all(abs(strict - 0.8) > 0.2)


def test_picking_conditions_on_what_was_picked() -> None:
    """The rank-one updates of a batch are the posterior with those trials pending."""
    model, even = model_of(np.linspace(0, 1, 7)[:, None]), np.linspace(0, 1, 300)[:, None]
    reference, posterior = even[::30], model.clean.at(even)
    noise = np.linspace(0.1, 0.5, 300)
    seen = model.clean.at(reference)
    output = OutputState(ReferenceSet(seen, np.ones(10), seen.variance()), posterior, noise)
    picked = [40, 200, 200]
    for index in picked:
        output.pick(index)
    pending = model.clean.pending(even[picked], noise[picked])
    at = pending.at(even)
    assert output.between == pytest.approx(pending.at(reference).covariance(at), abs=1e-6)
    assert output.variance == pytest.approx(at.variance(), abs=1e-6)
    with pytest.raises(ValueError, match="all at once"):
        pending.pending(even[:1], noise[:1])


def test_cost_moves_trials_to_cheaper_places() -> None:
    model = model_of(np.linspace(0, 1, 7)[:, None])
    even, attacks = np.linspace(0, 1, 300)[:, None], np.zeros(300, dtype=np.int64)
    references = reference_set(model, even, np.full(300, 1 / 300))
    chosen = choose(model, references, even, attacks, 5, np.where(even[:, 0] > 0.6, 1000.0, 1.0))
    assert (even[chosen, 0] <= 0.6).all()
    assert (even[choose(model, references, even, attacks, 5), 0] > 0.6).any()


# --- the whole -----------------------------------------------------------------------------------


def searched(thresholds=THRESHOLDS, failing=(), **settings):
    search = LevelSetSearch(Box(Columns((0, 0))), LINE, thresholds, LevelSetSettings(**settings))
    while asked := search.ask(8):
        points = np.array([search.points[i] for i in asked])
        for number, outcome in zip(asked, outcomes(points, seed=asked[0]), strict=True):
            search.tell(number, None if number % 5 in failing else outcome)
    return search


def judged(search):
    even = Box(Columns((0, 0))).sample(2048, 77)
    truth = (even[:, 0] >= 0.4) & (even[:, 0] <= 0.8)
    return probability(search.current(), even), truth


@pytest.mark.parametrize("failing", [(), (0,)])
def test_the_region_is_found_and_the_search_ends_by_itself(failing) -> None:
    search = searched(budget=300, failing=failing)
    assert search.finished and 60 <= len(search.points) < 300
    inside, truth = judged(search)
    found = labels(inside, 0.95)
    assert (truth[found == IN]).mean() >= 0.98 and (found[truth] == IN).mean() > 0.8
    assert (~truth[found == OUT]).mean() >= 0.98
    assert inside.mean() == pytest.approx(0.4, abs=0.03)


def test_there_may_be_no_region() -> None:
    search = searched(
        Thresholds(attack_success=0.1, clean_accuracy=float(expit(12 * 0.5 + logit(0.9)))),
        budget=300,
    )
    assert len(search.points) < 150
    inside, _ = judged(search)
    found = labels(inside, 0.95)
    assert (found == IN).sum() == 0 and (found == OUT).mean() > 0.98


def test_points_that_may_be_wrong_together_are_not_decided(monkeypatch) -> None:
    rule = {"budget": 200, "f1": 2.0, "undecided": 0.1}
    assert 100 <= len(searched(**rule).points) < 200
    monkeypatch.setattr("sweeps.levelset.search.cutoff", lambda *_: np.inf)
    assert len(searched(**rule).points) == 200


def test_a_budget_is_never_exceeded_and_seeds_decide_all() -> None:
    one, other, another = searched(budget=50), searched(budget=50), searched(budget=50, seed=1)
    assert len(one.points) == 50 and one.finished and one.ask(8) == []
    assert np.array_equal(one.points, other.points) and not np.array_equal(
        one.points, another.points
    )


def test_pending_trials_are_taken_into_account() -> None:
    """Asked one by one without an answer, it does not ask for the same place over and over."""
    search = searched(budget=40)
    search.settings = LevelSetSettings(budget=60, random=0.0, again=0.0)
    asked = [search.ask(1)[0] for _ in range(8)]
    places = np.sort([search.points[i][0] for i in asked])
    assert places[-1] - places[0] > 0.2 and len({tuple(search.points[i]) for i in asked}) == 8
