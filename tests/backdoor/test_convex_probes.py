"""Probes of convex learners against retraining: weights of images, one image left out, beta."""

import math

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.svm import SVC
from threadpoolctl import threadpool_limits
from trials import trial

from backdoor.config import build_attack, build_data
from backdoor.datasets.source import load_source
from backdoor.engines import engine_of
from backdoor.errors import TrainingError
from backdoor.probes import ProbedModel
from backdoor.probes.convex_models import LogisticLearner, RidgeLearner
from backdoor.probes.incremental import AUTHORS_BETAS, Incremental
from backdoor.probes.influence import Influence, influences, largest
from backdoor.probes.kernel_machines import MachineLearner
from backdoor.probes.learning_curve import LearningCurve
from backdoor.probes.parameter_shift import ParameterShift
from backdoor.probes.slope import NO_MARGIN, Slope, initial_slope, with_poison_hessian
from backdoor.settings.registry import PROBES
from backdoor.trial import prepare, run_pack

PAIR, THREE = [1, 7], [1, 5, 8]
RBF = {"kind": "rbf_svm", "gamma": 0.05}
LEARNERS = ["ridge", "logistic", "linear_svm", RBF]
SMOOTH = ["ridge", "logistic"]
CASES = [(k, c) for k in LEARNERS for c in (PAIR, THREE)]
IDS = [f"{k if isinstance(k, str) else 'rbf_svm'}-{len(c)}" for k, c in CASES]


@pytest.fixture(autouse=True)
def one_thread():
    with threadpool_limits(1), torch.no_grad():
        yield


def config(kind, classes=PAIR, decay=0.01, rate=0.1, seed=1):
    sizes = {"train": 200, "validation": 40, "test": 60}
    made = trial(kind, seed=seed, data=build_data({"kind": "digits", "classes": classes, **sizes}),
                 rate=0, weight_decay=decay)  # fmt: skip
    if not rate:
        return made
    trigger = {"kind": "patch", "size": 3, "pattern": "noise_per_class"}
    attack = {"trigger": trigger, "poison_rate": rate, "label_mode": "all_to_all"}
    return type(made)(made.data, made.defence, build_attack(attack), made.training, seed)


def probed(*args, **kwargs):
    made = config(*args, **kwargs)
    source = load_source(made.data)
    members, store = prepare([made], (), source)
    fitted = engine_of(made).train(members, store, len(source.class_names), None)
    return ProbedModel(fitted, 0, members[0], store, source)


def pixels(model, rows):
    return model.store.uint8(rows).flatten(1).numpy() / 255


def derivative(f, h=1e-4):
    """f'(0) from the right, to third order."""
    return (-11 * f(0) + 18 * f(h) - 9 * f(2 * h) + 2 * f(3 * h)) / (6 * h)


# --- the optimum --------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "classes"), CASES, ids=IDS)
def test_at_beta_1_stands_the_model_that_was_trained(kind, classes) -> None:
    model = probed(kind, classes)
    found = Incremental.of(model)
    theta = found.at(1.0)
    for sample, rows in ((found.clean, model.member.test), (found.triggered, model.member.triggered[0].rows)):  # fmt: skip
        answers = found.learner.answers(sample.features @ theta)
        assert np.array_equal(answers, model.fitted.predict(0, rows))
    if kind in SMOOTH:
        state = model.fitted.state(0)
        theirs = np.vstack([state["1.weight"].numpy().T, state["1.bias"].numpy()])
        if len(classes) == 2:
            theirs = (1 if kind == "ridge" else 2) * theirs[:, 1:]
        else:  # softmax does not see what all intercepts have in common
            theirs[-1] += theta[-1].mean() - theirs[-1].mean()
        used = pixels(model, model.member.train).any(0)  # a weight of 0 is left out
        assert np.abs(theirs[:-1][~used]).max() < 1e-12
        theirs = theirs[np.append(used, True)]
        # The probe's optimum is exact; the engine's of two classes is certified to 1e-4 in value.
        near = 1e-2 if kind == "logistic" and len(classes) == 2 else 2e-4
        assert np.allclose(theta, theirs, atol=near * np.abs(theirs).max())


