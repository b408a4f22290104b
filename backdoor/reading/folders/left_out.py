"""What a folder of image files holds that is not read, in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from backdoor.reading.folders.listing import Below, Listing, extension

#: Extensions of image formats that are not read.
UNREAD_FORMATS = frozenset(
    (
        *(".gif", ".jfif", ".jpe", ".heic", ".heif", ".avif", ".svg", ".dcm", ".dicom", ".jp2"),
        *(".j2k", ".jpx", ".jxl", ".psd", ".tga", ".ico", ".apng", ".mpo", ".pbm", ".pnm", ".pfm"),
        *(".pcx", ".exr", ".hdr", ".raw", ".cr2", ".cr3", ".nef", ".arw", ".dng", ".eps", ".xcf"),
    )
)
BESIDE = " beside the class folders"
#: How many kinds are named; the files of the others are counted together.
MOST_KINDS = 8


@dataclass
class LeftOut:
    """files: (where, extension) → number of files. others: what else → how often."""

    files: Counter[tuple[str, str]] = field(default_factory=Counter)
    others: Counter[str] = field(default_factory=Counter)

    def add(self, found: Listing | Below, where: str = "") -> None:
        """What is not read of what was found."""
        self.files.update({(where, ending): n for ending, n in found.others.items()})
        self.others.update(found.aside)

    def add_images(self, images: Iterable[str | Path], where: str) -> None:
        """Files that could be read, and are not."""
        self.files.update((where, extension(str(image))) for image in images)

    def add_all(self, found: Listing | Below, where: str) -> None:
        """All of what was found: nothing of it is read."""
        self.add(found, where)
        self.add_images(found.images, where)

    def texts(self) -> tuple[str, ...]:
        """Such as `48 files (.gif)`, most files first."""
        kinds = sorted((+self.files).items(), key=lambda kind: (-kind[1], kind[0]))
        texts = [_files(n, f"{where} ({ending})") for (where, ending), n in kinds[:MOST_KINDS]]
        if more := kinds[MOST_KINDS:]:
            texts.append(_files(sum(n for _, n in more), f" of {len(more)} other kinds"))
        return (*texts, *(f"{what}: {n:,}" for what, n in sorted(self.others.items())))

    def warnings(self) -> tuple[str, ...]:
        """A warning if some are images that could be read in another format."""
        unread = Counter[str]()
        for (where, ending), n in self.files.items():
            unread[ending] += n if where in ("", BESIDE) and ending in UNREAD_FORMATS else 0
        return tuple(
            f"{_files(n, f' ({ending})')} are images of a format that is not read: "
            "convert them to PNG"
            for ending, n in sorted(unread.items())
            if n
        )


def _files(number: int, rest: str) -> str:
    return f"{number:,} file{'' if number == 1 else 's'}{rest}"
