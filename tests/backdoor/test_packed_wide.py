"""Packs on images with many numbers, which all members of one batch order gather once."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from synthetic import synthetic_source
from torch.func import functional_call, grad, vmap
from torch.nn import functional
from trials import trial

from backdoor.config import Training, build_data
from backdoor.engines import init_state, threads
from backdoor.engines.inputs import POSITIONS_PER_SUM
from backdoor.engines.packed import Packed
from backdoor.engines.serial import Serial
from backdoor.streams import stream
from backdoor.trial import prepare

#: 17 x 17 x 1 = 289 numbers an image: wide, and no multiple of 16.
SOURCE = synthetic_source(360, (1, 17, 17), classes=7)
DATA = build_data({"kind": "digits", "train": 300, "validation": 10, "test": 50})
SPLIT_ONCE = build_data(
    {"kind": "digits", "train": 300, "validation": 10, "test": 50, "split_seed": 0}
)
NOISE = {"kind": "patch", "size": 2, "pattern": "noise_per_class"}


def wide(
    seed=0, rate=0.1, trigger=None, batch_size=64, data=DATA, architecture="linear", **defence
):
    return trial(
        architecture, seed=seed, rate=rate, trigger=trigger or {"kind": "patch", "size": 2},
        training=Training(batch_size=batch_size), data=data, **{"epochs": 2, **defence},
    )  # fmt: skip


def states(configs, engine=None):
    members, store = prepare(configs, (), SOURCE)
    engine = engine or Packed()
    with threads(1), torch.enable_grad() if engine.name == "serial" else torch.no_grad():
        fitted = engine.train(members, store, 7, None)
    return [fitted.state(member) for member in range(len(configs))]


def mixed(batch_size, **more):
    """Trials of three orders with triggers of every extent, rates up to all images."""
    table = [
        (0, 0.1, None), (1, 0.0, None), (0, 0.02, "blend"), (0, 1.0, "sine"), (2, 0.3, NOISE),
        (1, 0.5, "blend"), (0, 0.0, None), (0, 1.0, None), (1, 0.05, None), (0, 0.1, NOISE),
    ]  # fmt: skip
    return [
        wide(s, r, t, batch_size, weight_decay=0.01 * (i % 3), learning_rate=0.1 + 0.01 * i, **more)
        for i, (s, r, t) in enumerate(table)
    ]


@pytest.mark.parametrize(
    ("batch_size", "architecture"),
    [
        (64, "linear"),
        (300, "linear"),
        (19, "linear"),
        (64, {"kind": "mlp", "width": 21}),
    ],
)
def test_a_member_has_the_same_bits_in_every_pack(batch_size, architecture) -> None:
    """Also where stamped images of a batch are more than one sum takes, and in any order."""
    assert 2 * POSITIONS_PER_SUM < 300
    configs = mixed(batch_size, architecture=architecture)
    alone = [states([config])[0] for config in configs]
    for chosen in (range(10), range(9, -1, -1), [3, 0], [7, 6, 2], [0, 2, 3, 6, 7, 9]):
        for index, state in zip(chosen, states([configs[i] for i in chosen]), strict=True):
            for name in state:
                assert torch.equal(state[name], alone[index][name]), (list(chosen), index, name)


@pytest.mark.parametrize("classes", [2, 3, 5, 10])
def test_so_it_has_for_any_number_of_classes(classes) -> None:
    source = synthetic_source(200, (1, 17, 17), classes)
    data = build_data({"kind": "digits", "train": 150, "validation": 10, "test": 30})
    configs = [wide(seed=0, rate=0.02 * i, data=data, epochs=1) for i in range(5)]

    def weights(chosen):
        members, store = prepare(chosen, (), source)
        with torch.no_grad():
            fitted = Packed().train(members, store, classes, None)
        return [fitted.state(member)["1.weight"] for member in range(len(chosen))]

    alone = [weights([config])[0] for config in configs]
    assert all(torch.equal(a, b) for a, b in zip(alone, weights(configs), strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("instructions", ["SSE4_2", "AVX2"])
def test_so_it_has_by_the_kernels_that_other_processors_take(instructions) -> None:
    """Those of lesser ones, where the library lets one choose: by Intel's, on Intel's processors."""
    script = (
        "from test_packed_wide import *\n"
        "for batch_size, architecture in (64, 'linear'), (19, {'kind': 'mlp', 'width': 21}):\n"
        "    test_a_member_has_the_same_bits_in_every_pack(batch_size, architecture)\n"
    )
    here = Path(__file__).parent
    path = os.pathsep.join(map(str, [here, here.parent, here.parents[1]]))
    env = {**os.environ, "MKL_ENABLE_INSTRUCTIONS": instructions, "PYTHONPATH": path}
    subprocess.run([sys.executable, "-c", script], env=env, check=True)


def test_members_are_split_where_their_images_differ_though_their_orders_agree() -> None:
    """One split for all seeds, and a split for each: seeds 0 and 1 share images or do not."""
    configs = [wide(seed, 0.1, data=SPLIT_ONCE) for seed in (0, 1)]
    alone = [states([config])[0] for config in configs]
    for one, other in zip(states(configs), alone, strict=True):
        assert torch.equal(one["1.weight"], other["1.weight"])
    assert not torch.equal(alone[0]["1.weight"], alone[1]["1.weight"])


@pytest.mark.parametrize("regularizer", ["none", {"kind": "logit_squeezing", "strength": 0.1}])
@pytest.mark.parametrize("batch_size", [70, 300])
def test_weights_are_those_of_torchs_own_autograd_and_sgd(regularizer, batch_size) -> None:
    configs = mixed(batch_size, regularizer=regularizer)
    for ours, theirs in zip(states(configs), states(configs, Serial()), strict=True):
        for name in theirs:
            assert torch.allclose(ours[name], theirs[name], rtol=1e-3, atol=1e-5), name


@pytest.mark.parametrize("architecture", ["linear", {"kind": "mlp", "width": 21, "depth": 2}])
def test_weights_are_those_of_vmap(architecture) -> None:
    """torch.func.vmap over one module's gradient, with momentum and decay written out."""
    configs = [
        trial(architecture, seed=s, rate=r, weight_decay=d, learning_rate=lr, momentum=m, epochs=2,
              data=DATA)
        for s, r, d, lr, m in [(0, 0.1, 0.0, 0.1, 0.9), (0, 0.3, 0.1, 0.05, 0.5), (4, 0.0, 0.01, 0.2, 0.0)]
    ]  # fmt: skip
    members, store = prepare(configs, (), SOURCE)
    modules = [init_state(config, store.shape, 7) for config in configs]
    names = [name for name, _ in modules[0].named_parameters()]
    weights = {
        n: torch.stack([dict(m.named_parameters())[n].detach() for m in modules]) for n in names
    }
    velocity = {n: torch.zeros_like(w) for n, w in weights.items()}

    def loss(parameters, x, y):
        return functional.cross_entropy(functional_call(modules[0], parameters, (x,)), y)

    gradients, steps, done = vmap(grad(loss)), 5 * 2, 0
    column = {
        key: torch.tensor([getattr(c.defence, key) for c in configs])
        for key in ("weight_decay", "learning_rate", "momentum")
    }
    for epoch in range(2):
        order = [stream("order", c.seed, 300, epoch).permutation(300) for c in configs]
        for start in range(0, 300, 64):
            chosen = [o[start : start + 64] for o in order]
            x = torch.stack(
                [
                    store.batch(torch.from_numpy(member.train[i]))
                    for member, i in zip(members, chosen, strict=True)
                ]
            )
            y = torch.from_numpy(
                np.stack(
                    [member.train_labels[i] for member, i in zip(members, chosen, strict=True)]
                )
            )
            rate = column["learning_rate"] * 0.5 * (1 + np.cos(np.pi * done / steps))
            for name, g in gradients(weights, x, y).items():
                shape = (-1, *[1] * (g.ndim - 1))
                decay = column["weight_decay"].view(shape) * weights[name] if g.ndim > 2 else 0
                velocity[name] = column["momentum"].view(shape) * velocity[name] + g + decay
                weights[name] = weights[name] - rate.view(shape) * velocity[name]
            done += 1
    for member, state in enumerate(states(configs)):
        for name in names:
            assert torch.allclose(state[name], weights[name][member], rtol=1e-3, atol=1e-5), name
