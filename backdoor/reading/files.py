"""Shared by the kinds that read files: the root, hashes of content, and messages."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

from backdoor.errors import Mistake, UserError
from backdoor.settings.file_state import state_of as state_of

#: How many names a message shows; it gives the number of the others.
SHOWN = 5


def wrong_root(rule: str, value: object, remedy: str) -> UserError:
    """An error about the files under `root`."""
    return UserError(Mistake("root", rule, value, remedy))


def given_root(kind: str, root: str | None, what: str = "FOLDER") -> Path:
    """`root` as a path; `UserError` if none is given."""
    if root is None:
        raise wrong_root(f"must be given for `{kind}`", None, f"Set it: --set data.root={what}.")
    try:
        return Path(root).expanduser()
    except RuntimeError as error:  # ~ of a user who is not there
        rule = "must be a path on this machine"
        raise wrong_root(rule, root, f"Check the path ({error}).") from None


def existing_folder(kind: str, root: str | None) -> Path:
    """`root` as a folder that exists; `UserError` if it does not."""
    folder = given_root(kind, root)
    if not os.path.isdir(folder):  # unlike Path.is_dir, for any name
        raise wrong_root("must be a folder that exists", root, "Check the path.")
    return folder


def content_hash(file: Path) -> bytes:
    """SHA-256 of a file's content; `UserError` if it cannot be read."""
    try:
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").digest()
    except OSError as error:
        remedy = f"Fix or remove it ({error.strerror})."
        raise wrong_root("must hold files that can be read", str(file), remedy) from None


def listed(names: Sequence[str], shown: int = SHOWN) -> str:
    """The first few names, and how many more there are."""
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more
