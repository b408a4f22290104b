"""Small data sets in the files of their published formats, written by hand."""

from __future__ import annotations

import pickle
import struct
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import scipy.io
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


def save_mat(file: Path, content: Mapping[str, np.ndarray]) -> None:
    """A MATLAB file that does not say when it was written."""
    scipy.io.savemat(file, content)
    written = file.read_bytes()
    file.write_bytes(b"MATLAB 5.0 MAT-file".ljust(116) + written[116:])


def write_svhn(root: Path, train: Part, test: Part) -> Path:
    """root/train_32x32.mat and test_32x32.mat; images (n, 3, 32, 32), digit 0 stored as 10."""
    for word, (images, labels) in (("train", train), ("test", test)):
        content = {
            "X": images.transpose(2, 3, 1, 0),
            "y": np.where(labels == 0, 10, labels).astype(np.uint8)[:, None],
        }
        save_mat(root / f"{word}_32x32.mat", content)
    return root


def write_images(places: Iterable[Path], images: Iterable[np.ndarray]) -> None:
    """Pixels (h, w, 3) uint8 as files whose names say their format."""
    for place, pixels in zip(places, images, strict=True):
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(place)


def write_gtsrb(root: Path, train: Part, test: Part) -> Path:
    """root/gtsrb in torchvision's layout; images (n, h, w, 3)."""
    folder = root / "gtsrb"
    own = [f"{label:05d}/{number:05d}.ppm" for number, label in enumerate(train[1])]
    write_images([folder / "GTSRB" / "Training" / name for name in own], train[0])
    names = [f"{number:05d}.ppm" for number in range(len(test[0]))]
    write_images([folder / "GTSRB" / "Final_Test" / "Images" / name for name in names], test[0])
    rows = [f"{name};4;4;0;0;3;3;{label}" for name, label in zip(names, test[1], strict=True)]
    head = "Filename;Width;Height;Roi.X1;Roi.Y1;Roi.X2;Roi.Y2;ClassId"
    (folder / "GT-final_test.csv").write_text("\n".join([head, *rows]) + "\n")
    return root


WORDS = ("n01440764", "n02102040", "n02979186")


def write_imagenette(root: Path, train: Part, test: Part) -> Path:
    """root/imagenette2-160 as torchvision unpacks it; images (n, h, w, 3), three classes."""
    write_folders(root / "imagenette2-160", {"train": train, "val": test}, WORDS)
    return root


def write_tiny_imagenet(root: Path, train: Part, test: Part) -> Path:
    """root/tiny-imagenet-200; images (n, h, w, 3), three classes; a test folder without labels."""
    folder = root / "tiny-imagenet-200"
    own = [f"{WORDS[y]}/images/{WORDS[y]}_{i}.png" for i, y in enumerate(train[1])]
    write_images([folder / "train" / name for name in own], train[0])
    names = [f"val_{number}.png" for number in range(len(test[0]))]
    write_images([folder / "val" / "images" / name for name in names], test[0])
    write_images([folder / "test" / "images" / "test_0.png"], test[0][:1])
    rows = [f"{name}\t{WORDS[y]}\t0\t0\t62\t62" for name, y in zip(names, test[1], strict=True)]
    (folder / "val" / "val_annotations.txt").write_text("\n".join(rows) + "\n")
    (folder / "words.txt").write_text(f'{WORDS[0]}\ttench, Tinca "tinca"\n{WORDS[2]}\tplayer\n')
    return root


def write_flowers102(root: Path, train: Part, test: Part) -> Path:
    """root/flowers-102 in torchvision's layout; every second training image is in `valid`."""
    folder, count = root / "flowers-102", len(train[0])
    places = [folder / "jpg" / f"image_{i + 1:05d}.jpg" for i in range(count + len(test[0]))]
    write_images(places, [*train[0], *test[0]])
    labels = np.concatenate([train[1], test[1]]) + 1
    ids = np.arange(1, len(labels) + 1)
    sets = {"trnid": ids[:count:2], "valid": ids[1:count:2], "tstid": ids[count:]}
    save_mat(folder / "imagelabels.mat", {"labels": labels.astype(np.uint8)})
    save_mat(folder / "setid.mat", {k: v.astype(np.uint16) for k, v in sets.items()})
    return root


def write_csv(root: Path, train: Part, test: Part) -> Path:
    """root/train.csv and test.csv with paths of files in root/images; images (n, h, w, 3)."""
    for word, (images, labels) in (("train", train), ("test", test)):
        names = [f"images/{word}-{number}.png" for number in range(len(images))]
        write_images([root / name for name in names], images)
        rows = [f"{name},{label}" for name, label in zip(names, labels, strict=True)]
        (root / f"{word}.csv").write_text("\n".join(["path,label", *rows]) + "\n")
    return root


def without_checksums(monkeypatch) -> None:
    """Lets torchvision open files that are not the published ones, in this test alone."""
    from torchvision.datasets import CIFAR10, CIFAR100, SVHN, Flowers102

    unchecked = {part: [url, name, None] for part, (url, name, _) in SVHN.split_list.items()}
    monkeypatch.setattr(SVHN, "split_list", unchecked)
    names = {key: (name, None) for key, (name, _) in Flowers102._file_dict.items()}
    monkeypatch.setattr(Flowers102, "_file_dict", names)
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
