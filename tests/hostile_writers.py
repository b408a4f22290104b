"""What writes the same samples in the files of each reader."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from fabricated import write_cifar10, write_cifar100, write_mnist, write_svhn
from hostile import Sample, Settings
from PIL import Image

Part = Sequence[Sample]


def png(pixels: np.ndarray) -> bytes:
    """Pixels as a PNG file."""
    return encode(Image.fromarray(pixels), "PNG")


def encode(image: Image.Image, form: str, **options: Any) -> bytes:
    """An image as a file of this form."""
    stream = io.BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()


def content_of(sample: Sample) -> bytes:
    return png(sample.pixels) if sample.content is None else sample.content


def parts_of(train: Part, test: Part | None) -> dict[str, Part]:
    return {"train": train} if test is None else {"train": train, "test": test}


def folder_of_images(root: Path, train: Part, test: Part | None, **_: Any) -> Settings:
    """root/train/CLASS/NUMBER.png, or root/CLASS/NUMBER.png."""
    for word, part in parts_of(train, test).items():
        for number, sample in enumerate(part):
            folder = root / ("." if test is None else word) / str(sample.label)
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{word}{number:03}{sample.suffix}").write_bytes(content_of(sample))
    return {"kind": "image_folder", "root": str(root)}


def table_of(part: Part, cells: str, folder: Path, word: str, names: Sequence[str] = (), labels: Any = None) -> pa.Table:  # fmt: skip
    """Images with labels as public hubs store them. cells: `struct`, `bytes` or `path`."""
    images: list[Any] = [content_of(sample) for sample in part]
    if cells == "struct":
        images = [{"bytes": content, "path": None} for content in images]
    if cells == "path":
        images = [write_beside(folder, f"{word}{n}", s) for n, s in enumerate(part)]
    kinds = {"struct": pa.struct([("bytes", pa.binary()), ("path", pa.string())]), "bytes": pa.binary(), "path": pa.string()}  # fmt: skip
    column = pa.array([s.label for s in part]) if labels is None else labels
    table = pa.table({"image": pa.array(images, kinds[cells]), "label": column})
    if not names:
        return table
    features = {"label": {"names": list(names), "_type": "ClassLabel"}}
    return table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})  # fmt: skip


def write_beside(folder: Path, stem: str, sample: Sample) -> str:
    """Writes an image file beside a table; its path from there."""
    (folder / "pictures").mkdir(parents=True, exist_ok=True)
    name = f"pictures/{stem}{sample.suffix}"
    (folder / name).write_bytes(content_of(sample))
    return name


def parquet_of(cells: str) -> Callable[..., Settings]:
    def write(root: Path, train: Part, test: Part | None, names: Sequence[str] = (), **_: Any) -> Settings:  # fmt: skip
        for word, part in parts_of(train, test).items():
            table = table_of(part, cells, root, word, names)
            pq.write_table(table, root / f"{word}-00000-of-00001.parquet")
        return {"kind": "parquet", "root": str(root)}

    return write


CSV = {"kind": "csv", "image_column": "path", "label_column": "label"}


def write_rows(file: Path, rows: Sequence[Sequence[Any]], delimiter: str = ",") -> None:
    with file.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream, delimiter=delimiter).writerows(rows)


def one_csv(root: Path, train: Part, test: Part | None, **_: Any) -> Settings:
    """root/images.csv, with a column `split` if there are test images."""
    rows: list[list[Any]] = [["path", "label", *([] if test is None else ["split"])]]
    for word, part in parts_of(train, test).items():
        for number, sample in enumerate(part):
            row = [write_beside(root, f"{word}{number}", sample), sample.label]
            rows.append(row if test is None else [*row, word])
    write_rows(root / "images.csv", rows)
    return {**CSV, "root": str(root / "images.csv")}


def two_csvs(root: Path, train: Part, test: Part | None, **_: Any) -> Settings:
    """root/train.csv and root/test.csv."""
    for word, part in parts_of(train, test).items():
        rows = [[write_beside(root, f"{word}{n}", s), s.label] for n, s in enumerate(part)]
        write_rows(root / f"{word}.csv", [["path", "label"], *rows])
    return {**CSV, "root": str(root)}


def stacked(part: Part, shape: tuple[int, ...] = (0, 6, 6, 3)) -> tuple[np.ndarray, np.ndarray]:
    images = np.stack([s.pixels for s in part]) if part else np.zeros(shape, np.uint8)
    return images, np.asarray([s.label for s in part])


def npz(root: Path, train: Part, test: Part | None, names: Sequence[str] = (), **_: Any) -> Settings:  # fmt: skip
    """root/set.npz."""
    found = dict(zip(("images", "labels"), stacked(train), strict=True))
    if test is not None:
        found |= dict(zip(("test_images", "test_labels"), stacked(test), strict=True))
    if names:
        found["class_names"] = np.array(list(names))
    np.savez(root / "set.npz", **found)
    return {"kind": "arrays", "root": str(root / "set.npz")}


def own_read(root: Path, train: Part, test: Part | None, names: Sequence[str] = (), **_: Any) -> Settings:  # fmt: skip
    """An .npz file for `hostile_kinds.OwnRead`; one name for each label up to the largest."""
    images, labels = stacked([*train, *(test or [])])
    planes = images[:, None] if images.ndim == 3 else images.transpose(0, 3, 1, 2)
    named = list(names) or [str(i) for i in range(min(int(max(labels, default=0)) + 1, 20))]
    border = {} if test is None else {"test_from": np.array(len(train))}
    np.savez(root / "own.npz", images=planes, labels=labels, class_names=np.array(named), **border)
    return {"kind": "hostile_kinds:OwnRead", "root": str(root / "own.npz")}


def own_open(root: Path, train: Part, test: Part | None, names: Sequence[str] = (), **_: Any) -> Settings:  # fmt: skip
    """A folder for `hostile_kinds.OwnOpen`."""
    samples = [*train, *(test or [])]
    for number, sample in enumerate(samples):
        (root / f"{number}.bin").write_bytes(content_of(sample))
    np.save(root / "labels.npy", np.asarray([s.label for s in samples]))
    stated = {"count": len(samples), "names": list(names), "test_from": None if test is None else len(train)}  # fmt: skip
    (root / "stated.json").write_text(json.dumps(stated))
    return {"kind": "hostile_kinds:OwnOpen", "root": str(root)}


def mnist(root: Path, train: Part, test: Part | None, **_: Any) -> Settings:
    write_mnist(root, stacked(train), stacked(test or []))
    return {"kind": "mnist", "root": str(root)}


def fashion_mnist(root: Path, train: Part, test: Part | None, **_: Any) -> Settings:
    write_mnist(root, stacked(train), stacked(test or []), "FashionMNIST")
    return {"kind": "fashion_mnist", "root": str(root)}


def planes_of(part: Part) -> tuple[np.ndarray, np.ndarray]:
    images, labels = stacked(part)
    return images.transpose(0, 3, 1, 2), labels


def cifar10(root: Path, train: Part, test: Part | None, **_: Any) -> Settings:
    write_cifar10(root, planes_of(train), planes_of(test or []))
    return {"kind": "cifar10", "root": str(root)}


def cifar100(root: Path, train: Part, test: Part | None, **_: Any) -> Settings:
    write_cifar100(root, planes_of(train), planes_of(test or []))
    return {"kind": "cifar100", "root": str(root)}


def svhn(root: Path, train: Part, test: Part | None, **_: Any) -> Settings:
    write_svhn(root, planes_of(train), planes_of(test or []))
    return {"kind": "svhn", "root": str(root)}


#: Reader → what writes samples for it, and returns the settings under `data`.
WRITERS: dict[str, Callable[..., Settings]] = {
    "image_folder": folder_of_images,
    "parquet": parquet_of("struct"),
    "parquet of bytes": parquet_of("bytes"),
    "parquet of paths": parquet_of("path"),
    "csv": one_csv,
    "csv of each split": two_csvs,
    "arrays": npz,
    "own read": own_read,
    "own open": own_open,
    "mnist": mnist,
    "fashion_mnist": fashion_mnist,
    "cifar10": cifar10,
    "cifar100": cifar100,
    "svhn": svhn,
}
#: Those that read encoded images.
ENCODED = ("image_folder", "parquet", "parquet of bytes", "parquet of paths", "csv", "csv of each split", "own open")  # fmt: skip
#: Those whose labels are whole numbers of any size.
NUMBERED = ("parquet", "csv", "arrays", "own read", "own open")
#: Shape of an image that torchvision's files hold, and names of their classes.
PUBLISHED = {
    "mnist": ((28, 28), ("0 - zero", "1 - one", "2 - two", "3 - three", "4 - four", "5 - five", "6 - six", "7 - seven", "8 - eight", "9 - nine")),
    "fashion_mnist": ((28, 28), ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")),
    "cifar100": ((32, 32, 3), tuple(f"thing {i}" for i in range(100))),
    "cifar10": ((32, 32, 3), tuple(f"thing {i}" for i in range(10))),
    "svhn": ((32, 32, 3), tuple("0123456789")),
}  # fmt: skip
