"""The contract of a regularizer, run by every kind: its penalty of logits, and a whole step.

How kinds act beside others and in a training: test_regularizer_steps.py. Formulas of the kinds that
change a step: test_regularizer_formulas.py.
"""

import numpy as np
import pytest
import torch
from stepping import penalty, stepped
from torch.nn import functional

from backdoor.errors import UserError
from backdoor.settings.registry import REGULARIZERS

KINDS = list(REGULARIZERS.kinds())


def logits(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def labels(*shape: int) -> torch.Tensor:
    return torch.randint(0, 3, shape, generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize("kind", KINDS)
class TestRegularizer:
    def test_one_value_a_member(self, kind) -> None:
        regularizer, z = REGULARIZERS.build(kind), logits(4, 7, 5)
        y = labels(4, 7)
        packed = regularizer.unit_penalty(z, y)
        assert packed.shape == (4,)
        alone = torch.stack(
            [regularizer.unit_penalty(*member) for member in zip(z, y, strict=True)]
        )
        assert torch.allclose(packed, alone, rtol=1e-12)

    def test_gradient(self, kind) -> None:
        z, y = logits(2, 3, 4).requires_grad_(), labels(2, 3)
        regularizer = REGULARIZERS.build(kind)
        if regularizer.weight and regularizer.on_answers_alone:
            assert torch.autograd.gradcheck(lambda t: regularizer.unit_penalty(t, y).sum(), z)

    def test_zero_logits_have_a_finite_gradient(self, kind) -> None:
        z = torch.zeros(2, 3, requires_grad=True)
        regularizer = REGULARIZERS.build(kind)
        if regularizer.weight and regularizer.on_answers_alone:
            regularizer.unit_penalty(z, labels(2)).backward()
            assert z.grad.isfinite().all()

    def test_it_writes_nothing_in_place(self, kind) -> None:
        z, y = logits(2, 3, 4), labels(2, 3)
        REGULARIZERS.build(kind).unit_penalty(z, y)
        assert torch.equal(z, logits(2, 3, 4)) and torch.equal(y, labels(2, 3))

    def test_its_identity_builds_it_again(self, kind) -> None:
        regularizer = REGULARIZERS.build(kind)
        assert REGULARIZERS.build(regularizer.identity()) == regularizer


def step_of(kind):
    """The loss of a step with this kind, () float64, and its gradient by parameter."""
    regularizer, step = stepped(kind)
    parameters = dict(step.network.module.named_parameters())
    loss = step.cross_entropy() + penalty(regularizer, step)
    slopes = torch.autograd.grad(loss, list(parameters.values()))
    return loss.detach(), dict(zip(parameters, slopes, strict=True))


def switched_off(kind):
    """The kind with its dial at 0; None where it has none, or where 0 is refused."""
    regularizer = REGULARIZERS.build(kind)
    if not hasattr(regularizer, regularizer.dial):
        return None
    try:
        return REGULARIZERS.build({"kind": kind, regularizer.dial: 0})
    except UserError:
        return None


@pytest.mark.parametrize("kind", KINDS)
class TestStep:
    """`prepare`, the forward pass and `penalty`, whichever of them the kind overrides."""

    def test_its_gradient_is_finite_and_reaches_every_parameter(self, kind) -> None:
        loss, slopes = step_of(kind)
        assert loss.shape == () and loss.isfinite()
        for name, slope in slopes.items():
            assert slope.isfinite().all() and slope.any(), name

    def test_the_same_seed_gives_the_same_step(self, kind) -> None:
        (loss, slopes), (again, slopes_again) = step_of(kind), step_of(kind)
        assert torch.equal(loss, again)
        assert all(torch.equal(slope, slopes_again[name]) for name, slope in slopes.items())

    def test_switched_off_it_equals_none(self, kind) -> None:
        off = switched_off(kind)
        if off is None:
            assert kind in ("none", "logit_squeezing")  # no dial, and a strength above 0
            return
        assert not off.switched_on and not off.weight
        (loss, slopes), (plain, plain_slopes) = step_of(off.identity()), step_of("none")
        assert torch.equal(loss, plain)
        assert all(torch.equal(slope, plain_slopes[name]) for name, slope in slopes.items())


def test_logit_squeezing_against_its_formula() -> None:
    z = logits(6, 10)
    norms = [float(np.sqrt(sum(v * v for v in row))) for row in z.tolist()]
    norm = REGULARIZERS.build({"kind": "logit_squeezing", "strength": 2})
    squared = REGULARIZERS.build({"kind": "logit_squeezing", "form": "squared"})
    assert norm.weight == 2
    assert float(norm.unit_penalty(z, labels(6))) == pytest.approx(np.mean(norms), rel=1e-12)
    assert float(squared.unit_penalty(z, labels(6))) == pytest.approx(
        np.mean(np.square(norms)), rel=1e-12
    )


@pytest.mark.parametrize("strength", [0.0, 0.1, 0.9])
def test_label_smoothing_is_torchs(strength) -> None:
    z, y = logits(6, 10).requires_grad_(), labels(6)
    smoothing = REGULARIZERS.build({"kind": "label_smoothing", "strength": strength})
    loss = functional.cross_entropy(z, y) + smoothing.weight * smoothing.unit_penalty(z, y)
    theirs = functional.cross_entropy(z, y, label_smoothing=strength)
    assert loss.item() == pytest.approx(theirs.item(), rel=1e-12)
    gradients = [torch.autograd.grad(each, z)[0] for each in (loss, theirs)]
    assert torch.allclose(*gradients, rtol=1e-12, atol=1e-15)


def test_label_smoothing_stays_below_one() -> None:
    with pytest.raises(UserError, match="strength: must be >= 0 and < 1, but got 1"):
        REGULARIZERS.build({"kind": "label_smoothing", "strength": 1})
