"""A file of the user as a setting: its content is part of a trial's id, its path is not.

A spec names a path. The setting then has the path and a digest of the content, written
`PATH#sha256:HEX`. An identity has `sha256:HEX` only, so that a file can be moved without changing
the id of a trial. Workers get the path beside the canonical form (`located`), and opening the file
checks its content against the digest.
"""

from __future__ import annotations

import errno
import functools
import hashlib
import io
import os
import stat
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any

from backdoor.errors import Mistake, UserError
from backdoor.settings.file_state import state_of

SCHEME = "sha256:"
#: Hex digits of a digest that are kept, as in every other digest of this project.
DIGEST_DIGITS = 16
#: Times that links may lead to one folder; links to links multiply.
MOST_VISITS = 1000
#: How the names of image files end.
EXTENSIONS = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")


@dataclass(frozen=True)
class UserFile:
    """A file, or the image files in a folder.

    digest: `sha256:` and 16 hex digits of the content. path: on this machine, None if unknown.
    """

    digest: str
    path: str | None = field(default=None, compare=False)

    @staticmethod
    def of(text: str) -> UserFile:
        """From PATH, PATH#sha256:HEX or sha256:HEX.

        Raises:
            OSError: the text has no digest and the file cannot be read, or is no regular file.
        """
        path, separator, known = text.rpartition("#" + SCHEME)
        if separator:
            return UserFile(SCHEME + known, path)
        if text.startswith(SCHEME):
            return UserFile(text)
        place = Path(text).expanduser().resolve()
        return UserFile(content_digest(place), str(place))

    def __str__(self) -> str:
        return self.digest if self.path is None else f"{self.path}#{self.digest}"

    def open(self, place: str) -> Path:
        """The path, after its content has been checked against the digest.

        Raises:
            UserError: at `place`; the path is unknown, does not exist, or has another content.
        """
        if self.path is None:
            rule, remedy = "must be given as a path on this machine", "Name the file in the spec."
            raise UserError(Mistake(place, rule, self.digest, remedy))
        try:
            now = _digest(self.path, state_of(_files(Path(self.path))))
        except OSError as error:
            rule, remedy = "must be a file or folder that can be read", "Restore it"
            remedy = f"{remedy} ({error.strerror})."
            raise UserError(Mistake(place, rule, self.path, remedy)) from None
        if now != self.digest:
            rule = f"must hold what it held when the trials were named ({self.digest})"
            remedy = "Restore it, or begin a new sweep with it as it is now."
            raise UserError(Mistake(place, rule, now, remedy))
        return Path(self.path)


@functools.lru_cache(maxsize=256)
def _digest(path: str, state: tuple[object, ...]) -> str:
    """The digest of the content, computed once in a process for each state of the files."""
    return content_digest(Path(path))


def content_digest(path: Path) -> str:
    """Of the bytes of a file, or of the image files in a folder, in the order of their names."""
    whole = hashlib.sha256()
    for file in _files(path):
        with open_regular(file) as stream:
            whole.update(hashlib.file_digest(stream, "sha256").digest())
    return SCHEME + whole.hexdigest()[:DIGEST_DIGITS]


def open_regular(file: Path) -> io.BufferedReader:
    """The file, open to be read.

    Raises:
        OSError: it cannot be read, or is a pipe or a device, whose content may have no end.
    """
    # Without O_NONBLOCK, opening a pipe waits for somebody who writes into it.
    descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, f"{file.name} is a pipe or a device", str(file))
    return os.fdopen(descriptor, "rb")


def _files(path: Path) -> list[Path]:
    return image_files(path) if path.is_dir() else [path]


def image_files(folder: Path) -> list[Path]:
    """The image files below `folder`, through links, in the order of torchvision's ImageFolder.

    A link to a folder that it lies in is left out.

    Raises:
        OSError: links lead to the same folder very many times.
    """
    found, visits = [], Counter[str]()
    around = {str(folder): frozenset({os.path.realpath(folder)})}
    for place, folders, names in os.walk(folder, followlinks=True):
        own = around.pop(place)
        real = {n: os.path.realpath(os.path.join(place, n)) for n in folders if n[0] != "."}
        folders[:] = [name for name in real if real[name] not in own]
        visits.update(real[name] for name in folders)
        if any(visits[real[name]] > MOST_VISITS for name in folders):
            raise OSError(errno.ELOOP, "links lead to the same folder again and again", place)
        around |= {os.path.join(place, name): own | {real[name]} for name in folders}
        shown = (name for name in names if name[0] != "." and name.lower().endswith(EXTENSIONS))
        found += [(place, name) for name in shown]
    return [Path(place) / name for place, name in sorted(found)]


def files_of(value: object) -> dict[str, str]:
    """Digest → path of all files that are settings of a configuration."""
    if isinstance(value, UserFile):
        return {} if value.path is None else {value.digest: value.path}
    if not is_dataclass(value):
        return {}
    found: dict[str, str] = {}
    for each in fields(value):
        found |= files_of(getattr(value, each.name))
    return found


def pinned_in(value: object) -> dict[str, str]:
    """Digest → path for all texts PATH#sha256:HEX in plain values."""
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list):
        return {digest: path for each in value for digest, path in pinned_in(each).items()}
    if not isinstance(value, str):
        return {}
    path, _, known = value.rpartition("#" + SCHEME)
    return {SCHEME + known: path} if path else {}


def without_path(text: str) -> str:
    """PATH#sha256:HEX as an identity has it, without the path; any other text as it is."""
    _, separator, digest = text.rpartition("#" + SCHEME)
    return SCHEME + digest if separator else text


def located(value: Any, files: Mapping[str, str]) -> Any:
    """Plain values of an identity with the paths of their files; files: digest → path."""
    if isinstance(value, Mapping):
        return {key: located(inner, files) for key, inner in value.items()}
    if isinstance(value, str) and value in files:
        return f"{files[value]}#{value}"
    return value
