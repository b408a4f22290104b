"""Packs give the accuracies and attack success of single networks, within the noise of seeds."""

import numpy as np
import pytest
import torch
from trials import DIGITS, trial

from backdoor.datasets.source import load_source
from backdoor.engines import engine_of, threads
from backdoor.engines.serial import Serial
from backdoor.trial import prepare


@pytest.mark.parametrize(
    ("architecture", "epochs"),
    [
        ("linear", 6),
        ("mlp", 8),
        pytest.param({"kind": "convnet", "width": 4}, 12, marks=pytest.mark.slow),
    ],
)
def test_packed_figures_are_those_of_single_networks(architecture, epochs) -> None:
    configs = [trial(architecture, seed=s, epochs=epochs, rate=0.05) for s in range(4)]
    members, store = prepare(configs, (), load_source(DIGITS))

    def figures(engine):
        with threads(1), torch.enable_grad() if engine.name == "serial" else torch.no_grad():
            fitted = engine.train(members, store, 10, None)
        return np.array(
            [
                [np.mean(fitted.predict(i, member.test) == member.test_labels)]
                + [np.mean(fitted.predict(i, t.rows) == t.target_labels) for t in member.triggered]
                for i, member in enumerate(members)
            ]
        )

    engine = engine_of(configs[0])
    assert engine.name != "serial"
    packed, single = figures(engine), figures(Serial())
    noise = single.std(0, ddof=1) / np.sqrt(len(members))
    assert single[:, 0].min() > 0.6  # they have learnt something
    assert (np.abs(packed.mean(0) - single.mean(0)) <= np.maximum(noise, 0.003)).all()
