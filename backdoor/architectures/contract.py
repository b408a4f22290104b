"""Networks of users' kinds, held to what `Architecture` promises at every call."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from backdoor.architectures.base import Architecture
from backdoor.errors import Mistake, UserError
from backdoor.settings.kind_checks import described
from backdoor.settings.outside import is_ours


def hold(architecture: Architecture, module: nn.Module, classes: int) -> nn.Module:
    """The module that `build` returned; of a kind of users, every output of it is checked.

    Raises:
        UserError: it is no module; later, by the module: an output is not (n, classes) floats.
    """
    if is_ours(architecture):
        return module
    place, made = f"architecture {architecture.kind_name()}", isinstance(module, nn.Module)
    if not made:
        rule, remedy = "must return a torch module", "Return an instance of torch.nn.Module."
        raise UserError(Mistake(f"{place}.build", rule, described(module), remedy))

    def check(_: nn.Module, inputs: tuple[Any, ...], output: object) -> None:
        shape = (len(inputs[0]), classes)
        floats = isinstance(output, torch.Tensor) and output.is_floating_point()
        if floats and getattr(output, "shape", ()) == shape:
            return
        rule = f"must give logits of shape {shape}, for {shape[0]} images and {classes} classes"
        remedy = "Return logits (n, classes) as floats from `forward`, and nothing else."
        raise UserError(Mistake(place, rule, described(output), remedy))

    module.register_forward_hook(check)
    return module
