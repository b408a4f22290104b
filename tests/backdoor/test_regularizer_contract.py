"""The contract of a regularizer, run by every kind, and each against its formula."""

import numpy as np
import pytest
import torch

from backdoor.registry import REGULARIZERS

KINDS = list(REGULARIZERS.kinds())


def logits(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.mark.parametrize("kind", KINDS)
class TestRegularizer:
    def test_one_value_a_lane(self, kind) -> None:
        regularizer, z = REGULARIZERS.build(kind), logits(4, 7, 5)
        packed = regularizer.unit_penalty(z)
        assert packed.shape == (4,)
        alone = torch.stack([regularizer.unit_penalty(lane) for lane in z])
        assert torch.allclose(packed, alone, rtol=1e-12)

    def test_gradient(self, kind) -> None:
        z = logits(2, 3, 4).requires_grad_()
        regularizer = REGULARIZERS.build(kind)
        if regularizer.weight:
            assert torch.autograd.gradcheck(lambda t: regularizer.unit_penalty(t).sum(), z)

    def test_zero_logits_have_a_finite_gradient(self, kind) -> None:
        z = torch.zeros(2, 3, requires_grad=True)
        regularizer = REGULARIZERS.build(kind)
        if regularizer.weight:
            regularizer.unit_penalty(z).backward()
            assert z.grad.isfinite().all()

    def test_its_identity_builds_it_again(self, kind) -> None:
        regularizer = REGULARIZERS.build(kind)
        assert REGULARIZERS.build(regularizer.identity()) == regularizer


def test_logit_squeezing_against_its_formula() -> None:
    z = logits(6, 10)
    norms = [float(np.sqrt(sum(v * v for v in row))) for row in z.tolist()]
    norm = REGULARIZERS.build({"kind": "logit_squeezing", "strength": 2})
    squared = REGULARIZERS.build({"kind": "logit_squeezing", "form": "squared"})
    assert norm.weight == 2
    assert float(norm.unit_penalty(z)) == pytest.approx(np.mean(norms), rel=1e-12)
    assert float(squared.unit_penalty(z)) == pytest.approx(np.mean(np.square(norms)), rel=1e-12)