@pytest.mark.parametrize("beta", [0.0, 0.3])
@pytest.mark.parametrize("kind", LEARNERS, ids=str)
def test_the_optimum_of_a_beta_is_scikit_learns_with_sample_weights(kind, beta) -> None:
    model = probed(kind, decay=0.003)
    found = Incremental.of(model)
    x, y = pixels(model, model.member.train), 2 * model.member.train_labels - 1.0
    weights = np.where(np.isin(np.arange(200), model.member.poison.positions), beta, 1.0)
    c = 1 / (200 * 0.003)
    settings = {"kernel": "linear"} if kind == "linear_svm" else {"kernel": "rbf", "gamma": 0.05}
    theirs = {
        "ridge": Ridge(alpha=200 * 0.003 / 2),
        "logistic": LogisticRegression(C=c, solver="newton-cholesky", tol=1e-12, max_iter=500),
    }.get(kind if isinstance(kind, str) else "", SVC(C=c, tol=1e-9, **settings))
    kept = weights > 0
    theirs.fit(x[kept], y[kept], sample_weight=weights[kept])
    test = pixels(model, model.member.test)
    scores = theirs.predict(test) if kind == "ridge" else theirs.decision_function(test)
    sign = 1 if kind in SMOOTH else -1  # machines are positive for the first class
    ours = sign * (found.clean.features @ found.at(beta))[:, 0]
    assert np.allclose(ours, scores, atol=1e-6)


def test_fewer_images_than_pixels_change_nothing() -> None:
    """Coordinates in the span of the training images instead of pixels."""
    model = probed("ridge", decay=0.01)
    few = ProbedModel(model.fitted, 0, type(model.member)(**{
        **vars(model.member), "train": model.member.train[:40], "train_labels": model.member.train_labels[:40],
        "poison": type(model.member.poison)(np.array([3, 7]), model.member.train_labels[:40], 2),
    }), model.store, model.source)  # fmt: skip
    found = Incremental.of(few)
    assert found.learner.features.shape == (40, 41)
    x, y = pixels(few, few.member.train), 2 * few.member.train_labels - 1.0
    weights = np.where(np.isin(np.arange(40), [3, 7]), 0.4, 1.0)
    theirs = Ridge(alpha=40 * 0.01 / 2).fit(x, y, sample_weight=weights)
    theta = found.at(0.4)
    assert np.allclose((found.clean.features @ theta)[:, 0], theirs.predict(pixels(few, few.member.test)))  # fmt: skip
    assert math.isclose(found.learner.product(theta, theta), (theirs.coef_**2).sum(), rel_tol=1e-9)


# --- influence ----------------------------------------------------------------------------------


@pytest.mark.parametrize("decay", [0.03, 0.003])
@pytest.mark.parametrize(("kind", "classes"), CASES, ids=IDS)
def test_the_slope_at_0_is_the_derivative_of_retraining(kind, classes, decay) -> None:
    found = Incremental.of(probed(kind, classes, decay))
    exact = initial_slope(found, found.at(0.0))
    measured = derivative(lambda beta: found.loss(found.at(beta), found.triggered))
    assert exact < 0
    assert abs(exact - measured) <= 1e-3 * abs(measured)


@pytest.mark.parametrize("kind", SMOOTH)
def test_the_curvature_of_the_poison_alone_gives_no_derivative(kind) -> None:
    found = Incremental.of(probed(kind))
    clean = found.at(0.0)
    assert abs(with_poison_hessian(found, clean) / initial_slope(found, clean) - 1) > 0.1


@pytest.mark.parametrize("beta", [0.0, 1.0])
@pytest.mark.parametrize(("kind", "classes"), CASES, ids=IDS)
def test_influence_is_the_derivative_by_each_images_weight(kind, classes, beta) -> None:
    found = Incremental.of(probed(kind, classes))
    exact = influences(found, beta)
    base = found.weights(beta)
    start = found.at(beta)
    seen = found.triggered
    largest_ones = np.argsort(-np.abs(exact).max(0))[:4]
    for image in (*largest_ones, np.flatnonzero(found.poisoned)[0]):

        def losses(weight, image=image):
            weights = base.copy()
            weights[image] += weight
            return found.learner.losses(seen.features @ found.learner.fit(weights, start), seen.labels)  # fmt: skip

        measured = derivative(losses, 1e-3)
        scale = max(np.abs(measured).max(), 1e-6)  # on the right side of a margin there is none
        assert np.abs(exact[:, image] - measured).max() <= 1e-3 * scale, image


