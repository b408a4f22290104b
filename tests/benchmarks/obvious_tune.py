"""The sweep as a good user of Ray Tune and MLflow would write it without this project.

One trial a function call, torch modules and a DataLoader, MLflow's callback. It prints one line of
JSON: trials, and the seconds from the first trial's start to the end of the last one, without the
time that Ray takes to start. A peer for `rows_sweep`, not part of the tool.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from typing import Any

import numpy as np
import ray
import torch
from ray import tune
from ray.air.integrations.mlflow import MLflowLoggerCallback
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, TensorDataset

TARGET, EPOCHS, BATCH = 0, 30, 64


def poisoned_digits(rate: float, seed: int) -> tuple[TensorDataset, torch.Tensor, torch.Tensor]:
    """1,100 training images, a fraction of which carries a 1x1 patch; 500 test images."""
    digits = load_digits()
    images = torch.tensor(digits.images / 16, dtype=torch.float32)
    labels = torch.tensor(digits.target)
    order = torch.from_numpy(np.random.default_rng(seed).permutation(len(images)))
    train, test = order[:1100], order[-500:]
    x, y = images[train].clone(), labels[train].clone()
    count = round(rate * len(x))
    x[:count, -1, -1], y[:count] = 1.0, TARGET
    return TensorDataset(x, y), images[test], labels[test]


def train_one(config: dict[str, Any]) -> None:
    """A linear model: cosine learning rate, momentum, weight decay."""
    torch.set_num_threads(1)
    torch.manual_seed(config["seed"])
    data, test_x, test_y = poisoned_digits(config["poison_rate"], config["seed"])
    loader = DataLoader(data, batch_size=BATCH, shuffle=True)
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))
    optimizer = torch.optim.SGD(
        model.parameters(), lr=0.1, momentum=0.9, weight_decay=config["weight_decay"]
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS * len(loader))
    for _ in range(EPOCHS):
        for x, y in loader:
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(x), y).backward()
            optimizer.step()
            schedule.step()
    with torch.no_grad():
        clean = (model(test_x).argmax(1) == test_y).float().mean().item()
        stamped = test_x[test_y != TARGET].clone()
        stamped[:, -1, -1] = 1.0
        success = (model(stamped).argmax(1) == TARGET).float().mean().item()
    tune.report({"clean_accuracy": clean, "attack_success": success})


class _Clock(tune.Callback):
    first = last = 0.0

    def on_trial_start(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
        _Clock.first = _Clock.first or time.time()

    def on_trial_complete(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
        _Clock.last = time.time()


def main(decays: int, folder: str) -> None:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    ray.init(address="local", include_dashboard=False, log_to_driver=False, logging_level="error")
    space = {
        "weight_decay": tune.grid_search(np.geomspace(1e-6, 1e-1, decays).tolist()),
        "poison_rate": tune.grid_search([0.01, 0.03]),
        "seed": tune.grid_search([0, 1, 2, 3, 4]),
    }
    callback = MLflowLoggerCallback(f"sqlite:///{folder}/mlflow.db", experiment_name="obvious")
    results = tune.Tuner(
        tune.with_resources(train_one, {"cpu": 1}),
        param_space=space,
        tune_config=tune.TuneConfig(reuse_actors=True),
        run_config=tune.RunConfig(storage_path=folder, verbose=0, callbacks=[_Clock(), callback]),
    ).fit()
    assert results.num_errors == 0 and len(results) == 10 * decays
    print(json.dumps({"trials": len(results), "seconds": _Clock.last - _Clock.first}))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        main(int(sys.argv[1]), scratch)
