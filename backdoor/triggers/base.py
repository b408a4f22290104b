"""What every trigger does."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch

from backdoor.errors import Mistake
from backdoor.settings.registry import Kind
from backdoor.triggers.donors import DonorImages


@dataclass(frozen=True)
class Trigger(Kind):
    """Marks images the way the attacker does, before any augmentation or normalisation."""

    def stamp(self, images: torch.Tensor, ids: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Triggered copies of images.

        Args:
            images: (n, c, h, w) uint8, 0 black to 255 white; never written to.
            ids: (n,) int64, each image's number in its source, for triggers that differ from
                image to image; the same id gives the same mark.
            labels: (n,) int64, true classes, for triggers that differ from class to class.

        Returns:
            (n, c, h, w) uint8, a new tensor on the same device.
        """
        raise NotImplementedError

    def for_seed(self, seed: int) -> Trigger:
        """The trigger as a trial of this seed uses it: itself, unless it draws by that seed."""
        return self

    def lent(self, donors: DonorImages) -> Trigger:
        """The trigger of a trial with these training images: itself, unless it borrows some."""
        return self

    def for_test(self) -> Trigger:
        """What marks test images: itself, unless the attacker marks them more or less strongly."""
        return self

    def cover(self, donors: DonorImages) -> Trigger:
        """What marks cover samples, which keep their true labels: itself, unless the method has
        a noise mode of its own. It may borrow from these training images."""
        return self

    def fits(self, shape: tuple[int, int, int]) -> Iterable[Mistake]:
        """What is wrong with this trigger on images of `shape` (c, h, w); nothing by default."""
        return ()
