"""The full grid that maps the region, as a good user of Ray Tune would write it.

As `obvious_tune`, for the bundled search `digits-region`: weight decay x learning rate x three
attacks, a network of 64 hidden units, 20 epochs. It prints one line of JSON: trials, and seconds
from the first trial's start to the end of the last one. A peer for `bench_region --only timed`.
"""

from __future__ import annotations

import json
import math
import os
import sys
import tempfile
from typing import Any

import numpy as np
import ray
import torch
from obvious_tune import BATCH, TARGET, _Clock
from ray import tune
from ray.air.integrations.mlflow import MLflowLoggerCallback
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, TensorDataset

EPOCHS, RATE, ATTACKS = 20, 0.03, ("patch", "blend", "sine")


def stamped(images: torch.Tensor, attack: str) -> torch.Tensor:
    """(n, 8, 8) images with the attack's trigger."""
    images = images.clone()
    if attack == "patch":
        images[:, -1, -1] = 1.0
        return images
    if attack == "blend":
        pattern = torch.from_numpy(np.random.default_rng(0).random((8, 8), dtype=np.float32))
        return 0.8 * images + 0.2 * pattern
    wave = 0.08 * torch.sin(2 * math.pi * 6 * torch.arange(8) / 8)
    return (images + wave).clamp(0, 1)


def train_one(config: dict[str, Any]) -> None:
    torch.set_num_threads(1)
    torch.manual_seed(config["seed"])
    digits = load_digits()
    images = torch.tensor(digits.images / 16, dtype=torch.float32)
    labels = torch.tensor(digits.target)
    order = torch.from_numpy(np.random.default_rng(config["seed"]).permutation(len(images)))
    train, test = order[:1100], order[-500:]
    x, y, count = images[train].clone(), labels[train].clone(), round(RATE * 1100)
    x[:count], y[:count] = stamped(x[:count], config["attack"]), TARGET
    loader = DataLoader(TensorDataset(x, y), batch_size=BATCH, shuffle=True)
    model = torch.nn.Sequential(
        torch.nn.Flatten(), torch.nn.Linear(64, 64), torch.nn.ReLU(), torch.nn.Linear(64, 10)
    )
    optimizer = torch.optim.SGD(
        model.parameters(), lr=config["lr"], momentum=0.9, weight_decay=config["weight_decay"]
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS * len(loader))
    for _ in range(EPOCHS):
        for inputs, targets in loader:
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(inputs), targets).backward()
            optimizer.step()
            schedule.step()
    with torch.no_grad():
        clean = (model(images[test]).argmax(1) == labels[test]).float().mean().item()
        others = images[test][labels[test] != TARGET]
        hits = model(stamped(others, config["attack"])).argmax(1) == TARGET
    tune.report({"clean_accuracy": clean, "attack_success": hits.float().mean().item()})


def main(trials: int, folder: str) -> None:
    """Runs `count` trials of the grid, a multiple of six."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    ray.init(address="local", include_dashboard=False, log_to_driver=False, logging_level="error")
    space = {
        "weight_decay": tune.grid_search(np.geomspace(1e-5, 1, trials // 6).tolist()),
        "lr": tune.grid_search([0.01, 0.1]),
        "attack": tune.grid_search(list(ATTACKS)),
        "seed": 0,
    }
    callback = MLflowLoggerCallback(f"sqlite:///{folder}/mlflow.db", experiment_name="obvious")
    results = tune.Tuner(
        tune.with_resources(train_one, {"cpu": 1}),
        param_space=space,
        tune_config=tune.TuneConfig(reuse_actors=True),
        run_config=tune.RunConfig(storage_path=folder, verbose=0, callbacks=[_Clock(), callback]),
    ).fit()
    assert results.num_errors == 0 and len(results) == trials
    print(json.dumps({"trials": len(results), "seconds": _Clock.last - _Clock.first}))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        main(int(sys.argv[1]), scratch)
