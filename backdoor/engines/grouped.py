"""Narrow convolutional networks, a whole pack at once, by grouped convolutions.

The channels of all members are concatenated, (b, K x channels, h, w) in channels-last order, and a
convolution of K groups is K convolutions at once. That uses vector registers which few channels
would not fill. Networks with many channels would gain nothing and are trained by `serial`, as are
those with batch norm, whose sums round depending on the place of a channel among all. Group norm
over K times the groups is K group norms, and the last linear layer is a convolution as large as its
input.

The weights of a member are bitwise the same in every pack: convolutions of two or more groups
compute each group in the same way. One group would be an ordinary convolution, which rounds
differently, so a pack of one trains its member twice.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Sequence
from typing import ClassVar, cast

import torch
from torch import nn
from torch.nn import functional

from backdoor.engines.base import (
    Ids,
    Member,
    OnEpoch,
    classes_of,
    init_state,
    learning_rate_factor,
    split_evenly,
    threads,
)
from backdoor.engines.inputs import OwnInputs
from backdoor.image_store.store import ImageStore
from backdoor.regularizers.contract import checked_penalty

EVALUATION_BATCH = 1000
#: Cache of a core, in bytes; it should hold one channel of the images of a step for each network.
CACHED = 2**20


class GroupedModels:
    """The networks trained so far, each of several members."""

    def __init__(self, store: ImageStore, template: nn.Module, member_groups: list[_Group]) -> None:
        self.store, self.member_groups = store, member_groups
        self._template = template.to(store.device).to(memory_format=torch.channels_last)

    def predict(self, member: int, rows: Ids) -> Ids:
        return classes_of(self.scores(member, rows))

    def scores(self, member: int, rows: Ids) -> torch.Tensor:
        self._template.load_state_dict(self.state(member))
        self._template.eval()
        chunks = torch.split(torch.from_numpy(rows), EVALUATION_BATCH)
        with torch.no_grad():
            logits = [self._template(channels_last(self.store.batch(chunk))) for chunk in chunks]
        return torch.cat(logits)

    def state(self, member: int) -> dict[str, torch.Tensor]:
        group = next(group for group in self.member_groups if member in group.members)
        together, slot = group.network.state_dict(), group.members.index(member)
        state = {}
        for name, own in self._template.state_dict().items():
            part = together[name].chunk(group.groups)[slot]
            state[name] = part.detach().reshape(own.shape).clone()
        return state


class Grouped:
    """Stochastic gradient descent with momentum on K sequential networks at once."""

    name: ClassVar[str] = "grouped"
    version: ClassVar[int] = 1
    pack_invariant: ClassVar[bool] = True
    max_pack: ClassVar[int] = 16

    def train(
        self, members: Sequence[Member], store: ImageStore, classes: int, on_epoch: OnEpoch | None
    ) -> GroupedModels:
        with threads(1), torch.enable_grad():
            member_groups = [
                _Group(members, tuple(chosen), store, classes)
                for chosen in group_members(len(members), _group_size(members[0], store))
            ]
            models = GroupedModels(
                store, init_state(members[0].config, store.shape, classes), member_groups
            )
            for epoch in range(members[0].config.defence.epochs):
                for group in member_groups:
                    group.train(epoch)
                if on_epoch is not None and (dropped := on_epoch(epoch + 1, models)):
                    member_groups[:] = [
                        left for group in member_groups if (left := group.without(dropped))
                    ]
                if not member_groups:
                    break
            return models


def _group_size(member: Member, store: ImageStore) -> int:
    """How many networks fit into the cache of a core: more would wait for memory."""
    _, h, w = store.shape
    return max(2, CACHED // (4 * member.config.training.batch_size * h * w))


def group_members(members: int, largest: int) -> list[Sequence[int]]:
    """Numbers of members in groups of nearly equal size, at least two in each if there are two."""
    return split_evenly(range(members), min(-(-members // largest), max(1, members // 2)))


class _Group:
    """Members that are trained as one network. members: their numbers; a single one is doubled."""

    def __init__(
        self, members: Sequence[Member], chosen: tuple[int, ...], store: ImageStore, classes: int
    ) -> None:
        self._all = members, store, classes
        trained = [members[index] for index in chosen] * (2 if len(chosen) == 1 else 1)
        modules = [init_state(member.config, store.shape, classes) for member in trained]
        sequences = cast(list[nn.Sequential], modules)
        self.members, self.groups = chosen, len(trained)
        self.network = merged(sequences, store.shape).to(store.device)
        self.inputs, self.config = OwnInputs(trained, store), trained[0].config
        self.step = _Step(self.network, trained, store.device)
        self.images = len(trained[0].train)

    def without(self, dropped: Collection[int]) -> _Group | None:
        """The group of the remaining members, in its present state; None if none remains."""
        chosen = tuple(number for number in self.members if number not in dropped)
        if len(chosen) in (0, len(self.members)):
            return self if chosen else None
        members, store, classes = self._all
        fewer = _Group(members, chosen, store, classes)
        slots = [self.members.index(number) for number in chosen] * (2 if len(chosen) == 1 else 1)
        now = [*self.step.parameters, *self.step.velocity]
        then = [*fewer.step.parameters, *fewer.step.velocity]
        with torch.no_grad():
            for old, new in zip(now, then, strict=True):
                parts = old.chunk(self.groups)
                new.copy_(torch.cat([parts[slot] for slot in slots]))
        return fewer

    def train(self, epoch: int) -> None:
        training, size = self.config.training, self.config.training.batch_size
        steps_per_epoch = -(-self.images // size)
        steps = steps_per_epoch * self.config.defence.epochs
        self.network.train()
        self.inputs.shuffle(epoch)
        for i in range(steps_per_epoch):
            factor = learning_rate_factor(epoch * steps_per_epoch + i, steps, training.schedule)
            stop = min((i + 1) * size, self.images)
            self.step(*self.inputs.side_by_side(i * size, stop), factor)


class _Step:
    """One update of all members; sums and products of weights are separate, as in `packed`."""

    def __init__(self, network: nn.Module, members: Sequence[Member], device: torch.device) -> None:
        defences = [member.config.defence for member in members]
        self.network, self.groups = network, len(members)
        self.parameters = list(network.parameters())
        self.velocity = [torch.zeros_like(p) for p in self.parameters]
        columns = zip(
            *((d.learning_rate, d.momentum, d.weight_decay) for d in defences), strict=True
        )
        self.rate, self.momentum, self.decay = (
            torch.tensor(column, dtype=torch.float32, device=device) for column in columns
        )
        self.terms = [
            (terms[0], torch.tensor([t.weight for t in terms], device=device))
            for terms in zip(*(d.regularizer.terms for d in defences), strict=True)
            if any(term.weight for term in terms)
        ]

    def __call__(self, images: torch.Tensor, labels: torch.Tensor, factor: float) -> None:
        """images: (b, K x c, h, w) float32; labels: (K, b) int64; logits are (K, b, classes)."""
        logits = self.network(channels_last(images))
        logits = logits.view(len(logits), self.groups, -1).transpose(0, 1)
        total = functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="sum")
        loss = total / labels.shape[1]
        for term, strength in self.terms:
            penalties = term.unit_penalty(logits, labels)
            penalties = checked_penalty(term, "unit_penalty", penalties, logits, logits.shape[:1])
            loss = loss + (strength * penalties).sum()
        gradients = torch.autograd.grad(loss, self.parameters)
        with torch.no_grad():
            for i, gradient in enumerate(gradients):
                self._update(self.parameters[i], self.velocity[i], gradient, factor)

    def _update(
        self, parameter: torch.Tensor, velocity: torch.Tensor, g: torch.Tensor, factor: float
    ) -> None:
        """Biases and normalization scales, which have one dimension, are not decayed."""
        shape = (self.groups, *[1] * parameter.ndim)
        weight, velocity, g = (
            t.view(self.groups, -1, *t.shape[1:]) for t in (parameter, velocity, g)
        )
        velocity.mul_(self.momentum.view(shape)).add_(g)
        if parameter.ndim > 1:
            velocity.add_(weight * self.decay.view(shape))
        weight.sub_(velocity * (self.rate * factor).view(shape))


def channels_last(images: torch.Tensor) -> torch.Tensor:
    """(b, c, h, w) with the channels of a pixel adjacent in memory."""
    return images.contiguous(memory_format=torch.channels_last)


# --- K networks as one ---------------------------------------------------------------------------


def merged(modules: Sequence[nn.Sequential], shape: tuple[int, int, int]) -> nn.Sequential:
    """One network of K groups from K networks of equal shape: (b, K x c, h, w) to (b, K x classes).

    Its layers have the same positions, so that states have the same names. It supports the layers
    of `convnet`.
    """
    groups, layers = len(modules), list[nn.Module]()
    seen = torch.zeros(2, *shape)
    for layer in modules[0]:
        layers.append(_merged_layer(layer, groups, seen.shape))
        if not isinstance(layer, nn.Flatten | nn.Linear):
            with torch.no_grad():
                seen = copy.deepcopy(layer).eval()(seen)
    network = nn.Sequential(*layers)
    own = [module.state_dict() for module in modules]
    state = network.state_dict()
    for name, values in state.items():
        state[name] = torch.cat([s[name] for s in own]).reshape(values.shape)
    network.load_state_dict(state)
    return network.to(memory_format=torch.channels_last)


def _merged_layer(layer: nn.Module, groups: int, seen: Sequence[int]) -> nn.Module:
    """`layer` for all groups, with any weights; seen: the shape of its input for one network."""
    if isinstance(layer, nn.Conv2d):
        return nn.Conv2d(
            groups * layer.in_channels,
            groups * layer.out_channels,
            layer.kernel_size,  # type: ignore[arg-type]
            layer.stride,  # type: ignore[arg-type]
            layer.padding,  # type: ignore[arg-type]
            groups=groups,
        )
    if isinstance(layer, nn.GroupNorm):
        return nn.GroupNorm(groups * layer.num_groups, groups * layer.num_channels)
    if isinstance(layer, nn.Linear):
        _, channels, rows, columns = seen
        sizes = groups * channels, groups * layer.out_features
        return nn.Conv2d(*sizes, (rows, columns), groups=groups)
    if isinstance(layer, nn.ReLU):
        return nn.ReLU(inplace=True)
    return nn.Identity() if isinstance(layer, nn.Flatten) else layer
