"""Closed forms against scikit-learn, fit by fit.

Ours is `run_pack` on the packs that a sweep would make: splits, poisoning and stamping, training,
evaluation on test, validation and triggered images, results. Theirs is handed its arrays and is
timed from `fit` to the last `predict`, on a part of the grid, scaled up. A variant of theirs that
does not solve the same problem as well as ours is left out, as the test of its row says.

Seconds are CPU seconds of one thread. Images are pairs of MNIST (7, 1) and CIFAR-10 (0, 6): with
BACKDOOR_DATA=FOLDER those in FOLDER/MNIST/raw and FOLDER/cifar10/*.parquet; without, random images
of the same shapes, whose spectrum falls like that of photographs. How many steps a logistic
regression takes differs between the two: with MNIST at hand it has a row for either.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.metrics.pairwise import linear_kernel, rbf_kernel
from sklearn.svm import SVC
from throughput import Row, side_by_side, timed, wanted
from trials import trial

from backdoor.config import TrialConfig, build_data
from backdoor.data import load_source
from backdoor.datasets import Dataset
from backdoor.engines.logistic import Images, LogisticEngine, solve
from backdoor.trial import TrialResult, prepare, run_pack
from sweeps.plan import Job, make_packs

SIZES = {"train": 1500, "validation": 500, "test": 500}
RATES = (0.01, 0.02, 0.05, 0.1, 0.15, 0.2)
#: For each number of inputs: side of the trigger, shape of an image.
SHAPES = {784: (6, (28, 28)), 3072: (8, (32, 32, 3))}


#: How far the classes of random images are apart, in standard deviations of each leading axis.
APART = 0.7


# --- images ------------------------------------------------------------------------------------


@lru_cache
def images(inputs: int) -> Dataset:
    """A source of two classes with so many inputs."""
    folder = os.environ.get("BACKDOOR_DATA")
    if folder is None:
        return arrays_file(inputs)
    if inputs == 784:
        return build_data({"kind": "mnist", "root": folder, "classes": [7, 1], **SIZES})
    root = str(Path(folder) / "cifar10")
    return build_data({"kind": "parquet", "root": root, "classes": [0, 6], **SIZES})


@lru_cache
def arrays_file(inputs: int) -> Dataset:
    """Random images, with data at hand too."""
    return build_data({"kind": "arrays", "root": str(random_images(inputs)), **SIZES})


def random_images(inputs: int) -> Path:
    """An .npz file: axes of falling variance, along which two classes differ a little, and noise.

    As on pairs of real photographs, linear models classify nine of ten images.
    """
    _, shape = SHAPES[inputs]
    draw = np.random.default_rng(inputs)
    labels = np.arange(sum(SIZES.values())) % 2
    spread = 60 * np.arange(1, 201) ** -0.7
    scores = draw.standard_normal((len(labels), 200))
    scores[:, :20] += (labels[:, None] - 0.5) * APART * draw.standard_normal(20)
    raw = 128 + (scores * spread) @ draw.standard_normal((200, inputs)) / 4
    raw += 8 * draw.standard_normal(raw.shape)
    file = Path(mkdtemp()) / f"{inputs}.npz"
    np.savez(file, images=raw.clip(0, 255).astype(np.uint8).reshape(-1, *shape), labels=labels)
    return file


# --- both sides --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Grid:
    """Strengths x poison rates of one learner on one source, and the part that they fit."""

    configs: Sequence[TrialConfig]
    part: Sequence[int]

    @staticmethod
    def of(
        learners: Sequence[Any],
        decays: Sequence[float],
        inputs: int,
        every: int,
        data: Dataset | None = None,
    ) -> Grid:
        """data: by default `images`."""
        side, _ = SHAPES[inputs]
        configs = [
            trial(learner, rate=rate, weight_decay=decay, data=data or images(inputs),
                  trigger={"kind": "patch", "size": side})
            for rate in RATES for learner in learners for decay in decays
        ]  # fmt: skip
        # A step prime to the number of strengths: all rates and strengths have their turn.
        return Grid(configs, range(every // 2, len(configs), every))

    @property
    def scale(self) -> float:
        return len(self.configs) / len(self.part)

    def sweep(self) -> list[TrialResult]:
        return [r for pack in make_packs(self.configs, Job(())) for r in run_pack(pack.trials)]


@dataclass(frozen=True)
class Arrays:
    """What their fit gets, inputs and labels and three sets of images to classify; then the
    answers that count, and how many of those our model gives."""

    config: TrialConfig
    x: Any
    y: Any
    asked: Sequence[Any]
    wanted: Sequence[Any]
    ours: tuple[int, ...]


def arrays_of(grid: Grid, dtype: Any = np.float64) -> list[Arrays]:
    """Of the part of the grid that they fit, with the counts of our own models."""
    chosen = [grid.configs[i] for i in grid.part]
    results = {r.trial_id: r for r in grid.sweep()}
    lanes, bank = prepare(chosen, (), load_source(chosen[0].data))

    def inputs(rows: Any) -> Any:
        return (bank.uint8(rows).flatten(1).numpy() / 255).astype(dtype)

    found = []
    for lane in lanes:
        sets = [inputs(rows) for rows in (lane.test, lane.validation, lane.triggered[0].rows)]
        ours = results[lane.config.trial_id]
        hits = sum(ours.class_correct), ours.validation_correct, ours.measurements[0].success
        right = lane.test_labels, lane.validation_labels, lane.triggered[0].wanted
        found.append(Arrays(lane.config, inputs(lane.train), lane.train_labels, sets, right, hits))
    return found


def answers(model: Any, arrays: Arrays) -> list[Any]:
    fitted = model.fit(arrays.x, arrays.y)
    return [fitted.predict(images) for images in arrays.asked]


def counts(arrays: Arrays, answers: Sequence[Any]) -> tuple[int, ...]:
    """Right answers on test and validation images, and what the attacker wants on triggered."""
    pairs = zip(answers, arrays.wanted, strict=True)
    return tuple(int((answer == wanted).sum()) for answer, wanted in pairs)


def cpu(work: Callable[[], object], scale: float = 1.0) -> Callable[[], float]:
    return timed(work, scale, time.process_time)


# --- ridge -------------------------------------------------------------------------------------

RIDGE = np.logspace(-4, 2, 50).tolist()


def ridge_rows() -> Iterator[Row]:
    """Theirs in either precision, by each solver that gives the same counts as ours.

    The two that take least are timed in turn with ours. svd is left out: five times slower.
    """
    for inputs, goal in ((784, 20), (3072, 15)):
        name = f"ridge path, 50 x 6, {inputs} inputs / RidgeClassifier"
        if wanted(name):
            grid = Grid.of(["ridge"], RIDGE, inputs, every=61)
            baselines = [cpu(fit, grid.scale) for fit in equal_ridges(grid)[:2]]
            yield from side_by_side(name, goal, baselines, cpu(grid.sweep))


def equal_ridges(grid: Grid) -> list[Callable[[], object]]:
    """Variants of theirs that classify the part of the grid as ours do, the fastest first."""
    found = []
    for dtype in (np.float64, np.float32):
        arrays = arrays_of(grid, dtype)
        for solver in ("cholesky", "lsqr", "sparse_cg"):
            fit = partial(fit_ridges, arrays, solver)
            start = time.process_time()
            given = fit()
            seconds = time.process_time() - start
            if all(counts(a, each) == a.ours for a, each in zip(arrays, given, strict=True)):
                found.append((seconds, len(found), fit))
    return [fit for *_, fit in sorted(found)]


def fit_ridges(arrays: Sequence[Arrays], solver: str) -> list[Any]:
    return [
        answers(RidgeClassifier(len(a.x) * a.config.defence.weight_decay / 2, solver=solver), a)
        for a in arrays
    ]


# --- support vector machines -------------------------------------------------------------------

#: C of the regularised half of the published grid, which runs from 1e-4 to 1000.
SVM_C = (1e-4, 6e-4, 3.6e-3, 2.2e-2, 0.13)
GAMMAS = (5e-4, 5e-3, 5e-2)


def svm_rows() -> Iterator[Row]:
    """Theirs with its own kernels; given a kernel computed by BLAS, it does half of our work."""
    decays = [1 / (SIZES["train"] * c) for c in SVM_C]
    gaussian = [{"kind": "rbf_svm", "gamma": gamma} for gamma in GAMMAS]
    for learners, text, inputs, every in (
        (["linear_svm"], "linear SVM, 5 x 6", 784, 7),
        (["linear_svm"], "linear SVM, 5 x 6", 3072, 7),
        (gaussian, "RBF SVM, 3 x 5 x 6", 784, 13),
        (gaussian, "RBF SVM, 3 x 5 x 6", 3072, 29),
    ):
        name = f"{text}, {inputs} inputs / SVC"
        if wanted(name) or wanted(f"{name} of a BLAS kernel"):
            grid = Grid.of(learners, decays, inputs, every)
            arrays = arrays_of(grid)
            for kernel, goal, suffix in (
                (own_kernel, 20, ""),
                (blas_kernel, 3, " of a BLAS kernel"),
            ):
                fit = partial(fit_machines, arrays, kernel)
                assert all(
                    counts(a, found) == a.ours for a, found in zip(arrays, fit(), strict=True)
                )
                ours = cpu(grid.sweep)
                yield from side_by_side(name + suffix, goal, [cpu(fit, grid.scale)], ours)


def fit_machines(arrays: Sequence[Arrays], kernel: Callable[[Any], dict[str, Any]]) -> list[Any]:
    machines = []
    for a in arrays:
        c = 1 / (len(a.x) * a.config.defence.weight_decay)
        machines.append(answers(SVC(C=c, **kernel(a.config.defence.architecture)), a))
    return machines


def own_kernel(architecture: Any) -> dict[str, Any]:
    if architecture.kind == "linear_svm":
        return {"kernel": "linear"}
    return {"kernel": "rbf", "gamma": architecture.gamma}


def blas_kernel(architecture: Any) -> dict[str, Any]:
    if architecture.kind == "linear_svm":
        return {"kernel": linear_kernel}
    return {"kernel": partial(rbf_kernel, gamma=architecture.gamma)}


# --- logistic regression -----------------------------------------------------------------------

LOGISTIC_C = np.logspace(-4, 1, 10).tolist()


#: By number of inputs; the most exact one last.
SOLVERS = {
    784: [("newton-cholesky", np.float64), ("lbfgs", np.float32), ("lbfgs", np.float64)],
    3072: [("lbfgs", np.float32), ("lbfgs", np.float64)],
}
TOLERANCES = (1e-3, 3e-4, 1e-4, 3e-5, 1e-5, 1e-6, 1e-8)


def logistic_rows() -> Iterator[Row]:
    """Theirs, for each fit, by the fastest variant whose objective is within 1e-4 of the optimum.

    Left out after measuring: newton-cg, slower at equal objective, newton-cholesky at 3,072 inputs
    and saga, which take seconds a fit, and liblinear, which penalises the intercept.
    """
    cases = [("784 inputs", 784, arrays_file), ("3072 inputs", 3072, images)]
    if "BACKDOOR_DATA" in os.environ:
        cases.append(("MNIST 7-1", 784, images))
    for text, inputs, source in cases:
        name = f"logistic path, 10 x 6, {text} / LogisticRegression"
        if not wanted(name):
            continue
        decays = [1 / (SIZES["train"] * c) for c in LOGISTIC_C]
        grid = Grid.of(["logistic"], decays, inputs, 7, source(inputs))
        both = zip(arrays_of(grid), arrays_of(grid, np.float32), optima(grid), strict=True)
        fits = [fastest(wide, narrow, best) for wide, narrow, best in both]
        theirs = cpu(partial(all_of, fits), grid.scale)
        yield from side_by_side(name, 3, [theirs], cpu(grid.sweep))


def all_of(fits: Sequence[Callable[[], object]]) -> None:
    for fit in fits:
        fit()


def optima(grid: Grid) -> list[float]:
    """The optimum of each fit of the part, by Newton's method; our sweep's objective is near it."""
    chosen = [grid.configs[i] for i in grid.part]
    lanes, bank = prepare(chosen, (), load_source(chosen[0].data))
    models = LogisticEngine().train(lanes, bank, 2, None)
    values = []
    for index, lane in enumerate(lanes):
        x = bank.uint8(lane.train).flatten(1).numpy() / 255
        state = models.state(index)
        ours = [state[key].numpy().T for key in ("1.weight", "1.bias")]
        (best,) = solve(Images.centre(x), lane.train_labels, 2, [lane.config.defence.weight_decay])
        value, optimum = (
            objective(w[:, 1] - w[:, 0], b[1] - b[0], x, lane.train_labels, lane.config)
            for w, b in (ours, best)
        )
        assert abs(value - optimum) <= 1e-4 * optimum
        values.append(optimum)
    return values


def objective(w: Any, b: float, x: Any, y: Any, config: TrialConfig) -> float:
    losses = np.logaddexp(0, -(2 * y - 1) * (x @ w + b))
    return float(losses.mean() + config.defence.weight_decay / 2 * w @ w)


def fastest(wide: Arrays, narrow: Arrays, best: float) -> Callable[[], object]:
    """Each solver at its loosest tolerance that will do, and of those the fastest."""
    found = []
    c = 1 / (len(wide.x) * wide.config.defence.weight_decay)
    for solver, dtype in SOLVERS[wide.x.shape[1]]:
        mine = wide if dtype is np.float64 else narrow
        for tolerance in TOLERANCES:
            model = LogisticRegression(C=c, solver=solver, tol=tolerance, max_iter=2000)
            fit = partial(answers, model, mine)
            seconds = cpu(fit)()
            w, b = model.coef_.ravel().astype(np.float64), float(model.intercept_[0])
            if objective(w, b, wide.x, wide.y, wide.config) <= best * (1 + 1e-4):
                found.append((seconds, len(found), fit))
                break
    # Where the optimum is all but 0 none may come so near: then the last one, the most exact.
    return min(found)[2] if found else fit


def rows() -> Iterator[Row]:
    yield from ridge_rows()
    yield from svm_rows()
    yield from logistic_rows()
