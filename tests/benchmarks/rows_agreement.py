"""Packed, grouped and closed-form engines give the figures of plain ones, within seed noise.

A ratio is what seed noise allows, the half-width of the 95 % interval of a difference of two
means (Welch), by the difference found: of clean accuracy, and of attack success. The plain engine
trains one network after the other; for closed forms it is scikit-learn, fit by fit. On digits;
CIFAR10=DIR, a folder of *.parquet, adds a part of CIFAR-10.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from scipy import stats
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.svm import SVC
from throughput import Row, one_thread, selected
from trials import DIGITS, trial

from backdoor.config import build_data
from backdoor.datasets import Dataset
from backdoor.datasets.source import load_source
from backdoor.engines import Ids, Member, engine_of
from backdoor.engines.serial import Serial
from backdoor.image_store.store import ImageStore
from backdoor.trial import prepare

SEEDS, RATE = 6, 0.05
#: The ratio for a difference of 0.
MOST = 100.0
NETWORKS = {"linear": 6, "mlp": 8, "convnet": 12}
DECAYS = {"ridge": 0.01, "logistic": 0.001, "linear_svm": 0.01, "rbf_svm": 0.01}
Predict = Callable[[int, Ids], Ids]


def rows() -> Iterator[Row]:
    data = {"digits": DIGITS}
    if folder := os.environ.get("CIFAR10"):
        part = {"train": 2000, "validation": 10, "test": 1000, "root": folder}
        data["CIFAR-10"] = build_data({"kind": "parquet", **part})
    for text, source in data.items():
        for kind in (*NETWORKS, *DECAYS):
            yield from _agreement(f"agreement: {kind} on {text}", kind, source)


def _agreement(name: str, kind: str, data: Dataset) -> Iterator[Row]:
    if not selected(name):
        return
    architecture: Any = {"kind": "convnet", "width": 4} if kind == "convnet" else kind
    point = {"weight_decay": DECAYS[kind]} if kind in DECAYS else {"epochs": NETWORKS[kind]}
    configs = [trial(architecture, seed=s, rate=RATE, data=data, **point) for s in range(SEEDS)]
    members, store = prepare(configs, (), load_source(data))
    classes = len(load_source(data).class_names)
    engine = engine_of(configs[0])
    assert engine.name != "serial"
    with one_thread():
        with torch.no_grad():
            ours = _figures(members, engine.train(members, store, classes, None).predict)
        plain = _scikit(members, store, kind) if kind in DECAYS else None
        theirs = _figures(members, plain or Serial().train(members, store, classes, None).predict)
    ratios = tuple(_allowed(a, b) for a, b in zip(ours.T, theirs.T, strict=True))
    yield Row(name, min(ratios), 1.0, ratios)


def _figures(members: Sequence[Member], predict: Predict) -> Any:
    """Clean accuracy and attack success of each model, (models, 2)."""
    return np.array([
        [np.mean(predict(i, member.test) == member.test_labels),
         np.mean(predict(i, member.triggered[0].rows) == member.triggered[0].target_labels)]
        for i, member in enumerate(members)
    ])  # fmt: skip


def _allowed(ours: Any, theirs: Any) -> float:
    """Half-width of the interval divided by the difference found."""
    found = abs(ours.mean() - theirs.mean())
    low, high = stats.ttest_ind(ours, theirs, equal_var=False).confidence_interval()
    return min(MOST, (high - low) / 2 / found) if found else MOST


def _scikit(members: Sequence[Member], store: ImageStore, kind: str) -> Predict:
    def inputs(rows: Ids) -> Any:
        return store.pixels(rows) / 255

    models = [
        _model(kind, member).fit(inputs(member.train), member.train_labels) for member in members
    ]
    return lambda member, rows: models[member].predict(inputs(rows))


def _model(kind: str, member: Member) -> Any:
    """Of the strength that the weight decay is."""
    total = len(member.train) * DECAYS[kind]
    return {
        "ridge": RidgeClassifier(total / 2),
        "logistic": LogisticRegression(C=1 / total, max_iter=2000, tol=1e-6),
        "linear_svm": SVC(C=1 / total, kernel="linear"),
        "rbf_svm": SVC(C=1 / total, kernel="rbf", gamma="scale"),
    }[kind]
