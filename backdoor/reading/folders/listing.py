"""What lies in folders of image files: the files that are read, and how many are not, by kind."""

from __future__ import annotations

import os
import re
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from backdoor.reading.files import listed, wrong_root
from backdoor.settings.user_file import EXTENSIONS

#: Folders that systems leave behind; nobody's images are in them.
SYSTEM_FOLDERS = frozenset(
    {"__MACOSX", "@eaDir", "#recycle", "$RECYCLE.BIN", "System Volume Information", "lost+found"}
)
NO_EXTENSION = "no extension"

#: (st_dev, st_ino) of a folder: one folder has many paths if there are links.
Inode = tuple[int, int]


@dataclass
class Listing:
    """What is directly in a folder, without what is hidden.

    folders: their names, sorted. links: those of them that are links. images: names of the files
    that are read. others: extension → number of files that are not. aside: what is hidden or the
    system's → how often.
    """

    folders: list[str] = field(default_factory=list)
    links: set[str] = field(default_factory=set)
    images: list[str] = field(default_factory=list)
    others: Counter[str] = field(default_factory=Counter)
    aside: Counter[str] = field(default_factory=Counter)


@dataclass
class Below:
    """What is in a folder and in all folders below it.

    images: the files that are read, in the order of torchvision's ImageFolder. others, aside: as in
    `Listing`.
    """

    images: list[Path] = field(default_factory=list)
    others: Counter[str] = field(default_factory=Counter)
    aside: Counter[str] = field(default_factory=Counter)


class Scan:
    """Lists folders under `root`, each once, and remembers what cannot be read."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._unreadable: dict[str, str] = {}
        self._listings: dict[Path, Listing] = {}

    def listing(self, folder: Path) -> Listing:
        """What is directly in a folder; nothing if it cannot be listed, see `check`."""
        if folder not in self._listings:
            self._listings[folder] = self._list(folder)
        return self._listings[folder]

    def below(self, folder: Path) -> Below:
        """What is in a folder at any depth, through links."""
        found = Below()
        images: list[tuple[str, str, Path]] = []
        for place, listing in self._walk(folder, found.aside):
            images += [(str(place), name, place) for name in listing.images]
            found.others.update(listing.others)
            found.aside.update(listing.aside)
        found.images = [place / name for _, name, place in sorted(images)]
        return found

    def image_places(self, folder: Path) -> Iterator[Path]:
        """The folders below, itself included, that hold files that are read."""
        return (place for place, listing in self._walk(folder, Counter()) if listing.images)

    def holds_images(self, folder: Path) -> bool:
        """Whether any file in a folder, at any depth, is read."""
        return next(self.image_places(folder), None) is not None

    def leads_back(self) -> bool:
        """Whether a link leads to a folder that is read already."""
        aside = Counter[str]()
        deque(self._walk(self.root, aside), maxlen=0)
        return bool(aside)

    def relative(self, path: Path) -> str:
        """The path below `root`, for messages."""
        return shown(str(path.relative_to(self.root)))

    def check(self) -> None:
        """Raises `UserError` with the names of all folders and files that cannot be read."""
        if self._unreadable:
            names = [self.relative(Path(path)) for path in self._unreadable]
            reasons = ", ".join(sorted(set(self._unreadable.values())))
            rule = "must hold folders and files that can be read"
            raise wrong_root(rule, listed(sorted(names)), f"Fix or remove them ({reasons}).")

    def _walk(self, folder: Path, aside: Counter[str]) -> Iterator[tuple[Path, Listing]]:
        """All folders below, each once: links come last, and may lead back to where we were."""
        seen = {self._inode(place) for place in folder.parents if self._inside(place)}
        real, linked = [folder], deque[Path]()
        while real or linked:
            place = real.pop() if real else linked.popleft()
            inode = self._inode(place)
            if inode in seen:
                aside["links to folders that are read already"] += 1
                continue
            seen.add(inode)
            listing = self.listing(place)
            yield place, listing
            for name in listing.folders:
                (linked if name in listing.links else real).append(place / name)

    def _inside(self, place: Path) -> bool:
        return place == self.root or self.root in place.parents

    def _inode(self, folder: Path) -> Inode:
        try:
            status = os.stat(folder)
        except OSError as error:
            self._fail(folder, error.strerror)
            return (-1, hash(folder))
        return status.st_dev, status.st_ino

    def _fail(self, path: Path, reason: str | None) -> None:
        self._unreadable.setdefault(str(path), reason or "unknown reason")

    def _list(self, folder: Path) -> Listing:
        found = Listing()
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    self._add(found, folder, entry)
        except OSError as error:
            self._fail(folder, error.strerror)
        found.folders.sort()
        return found

    def _add(self, found: Listing, folder: Path, entry: os.DirEntry[str]) -> None:
        name, is_folder = entry.name, _is_folder(entry)
        if name[0] == ".":
            found.aside["hidden folders" if is_folder else "hidden files"] += 1
        elif is_folder and name in SYSTEM_FOLDERS:
            found.aside[f"folders of the system ({name})"] += 1
        elif is_folder:
            found.folders.append(name)
            found.links.update([name] if entry.is_symlink() else [])
        elif extension(name) == NO_EXTENSION and _leads_nowhere(entry):
            # Probably the folder of a class or of a split, on a disk that is not there.
            self._fail(folder / name, "a link to nothing")
        elif not name.lower().endswith(EXTENSIONS):
            found.others[extension(name)] += 1
        elif _is_file(entry):
            found.images.append(name)
        else:
            # Opening a pipe would wait for ever.
            self._fail(folder / name, "no file, or a link to nothing")


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that cannot be followed
        return False


def _is_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file()
    except OSError:
        return False


def _leads_nowhere(entry: os.DirEntry[str]) -> bool:
    return entry.is_symlink() and not os.path.exists(entry.path)


def extension(name: str) -> str:
    """How a file's name ends, in lower case, such as `.gif`; a number is no extension."""
    found = re.search(r"\.(?=[0-9]*[A-Za-z])[A-Za-z0-9]{1,10}$", name)
    return found.group().lower() if found else NO_EXTENSION


def shown(text: str) -> str:
    """A name that can be printed: control characters and bytes that are no UTF-8 are escaped."""
    return UNPRINTABLE.sub(lambda found: repr(found.group())[1:-1], text)


#: Control characters, line separators, and bytes that are no UTF-8, as Python reads them.
UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
