"""Hostile files in the layouts of published sets of photographs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from fabricated import write_flowers102, write_gtsrb, write_imagenette, write_tiny_imagenet
from hostile import Case, Refused, Settings, draw

WRITERS: dict[str, Callable[..., Any]] = {
    "gtsrb": write_gtsrb,
    "imagenette": write_imagenette,
    "tiny_imagenet": write_tiny_imagenet,
    "flowers102": write_flowers102,
}
#: A file of each, which is a training image.
IMAGES = {
    "gtsrb": "gtsrb/GTSRB/Training/00001/00003.ppm",
    "imagenette": "imagenette2-160/train/n02102040/0003.png",
    "tiny_imagenet": "tiny-imagenet-200/train/n02102040/images/n02102040_3.png",
    "flowers102": "flowers-102/jpg/image_00004.jpg",
}
#: Idea → labels of training and test images, and what the refusal says.
LABELS: dict[str, tuple[Sequence[int], Sequence[int], tuple[str, ...]]] = {
    "a class that only test images have": (4 * [0, 1], [0, 1, 2], (r"class|label|train",)),
    "a single class": (8 * [0], [0, 0], (r"class",)),
    "as many classes as training images": ([0, 1, 2], [0, 1, 2], (r"class", r"images")),
}


def _written(kind: str, train: Sequence[int], test: Sequence[int], damage: bytes | None = None) -> Callable[[Path], Settings]:  # fmt: skip
    def write(root: Path) -> Settings:
        parts = [(draw(len(y), (6, 6, 3), seed), np.array(y)) for seed, y in enumerate((train, test))]  # fmt: skip
        WRITERS[kind](root, *parts)
        if damage is not None:
            (root / IMAGES[kind]).write_bytes(damage)
        return {"kind": kind, "root": str(root)}

    return write


def cases() -> Iterator[Case]:
    for kind in WRITERS:
        for idea, (train, test, texts) in LABELS.items():
            yield Case(f"{idea} [{kind}]", _written(kind, train, test), (Refused(texts),), True)
        for idea, damage in (("damaged: text", b"<html>"), ("damaged: nothing", b"")):
            write = _written(kind, 4 * [0, 1, 2], [0, 1, 2], damage)
            name = Path(IMAGES[kind]).name.replace(".", r"\.")
            yield Case(f"{idea} [{kind}]", write, (Refused((name,)),), True)
