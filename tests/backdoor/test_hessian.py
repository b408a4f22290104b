"""Hessians, conjugate gradients and influence against explicit matrices and retrained optima."""

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from backdoor.engines import threads
from backdoor.probes.hessian import Objective, conjugate_gradients, loss_influence, theta_of


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Tiny products are slower by two threads."""
    with threads(1):
        yield


def tiny(activation=nn.Tanh, seed=0):
    """A convolution, a normalization with its own scales, two dense layers: 4 classes of inputs."""
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(1, 2, 2), nn.GroupNorm(1, 2), activation(), nn.Flatten(), nn.Linear(8, 3), activation(), nn.Linear(3, 4),
    ).double().eval()  # fmt: skip


def samples(n, seed, classes=4):
    draw = torch.Generator().manual_seed(seed)
    return torch.rand(n, 1, 3, 3, generator=draw, dtype=torch.float64), torch.randint(
        0, classes, (n,), generator=draw
    )


def chunked(data, size=5):
    return lambda: zip(data[0].split(size), data[1].split(size), strict=True)


def explicit(module, data, divisor, decay):
    """Gradient (p,) and Hessian (p, p) from torch.func on one flat vector of parameters.

    Backward twice: its forward mode warns of a deprecated part of torch.
    """
    names = [name for name, _ in module.named_parameters()]
    shapes = [p.shape for p in module.parameters()]
    sizes = [p.numel() for p in module.parameters()]

    def value(flat):
        parts = [v.view(s) for v, s in zip(flat.split(sizes), shapes, strict=True)]
        logits = torch.func.functional_call(module, dict(zip(names, parts, strict=True)), data[0])
        loss = -torch.log_softmax(logits, 1)[torch.arange(len(data[1])), data[1]].sum() / divisor
        return loss + decay / 2 * sum((p**2).sum() for p in parts if p.ndim > 1)

    flat = torch.cat([p.detach().flatten() for p in module.parameters()])
    return (
        torch.func.grad(value)(flat),
        torch.func.jacrev(torch.func.grad(value))(flat),
        value(flat),
    )


@pytest.mark.parametrize("activation", [nn.Tanh, nn.ReLU])
def test_products_gradients_and_sample_gradients_are_those_of_the_explicit_hessian(
    activation,
) -> None:
    module, data = tiny(activation), samples(13, 1)
    objective = Objective(module, chunked(data), 20.0, 0.3)
    gradient, hessian, value = explicit(module, data, 20.0, 0.3)
    assert objective.value() == pytest.approx(float(value), rel=1e-12)
    assert torch.allclose(objective.gradient(), gradient, rtol=1e-10, atol=1e-13)
    for seed in range(3):
        vector = torch.randn(len(gradient), generator=torch.Generator().manual_seed(seed)).double()
        assert torch.allclose(objective.product(vector), hessian @ vector, rtol=1e-9, atol=1e-12)
        each = [explicit(module, (data[0][i : i + 1], data[1][i : i + 1]), 1.0, 0.0)[0] @ vector for i in range(13)]  # fmt: skip
        assert torch.allclose(objective.along(vector), torch.stack(each), rtol=1e-9, atol=1e-12)


def test_a_linear_network_of_one_class_has_no_curvature_but_its_decay() -> None:
    module, data = nn.Sequential(nn.Flatten(), nn.Linear(9, 1)).double(), samples(3, 0, classes=1)
    vector = torch.arange(10.0).double()
    product = Objective(module, chunked(data), 3, 0.5).product(vector)
    assert torch.allclose(product, torch.cat([vector[:9] / 2, torch.zeros(1).double()]))


def test_conjugate_gradients_against_a_direct_solution() -> None:
    draw = np.random.default_rng(0)
    root = draw.normal(size=(12, 12))
    matrix, b = root @ root.T / 12, draw.normal(size=12)
    found = conjugate_gradients(
        lambda v: torch.from_numpy(matrix) @ v, torch.from_numpy(b), 0.1, tolerance=1e-12
    )
    expected = np.linalg.solve(matrix + 0.1 * np.eye(12), b)
    assert np.allclose(found.x.numpy(), expected, rtol=1e-9)
    assert found.solved and found.residual <= 1e-12 and found.damping == 0.1
    values = np.linalg.eigvalsh(matrix) + 0.1
    assert values[0] <= found.least_curvature <= values[-1]
    few = conjugate_gradients(lambda v: torch.from_numpy(matrix) @ v, torch.from_numpy(b), most=3)
    assert few.iterations == 3 and few.residual == pytest.approx(
        np.linalg.norm(b - matrix @ few.x.numpy()) / np.linalg.norm(b)
    )
    nothing = conjugate_gradients(lambda v: v, torch.zeros(4))
    assert nothing.iterations == 0 and not nothing.x.any()


def test_a_matrix_that_is_not_positive_is_said_to_be_so() -> None:
    diagonal = torch.tensor([2.0, 1.0, -0.5]).double()
    b = torch.ones(3).double()
    assert not conjugate_gradients(lambda v: diagonal * v, b).solved
    assert conjugate_gradients(lambda v: diagonal * v, b, damping=0.6).solved


def optimum(module, losses, decay):
    """Trains to the optimum of a scalar loss by Newton steps of L-BFGS."""
    optimizer = torch.optim.LBFGS(module.parameters(), 1.0, 500, tolerance_grad=1e-12, tolerance_change=1e-16, line_search_fn="strong_wolfe")  # fmt: skip

    def closure():
        optimizer.zero_grad()
        weights = sum((p**2).sum() for p in module.parameters() if p.ndim > 1)
        total = losses(module) + decay / 2 * weights
        total.backward()
        return total

    for _ in range(6):
        optimizer.step(closure)
    return module


def test_the_derivative_is_that_of_retrained_networks() -> None:
    """Softmax regression on raw pixels, whose optimum can be found: dL/db by finite differences
    of optima retrained at b and -b, each sample's share by retraining with it alone."""
    clean, poison, test = samples(30, 1), samples(4, 2), samples(10, 3)
    n, decay = 34, 0.05

    def trained(beta, chosen=slice(None)):
        torch.manual_seed(0)
        module = nn.Sequential(nn.Flatten(), nn.Linear(9, 4)).double()

        def losses(module):
            total = functional.cross_entropy(module(clean[0]), clean[1], reduction="sum")
            few = functional.cross_entropy(
                module(poison[0][chosen]), poison[1][chosen], reduction="sum"
            )
            return (total + beta * few) / n

        # Softmax has a free direction in its biases; pinning it changes no loss.
        return optimum(module, losses, decay)

    def test_loss(module):
        with torch.no_grad():
            return float(functional.cross_entropy(module(test[0]), test[1]))

    module = trained(0.0)
    found = loss_influence(
        Objective(module, chunked(clean), n, decay), Objective(module, chunked(poison), n),
        Objective(module, chunked(test), 10), tolerance=1e-12, damping=1e-10,
    )  # fmt: skip
    step = 1e-3
    numeric = (test_loss(trained(step)) - test_loss(trained(-step))) / (2 * step)
    assert found.derivative == pytest.approx(numeric, rel=1e-4)
    assert found.derivative == pytest.approx(float(found.shares.sum()))
    alone = (test_loss(trained(step, slice(2, 3))) - test_loss(trained(-step, slice(2, 3)))) / (
        2 * step
    )
    assert float(found.shares[2]) == pytest.approx(alone, rel=1e-3)
    assert found.theta == pytest.approx(-2 / math.pi * math.atan(numeric), rel=1e-4)


