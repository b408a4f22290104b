"""Whose code a command may run: kinds of users, `module:Class`, are said before they are imported.

A spec is what the user has typed: its kinds are said and imported. A results folder may come from
anybody. Commands that only look import nothing that it names. Others import it if sweep.json names
this user and this machine, and else ask for `--trust-code`; so they do where sweep.json names
nobody, as those of earlier releases, since who unpacks an archive owns its files. Workers ask
nothing: they get what the command has let through. Submitted jobs are given the flag.
"""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from backdoor.errors import Mistake, UserError, escaped
from backdoor.settings.outside import Guard, file_of, guarded
from backdoor.settings.users_errors import naming_users_code
from sweeps.cli.console import say
from sweeps.storage.owner import host_name, user_name
from sweeps.storage.paths import SweepPaths, read_sweep


@contextlib.contextmanager
def guarding(args: argparse.Namespace) -> Iterator[None]:
    """Holds a command to that rule, and names code of users that raises something in it."""
    with guarded(_guard_of(args)), naming_users_code():
        yield


def _guard_of(args: argparse.Namespace) -> Guard:
    folder = getattr(args, "dir", None)
    subject = getattr(args, "subject", None)
    if subject is not None and Path(subject).is_dir():
        folder = subject
    if folder is None:
        return _Saying()
    if not hasattr(args, "trust_code"):
        return _nothing
    return _Saying(None if args.trust_code else Path(folder))


def _nothing(kind: str, place: str) -> None:
    rule = "must not be imported to look at results"
    raise UserError(Mistake(place, rule, kind, "Look at them with `sweeps report`."))


class _Saying:
    """Says each kind of users once, before it is imported.

    folder: the results folder that names them, if it is not trusted yet.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder, self._said = folder, set[str]()

    def __call__(self, kind: str, place: str) -> None:
        if kind in self._said:
            return
        file = file_of(kind.partition(":")[0])
        if self.folder is not None and (strange := _strange(SweepPaths(self.folder))):
            rule = f"must be code that you trust, {strange}"
            remedy = f"Read {file or 'its source'}, and repeat the command with --trust-code."
            raise UserError(Mistake(place, rule, kind, remedy))
        self._said.add(kind)
        if file is not None:  # else the import says what is wrong
            say(f"imports {kind} from {escaped(str(file))}")


def _strange(paths: SweepPaths) -> str:
    """Why code that this folder names may be a stranger's; "" where it is this user's."""
    return stranger(read_sweep(paths))


def stranger(sweep: Mapping[str, Any]) -> str:
    """Who began this sweep (sweep.json), if that is not this user on this machine, else ""."""
    user, host = sweep.get("user"), sweep.get("host")
    if not isinstance(user, str) or not isinstance(host, str):
        return "as sweep.json of this folder does not say who began the sweep"
    if (user, host) == (user_name(), host_name()):
        return ""
    here = f"{user_name()!r} on {host_name()!r}"
    return f"as {user!r} on {host!r} began this sweep, and you are {here}"
