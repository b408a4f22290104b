"""What a file that torch saved would unpickle, found without unpickling anything."""

from __future__ import annotations

import pickletools
import zipfile
from pathlib import Path

import torch


def objects_in(path: Path) -> list[str]:
    """Names of its classes and functions that torch does not read with `weights_only=True`; none
    for a file that torch did not save, or that is damaged."""
    try:
        return sorted(torch.serialization.get_unsafe_globals_in_checkpoint(path))
    except Exception:  # a damaged pickle can raise anything
        return []


def strings_in(path: Path) -> set[str]:
    """The strings of its pickle, among which are the names of its entries."""
    try:
        with zipfile.ZipFile(path) as archive:
            name = next(n for n in archive.namelist() if n.endswith("/data.pkl"))
            content = archive.read(name)
        return {arg for _, arg, _ in pickletools.genops(content) if isinstance(arg, str)}
    except Exception:  # as above, or a file of before torch 1.6
        return set()
