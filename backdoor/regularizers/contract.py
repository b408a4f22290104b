"""Penalties of users' kinds, held to what `Regularizer` promises at every step."""

from __future__ import annotations

import torch

from backdoor.errors import Mistake, UserError
from backdoor.regularizers.base import Regularizer
from backdoor.settings.kind_checks import described
from backdoor.settings.outside import is_ours

#: Logits up to this size are those of a training that has not diverged.
DIVERGED = 1e4


def checked_penalty(
    term: Regularizer, method: str, penalty: torch.Tensor, logits: torch.Tensor, shape: torch.Size
) -> torch.Tensor:
    """The penalty that a method of `term` returned, of this shape; checked for kinds of users.

    Raises:
        UserError: it is no tensor of floats of that shape, has no gradient, or is not finite though
            the training has not diverged.
    """
    if is_ours(term):
        return penalty
    shaped = f"must return {tuple(shape)} floats"
    if not _is_floats(penalty) or penalty.shape != shape:
        remedy = "Return the mean over the images of the batch, computed by torch."
        raise _wrong(term, method, shaped, described(penalty), remedy)
    if not penalty.requires_grad and logits.requires_grad and bool(penalty.any()):
        rule = "must return a penalty that depends on the network, so that it has a gradient"
        remedy = "Compute it from the logits without detach(), item() or numpy()."
        raise _wrong(term, method, rule, "no gradient", remedy)
    if not bool(penalty.isfinite().all()) and float(logits.detach().abs().max()) < DIVERGED:
        value = ", ".join(f"{number:g}" for number in penalty.detach().flatten()[:3].tolist())
        remedy = "Keep 0 out of logarithms and divisions."
        raise _wrong(term, method, "must return finite floats", value, remedy)
    return penalty


def check_inputs(term: Regularizer, before: torch.Tensor, after: torch.Tensor) -> None:
    """`UserError` where `prepare` of a kind of users has changed what the inputs are."""
    if is_ours(term) or (_is_floats(after) and after.shape == before.shape):
        return
    rule = f"must keep the inputs {described(before)}"
    raise _wrong(term, "prepare", rule, described(after), "Change their values only.")


def _is_floats(value: object) -> bool:
    return isinstance(value, torch.Tensor) and value.is_floating_point()


def _wrong(term: Regularizer, method: str, rule: str, value: str, remedy: str) -> UserError:
    return UserError(Mistake(f"regularizer {term.kind_name()}.{method}", rule, value, remedy))
