"""Ridge classifiers and support vector machines against scikit-learn, fit by fit."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
from convex_grids import SIZES, Arrays, Grid, answers, arrays_of, counts, cpu
from sklearn.linear_model import RidgeClassifier
from sklearn.metrics.pairwise import linear_kernel, rbf_kernel
from sklearn.svm import SVC
from throughput import Row, selected, side_by_side

# --- ridge -------------------------------------------------------------------------------------

RIDGE = np.logspace(-4, 2, 50).tolist()


def ridge_rows() -> Iterator[Row]:
    """Theirs in either precision, by each solver that gives the same counts as ours.

    The two fastest are timed in turn with ours. svd is left out: five times slower.
    """
    for inputs, required in ((784, 20), (3072, 15)):
        name = f"ridge path, 50 x 6, {inputs} inputs / RidgeClassifier"
        if selected(name):
            grid = Grid.of(["ridge"], RIDGE, inputs, every=61)
            baselines = [cpu(fit, grid.scale) for fit in equal_ridges(grid)[:2]]
            yield from side_by_side(name, required, baselines, cpu(grid.sweep))


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
        if selected(name) or selected(f"{name} of a BLAS kernel"):
            grid = Grid.of(learners, decays, inputs, every)
            arrays = arrays_of(grid)
            for kernel, required, suffix in (
                (own_kernel, 20, ""),
                (blas_kernel, 3, " of a BLAS kernel"),
            ):
                fit = partial(fit_machines, arrays, kernel)
                assert all(
                    counts(a, found) == a.ours for a, found in zip(arrays, fit(), strict=True)
                )
                ours = cpu(grid.sweep)
                yield from side_by_side(name + suffix, required, [cpu(fit, grid.scale)], ours)


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


def rows() -> Iterator[Row]:
    yield from ridge_rows()
    yield from svm_rows()
