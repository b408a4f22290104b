"""Shared by published sets of image files: photographs of many sizes, cropped and resized.

The kinds are in files of their own. Each says which files belong to which class, and its name.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from backdoor.datasets.files import existing_folder, listed, wrong_root
from backdoor.datasets.image_folder import Classes, ImageFolder
from backdoor.datasets.pixels import Resize


@dataclass(frozen=True, kw_only=True)
class PublishedFolders(ImageFolder):
    """An image folder in its published layout, whose images are cropped by default."""

    resize: Resize = "crop"

    def inert(self) -> frozenset[str]:
        return frozenset(() if self.image_size else {"resize"})

    def _inside(self, *names: str) -> Path:
        """The first of these folders that exists in `root`, else `root` itself."""
        root = existing_folder(self.kind, self.root)
        return next((root / name for name in names if (root / name).is_dir()), root)

    def _need(self, *places: Path) -> None:
        """Raises `UserError` if files or folders of the layout are missing."""
        missing = [str(place.relative_to(self._folder())) for place in places if not place.exists()]
        if missing:
            rule = f"must be the folder of `{self.kind}` in its published layout"
            raise wrong_root(rule, self.root, f"Missing: {listed(missing)}. Point data.root at it.")

    def _grouped(self, files: list[Path], labels: list[int], names: list[str]) -> Classes:
        """Class name → its files; labels: numbers of the names, from 0."""
        if wrong := [label for label in labels if not 0 <= label < len(names)]:
            rule = f"must have labels from 0 to {len(names) - 1} once they are numbered from 0"
            raise wrong_root(rule, wrong[0], "Fetch the files again.")
        if missing := [file.name for file in files if not file.is_file()]:
            rule = "must hold every image that its labels name"
            raise wrong_root(rule, listed(missing), "Fetch the images again.")
        classes: Classes = {name: [] for name in names}
        for file, label in zip(files, labels, strict=True):
            classes[names[label]].append(file)
        return classes
