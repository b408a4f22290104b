"""Each regularizer against its paper's formula, written out in loops over plain numbers."""

import itertools
import math

import numpy as np
import pytest
import torch
from stepping import CLASSES, IMAGES, batch, draws, penalty, small_network, stepped

from backdoor.regularizers.contrastive import contrastive_loss
from backdoor.regularizers.cutmix import box
from backdoor.regularizers.soft_nearest_neighbours import (
    LEAST,
    distances,
    soft_nearest_neighbour_loss,
)
from backdoor.regularizers.step import Step
from backdoor.settings.registry import REGULARIZERS

INPUTS, LABELS = batch()
WEIGHTS = {k: v.numpy() for k, v in small_network().module.state_dict().items()}


def layers_of(images: np.ndarray) -> list[np.ndarray]:
    """What the small network makes of images (b, 2, 4, 5): both hidden layers, then the logits."""
    first = np.tanh(images.reshape(len(images), -1) @ WEIGHTS["1.weight"].T + WEIGHTS["1.bias"])
    second = np.tanh(first @ WEIGHTS["3.weight"].T + WEIGHTS["3.bias"])
    return [first, second, second @ WEIGHTS["5.weight"].T + WEIGHTS["5.bias"]]


def log_probability(row: np.ndarray) -> np.ndarray:
    return np.array([v - math.log(sum(math.exp(u) for u in row)) for v in row])


HIDDEN = layers_of(INPUTS.numpy())


# --- penalties on hidden layers ------------------------------------------------------------------


def contrastive(rows: np.ndarray, labels: list[int], margin: float) -> float:
    """Hadsell, Chopra, LeCun 2006, equation 4, with Y = 0 for images of one class."""
    terms = []
    for i, j in itertools.combinations(range(len(labels)), 2):
        d = math.sqrt(sum((a - b) ** 2 for a, b in zip(rows[i], rows[j], strict=True)))
        y = 0 if labels[i] == labels[j] else 1
        terms.append((1 - y) * 0.5 * d**2 + y * 0.5 * max(0.0, margin - d) ** 2)
    return sum(terms) / len(terms)


@pytest.mark.parametrize(
    ("layer", "margin", "normalised"),
    [(-1, 1.0, False), (1, 0.5, False), (2, 3.0, True), (1, 0.2, True)],
)
def test_contrastive(layer, margin, normalised) -> None:
    settings = {"layer": layer, "margin": margin, "normalised": normalised, "strength": 0.3}
    ours = penalty(*stepped({"kind": "contrastive", **settings}))
    rows = HIDDEN[1 if layer == -1 else layer - 1]
    if normalised:
        rows = np.array([row / math.sqrt(sum(v * v for v in row)) for row in rows])
    assert ours.item() == pytest.approx(0.3 * contrastive(rows, LABELS.tolist(), margin), rel=1e-9)


def test_contrastive_gradient_also_where_images_are_equal() -> None:
    rows = torch.tensor(HIDDEN[0]).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: contrastive_loss(x, LABELS, 0.8), rows)
    twins = torch.ones(4, 3, dtype=torch.float64, requires_grad=True)
    contrastive_loss(twins, torch.tensor([0, 0, 1, 1]), 1.0).backward()
    assert twins.grad.isfinite().all()
    assert contrastive_loss(torch.ones(1, 3), torch.tensor([0]), 1.0) == 0  # there is no pair


def entanglement(rows: np.ndarray, labels: list[int], temperature: float, cosine=False) -> float:
    """Frosst, Papernot, Hinton 2019, equation 1; the stability term is their code's."""
    total = 0.0
    for i, own in enumerate(labels):
        alike = everyone = 0.0
        for j, other in enumerate(labels):
            if i != j:
                d = float(sum((rows[i] - rows[j]) ** 2))
                if cosine:
                    d = 1 - float(
                        rows[i] @ rows[j] / np.sqrt((rows[i] @ rows[i]) * (rows[j] @ rows[j]))
                    )
                everyone += math.exp(-d / temperature)
                alike += math.exp(-d / temperature) * (own == other)
        total -= math.log(1e-5 + alike / everyone)
    return total / len(labels)


def one_temperature_step(loss, temperature: float, t: float) -> float:
    """t after a gradient step of rate 0.1 on the loss at T = temperature / t, by differences."""
    h = 1e-6
    slope = (loss(temperature / (t + h)) - loss(temperature / (t - h))) / (2 * h)
    return max(t - 0.1 * slope, LEAST)


