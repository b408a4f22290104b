"""Inputs of the first layer of packed networks: the images of the batches of all members.

`OwnInputs` gathers the images of each member and multiplies them member by member. `SharedInputs`
is for images with many numbers, where gathering would cost more than multiplying: members of equal
seed share their batch order by design, and differ only in the few images that are stamped. So the
clean images of a batch are gathered once for all members, the stamped ones of each trigger once for
its members, and each member takes its own from what it makes of both.

Either gives a member the same bits in any pack, by one rule. The shape of each product and the
order of each sum depend on the member only. Other members may only be further matrices of a batched
product, or further columns of a product of fixed size. In particular the weights of several members
are never stacked to one tall matrix, though that would be a little faster: which kernel a library
takes, and so how a row is rounded, depends on the number of rows (with AVX-512 for fewer than 16)
and on which of them a row is (with AVX2 for those that fill no block of 6). We also do not pad a
member's sum with zeros for other members' images: some kernels sum even and odd terms separately.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch.nn import functional

from backdoor.engines.base import Member
from backdoor.image_store.augment import draw_views
from backdoor.image_store.store import ImageStore
from backdoor.streams import stream

#: How many float32 values are in 64 bytes.
BLOCK = 16
#: A member's stamped images are summed in parts of so many positions of the batch.
POSITIONS_PER_SUM = 128
#: Gradients are made and added so many numbers (4 MiB) at a time: more leave a core's cache.
CACHED = 2**20


def padded_size(size: int) -> int:
    """The next multiple of `BLOCK`."""
    return size + -size % BLOCK


def padded(x: torch.Tensor, rows: int | None = None, columns: int | None = None) -> torch.Tensor:
    """x (..., r, c) with zeros after its rows and columns; by default up to multiples of 16."""
    rows = padded_size(x.shape[-2]) if rows is None else rows
    columns = padded_size(x.shape[-1]) if columns is None else columns
    missing = (0, columns - x.shape[-1], 0, rows - x.shape[-2])
    return functional.pad(x, missing) if any(missing) else x


class Batch(Protocol):
    """The images of one step of all K members: b of each, padded to a multiple of `BLOCK`."""

    @property
    def labels(self) -> torch.Tensor:
        """(K, b) int64."""
        ...

    def product(self, weight: torch.Tensor) -> torch.Tensor:
        """Weights (K, outputs, inputs padded) times images: (K, outputs, b padded)."""
        ...

    def weight_gradient(self, gradient: torch.Tensor) -> torch.Tensor:
        """From the gradient of `product`, 0 in its padding, to that of the weights. It may modify
        its argument."""
        ...


class Inputs(Protocol):
    """Batches of all members. placed: numbers of the members in the order of the tensors."""

    placed: list[int]

    def __init__(self, members: Sequence[Member], store: ImageStore) -> None: ...

    def shuffle(self, epoch: int) -> None:
        """Puts the images into the order of this epoch."""
        ...

    def batch(self, start: int, stop: int) -> Batch:
        """The images at the positions [start, stop) of the epoch."""
        ...


def orders(members: Sequence[Member], epoch: int) -> torch.Tensor:
    """The order of the training images of each member in this epoch, (K, n) int64."""
    n = len(members[0].train)
    permutations = {
        seed: stream("order", seed, n, epoch).permutation(n)
        for seed in {member.config.seed for member in members}
    }
    return torch.from_numpy(np.stack([permutations[member.config.seed] for member in members]))


# --- every member on its own --------------------------------------------------------------------


@dataclass(frozen=True)
class OwnBatch:
    """x: (K, b padded, inputs padded) float32."""

    x: torch.Tensor
    labels: torch.Tensor

    def product(self, weight: torch.Tensor) -> torch.Tensor:
        return torch.bmm(weight, self.x.transpose(1, 2))

    def weight_gradient(self, gradient: torch.Tensor) -> torch.Tensor:
        return torch.bmm(gradient, self.x)


class OwnInputs:
    """Batches of members that each gather, and may augment, their own images."""

    def __init__(self, members: Sequence[Member], store: ImageStore) -> None:
        self.members, self.store, self.placed = members, store, list(range(len(members)))
        self.rows = torch.from_numpy(np.stack([member.train for member in members]))
        self.labels = torch.from_numpy(np.stack([member.train_labels for member in members]))
        self.training = members[0].config.training
        self._views: torch.Tensor | None = None

    def shuffle(self, epoch: int) -> None:
        order, device = orders(self.members, epoch), self.store.device
        rows, labels = self.rows.gather(1, order), self.labels.gather(1, order)
        # To stamp images after augmentation, rows are needed on the CPU.
        self._rows = rows if self.training.stamp == "after" else rows.to(device)
        self._labels = labels.to(device)
        if self.training.augmentation != "none":
            seeds = {member.config.seed for member in self.members}
            views = {seed: draw_views(seed, rows.shape[1], epoch) for seed in seeds}
            ordered = [
                views[member.config.seed][o] for member, o in zip(self.members, order, strict=True)
            ]
            self._views = torch.stack(ordered).to(device)

    def images(self, rows: torch.Tensor, views: torch.Tensor | None) -> torch.Tensor:
        """Network inputs (..., c, h, w) float32 of rows (...), augmented if there are views."""
        if views is None:
            return self.store.batch(rows)
        return self.store.augmented(rows, views, self.training.stamp)

    def batch(self, start: int, stop: int) -> OwnBatch:
        views = None if self._views is None else self._views[:, start:stop]
        images = self.images(self._rows[:, start:stop], views)
        return OwnBatch(padded(images.flatten(2)), self._labels[:, start:stop])

    def side_by_side(self, start: int, stop: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Images (b, K x c, h, w) float32 and labels (K, b) int64."""
        views = None if self._views is None else self._views[:, start:stop].transpose(0, 1)
        images = self.images(self._rows[:, start:stop].T, views)
        return images.flatten(1, 2), self._labels[:, start:stop]


