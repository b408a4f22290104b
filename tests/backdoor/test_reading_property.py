"""Random sets of each kind, read by the real readers and by a plain, slow one that shares no code."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from random_sets import Chance, make_arrays, make_csv, make_folder, make_parquet
from slow_pixels import RefusedError
from slow_reader import read_rows, rows_of_arrays, rows_of_csv, rows_of_folder, rows_of_parquet

from backdoor.config import build_data
from backdoor.datasets.source import load_source
from backdoor.errors import UserError

MAKERS = {"image_folder": make_folder, "parquet": make_parquet, "csv": make_csv, "arrays": make_arrays}  # fmt: skip
#: Sets in each test, and tests of each kind.
SETS, TESTS = 10, 8


def read_slowly(settings: dict[str, Any]) -> Any:
    """Class names and images, or why the set is refused."""
    root = Path(settings["root"])
    try:
        if settings["kind"] == "parquet":
            return read_rows(rows_of_parquet(root, settings.get("config")))
        if settings["kind"] == "csv":
            return read_rows(rows_of_csv(root, settings["delimiter"]))
        return read_rows({"image_folder": rows_of_folder, "arrays": rows_of_arrays}[settings["kind"]](root))  # fmt: skip
    except RefusedError as refusal:
        return str(refusal)


def read_really(settings: dict[str, Any]) -> Any:
    try:
        source = load_source(build_data(settings))
    except UserError as error:
        return str(error)
    border = len(source.labels) if source.test_from is None else source.test_from
    found = Counter(
        (i >= border, source.class_names[label], np.ascontiguousarray(image).tobytes(), image.shape)
        for i, (label, image) in enumerate(zip(source.labels, source.images, strict=True))
    )
    return source.class_names, found


def shown(images: Counter) -> list[str]:
    """Split, class, shape and first values of some images."""
    return [f"test {test}, {name}, {shape}, {list(pixels[:9])} ..." for test, name, pixels, shape in list(images)[:2]]  # fmt: skip


@pytest.mark.parametrize("kind", list(MAKERS))
@pytest.mark.parametrize("number", range(TESTS))
def test_both_read_the_same_or_refuse(kind, number, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("BACKDOOR_CACHE", str(tmp_path / "cache"))
    read = 0
    for seed in range(number * SETS, (number + 1) * SETS):
        root = tmp_path / str(seed)
        root.mkdir()
        settings = MAKERS[kind](Chance(seed), root)
        slowly, really = read_slowly(settings), read_really(settings)
        assert type(slowly) is type(really), f"seed {seed}: {slowly} and {really}"
        if not isinstance(slowly, str):
            assert slowly[0] == really[0], f"seed {seed}: other classes"
            lacking, odd = slowly[1] - really[1], really[1] - slowly[1]
            assert not lacking and not odd, (
                f"seed {seed}: {shown(lacking)} in place of {shown(odd)}"
            )
            read += 1
    assert read, "none of the sets was right"
