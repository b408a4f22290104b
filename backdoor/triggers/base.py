"""The base class of triggers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from backdoor.errors import Mistake
from backdoor.settings.registry import Kind
from backdoor.triggers.donors import DonorImages


@dataclass(frozen=True)
class Trigger(Kind):
    """Stamps images as the attacker does, before any augmentation or normalization.

    former: settings that came after the first release and whose default changes what the trigger
    does → the value that acts as before. An identity leaves that value out, so that ids of before
    stay; so what has no such setting there, or in a sweep that began before, means that value
    (`backdoor.config.build_attack`).
    """

    former: ClassVar[Mapping[str, Any]] = {}

    def identity(self) -> dict[str, Any]:
        return {
            name: value
            for name, value in super().identity().items()
            if name not in self.former or value != self.former[name]
        }

    def stamp(self, images: torch.Tensor, ids: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Triggered copies of images.

        Args:
            images: (n, c, h, w) uint8, 0 black to 255 white; never written to.
            ids: (n,) int64, the number of each image in its source, for triggers that differ from
                image to image; the same id gets the same stamp.
            labels: (n,) int64, true classes, for triggers that differ from class to class.

        Returns:
            (n, c, h, w) uint8, a new tensor on the same device.
        """
        raise NotImplementedError

    def for_seed(self, seed: int) -> Trigger:
        """The trigger in a trial of this seed; by default itself, for triggers without a seed."""
        return self

    def lent(self, donors: DonorImages) -> Trigger:
        """The trigger in a trial with these training images; by default itself, for triggers that
        use no donor images."""
        return self

    def for_test(self) -> Trigger:
        """The trigger for test images, which may be stronger or weaker; by default itself."""
        return self

    def cover(self, donors: DonorImages) -> Trigger:
        """The trigger that stamps cover samples, which keep their true labels; by default itself,
        for methods without a noise mode. It may use these donor images."""
        return self

    def fits(self, shape: tuple[int, int, int]) -> Iterable[Mistake]:
        """Mistakes of this trigger on images of `shape` (c, h, w); none by default."""
        return ()
