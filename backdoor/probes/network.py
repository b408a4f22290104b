"""A trained network as a torch module, for probes that need its gradients."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from backdoor.config import TrialConfig
from backdoor.engines import init_state
from backdoor.errors import Mistake
from backdoor.probes.base import Probe, ProbedModel
from backdoor.streams import stream_seed


def module_of(model: ProbedModel) -> nn.Module:
    """A copy of the trained network on the bank's device, of its own dtype, in evaluation mode.

    Whatever engine trained it, the module is the architecture's own with the model's weights.
    """
    module = init_state(model.config, model.store.shape, model.classes)
    module.load_state_dict(model.fitted.state(model.index))
    return module.to(model.store.device).eval()


@contextmanager
def own_noise(model: ProbedModel) -> Iterator[None]:
    """What layers such as dropout draw from torch's global generator follows from the trial's
    seed; the generator is afterwards as it was."""
    device = model.store.device
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(stream_seed("probe-noise", model.config.seed))
        yield


#: Engines that train networks by steps.
NETWORKS = ("packed", "grouped", "serial")


def is_network(config: TrialConfig) -> bool:
    """Whether the trial is trained by steps; the convex learners are solved instead."""
    return config.defence.architecture.trained_by_epochs


def refuse_solved(probe: Probe, config: TrialConfig) -> Iterator[Mistake]:
    """The mistake of a probe that only says something about networks."""
    if not is_network(config):
        rule = f"must be asked of networks only, and {config.defence.architecture.kind_name()} "
        rule += "is solved, not trained by steps"
        remedy = "Give networks a sweep of their own, or leave this probe out."
        yield Mistake("kind", rule, probe.kind_name(), remedy)
