"""A package or module of users as it travels to a cluster, and what of it stays here.

What is sent of a package are its files, without hidden ones, caches and large data; `Package.left`
says what was left out.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from backdoor.errors import Mistake, escaped
from backdoor.settings.source_files import all_files_below

#: Most bytes of one file that is no source code, and of all that is sent.
DATA_MOST, MOST = 2**20, 50 * 2**20
#: Compiled code, which works only on the same platform and minor version of Python.
COMPILED = (".so", ".pyd", ".dylib")


@dataclass(frozen=True)
class Package:
    """A top-level package, or a module that is one file. place: its folder or file. files: what is
    sent, with the name of the package at the top → where it lies. left: what is not, in words;
    large: files of it that are no code and too large."""

    name: str
    place: Path
    files: Mapping[str, Path] = field(default_factory=dict)
    left: tuple[str, ...] = ()
    large: tuple[str, ...] = ()

    @staticmethod
    def of(name: str, *places: Path) -> Package:
        """Of its folder (or several of a namespace package), or its file."""
        if not places[0].is_dir():
            return Package(name, places[0], {places[0].name: places[0]})
        files, left, large = dict[str, Path](), Counter[str](), list[str]()
        for relative, file, why in (found for place in places for found in sent_files(place)):
            if why == "large":
                large.append(f"{name}/{relative} ({file.stat().st_size / 2**20:.1f} MB)")
            elif why:
                left[why] += 1
            else:
                files[f"{name}/{relative}"] = file
        counts = [f"{count} {what} file{'' if count == 1 else 's'}" for what, count in left.items()]
        return Package(name, places[0], files, (*counts, *large), tuple(large))

    @property
    def bytes(self) -> int:
        return sum(file.stat().st_size for file in self.files.values())

    @property
    def compiled(self) -> list[str]:
        """Its files that are compiled code."""
        return [name for name in self.files if name.endswith(COMPILED)]

    @property
    def compiled_note(self) -> str | None:
        """What to say of its compiled code; None where it has none."""
        if not self.compiled:
            return None
        return (
            f"{self.name} has compiled code ({escaped(self.compiled[0])}): it works only on nodes "
            "with this platform and version of Python"
        )

    def copy_to(self, folder: Path) -> Path:
        """Copies what is sent into this folder; its own folder or file there."""
        for relative, file in self.files.items():
            target = folder / relative
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)
        return folder / (self.name if self.place.is_dir() else self.place.name)


def sent_files(package: Path) -> Iterator[tuple[str, Path, str]]:
    """The files of a package, relative, with why each is left out, else ""."""
    for name, file, why in all_files_below(package):
        yield name, file, why or ("large" if _is_large(file) else "")


def _is_large(file: Path) -> bool:
    """Whether it is too large to be sent, and no code."""
    return file.suffix not in (".py", *COMPILED) and file.stat().st_size > DATA_MOST


def too_large(packages: Iterable[Package], place: str, otherwise: str = "") -> list[Mistake]:
    """What is wrong where they are more than is sent. place: of the mistake. otherwise: another
    remedy."""
    sizes = [(package.bytes, package) for package in packages]
    total = sum(size for size, _ in sizes)
    if total <= MOST:
        return []
    most, largest = max(sizes, key=lambda pair: pair[0])
    rule = f"must hold at most {MOST // 2**20} MB in all"
    remedy = f"The largest is {largest.name} with {most / 2**20:.1f} MB; move data out"
    value = f"{total / 2**20:.1f} MB"
    return [Mistake(place, rule, value, f"{remedy} of {largest.place}. {otherwise}".rstrip())]
