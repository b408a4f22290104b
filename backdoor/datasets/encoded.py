"""Shared by the kinds whose images are encoded (PNG, JPEG, ...): how they are decoded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from backdoor.datasets.base import Dataset
from backdoor.reading.pixels import Background, Decoding, Resize
from backdoor.settings.schema import Count, Range


@dataclass(frozen=True, kw_only=True)
class EncodedDataset(Dataset):
    """A source of encoded images.

    image_size: side in pixels to which every image is resized (bilinear); None keeps the sizes,
    which must then be equal. resize: `stretch` the image, or `crop` the square in its middle.
    background: what transparent pixels are laid over. bits: how many of 16 bits a channel are in
    use, where that is less than 16.
    """

    cached = True
    quick_open = True

    image_size: Count | None = None
    resize: Resize = "stretch"
    background: Background = "white"
    bits: Annotated[int | None, Range(ge=9, le=16)] = None

    def inert(self) -> frozenset[str]:
        # Trials whose images are decoded by the defaults keep the ids of before there was a choice.
        names = {"resize"} if not self.image_size or self.resize == "stretch" else set[str]()
        names |= {"background"} if self.background == "white" else set()
        return frozenset(names | ({"bits"} if self.bits is None else set()))

    @property
    def decoding(self) -> Decoding:
        """How the images are decoded."""
        return Decoding(self.image_size, self.resize, self.background, self.bits)

    def how(self) -> list[object]:
        """Settings of decoding that are part of the fingerprint, beside `image_size`."""
        return [
            value
            for name, value in (
                ("resize", self.resize),
                ("background", {"background": self.background}),
                ("bits", {"bits": self.bits}),
            )
            if name not in self.inert()
        ]
