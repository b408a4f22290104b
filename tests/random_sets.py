"""Random small image sets on disk, right and wrong ones, for `slow_reader.py` and the real reader."""

from __future__ import annotations

import io
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

Settings = dict[str, Any]

TEXTS = (("cat", "dog"), ("owl", "Cat", "cat"), ("1", "two"), ("b", "a", "é"), ("trains", "cars"))
NUMBERS = ((0, 1), (0, 1, 2), (2, 1, 0), (1, 2), (3, 5, 9), (10, 9), (0, 10**9), (7, 4, 2**40))


class Chance:
    """What is drawn, from one seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.numbers = np.random.default_rng(seed)

    def rarely(self, one_in: int = 12) -> bool:
        return self.random.randrange(one_in) == 0

    def one(self, choices: Sequence[Any]) -> Any:
        return self.random.choice(choices)

    def counted(self, classes: Sequence[Any], least: int, most: int) -> list[Any]:
        """Some labels of each class, shuffled; rarely one class lacks, and there may be another."""
        labels = [y for y in classes for _ in range(self.random.randint(least, most))]
        if self.rarely(20):
            labels = [y for y in labels if y != classes[0]]
        self.random.shuffle(labels)
        return labels


# --- images --------------------------------------------------------------------------------------

MODES = ("RGB", "RGB", "L", "RGBA", "LA", "P", "1", "PT", "16", "exif", "jpeg", "bmp")


class Pictures:
    """Encoded random images of one set: of one mode or of several, mostly of one size."""

    def __init__(self, chance: Chance) -> None:
        self.chance = chance
        self.modes = [chance.one(MODES) for _ in range(chance.one((1, 1, 2)))]
        if "exif" in self.modes or "16" in self.modes:
            self.modes = self.modes[:1] if self.modes[0] in ("exif", "16") else ["RGB"]
        edge = chance.one((2, 3, 4))
        self.size = (edge, edge) if "exif" in self.modes else (edge, chance.one((2, 3, 5)))
        self.bits = chance.one((16, 16, 16, 12))

    def draw(self) -> bytes:
        if self.chance.rarely(250):
            return self.chance.one((b"", b"no image", encoded(Image.new("L", (9, 9)))[:50]))
        size = (self.size[0] + 1, self.size[1]) if self.chance.rarely(250) else self.size
        return self.encode(self.chance.one(self.modes), size)

    def encode(self, mode: str, size: tuple[int, int]) -> bytes:
        values = self.chance.numbers.integers(0, 256, (*size, 3), dtype=np.uint8)
        opaque = self.chance.numbers.choice(np.array([0, 255], np.uint8), size)
        colour, grey = Image.fromarray(values), Image.fromarray(values[..., 0])
        if mode == "16":
            wide = self.chance.numbers.integers(2 ** (self.bits - 1), 2**self.bits, size, dtype=np.uint16)  # fmt: skip
            return encoded(Image.fromarray(wide))
        if mode in ("P", "PT"):
            painted = colour.quantize(8)
            return encoded(painted, **({"transparency": int(np.asarray(painted)[0, 0])} if mode == "PT" else {}))  # fmt: skip
        if mode == "exif":
            exif = Image.Exif()
            exif[0x0112] = self.chance.random.randint(1, 8)
            return encoded(colour, exif=exif)
        if mode in ("jpeg", "bmp"):
            return encoded(colour, form=mode.upper())
        many = {"RGB": colour, "L": grey, "1": grey.convert("1"),
                "RGBA": Image.fromarray(np.dstack([values, opaque])),
                "LA": Image.fromarray(np.dstack([values[..., 0], opaque]))}  # fmt: skip
        return encoded(many[mode])


def encoded(image: Image.Image, form: str = "PNG", **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()


# --- names ---------------------------------------------------------------------------------------

SHAPES: tuple[Callable[[str], str], ...] = (
    str, str, str.title, str.upper, "{}set".format, "{}_images".format, "seg_{}".format, "{}2017".format,
)  # fmt: skip


def split_names(chance: Chance) -> list[str]:
    """Names of the splits that a set has; rarely one lacks, or one is there twice."""
    words = [chance.one(("train", "training")), chance.one(("test", "testing", "val", "valid"))]
    if chance.rarely(5) and words[1].startswith("test"):
        words.append(chance.one(("val", "dev", "validation")))
    if chance.rarely(12):
        words.pop(chance.random.randrange(len(words)))
    if chance.rarely(12):
        words.append(chance.one(("train", "test")))
    shape = chance.one(SHAPES)
    return sorted({shape(word) for word in words})


def make_folder(chance: Chance, root: Path) -> Settings:
    pictures, classes = Pictures(chance), chance.one(TEXTS)
    places = ["."] if chance.rarely(3) else split_names(chance)
    number = 0
    for place in places:
        for label in chance.counted(classes, 1, 3):
            number += 1
            deeper = "x/y" if chance.rarely(15) else ""
            put(root / place / label / deeper / f"{number}{chance.one(('.png', '.PNG', '.jpg'))}", pictures.draw())  # fmt: skip
    for name in ("notes.txt", ".hidden.png", "__MACOSX/train/cat/._1.png", ".git/cat/1.png"):
        if chance.rarely(5):
            put(root / name, b"something else")
    for name in ("x.gif", ".1.png", "Thumbs.db"):
        if chance.rarely(5):
            put(root / places[0] / classes[-1] / name, b"no image")
    if chance.rarely(20):
        put(root / ("pred" if places != ["."] else "bird") / "1.png", pictures.draw())
    if chance.rarely(20):
        put(root / "stray" / "1.png", pictures.draw())
    if chance.rarely(20):
        put(root / places[0] / "empty" / "readme.txt", b"no images here")
    if chance.rarely(25):
        put(root / places[0] / classes[0] / "train" / "1.png", pictures.draw())
    return {"kind": "image_folder", "root": str(root)}


def put(file: Path, content: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)


# --- tables --------------------------------------------------------------------------------------


def make_parquet(chance: Chance, root: Path) -> Settings:
    pictures, classes = Pictures(chance), chance.one((*TEXTS, *NUMBERS))
    cells, layout = chance.one(("struct", "bytes", "path")), chance.one(("hub", "shards", "files"))
    configs = ["plain", "other"] if layout == "hub" and chance.rarely(5) else ["default"]
    for config in configs:
        for word in parquet_words(chance):
            labels = chance.counted(classes, 2, 4)
            parts = [labels] if layout == "files" else [labels[::2], labels[1::2]]
            for n, part in enumerate(parts):
                if chance.rarely(60):
                    continue
                name = {"hub": f"{config}/{word}/{n:04}", "shards": f"data/{word}-{n:05}-of-{len(parts):05}", "files": f"{word}"}[layout]  # fmt: skip
                write_table(chance, root / f"{name}.parquet", part, pictures, cells)
    if layout != "hub" and chance.rarely(15):
        write_table(chance, root / ("data" if layout == "shards" else ".") / "train-00000-of-00001.parquet", chance.counted(classes, 2, 3), pictures, cells)  # fmt: skip
    chosen = {"config": chance.one(("plain", "other", "third"))} if len(configs) > 1 and chance.rarely(2) else {}  # fmt: skip
    return {"kind": "parquet", "root": str(root), **chosen}


def parquet_words(chance: Chance) -> list[str]:
    words = ["train", chance.one(("test", "validation"))]
    if chance.rarely(20):
        words.pop()
    return words


def write_table(chance: Chance, file: Path, labels: list[Any], pictures: Pictures, cells: str) -> None:  # fmt: skip
    file.parent.mkdir(parents=True, exist_ok=True)
    values: list[Any] = []
    for number in range(len(labels)):
        content = pictures.draw()
        if cells == "path":
            name = f"{file.stem}-{number}.png"
            put(file.parent / name, content)
            content = name if not chance.rarely(250) else "nowhere.png"  # type: ignore[assignment]
        values.append({"bytes": content, "path": None} if cells == "struct" else content)
    kind = {"struct": pa.struct([("bytes", pa.binary()), ("path", pa.string())]), "bytes": pa.binary(), "path": pa.string()}[cells]  # fmt: skip
    if chance.rarely(40):
        labels = [-1 if isinstance(y, int) else None for y in labels]
    pq.write_table(pa.table({"image": pa.array(values, kind), "label": pa.array(labels)}), file)


def make_csv(chance: Chance, root: Path) -> Settings:
    pictures, classes = Pictures(chance), chance.one((*TEXTS, *NUMBERS))
    form, delimiter = chance.one(("column", "folder", "pool")), chance.one((",", ",", ";", "\t"))
    parts = [("pool", chance.counted(classes, 2, 4))] if form == "pool" else [(word, chance.counted(classes, 1, 3)) for word in split_names(chance)]  # fmt: skip
    lines: dict[str, list[list[Any]]] = {}
    for word, labels in parts:
        rows = lines.setdefault(word if form == "folder" else "set", [])
        for number, label in enumerate(labels):
            name = f"images/{word} {number}.png"
            if not chance.rarely(250):
                put(root / name, pictures.draw())
            rows.append([name, "" if chance.rarely(250) else label, *([word] if form == "column" else [])])  # fmt: skip
            if chance.rarely(150):
                rows.append([name, classes[0], *([word] if form == "column" else [])])
            if chance.rarely(250):
                rows[-1] = rows[-1][:-1]
    header = ["path", "label", *(["split"] if form == "column" else [])]
    for name, rows in lines.items():
        text = "".join(delimiter.join(map(str, row)) + chance.one(("\n", "\r\n")) for row in [header, *rows])  # fmt: skip
        put(root / f"{name}.csv", text.encode("utf-8-sig" if chance.rarely(4) else "utf-8"))
    place = root if form == "folder" else root / "set.csv"
    return {"kind": "csv", "root": str(place), "image_column": "path", "label_column": "label", "delimiter": delimiter}  # fmt: skip


# --- arrays --------------------------------------------------------------------------------------


def make_arrays(chance: Chance, root: Path) -> Settings:
    classes = chance.one((*TEXTS, *NUMBERS))
    shape = chance.one(((4, 5), (4, 5, 3), (4, 5, 1), (3, 4, 5), (1, 2, 2), (3, 4, 3), (2, 4, 5), (4, 5, 3)))  # fmt: skip
    arrays: dict[str, Any] = {}
    for before in ("", "test_") if chance.rarely(2) else ("",):
        labels = np.array(chance.counted(classes, 2, 4))
        images = chance.numbers.integers(0, 256, (len(labels), *shape), dtype=np.uint8)
        if chance.rarely(25):
            images = images / np.float32(255)
        if chance.rarely(25):
            labels = chance.one((labels[1:], labels[:, None], -1 - np.arange(len(labels))))
        arrays |= {f"{before}images": images, f"{before}labels": labels}
    if max(map(len, map(str, classes))) == 1 and isinstance(classes[0], int) and chance.rarely(2):
        arrays["class_names"] = np.array([f"name {n}" for n in range(chance.one((10, 10, max(classes))))])  # fmt: skip
    if chance.rarely(25):
        arrays.pop(chance.one(list(arrays)))
    np.savez(root / "set.npz", **arrays)
    return {"kind": "arrays", "root": str(root / "set.npz")}