@pytest.mark.parametrize(("kind", "classes"), [(k, c) for k in SMOOTH for c in (2, 3)])
def test_influence_is_what_leaving_one_image_out_does(kind, classes) -> None:
    """Retraining by scikit-learn without the image. What is left is of the order of the image's
    leverage, which many images and a strong decay make small."""
    n, decay = 10_000, 3.0
    draw = np.random.default_rng(0)
    x, y = draw.random((n, 6)), draw.integers(0, classes, n)
    x[:, 0] += y
    features = np.column_stack([x, np.ones(n)])
    test, target_labels = features[:25] + np.array([0.3] * 6 + [0]), (y[:25] + 1) % classes
    learner = {"ridge": RidgeLearner, "logistic": LogisticLearner}[kind](
        features, y, classes, decay
    )
    theta = learner.fit(np.ones(n))
    slopes = learner.score_gradients(test @ theta, target_labels)
    exact = learner.shares(theta, np.ones(n), (test.T @ slopes / 25)[None])[0]

    def loss_without(image):
        kept = np.arange(n) != image
        if kind == "ridge":
            one_hot = 2.0 * (y[:, None] == np.arange(classes)) - 1
            one_hot = one_hot[:, 1:] if classes == 2 else one_hot
            theirs = Ridge(alpha=n * decay / 2).fit(x[kept], one_hot[kept])
            scores = theirs.predict(test[:, :-1]).reshape(25, -1)
            right = 2.0 * (target_labels[:, None] == np.arange(classes)) - 1
            return np.square(scores - (right[:, 1:] if classes == 2 else right)).sum(1).mean()
        theirs = LogisticRegression(C=1 / (n * decay), solver="newton-cholesky", tol=1e-13, max_iter=500)  # fmt: skip
        chances = theirs.fit(x[kept], y[kept]).predict_proba(test[:, :-1])
        return -np.log(chances[np.arange(25), target_labels]).mean()

    before = loss_without(-1)
    for image in np.argsort(-np.abs(exact))[:5]:
        change = loss_without(image) - before
        assert abs(change + exact[image]) <= 1e-3 * abs(change)


def test_ridge_without_an_image_follows_from_its_influence_and_leverage() -> None:
    """At any decay: removing image j moves a score by -(ds/dj) / (1 - leverage of j), exactly."""
    model = probed("ridge", decay=0.003)
    found = Incremental.of(model)
    learner, theta, ones = found.learner, found.at(1.0), np.ones(200)
    moves = learner.shares(theta, ones, found.clean.features[:, :, None])
    inner = learner.solve(theta, ones, learner.features[:, :, None])[:, :, 0]
    leverage = 2 / 200 * (inner * learner.features).sum(1)
    before = found.clean.features @ theta
    for image in (0, 17, int(np.flatnonzero(found.poisoned)[0])):
        after = found.clean.features @ learner.fit((np.arange(200) != image).astype(float))
        predicted = -moves[:, image] / (1 - leverage[image])
        assert np.allclose((after - before)[:, 0], predicted, rtol=1e-8, atol=1e-12)


def test_machines_without_a_vector_on_the_margin_have_no_derivative() -> None:
    """At a strong decay every coefficient is at its bound."""
    classes = np.repeat([0, 1], 10)
    x = np.random.default_rng(0).random((20, 3)) + classes[:, None]
    features = np.column_stack([x @ x.T, np.ones(20)])
    learner = MachineLearner(features, classes, 2, 1e4)
    theta = learner.fit(np.ones(20))
    assert not learner.margin(theta, np.ones(20))[0].any()
    assert np.isnan(learner.shares(theta, np.ones(20), features[:1, :, None])).all()
    assert largest(np.array([np.nan, np.nan]), 3) == [-1]


