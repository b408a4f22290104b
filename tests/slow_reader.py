"""A plain, slow reader of image sets, to hold the real one against. It shares no code with it.

Each function returns the images that are read, as (split, label, encoded file or array), and raises
`RefusedError` where the contract refuses. It knows only what `random_sets.py` makes.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from slow_pixels import pixels_of, refuse_if, same_shape

Row = tuple[str, Any, Any]
WORDS = {
    "train": "train", "training": "train", "test": "test", "testing": "test", "tst": "test",
    "val": "validation", "valid": "validation", "validation": "validation", "dev": "validation",
}  # fmt: skip
IMAGES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".pgm")


def split_of(name: str) -> str | None:
    """The split that a name says."""
    spaced = re.sub("([a-z])([A-Z])", r"\1 \2", name)
    words = [re.sub("(set|images)$", "", word) for word in re.split("[^a-z]+", spaced.lower())]
    found = {WORDS[word] for word in words if word in WORDS}
    return found.pop() if found else None


def visible(folder: Path) -> list[Path]:
    return [f for f in sorted(folder.iterdir()) if f.name[0] != "." and f.name != "__MACOSX"]


def the_parts(found: list[tuple[str, Any]]) -> dict[str, Any]:
    """Training and test sources, from those of all splits."""
    refuse_if(len({split for split, _ in found}) < len(found), "two sources of one split")
    parts = dict(found)
    refuse_if("train" not in parts, "no training images")
    held = parts.get("test", parts.get("validation"))
    refuse_if(held is None, "no test images")
    return {"train": parts["train"], "test": held}


# --- folders -------------------------------------------------------------------------------------


def rows_of_folder(root: Path) -> list[Row]:
    folders = [f for f in visible(root) if f.is_dir()]
    named = [(split_of(f.name), f) for f in folders]
    splits = [(split, f) for split, f in named if split is not None]
    if not splits:
        return rows_of_classes("pool", root)
    unlabelled = [f for f in folders if f.name in ("pred", "unlabelled")]
    refuse_if(len(splits) + len(unlabelled) < len(folders), "classes beside splits")
    parts = the_parts(splits)
    rows = {word: rows_of_classes(word, folder) for word, folder in parts.items()}
    classes = [{label for _, label, _ in part} for part in rows.values()]
    refuse_if(classes[0] != classes[1], "different classes")
    return [row for part in rows.values() for row in part]


def rows_of_classes(word: str, folder: Path) -> list[Row]:
    rows: list[Row] = []
    for each in visible(folder):
        if each.is_dir():
            inside = [split_of(f.name) for f in visible(each) if f.is_dir()]
            refuse_if(any(inside), "splits inside a class")
            files = images_below(each)
            refuse_if(not files, "a class without images")
            rows += [(word, each.name, file.read_bytes()) for file in files]
    refuse_if(not rows, "no classes")
    return rows


def images_below(folder: Path) -> list[Path]:
    shown = [f for f in folder.rglob("*") if not any(p[0] == "." for p in f.relative_to(folder).parts)]  # fmt: skip
    return [f for f in shown if f.is_file() and f.suffix.lower() in IMAGES]


# --- tables --------------------------------------------------------------------------------------


def rows_of_parquet(root: Path, config: str | None = None) -> list[Row]:
    sources: dict[tuple[str, str], list[tuple[str, Path]]] = {}
    for file in sorted(root.rglob("*.parquet")):
        place = file.relative_to(root)
        split = split_of(file.name.split("-of-")[0].removesuffix(".parquet"))
        rest = list(place.parts[:-1])
        if split is None:
            split, rest = split_of(rest[-1]), rest[:-1]
        assert split is not None
        sources.setdefault(("/".join(rest), split), []).append((file.stem, file))
    configs = {config for config, _ in sources}
    refuse_if(len(configs) > 1 and config is None, "two configurations")
    refuse_if(config is not None and config not in configs, "no such configuration")
    chosen = configs.pop() if config is None and configs else config
    found = [(split, whole(files)) for (place, split), files in sources.items() if place == chosen]
    parts = the_parts(found)
    return [row for word, files in parts.items() for file in files for row in table_rows(word, file, root)]  # fmt: skip


def whole(files: list[tuple[str, Path]]) -> list[Path]:
    """The shards of a split, all there."""
    numbers = []
    totals = set()
    for stem, _ in files:
        shard = re.fullmatch(r"[a-z]+-(\d{5})-of-(\d{5})", stem)
        plain = re.fullmatch(r"(\d{4})", stem)
        numbers.append(int((shard or plain or [0, -1])[1]))
        totals.add(int(shard[2]) if shard else None)
    refuse_if(len(totals) > 1 or (-1 in numbers and len(numbers) > 1), "a file and shards")
    total = totals.pop()
    if -1 not in numbers:
        refuse_if(sorted(numbers) != list(range(total or len(numbers))), "a shard is missing")
    return [file for _, file in files]


def table_rows(word: str, file: Path, root: Path) -> list[Row]:
    rows: list[Row] = []
    for row in pq.read_table(file).to_pylist():
        image = row["image"]
        if isinstance(image, dict):
            image = image["bytes"] or image["path"]
        if isinstance(image, str):
            place = file.parent / image
            refuse_if(not place.is_file(), "no such image")
            image = place.read_bytes()
        refuse_if(image is None, "no image")
        refuse_if(row["label"] is None, "no label")
        rows.append((word, row["label"], image))
    refuse_if(not rows, "no rows")
    return rows


def rows_of_csv(root: Path, delimiter: str = ",") -> list[Row]:
    if root.is_file():
        return drawn(rows_of_lines(None, root, delimiter))
    files = [(split_of(f.stem), f) for f in visible(root) if f.suffix == ".csv"]
    refuse_if(len({split for split, _ in files}) < len(files), "two files of one split")
    return drawn([row for split, f in files for row in rows_of_lines(split, f, delimiter)])


def drawn(rows: list[Row]) -> list[Row]:
    """Rows of all splits without those that are left out; training rows alone are a pool."""
    present = {split for split, _, _ in rows}
    refuse_if(present & {"test", "validation"} and "train" not in present, "no training rows")
    held = "test" if "test" in present else "validation"
    rows = [(("test" if s == held else s), y, x) for s, y, x in rows if s in ("train", "pool", held)]  # fmt: skip
    seen: dict[Path, str] = {}
    refuse_if(any(seen.setdefault(place, y) != y for _, y, place in rows), "two labels")
    refuse_if(not all(place.is_file() for place in seen), "no such image")
    whole = all(re.fullmatch(r"-?\d+", label) for _, label, _ in rows)
    return [(split, int(y) if whole else y, place.read_bytes()) for split, y, place in rows]


def rows_of_lines(word: str | None, file: Path, delimiter: str) -> list[Row]:
    with file.open(encoding="utf-8-sig", newline="") as stream:
        lines = list(csv.reader(stream, delimiter=delimiter))
    header, rows = lines[0], []
    refuse_if("path" not in header or "label" not in header, "columns are missing")
    for line in lines[1:]:
        refuse_if(len(line) != len(header), "a ragged row")
        cells = dict(zip(header, line, strict=True))
        refuse_if(not cells["label"] or not cells["path"], "an empty cell")
        place = file.parent / cells["path"]
        split = word or (split_of(cells["split"]) if "split" in cells else "pool")
        refuse_if(split is None, "no such split")
        rows.append((split, cells["label"], place))
    return rows


# --- arrays --------------------------------------------------------------------------------------


def rows_of_arrays(file: Path) -> list[Row]:
    with np.load(file) as opened:
        arrays = {name: opened[name] for name in opened.files}
    refuse_if("images" not in arrays or "labels" not in arrays, "arrays are missing")
    refuse_if(("test_images" in arrays) != ("test_labels" in arrays), "half a test set")
    rows: list[Row] = []
    for word, before in (("train" if "test_images" in arrays else "pool", ""), ("test", "test_")):
        if f"{before}images" in arrays:
            images, labels = planes_of(arrays[f"{before}images"]), arrays[f"{before}labels"]
            refuse_if(len(images) != len(labels) or labels.ndim != 1, "lengths differ")
            refuse_if(labels.dtype.kind not in "iuU", "labels are no labels")
            rows += [(word, y, x) for y, x in zip(labels.tolist(), images, strict=True)]
    names = arrays.get("class_names")
    if names is not None:
        refuse_if(len(names) <= max(y for _, y, _ in rows), "names are missing")
        rows = [(word, (y, str(names[y])) if y >= 0 else y, x) for word, y, x in rows]
    return rows


def planes_of(images: np.ndarray) -> np.ndarray:
    """(n, c, h, w) from all forms that can be told apart."""
    refuse_if(images.dtype != np.uint8 or 0 in images.shape or images.ndim not in (3, 4), "no images")  # fmt: skip
    if images.ndim == 3:
        return images[:, None]
    second, last = images.shape[1] in (1, 3), images.shape[3] in (1, 3)
    refuse_if(second == last, "channels are nowhere or in two places")
    return images if second else images.transpose(0, 3, 1, 2)


# --- what all have in common ---------------------------------------------------------------------


def read_rows(rows: list[Row]) -> tuple[tuple[str, ...], Counter[tuple[bool, str, bytes, tuple[int, ...]]]]:  # fmt: skip
    """Class names, and how often each image is in which split with which class."""
    trained = [label for split, label, _ in rows if split != "test"]
    labels = [label for _, label, _ in rows]
    refuse_if(len({type(label) for label in labels}) > 1, "text among numbers")
    refuse_if(any(isinstance(y, float) for y in labels), "fractions")
    refuse_if(any(isinstance(y, int) and y < 0 for y in labels), "labels below 0")
    refuse_if(any(y == "" for y in labels), "empty labels")
    classes = sorted(set(trained))
    refuse_if(len(classes) < 2, "a single class")
    refuse_if(len(classes) >= len(trained), "as many classes as images")
    refuse_if(set(labels) - set(classes), "a class that only test images have")
    called = {y: y[1] if isinstance(y, tuple) else str(y) for y in classes}
    arrays = same_shape([pixels_of(image) for _, _, image in rows])
    found = Counter((split == "test", called[y], a.tobytes(), a.shape) for (split, y, _), a in zip(rows, arrays, strict=True))  # fmt: skip
    return tuple(called[y] for y in classes), found