@pytest.mark.parametrize("strength", [-2.0, 0.5])
@pytest.mark.parametrize("temperature", [0.3, 100.0])
@pytest.mark.parametrize("distance", ["euclidean", "cosine"])
def test_soft_nearest_neighbours_and_its_temperature(strength, temperature, distance) -> None:
    network, labels = small_network(), LABELS.tolist()
    given = {"kind": "soft_nearest_neighbours", "strength": strength, "temperature": temperature,
             "distance": distance}  # fmt: skip
    t = [1.0, 1.0]
    for _ in range(3):
        ours = penalty(*stepped(given, network=network))
        theirs = 0.0
        for number, rows in enumerate(HIDDEN[:2]):

            def loss(at, rows=rows):
                return entanglement(rows, labels, at, distance == "cosine")

            t[number] = one_temperature_step(loss, temperature, t[number])
            theirs += loss(temperature / t[number])
        assert ours.item() == pytest.approx(strength * theirs, rel=1e-6)
    kept = network.memory["soft_nearest_neighbours"]
    assert [float(kept[layer]) for layer in ("2", "4")] == pytest.approx(t, rel=1e-5)


def test_soft_nearest_neighbours_looks_at_the_layers_it_is_told() -> None:
    def of(layers):
        given = {"kind": "soft_nearest_neighbours", "strength": 1, "layers": layers}
        return penalty(*stepped(given)).item()

    assert of("1") + of("2") == pytest.approx(of("all"), rel=1e-12)
    assert of("1,2") == of("1,2,7") == of("all") and of("1") != of("2")


