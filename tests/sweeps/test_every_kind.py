"""`sweeps check` plans a spec that uses every kind that there is, and predicts what it costs."""

import re

import numpy as np
import pytest
import yaml

from backdoor.settings.registry import ARCHITECTURES, PROBES, REGULARIZERS, TRIGGERS
from backdoor.wording import counted
from sweeps.cli.main import main

#: At a size at which they fit 16 x 16 pixels; those with a slash stand for their libraries.
NETWORKS = [
    "linear", "mlp", {"kind": "convnet", "width": 4, "norm": ["none", "group", "batch"]},
    {"kind": "preact_resnet18", "width": 4}, "resnet18", "resnet50", "vgg11",
    {"kind": "nasnet_mobile", "cells": 1, "filters": 48},
    {"kind": "nasnet_large", "cells": 1, "filters": 168}, "torchvision/squeezenet1_1",
]  # fmt: skip
CONVEX = [
    {"kind": kind, "weight_decay": 0.1} for kind in ("ridge", "logistic", "linear_svm", "rbf_svm")
]
FORMS = {
    "logit_squeezing": {"form": ["norm", "squared"]},
    "soft_nearest_neighbours": {"strength": [-1, 1]},
}
MODES = ["all_to_one", "all_to_all", "clean_label"]
NAMES_ONLY = {"torchvision/NAME", "timm/NAME"}  # one is in NETWORKS, timm is not required


def kinds_of(entries):
    return {entry if isinstance(entry, str) else entry["kind"] for entry in entries}


@pytest.fixture
def written(tmp_path):
    """Writes a spec about tiny images and returns its path."""
    pixels = np.random.default_rng(0).integers(0, 256, (300, 16, 16, 3)).astype(np.uint8)
    np.savez(tmp_path / "tiny.npz", images=pixels, labels=np.arange(300) % 3)
    document = {
        "name": "every-kind", "seeds": 1, "tracking": "none", "training": {"batch_size": 20},
        "data": {"kind": "arrays", "root": str(tmp_path / "tiny.npz"), "train": 200, "validation": 40, "test": 60},
    }  # fmt: skip

    def write(**sections):
        file = tmp_path / "spec.yaml"
        file.write_text(yaml.safe_dump(document | sections))
        return str(file)

    return write


def triggers():
    return sorted(TRIGGERS.kinds())


def regularizers():
    return [{"kind": kind, **FORMS.get(kind, {})} for kind in sorted(REGULARIZERS.kinds())]


def test_nothing_is_left_out() -> None:
    """A new kind has to be added here, or belong to a group that has one name here."""
    networks = {kind.split("/")[0] for kind in kinds_of([*NETWORKS, *CONVEX])}
    known = {kind.split("/")[0] for kind in set(ARCHITECTURES.kinds()) - NAMES_ONLY}
    assert known <= networks


def test_all_of_it_as_axes_of_one_spec(written, capsys) -> None:
    file = written(
        defence={"architecture": NETWORKS + CONVEX, "regularizer": regularizers(), "epochs": 1},
        attack={"trigger": triggers(), "poison_rate": [0, 0.1], "label_mode": MODES, "target": 0},
        probes=sorted(PROBES.kinds()),
    )
    assert main(["check", file]) == 0
    out = capsys.readouterr().out
    assert all(
        f"probe on every trained model that it suits: {kind}" in out for kind in PROBES.kinds()
    )
    forms = sum(2 if kind in FORMS else 1 for kind in REGULARIZERS.kinds())
    points = (len(NETWORKS) + 2) * forms + len(CONVEX)
    attacks = len(triggers()) * len(MODES)
    counts = counted(points, "defence point"), counted(attacks, "attack")
    assert f"{counts[0]} x {counts[1]} and the clean baseline x 1 seed" in out
    (trials,) = re.findall(
        r"([\d,]+) trials in [\d,]+ packs", out.split("x 1 seed", 1)[1].split("\n")[1]
    )
    assert int(trials.replace(",", "")) == points * (attacks + 1)
    by_engine = dict(re.findall(r"(\w+): ([\d,]+) trials in", out))
    counted_trials = (int(count.replace(",", "")) for count in by_engine.values())
    assert sum(counted_trials) == int(trials.replace(",", ""))
    assert set(by_engine) == {"packed", "grouped", "serial", "convex", "logistic", "svm"}


@pytest.mark.slow
def test_what_small_ones_of_each_family_cost(written, capsys) -> None:
    """With --time a little of each kind is trained; networks take seconds, so few are asked for."""
    file = written(
        defence={"architecture": ["mlp", {"kind": "convnet", "width": 4}, *CONVEX],
                 "regularizer": ["none", {"kind": "logit_squeezing"}], "epochs": 1},
        attack={"trigger": ["patch", "warp"], "poison_rate": [0, 0.1], "target": 0},
    )  # fmt: skip
    assert main(["check", file, "--time"]) == 0
    out = capsys.readouterr().out
    assert "24 trials" in out and re.search(r"\d+(\.\d+)? (s|min|h)", out)