def test_slope_says_why_it_has_no_figure(monkeypatch) -> None:
    monkeypatch.setattr(MachineLearner, "_partition", lambda self, column, theta, weights: (np.zeros(200, bool),) * 2)  # fmt: skip
    columns = Slope().study(probed("linear_svm")).columns
    assert columns["note"] == (NO_MARGIN,) and math.isnan(columns["theta"][0])
    assert -1 <= columns["theta_secant"][0] <= 1
    rows = Influence(images=2).study(probed("linear_svm")).columns
    assert rows["train"] == (-1, -1) and all(map(math.isnan, rows["influence"]))


# --- the studies --------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", LEARNERS, ids=str)
def test_a_curve_ends_at_what_the_trial_measured(kind) -> None:
    made = config(kind)
    (result,) = run_pack([made])
    curve = LearningCurve(betas=(0, 0.2, 1)).study(probed(kind)).columns
    assert curve["beta"] == (0, 0.2, 1)
    (attack,) = result.measurements
    assert curve["backdoor_accuracy"][-1] == attack.success / attack.total
    assert curve["clean_accuracy"][-1] == sum(result.class_correct) / 60
    assert curve["backdoor_loss"][0] > curve["backdoor_loss"][1] > curve["backdoor_loss"][2]


def test_losses_of_a_curve_are_those_of_the_definitions() -> None:
    model = probed("logistic", THREE)
    state = model.fitted.state(0)
    x, target_labels = (
        pixels(model, model.member.triggered[0].rows),
        model.member.triggered[0].target_labels,
    )
    logits = x @ state["1.weight"].numpy().T + state["1.bias"].numpy()
    chances = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    expected = -np.log(chances[np.arange(len(x)), target_labels]).mean()
    curve = LearningCurve(betas=(1,)).study(model).columns
    assert math.isclose(curve["backdoor_loss"][0], expected, rel_tol=1e-4)
    model = probed("linear_svm")
    state = model.fitted.state(0)
    scores = (
        pixels(model, model.member.test) @ state["1.weight"].numpy()[0] + state["1.bias"].item()
    )
    signs = np.where(model.member.test_labels == 0, 1, -1)
    curve = LearningCurve(betas=(1,)).study(model).columns
    assert math.isclose(curve["clean_loss"][0], np.maximum(0, 1 - signs * scores).mean(), rel_tol=1e-2)  # fmt: skip


@pytest.mark.parametrize("kind", LEARNERS, ids=str)
def test_shift_is_that_of_scikit_learns_weights(kind) -> None:
    model = probed(kind, decay=0.003)
    found = ParameterShift(betas=(0, 0.5)).study(model).columns
    x, y = pixels(model, model.member.train), 2 * model.member.train_labels - 1.0
    poisoned = np.isin(np.arange(200), model.member.poison.positions)
    vectors, c = [], 1 / (200 * 0.003)
    for beta in (0, 0.5):
        weights = np.where(poisoned, beta, 1.0)
        kept = weights > 0
        if kind in ("ridge", "logistic", "linear_svm"):
            theirs = {"ridge": Ridge(alpha=0.3), "linear_svm": SVC(C=c, kernel="linear", tol=1e-9),
                      "logistic": LogisticRegression(C=c, solver="newton-cholesky", tol=1e-12)}[kind]  # fmt: skip
            vectors.append(theirs.fit(x[kept], y[kept], sample_weight=weights[kept]).coef_.ravel())
            inner = np.dot
        else:
            theirs = SVC(C=c, gamma=0.05, tol=1e-9).fit(x[kept], y[kept], sample_weight=weights[kept])  # fmt: skip
            full = np.zeros(200)
            full[np.flatnonzero(kept)[theirs.support_]] = theirs.dual_coef_[0]
            vectors.append(full)
            kernel = np.exp(-0.05 * np.square(x[:, None] - x).sum(2))

            def inner(a, b, kernel=kernel):
                return a @ kernel @ b

    norms = [math.sqrt(inner(v, v)) for v in vectors]
    cosine = inner(*vectors) / math.prod(norms)
    assert np.allclose(found["rho"], norms, rtol=1e-6)
    assert np.allclose(found["ratio"], [1, norms[1] / norms[0]], rtol=1e-6)
    assert np.allclose(found["nu"], [0, (1 - cosine) / 2], atol=1e-7)