def test_far_neighbours_still_count() -> None:
    """The example of the docstring: a constant beside vanishing similarities has no gradient."""
    rows = 5 * torch.randn(128, 256, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(128) % 10
    between = (rows.double()[:, None] - rows.double()).square().sum(-1)
    near = (-between / 100).exp() - torch.eye(128)
    alike = near / (1e-5 + near.sum(1, keepdim=True)) * (labels[:, None] == labels)
    assert -torch.log(1e-5 + alike.sum(1)).mean() == pytest.approx(11.513, abs=1e-3)
    rows.requires_grad_()
    loss = soft_nearest_neighbour_loss(distances(rows, "euclidean") / 100, labels)
    assert loss.item() == pytest.approx(7.5, abs=0.15)
    assert torch.autograd.grad(loss, rows)[0].norm() > 0.1


def test_soft_nearest_neighbours_gradient() -> None:
    def loss(rows):
        return soft_nearest_neighbour_loss(distances(rows, "euclidean") / 0.7, LABELS)

    rows = torch.tensor(HIDDEN[0]).requires_grad_()
    assert torch.autograd.gradcheck(loss, rows)
    assert torch.autograd.gradcheck(
        lambda x: soft_nearest_neighbour_loss(distances(x, "cosine"), LABELS), rows
    )


def test_soft_nearest_neighbours_without_neighbours() -> None:
    """An image alone in its class, or in the batch, is a constant; far ones do not underflow."""
    rows = torch.tensor([[0.0], [1.0]], dtype=torch.float64, requires_grad=True)
    loss = soft_nearest_neighbour_loss(distances(rows, "euclidean"), torch.tensor([0, 1]))
    loss.backward()
    assert loss.item() == pytest.approx(-math.log(1e-5)) and not rows.grad.any()
    alone = soft_nearest_neighbour_loss(torch.zeros(1, 1), torch.tensor([0]))
    assert float(alone) == pytest.approx(-math.log(1e-5))
    far = torch.tensor([[0.0], [1e4], [2e4]], requires_grad=True)
    loss = soft_nearest_neighbour_loss(distances(far, "euclidean"), torch.tensor([0, 0, 0]))
    loss.backward()
    assert abs(loss.item()) < 1e-4 and far.grad.isfinite().all()


# --- the input's gradient ------------------------------------------------------------------------


def test_input_gradient_against_finite_differences() -> None:
    """Ross, Doshi-Velez 2018, equation 5, with means over images for sums."""
    total, h = 0.0, 1e-5
    for image, label in zip(INPUTS.numpy(), LABELS.tolist(), strict=True):
        for place in np.ndindex(image.shape):
            losses = []
            for sign in (1, -1):
                moved = image.copy()
                moved[place] += sign * h
                losses.append(-log_probability(layers_of(moved[None])[2][0])[label])
            total += ((losses[0] - losses[1]) / (2 * h)) ** 2
    ours = penalty(*stepped({"kind": "input_gradient", "strength": 3}))
    assert ours.item() == pytest.approx(3 * total / IMAGES, rel=1e-6)


def test_input_gradient_is_differentiated_a_second_time() -> None:
    network = small_network()
    name, layer = "1.weight", network.module[1]

    def value(weight):
        inputs = INPUTS.clone().requires_grad_()
        hidden = torch.tanh(inputs.flatten(1) @ weight.T + layer.bias)
        rest = network.module[3:](hidden)
        loss = torch.nn.functional.cross_entropy(rest, LABELS, reduction="sum")
        (slope,) = torch.autograd.grad(loss, inputs, create_graph=True)
        return slope.square().sum() / IMAGES

    weight = layer.weight.detach().clone().requires_grad_()
    assert torch.autograd.gradcheck(value, weight)
    penalty(*stepped({"kind": "input_gradient", "strength": 1}, network=network)).backward()
    (expected,) = torch.autograd.grad(value(weight), weight)
    found = dict(network.module.named_parameters())[name].grad
    assert torch.allclose(found, expected, rtol=1e-9, atol=1e-12)


# --- mixtures ------------------------------------------------------------------------------------


def mixture(share: float, partners: list[int], logits: np.ndarray) -> float:
    """Cross-entropy with the labels share x y + (1 - share) x y', as distributions."""
    total = 0.0
    for i, row in enumerate(logits):
        target_labels = np.zeros(CLASSES)
        target_labels[LABELS[i]] += share
        target_labels[LABELS[partners[i]]] += 1 - share
        total -= float(target_labels @ log_probability(row))
    return total / len(logits)


def drawn(step: Step) -> tuple[float, list[int]]:
    """Share and partners, read off the mixed labels: those of a batch of distinct ones."""
    (share, own), (rest, theirs) = step.targets
    assert share + rest == pytest.approx(1) and own.tolist() == list(range(len(own)))
    return share, theirs.tolist()


def told_apart(given, **key) -> tuple[float, list[int]]:
    """The same draw on labels that are all different: draws do not hang on labels."""
    regularizer = REGULARIZERS.build(given)
    step = Step(small_network(), INPUTS, torch.arange(IMAGES), draws(**key))
    regularizer.prepare(step)
    return drawn(step)


def test_input_mixup() -> None:
    given = {"kind": "input_mixup", "alpha": 0.7}
    _, step = stepped(given)
    share, partners = told_apart(given)
    x = INPUTS.numpy()
    mixed = np.array([share * x[i] + (1 - share) * x[j] for i, j in enumerate(partners)])
    assert np.allclose(step.inputs.numpy(), mixed, rtol=1e-12)
    assert sorted(partners) == list(range(IMAGES)) and 0 < share < 1
    expected = mixture(share, partners, layers_of(mixed)[2])
    assert step.cross_entropy().item() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("layers", ["0", "1", "2"])
def test_manifold_mixup(layers) -> None:
    given = {"kind": "manifold_mixup", "layers": layers}
    _, step = stepped(given)
    share, partners = told_apart(given)

    def mixed(rows):
        return np.array([share * rows[i] + (1 - share) * rows[j] for i, j in enumerate(partners)])

    x = mixed(INPUTS.numpy()) if layers == "0" else INPUTS.numpy()
    first = layers_of(x)[0]
    first = mixed(first) if layers == "1" else first
    second = np.tanh(first @ WEIGHTS["3.weight"].T + WEIGHTS["3.bias"])
    second = mixed(second) if layers == "2" else second
    logits = second @ WEIGHTS["5.weight"].T + WEIGHTS["5.bias"]
    assert np.allclose(step.logits.detach().numpy(), logits, rtol=1e-9)
    expected = mixture(share, partners, logits)
    assert step.cross_entropy().item() == pytest.approx(expected, rel=1e-9)


def test_manifold_mixup_takes_every_layer_equally_often_and_lambda_from_beta() -> None:
    given, network = {"kind": "manifold_mixup", "layers": "0,2"}, small_network()
    at_input, shares = [], []
    for number in range(600):
        step = Step(network, INPUTS, LABELS, draws(number))
        REGULARIZERS.build(given).prepare(step)
        at_input.append(step.inputs is not INPUTS)
        shares.append(step.targets[0][0])
    assert 0.42 < np.mean(at_input) < 0.58
    assert np.mean(shares) == pytest.approx(0.5, abs=0.04)
    assert np.var(shares) == pytest.approx(1 / (4 * (2 * 2 + 1)), rel=0.2)  # of Beta(2, 2)


@pytest.mark.parametrize("number", range(6))
def test_cutmix(number) -> None:
    given = {"kind": "cutmix", "alpha": 1.0}
    regularizer = REGULARIZERS.build(given)
    step = Step(small_network(), INPUTS, torch.arange(IMAGES), draws(number))
    regularizer.prepare(step)
    top, bottom, left, right = box(step.draws.numbers("cutmix"), 1.0, 4, 5)
    parts = dict(enumerate(step.targets))
    partners = parts[1][1].tolist() if len(parts) > 1 else list(range(IMAGES))
    inside = 0
    for i, j in enumerate(partners):
        for c, y, x in np.ndindex(2, 4, 5):
            cut = top <= y < bottom and left <= x < right
            assert step.inputs[i, c, y, x] == INPUTS[j if cut else i, c, y, x]
            inside += cut
    assert step.targets[0][0] == pytest.approx(1 - inside / (IMAGES * 2 * 20))


def test_cutmix_boxes_have_the_area_that_beta_draws() -> None:
    """As large as 1 - lambda but for what lies outside, and lambda uniform for alpha 1."""
    draw = np.random.default_rng(0)
    boxes = [box(draw, 1.0, 400, 300) for _ in range(3000)]
    sides = [((b - t) / 400, (r - le) / 300) for t, b, le, r in boxes]
    whole = [h * w for (h, w), (t, b, le, r) in zip(sides, boxes, strict=True)
             if t > 0 and b < 400 and le > 0 and r < 300]  # fmt: skip
    assert all(abs(h - w) < 0.02 for (h, w), (t, b, le, r) in zip(sides, boxes, strict=True)
               if t > 0 and b < 400 and le > 0 and r < 300)  # fmt: skip
    # The chance that a square of side s lies inside is (1 - s)^2; s^2 is uniform.
    s = np.linspace(0, 1, 10001)
    density = (1 - s) ** 2 * 2 * s
    assert len(whole) / 3000 == pytest.approx(np.trapezoid(density, s), abs=0.025)
    expected = np.trapezoid(s**2 * density, s) / np.trapezoid(density, s)
    assert np.mean(whole) == pytest.approx(expected, rel=0.15)


# --- noise and dropout -----------------------------------------------------------------------------


def test_gaussian_noise() -> None:
    inputs = torch.zeros(40, 2, 20, 20, dtype=torch.float64)
    step = Step(small_network(), inputs, torch.zeros(40, dtype=torch.int64), draws())
    REGULARIZERS.build({"kind": "gaussian_noise", "sigma": 0.25}).prepare(step)
    noise = step.inputs.flatten().numpy()
    n = len(noise)
    assert not inputs.any()
    assert abs(noise.mean()) < 4 * 0.25 / math.sqrt(n)
    assert noise.std() == pytest.approx(0.25, rel=4 / math.sqrt(2 * n))
    assert (noise**4).mean() / noise.var() ** 2 == pytest.approx(3, abs=4 * math.sqrt(24 / n))
    assert len(np.unique(noise)) > 0.99 * n


@pytest.mark.parametrize("units", ["head", "hidden"])
def test_dropout(units) -> None:
    """The masks are read off what the layers behind were given, and lead to the same logits."""
    given, network, seen = {"kind": "dropout", "rate": 0.4, "units": units}, small_network(), {}
    for name in ("3", "5"):
        network.module.get_submodule(name).register_forward_hook(
            lambda _, inputs, __, name=name: seen.update({name: inputs[0].detach().numpy()})
        )
    many, labels = INPUTS.repeat(40, 1, 1, 1), LABELS.repeat(40)
    _, step = stepped(given, many, labels, network)
    first, second, _ = layers_of(many.numpy())
    if units == "hidden":
        kept = seen["3"] != 0
        assert 0.5 < kept.mean() < 0.7
        assert np.allclose(seen["3"], np.where(kept, first / 0.6, 0), rtol=1e-9)
        second = np.tanh(seen["3"] @ WEIGHTS["3.weight"].T + WEIGHTS["3.bias"])
    else:
        assert np.allclose(seen["3"], first, rtol=1e-9)
    kept = seen["5"] != 0
    assert np.allclose(seen["5"], np.where(kept, second / 0.6, 0), rtol=1e-9)
    assert 0.55 < kept.mean() < 0.65
    assert not np.array_equal(kept[:IMAGES], kept[IMAGES : 2 * IMAGES])
    logits = seen["5"] @ WEIGHTS["5.weight"].T + WEIGHTS["5.bias"]
    assert np.allclose(step.logits.detach().numpy(), logits, rtol=1e-9)