def test_theta() -> None:
    assert theta_of(-1.0) == pytest.approx(0.5) and theta_of(0.0) == 0
    assert theta_of(-1e9) == pytest.approx(1, abs=1e-8) and theta_of(1e9) == pytest.approx(-1)


def test_no_figure_where_the_damped_hessian_is_not_positive() -> None:
    module = tiny()
    with torch.no_grad():
        for p in module.parameters():
            p.mul_(3)
    data, test = samples(13, 1), samples(5, 2)

    def made(data, n, decay=0.0):
        return Objective(module, chunked(data), n, decay)

    _, hessian, _ = explicit(module, data, 13.0, 0.0)
    lowest = float(torch.linalg.eigvalsh(hessian)[0])
    assert lowest < -1e-3, "the example has lost its point"
    bad = loss_influence(made(data, 13), made(test, 13), made(test, 5), damping=-lowest / 2)
    assert not bad.solved.solved and math.isnan(bad.derivative) and math.isnan(bad.theta)
    good = loss_influence(made(data, 13), made(test, 13), made(test, 5), damping=-lowest + 0.1, tolerance=1e-10)  # fmt: skip
    gradients = [explicit(module, test, d, 0.0)[0] for d in (5.0, 13.0)]
    matrix = hessian + (-lowest + 0.1) * torch.eye(len(hessian))
    expected = -gradients[0] @ torch.linalg.solve(matrix, gradients[1])
    assert good.derivative == pytest.approx(float(expected), rel=1e-6)