def test_the_most_influential_images_come_first() -> None:
    model = probed("ridge")
    matrix = influences(Incremental.of(model), 1.0)
    rows = Influence(images=3, most=5, beta=1).study(model).columns
    assert rows["test"] == (0,) * 5 + (1,) * 5 + (2,) * 5 and rows["rank"] == (0, 1, 2, 3, 4) * 3
    for test in range(3):
        order = sorted(range(200), key=lambda j, t=test: -abs(matrix[t, j]))[:5]
        assert list(rows["train"][5 * test : 5 * test + 5]) == order
    for train, poisoned, label in zip(rows["train"], rows["poisoned"], rows["label"], strict=True):
        assert poisoned == (train in model.member.poison.positions)
        assert label == model.member.train_labels[train]
    assert all(poisoned for poisoned, rank in zip(rows["poisoned"], rows["rank"], strict=True) if not rank)  # fmt: skip


PROBE_NAMES = ("learning_curve", "slope", "influence", "parameter_shift")


@pytest.mark.parametrize("name", PROBE_NAMES)
def test_of_clean_baselines_a_probe_says_nothing(name) -> None:
    assert PROBES.build(name).study(probed("ridge", rate=0)) is None


@pytest.mark.parametrize("name", PROBE_NAMES)
def test_a_probe_leaves_the_model_alone_and_repeats_itself(name) -> None:
    model = probed("logistic")
    before = {key: value.clone() for key, value in model.fitted.state(0).items()}
    rows = model.member.train.copy()
    first, second = (PROBES.build(name).study(model) for _ in range(2))
    assert first == second or any(math.isnan(v) for v in first.columns.get("theta", ()))
    assert all(torch.equal(before[key], value) for key, value in model.fitted.state(0).items())
    assert np.array_equal(rows, model.member.train)
    assert len({len(values) for values in first.columns.values()}) == 1


@pytest.mark.parametrize("name", PROBE_NAMES)
def test_what_a_probe_does_not_apply_to_it_says_beforehand(name) -> None:
    probe = PROBES.build(name)
    assert not list(probe.suits(config("ridge")))
    (mistake,) = probe.suits(config("ridge", decay=0))
    assert "without which no optimum is unique" in str(mistake)
    of_networks = [str(mistake) for mistake in probe.suits(config("mlp"))]
    if name != "parameter_shift":
        assert of_networks == []
        return
    assert of_networks == [
        f"kind: must be asked of convex learners, and mlp is none, but got '{name}'. "
        "Ask it of ridge, logistic, linear_svm or rbf_svm, or leave this probe out."
    ]


def test_the_authors_betas() -> None:
    """Whole numbers below 100, each next one the nearest to a spacing of logarithms of what is left,
    but at least one more."""
    numbers = [1.0]
    for left in range(19, 0, -1):
        ratio = (100 / numbers[-1]) ** (1 / left)
        numbers.append(max(numbers[-1] * ratio, numbers[-1] + 1))
    assert [round(number - 1) / 100 for number in numbers] == list(AUTHORS_BETAS)
    assert LearningCurve().betas == ParameterShift().betas == AUTHORS_BETAS


def test_a_class_that_only_poison_has_is_reported() -> None:
    labels = np.array([0, 1] * 5 + [2])
    learner = LogisticLearner(np.ones((11, 3)), labels, 3, 0.1)
    with pytest.raises(TrainingError, match="no training images of class 2"):
        learner.fit((labels < 2).astype(float))


def test_a_softmax_regression_too_large_to_solve_is_refused() -> None:
    learner = LogisticLearner(np.ones((3, 3000)), np.arange(3), 3, 0.1)
    with pytest.raises(
        TrainingError, match="of 9000 parameters: this probe solves for at most 8192"
    ):
        learner.fit(np.ones(3))