# --- one product for all members of one order ----------------------------------------------------


@dataclass(frozen=True)
class _Stamped:
    """Stamped images of one trigger in a batch.

    x: (m padded, inputs padded) float32. members: the slots [first, last) that use the trigger.
    Entry e says that member `member[e]` of these has image `image[e]` of x at place `place[e]`;
    entries are in the order of the members, and of the places of each.
    """

    x: torch.Tensor
    members: slice
    member: torch.Tensor
    image: torch.Tensor
    place: torch.Tensor

    def product(self, weight: torch.Tensor) -> torch.Tensor:
        """Weights of the members times each image, (L, outputs, m padded): `BLOCK` images at a
        time, as how many there are depends on the other members' poison."""
        return torch.cat([_product(weight, images) for images in torch.split(self.x, BLOCK)], 2)

    def add_weight_gradient(self, gradient: torch.Tensor, result: torch.Tensor) -> None:
        """From that of each entry's outputs, (entries, outputs), to result (L, outputs, inputs).

        For each output of a member a sum over the member's entries, one after the other.
        """
        members, outputs, inputs = result.shape
        entries = torch.bincount(self.member, minlength=members)
        first = entries.cumsum(0) - entries + len(gradient) * torch.arange(outputs)[:, None]
        at_once = max(1, CACHED // (members * inputs))
        for part, own in zip(
            torch.split(result, at_once, 1), torch.split(gradient.T, at_once), strict=True
        ):
            sums = functional.embedding_bag(
                self.image.repeat(len(own)), self.x, first[: len(own)].flatten(), mode="sum",
                per_sample_weights=own.flatten(),
            )  # fmt: skip
            part.add_(sums.view(len(own), members, inputs).transpose(0, 1))


@dataclass(frozen=True)
class _Clean:
    """Clean images of a batch: x (b padded, inputs padded) float32, for these slots."""

    x: torch.Tensor
    members: slice


@dataclass(frozen=True)
class SharedBatch:
    """Images of a batch, each once. For how members keep their bits, see the head of this file."""

    clean: list[_Clean]
    stamped: list[_Stamped]
    labels: torch.Tensor

    def product(self, weight: torch.Tensor) -> torch.Tensor:
        product = weight.new_empty(*weight.shape[:2], len(self.clean[0].x))
        for part in self.clean:
            _product(weight[part.members], part.x, product[part.members])
        for own in self.stamped:
            answers = own.product(weight[own.members]).transpose(1, 2)
            product[own.members].transpose(1, 2)[own.member, own.place] = answers[
                own.member, own.image
            ]
        return product

    def weight_gradient(self, gradient: torch.Tensor) -> torch.Tensor:
        own_gradients = []
        for own in self.stamped:
            there = gradient[own.members].transpose(1, 2)
            own_gradients.append(there[own.member, own.place])
            there[own.member, own.place] = 0
        result = gradient.new_empty(*gradient.shape[:2], self.clean[0].x.shape[1])
        for part in self.clean:
            mine = gradient[part.members]
            torch.bmm(mine, part.x.expand(len(mine), -1, -1), out=result[part.members])
        for own, moved in zip(self.stamped, own_gradients, strict=True):
            own.add_weight_gradient(moved, result[own.members])
        return result


def _product(
    weight: torch.Tensor, x: torch.Tensor, out: torch.Tensor | None = None
) -> torch.Tensor:
    """Weights (L, outputs, inputs) of each member times the same images (m, inputs): (L, outputs,
    m).

    Images are laid side by side first, which is faster than multiplying a transposed view.
    """
    return torch.bmm(weight, x.T.contiguous().expand(len(weight), -1, -1), out=out)


class _TriggerGroup:
    """Members of one trigger among those of one order."""

    def __init__(self, members: Sequence[Member], store: ImageStore, first: int) -> None:
        self.slots = slice(first, first + len(members))
        rows = np.stack([member.train for member in members])
        self.stamped = torch.from_numpy(rows != store.unchanged(rows))  # (L, n) bool
        self.rows = torch.from_numpy(rows.max(0))  # stamped rows follow all clean ones

    def shuffle(self, order: torch.Tensor) -> None:
        self._stamped, self._rows = self.stamped[:, order], self.rows[order]
        self._any = self._stamped.any(0)

    def batch(self, store: ImageStore, start: int, stop: int) -> list[_Stamped]:
        """The stamped images among the positions [start, stop), in parts of `POSITIONS_PER_SUM`."""
        found = []
        for a in range(start, stop, POSITIONS_PER_SUM):
            b = min(a + POSITIONS_PER_SUM, stop)
            places = self._any[a:b].nonzero()[:, 0]
            if len(places):
                x = padded(store.batch(self._rows[a:b][places]).flatten(1))
                member, image = self._stamped[:, a:b][:, places].nonzero(as_tuple=True)
                place = places[image] + (a - start)
                found.append(_Stamped(x, self.slots, member, image, place))
        return found


class _OrderGroup:
    """Members that share their clean images and their order."""

    def __init__(self, members: Sequence[Member], store: ImageStore, first: int) -> None:
        self.seed = members[0].config.seed
        self.slots = slice(first, first + len(members))
        self.rows = torch.from_numpy(store.unchanged(members[0].train))
        self.trigger_groups: list[_TriggerGroup] = []
        for _, grouped in itertools.groupby(members, _trigger):
            trigger_group = list(grouped)
            if trigger_group[0].config.attack is not None:
                self.trigger_groups.append(_TriggerGroup(trigger_group, store, first))
            first += len(trigger_group)

    def shuffle(self, epoch: int) -> None:
        n = len(self.rows)
        order = torch.from_numpy(stream("order", self.seed, n, epoch).permutation(n))
        self._rows = self.rows[order]
        for trigger_group in self.trigger_groups:
            trigger_group.shuffle(order)

    def clean(self, store: ImageStore, start: int, stop: int) -> _Clean:
        return _Clean(padded(store.batch(self._rows[start:stop]).flatten(1)), self.slots)


def _trigger(member: Member) -> str:
    """Equal for members with the same stamped images. Cover samples may be stamped differently from
    poisoned images: with cover samples, members must have the same whole attack."""
    attack, seed = member.config.attack, member.config.seed
    if attack is None:
        return ""
    return repr(attack if attack.cover_rate else attack.trigger.for_seed(seed))


class SharedInputs:
    """Batches in which every image is gathered and multiplied once, on a CPU."""

    def __init__(self, members: Sequence[Member], store: ImageStore) -> None:
        self.store = store
        clean = [store.unchanged(member.train).tobytes() for member in members]
        keys = [
            (member.config.seed, c, _trigger(member))
            for member, c in zip(members, clean, strict=True)
        ]
        self.placed = sorted(range(len(members)), key=lambda index: keys[index])
        self.order_groups: list[_OrderGroup] = []
        for _, indices in itertools.groupby(self.placed, key=lambda index: keys[index][:2]):
            first = self.order_groups[-1].slots.stop if self.order_groups else 0
            self.order_groups.append(
                _OrderGroup([members[index] for index in indices], store, first)
            )
        self.members = [members[index] for index in self.placed]
        self.labels = torch.from_numpy(np.stack([member.train_labels for member in self.members]))

    def shuffle(self, epoch: int) -> None:
        self._labels = self.labels.gather(1, orders(self.members, epoch))
        for order_group in self.order_groups:
            order_group.shuffle(epoch)

    def batch(self, start: int, stop: int) -> SharedBatch:
        clean = [order_group.clean(self.store, start, stop) for order_group in self.order_groups]
        trigger_groups = [
            trigger_group
            for order_group in self.order_groups
            for trigger_group in order_group.trigger_groups
        ]
        stamped = [
            part
            for trigger_group in trigger_groups
            for part in trigger_group.batch(self.store, start, stop)
        ]
        return SharedBatch(clean, stamped, self._labels[:, start:stop])
