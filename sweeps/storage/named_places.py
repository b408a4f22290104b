"""Files and folders that a user names: refused where they cannot be what was meant."""

from __future__ import annotations

import os
import re
from pathlib import Path

from backdoor.errors import Mistake, UserError

#: Bytes of the name of one file or folder, and of a whole path with the files of a results folder.
LONGEST_NAME, LONGEST_PATH = 255, 4096 - 128
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")


def named_place(given: str | os.PathLike[str], place: str) -> Path:
    """The path that a user gave, for a file or folder to be written; nothing is written yet.

    A path may hold any character that UTF-8 has but zero. `~/` at its beginning is the home folder,
    as a shell makes of it outside quotes, unless there is a folder of this name.

    Raises:
        UserError: at `place`: the path is blank, too long, no text, or the address of a server.
    """
    text = os.fspath(given)
    if (broken := _broken(text)) is not None:
        raise UserError(Mistake(place, *broken))
    path = Path(text)
    if not text.startswith("~") or path.exists() or Path(path.parts[0]).exists():
        return path
    try:
        return path.expanduser()
    except RuntimeError:
        rule, remedy = "must begin with the name of a user there is", f"Or write ./{text}."
        raise UserError(Mistake(place, rule, text, remedy)) from None


def _broken(text: str) -> tuple[str, str, str] | None:
    """Rule, value and remedy of what is wrong with a path; None where nothing is."""
    if not text.strip():
        return "must be a path", text, "For example results/mine."
    if "\0" in text:
        return "must be a path without zero bytes", text, "Leave them out."
    if _SCHEME.match(text):
        remedy = "Name a folder of this machine or of a shared disk, and copy it from there."
        return "must be a path: object stores and servers are no folders", text, remedy
    try:
        text.encode()
    except UnicodeEncodeError:
        remedy = "Choose another name, or rename the folder on its path that is written otherwise."
        return "must be text in UTF-8", text, remedy
    return _too_long(text)


def _too_long(text: str) -> tuple[str, str, str] | None:
    longest = max((len(part.encode()) for part in Path(text).parts), default=0)
    if longest > LONGEST_NAME:
        rule = f"must hold no name of more than {LONGEST_NAME} bytes, and one has {longest}"
        return rule, text, "Choose a shorter name."
    if (whole := len(os.path.abspath(text).encode("utf-8", "replace"))) > LONGEST_PATH:
        rule = f"must be no path of more than {LONGEST_PATH} bytes, and it has {whole}"
        return rule, text, "Choose a shorter one."
    return None
