"""Fine-tuning on clean images, against numpy loops, for every engine that trains networks."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
import torch
from torch import nn
from trials import FEW, PATCH, same, trial

from backdoor.architectures import Architecture
from backdoor.config import build_attack, build_data
from backdoor.datasets.source import load_source, split
from backdoor.engines import engine_of
from backdoor.probes.network import module_of
from backdoor.probes.persistence import Persistence
from backdoor.probes.record import probe_models
from backdoor.streams import stream
from backdoor.trial import prepare, run_pack

DATA = build_data({"kind": "digits", "train": 128, "validation": 60, "test": 40})
PROBE = Persistence(
    clean_fraction=0.3, epochs=3, learning_rate=0.2, momentum=0.5, batch_size=16, every=2
)


def softmax(z):
    e = np.exp(z - z.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def test_a_linear_model_fine_tuned_step_by_step_in_numpy() -> None:
    """Gradients, momentum, batches, images and counts, from the definitions."""
    config = trial("linear", rate=0.3, data=DATA, epochs=8, seed=3)
    weights = {}
    (result,) = run_pack(
        [config], probes=[PROBE],
        on_trained=lambda fitted, members, store: weights.update(fitted.state(0)),
    )  # fmt: skip
    (study,) = result.studies
    assert study.outcome == "found" and study.seconds > 0

    source = load_source(DATA)
    parts = split(DATA, source, 3)
    x = source.images.reshape(len(source.images), -1) / 255.0
    w, b = (weights[f"1.{name}"].double().numpy().copy() for name in ("weight", "bias"))
    held = 60
    clean = parts.validation[np.sort(stream("probe-clean", 3, held).permutation(held)[:38])]
    assert len(clean) == int(0.3 * 128)
    truth = source.labels[parts.test]
    counted = truth != 0
    stamped = source.images[parts.test[counted]].copy()
    stamped = config.attack.trigger.stamp(
        torch.from_numpy(stamped), torch.from_numpy(parts.test[counted]), torch.from_numpy(truth[counted])
    ).numpy().reshape(counted.sum(), -1) / 255.0  # fmt: skip

    def counts():
        answers = (stamped @ w.T + b).argmax(1)
        correct = ((x[parts.test] @ w.T + b).argmax(1) == truth).sum()
        return correct, (answers == 0).sum(), (answers == truth[counted]).sum()

    expected, steps, looked, step, seen = [counts()], [0], [0], 0, 0
    vw, vb = np.zeros_like(w), np.zeros_like(b)
    for epoch in range(3):
        order = stream("probe-order", 3, 38, epoch).permutation(38)
        for batch in order[:13], order[13:26], order[26:]:
            ids = clean[batch]
            error = softmax(x[ids] @ w.T + b)
            error[np.arange(len(ids)), source.labels[ids]] -= 1
            gw, gb = error.T @ x[ids] / len(ids), error.mean(0)
            vw, vb = 0.5 * vw + gw, 0.5 * vb + gb
            w, b = w - 0.2 * vw, b - 0.2 * vb
            step, seen = step + 1, seen + len(ids)
            if step in (2, 4, 6, 8, 9):
                expected.append(counts())
                steps.append(step)
                looked.append(seen)
    columns = study.columns
    assert list(columns["step"]) == steps and list(columns["images_seen"]) == looked
    found = zip(columns["clean_correct"], columns["success"], columns["robust"], strict=True)
    assert list(found) == [tuple(map(int, row)) for row in expected]
    assert set(columns["clean_total"]) == {40} and set(columns["total"]) == {int(counted.sum())}
    assert set(columns["clean_images"]) == {38} and columns["images_seen"][-1] == 3 * 38
    assert columns["attack_success"] == tuple(s / counted.sum() for s in columns["success"])
    assert len(set(expected)) > 1, "nothing moved: the comparison has lost its point"


@pytest.mark.parametrize("architecture", ["mlp", "linear", "convnet"])
def test_every_engine_that_trains_networks(architecture) -> None:
    """Step 0 is the model as it was measured, before and after; a baseline meets all triggers."""
    config = {"architecture": architecture, "data": FEW, "epochs": 2}
    measures = [build_attack({"trigger": t, "poison_rate": 0}) for t in (PATCH, "blend")]
    probe = Persistence(clean_fraction=0.05, epochs=2, batch_size=4, every=100)
    configs = [trial(**config, rate=rate, seed=seed) for rate in (0, 0.3) for seed in (0, 1)]
    results = run_pack(configs, measures, probes=[probe])
    for config, result, plain in zip(configs, results, run_pack(configs, measures), strict=True):
        assert same(result.__class__(**{**vars(result), "studies": ()}), plain)
        columns = result.studies[0].columns
        assert result.studies[0].error is None
        assert len(columns["step"]) == 2 * len(result.measurements) and max(columns["step"]) == 4
        for i, measured in enumerate(result.measurements):
            assert columns["measure_id"][i] == measured.measure_id
            assert (columns["success"][i], columns["total"][i]) == (
                measured.success,
                measured.total,
            )
            assert columns["robust"][i] == measured.robust
            assert columns["clean_correct"][i] == sum(result.class_correct)
        alone = run_pack([config], measures, probes=[probe])[0].studies[0].columns
        if engine_of(config).pack_invariant:
            assert alone == columns


def test_dropout_and_batch_norm_are_reproducible_and_change_no_model() -> None:
    """Running means belong to the copy; what dropout draws follows from the seed."""
    config = trial(f"{__name__}:Noisy", data=FEW, epochs=2, learning_rate=0.05)
    probe = Persistence(clean_fraction=0.05, epochs=2, batch_size=4, every=1)
    first, second = (run_pack([config], probes=[probe])[0] for _ in range(2))
    columns = first.studies[0].columns
    assert first.studies[0].error is None and columns == second.studies[0].columns
    assert columns["clean_correct"][0] == sum(first.class_correct)
    assert columns["success"][0] == first.measurements[0].success
    assert len(set(columns["clean_correct"])) > 1


@dataclass(frozen=True)
class Noisy(Architecture):
    """Batch norm and dropout."""

    kind: ClassVar[str] = "noisy"

    def build(self, shape, classes):
        return nn.Sequential(
            nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Dropout(0.5), nn.Linear(144, classes),
        )  # fmt: skip


def test_all_trials_of_a_seed_meet_the_same_clean_images_and_the_model_stays_as_it_is() -> None:
    from backdoor.probes import ProbedModel
    from backdoor.probes.persistence import clean_set

    configs = [trial("linear", rate=rate, data=DATA, epochs=1) for rate in (0, 0.1, 0.3)]
    source = load_source(DATA)
    members, store = prepare(configs, (), source)
    fitted = engine_of(configs[0]).train(members, store, 10, None)
    before = [fitted.state(i) for i in range(3)]
    models = [ProbedModel(fitted, i, member, store, source) for i, member in enumerate(members)]
    images = [store.pixels(m.member.validation[clean_set(m, 20)]) for m in models]
    assert (images[0] == images[1]).all() and (images[0] == images[2]).all()
    assert set(clean_set(models[0], 10)) < set(clean_set(models[0], 20))
    probe_models([PROBE], fitted, members, store, source)
    for i, state in enumerate(before):
        assert all(torch.equal(t, fitted.state(i)[name]) for name, t in state.items())
    torch.manual_seed(1)
    drawn = torch.rand(1)
    torch.manual_seed(1)
    module_of(models[0])
    assert torch.equal(torch.rand(1), drawn), "a probe has moved torch's global generator"
