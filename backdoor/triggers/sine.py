"""A faint horizontal wave over the whole image: SIG (Barni, Kallas, Tondi 2019, ICIP)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar

import numpy as np
import torch

from backdoor.errors import Mistake
from backdoor.settings.schema import Range
from backdoor.triggers.base import Trigger


@dataclass(frozen=True)
class Sine(Trigger):
    """Adds amplitude x sin(2 pi j frequency / width) to column j of every channel.

    `amplitude` is in grey levels of 255, `frequency` in periods over the image's width. Sums are
    rounded to the nearest grey level (halves to even) and clipped. The paper keeps the labels of
    poisoned images: `label_mode: clean_label` of the attack. test_amplitude: the amplitude on test
    images, larger in the paper; None is the same.
    """

    kind: ClassVar[str] = "sine"

    amplitude: Annotated[float, Range(gt=0, le=255)] = 40.0
    frequency: Annotated[float, Range(gt=0)] = 6.0
    test_amplitude: Annotated[float | None, Range(gt=0, le=255)] = None

    def inert(self) -> frozenset[str]:
        same = self.test_amplitude in (None, self.amplitude)
        return frozenset({"test_amplitude"} if same else ())

    def for_test(self) -> Sine:
        if self.test_amplitude is None:
            return self
        return replace(self, amplitude=self.test_amplitude, test_amplitude=None)

    def wave(self, width: int) -> torch.Tensor:
        """(w,) float64, grey levels to add."""
        phase = 2 * np.pi * np.arange(width) * self.frequency / width
        # Nine digits: the last bits of a sine differ between machines and could change rounding.
        return torch.from_numpy(np.round(self.amplitude * np.sin(phase), 9))

    def fits(self, shape: tuple[int, int, int]) -> Iterable[Mistake]:
        if not self.wave(shape[2]).round().any():
            rule = f"must change images {shape[2]} pixels wide, this wave is 0 everywhere"
            remedy = (
                "Use a larger amplitude, and a frequency that is no multiple of half the width."
            )
            yield Mistake("frequency", rule, self.frequency, remedy)

    def stamp(self, images: torch.Tensor, ids: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        wave = self.wave(images.shape[3]).to(images.device)
        return (images.to(torch.float64) + wave).round_().clamp_(0, 255).to(torch.uint8)
