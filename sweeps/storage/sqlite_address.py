"""Addresses of sqlite files, whatever characters their paths hold.

SQLAlchemy ends the path of an address at `?` and reads `%41` as `A`, so these two signs are
written in percent-encoding. MLflow, however, first makes the folder of the path as it is written,
without reading it: such a file is opened through a link of the kernel, whose name is plain.
"""

from __future__ import annotations

import os
import re
import urllib.parse
from pathlib import Path

_SQLITE = re.compile(r"(sqlite(?:\+\w+)?:///)([^?]*)((?:\?.*)?)", re.DOTALL)
#: Folders that are held open, for as long as this process lives: MLflow keeps its connections by
#: address, so that an address must never mean another file.
_HELD: dict[Path, int] = {}


def sqlite_uri(file: Path) -> str:
    """The address of a sqlite file."""
    path = str(file.absolute()).replace("%", "%25").replace("?", "%3F")
    return f"sqlite:///{path}"


def sqlite_file(uri: str) -> Path | None:
    """The file that an address means; None where it is none of a file."""
    found = _SQLITE.fullmatch(uri)
    if not found or not found[2] or ":memory:" in found[2] or "uri=true" in found[3].lower():
        return None
    return Path(urllib.parse.unquote(found[2])).absolute()


def former_address(uri: str, own: Path) -> bool:
    """Whether this is the address of the file `own` as releases wrote it that encoded nothing,
    and which therefore means another file."""
    return uri == f"sqlite:///{own}" != sqlite_uri(own)


def is_plain(uri: str) -> bool:
    """Whether an address has the path of its file as it is, or is none of a file."""
    found, file = _SQLITE.fullmatch(uri), sqlite_file(uri)
    return found is None or file is None or file == Path(found[2]).absolute()


def opened_uri(uri: str) -> str:
    """The address with which MLflow opens the same file, and makes no folder beside it."""
    found, file = _SQLITE.fullmatch(uri), sqlite_file(uri)
    if is_plain(uri) or found is None or file is None:
        return uri
    folder = file.parent
    folder.mkdir(parents=True, exist_ok=True)
    if folder not in _HELD:
        _HELD[folder] = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    link = f"/proc/self/fd/{_HELD[folder]}/{file.name}"
    return found[1] + link.replace("%", "%25").replace("?", "%3F") + found[3]
