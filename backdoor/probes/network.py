"""A trained network as a torch module, for probes that need its gradients."""

from __future__ import annotations

from torch import nn

from backdoor.engines import init_state
from backdoor.probes.base import ProbedModel


def module_of(model: ProbedModel) -> nn.Module:
    """A copy of the trained network on the device of the image store, in evaluation mode.

    For all engines, it is the module of the architecture with the weights of the model.
    """
    module = init_state(model.config, model.store.shape, model.classes)
    module.load_state_dict(model.fitted.state(model.index))
    return module.to(model.store.device).eval()
