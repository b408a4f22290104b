"""YAML files that come with the package."""

from __future__ import annotations

import importlib.resources
from pathlib import Path


def bundled_files(folder: str) -> dict[str, Path]:
    """Name → file of the YAML files in `panels` or `specs` of this package, by name."""
    place = Path(str(importlib.resources.files("sweeps") / folder))
    return {file.stem: file for file in sorted(place.glob("*.yaml"))}


def bundled_purposes(folder: str) -> dict[str, str]:
    """Name → what the file is for, its first comment, by name."""
    return {
        name: file.read_text(encoding="utf-8").partition("\n")[0].lstrip("# ")
        for name, file in bundled_files(folder).items()
    }
