"""YAML files that come with the package."""

from __future__ import annotations

import importlib.resources
from pathlib import Path


def bundled_files(folder: str) -> dict[str, Path]:
    """Name → file of the YAML files in `panels` or `specs` of this package, by name."""
    place = Path(str(importlib.resources.files("sweeps") / folder))
    return {file.stem: file for file in sorted(place.glob("*.yaml"))}
