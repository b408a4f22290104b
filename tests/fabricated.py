"""Small data sets in the files of their published formats, written by hand."""

from __future__ import annotations

import pickle
import struct
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

Part = tuple[np.ndarray, np.ndarray]


def draw_part(count: int, shape: tuple[int, ...], classes: int = 3, seed: int = 5) -> Part:
    """Random pixels (count, *shape) uint8 and labels 0, 1, ..., 0, 1, ..."""
    pixels = np.random.default_rng(seed).integers(0, 256, (count, *shape), dtype=np.uint8)
    return pixels, np.arange(count) % classes


def write_idx(file: Path, values: np.ndarray) -> None:
    """The idx format: two zero bytes, 8 for uint8, the number of axes, each length, the content."""
    head = struct.pack(">BBBB", 0, 0, 8, values.ndim) + struct.pack(
        f">{values.ndim}I", *values.shape
    )
    file.write_bytes(head + values.astype(np.uint8).tobytes())


def write_mnist(root: Path, train: Part, test: Part, name: str = "MNIST") -> Path:
    """root/MNIST/raw with four idx files; images (n, 28, 28)."""
    raw = root / name / "raw"
    raw.mkdir(parents=True, exist_ok=True)
    for word, (images, labels) in (("train", train), ("t10k", test)):
        write_idx(raw / f"{word}-images-idx3-ubyte", images)
        write_idx(raw / f"{word}-labels-idx1-ubyte", labels)
    return raw


def write_cifar10(root: Path, train: Part, test: Part) -> Path:
    """root/cifar-10-batches-py with five training batches; images (n, 3, 32, 32)."""
    folder = root / "cifar-10-batches-py"
    folder.mkdir(parents=True, exist_ok=True)
    batches = zip(np.array_split(train[0], 5), np.array_split(train[1], 5), strict=True)
    for number, batch in enumerate(batches, 1):
        _write_batch(folder / f"data_batch_{number}", batch, "labels")
    _write_batch(folder / "test_batch", test, "labels")
    names = [f"thing {i}" for i in range(10)]
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": names}))
    return folder


def write_cifar100(root: Path, train: Part, test: Part) -> Path:
    """root/cifar-100-python; images (n, 3, 32, 32)."""
    folder = root / "cifar-100-python"
    folder.mkdir(parents=True, exist_ok=True)
    for word, part in (("train", train), ("test", test)):
        _write_batch(folder / word, part, "fine_labels")
    names = [f"thing {i}" for i in range(100)]
    (folder / "meta").write_bytes(pickle.dumps({"fine_label_names": names}))
    return folder


def _write_batch(file: Path, part: Part, key: str) -> None:
    images, labels = part
    content = {"data": images.reshape(len(images), -1), key: labels.tolist()}
    file.write_bytes(pickle.dumps(content))


def without_checksums(monkeypatch) -> None:
    """Lets torchvision open CIFAR files that are not the published ones, in this test alone."""
    from torchvision.datasets import CIFAR10, CIFAR100

    for source in (CIFAR10, CIFAR100):
        for files in ("train_list", "test_list"):
            unchecked = [[name, None] for name, _ in getattr(source, files)]
            monkeypatch.setattr(source, files, unchecked)
        monkeypatch.setattr(source, "meta", {**source.meta, "md5": None})


def write_folders(root: Path, parts: Mapping[str, Part], names=("cat", "dog", "owl")) -> None:
    """root/PART/CLASS/NUMBER.png; a part named "." lies in the root itself."""
    for place, (images, labels) in parts.items():
        for number, (pixels, label) in enumerate(zip(images, labels, strict=True)):
            folder = root / place / names[label]
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(folder / f"{number:04}.png")
