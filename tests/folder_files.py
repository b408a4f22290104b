"""Folders with small files, and what `image_folder` reads of them."""

import numpy as np
import pytest

from backdoor.config import build_data
from backdoor.errors import UserError


def write(root, *places) -> None:
    """A file for each place; a place that ends in / is an empty folder, `{a,b}` stands for both."""
    for place in places:
        before, _, rest = place.partition("{")
        inner, _, after = rest.partition("}")
        if rest:
            write(root, *(f"{before}{each}{after}" for each in inner.split(",")))
            continue
        path = root / place
        (path if place.endswith("/") else path.parent).mkdir(parents=True, exist_ok=True)
        if not place.endswith("/"):
            path.write_bytes(place.encode())


def folder(root, **settings):
    return build_data({"kind": "image_folder", "root": str(root), **settings})


def read(root, **settings) -> list[dict[str, list[str]]]:
    """What is read: for each part, class → the paths of its files."""
    contents = folder(root, **settings).open()
    names = [name for name, _ in contents.images.read(np.arange(len(contents.images)))]
    cut = len(names) if contents.test_from is None else contents.test_from
    parts = [slice(0, cut), slice(cut, None)][: 1 if contents.test_from is None else 2]
    return [
        {
            contents.names[label]: [
                n for n, y in zip(names[part], contents.labels[part], strict=True) if y == label
            ]
            for label in dict.fromkeys(contents.labels[part].tolist())
        }
        for part in parts
    ]


def refused(root, **settings) -> str:
    with pytest.raises(UserError) as caught:
        folder(root, **settings).open()
    with pytest.raises(UserError) as again:
        folder(root, **settings).fingerprint()
    assert str(again.value) == str(caught.value)
    assert all(mistake.place == "root" and mistake.remedy for mistake in caught.value.mistakes)
    return str(caught.value)
