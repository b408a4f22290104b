"""The command begins again, as the same process, where it cannot go on as it was started.

With a secret in its arguments: everybody on the machine can see those while it runs, and Ray keeps
them. With an ASCII locale: names and texts in other letters could neither be read nor printed.
"""

from __future__ import annotations

import locale
import os
import sys
from collections.abc import Mapping, Sequence

from sweeps.addresses import addresses_in, hidden, secrets_of
from sweeps.cli.console import say
from sweeps.storage.tracking_uri import VARIABLE

#: Options whose values name MLflow's store, with what comes before the address.
_SETTINGS = ("tracking.uri=", "tracking=")
READ = "note: the password of {} was on the command line, where others may have read it."
NOTE = f"{READ} Set {VARIABLE} to the address instead."


def restart(environ: Mapping[str, str] = os.environ) -> None:
    """Returns where the command can go on; else it begins again and this does not return."""
    arguments, uri = without_secrets(sys.argv[1:])
    ascii_only = sys.flags.utf8_mode == 0 and _is_ascii(locale.getencoding())
    if uri is None and not ascii_only:
        _note_others(arguments)
        return
    if sys.orig_argv[len(sys.orig_argv) - len(arguments) :] != sys.argv[1:]:
        return  # started in a way of its own
    changed = dict(environ)
    if ascii_only:
        changed["PYTHONUTF8"] = "1"
    if uri is not None:
        say(NOTE.format(hidden(uri)))
        changed[VARIABLE] = uri
    before = sys.orig_argv[1 : len(sys.orig_argv) - len(arguments)]
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(sys.executable, [sys.orig_argv[0], *before, *arguments], changed)


def _note_others(arguments: Sequence[str]) -> None:
    """Says which other addresses have passwords: they are in settings that are unknown, or
    written in a way in which no address can be taken out."""
    for place, word in enumerate(arguments):
        setting = word.startswith(("--set=", "--uri=")) or (
            place > 0 and arguments[place - 1] in ("--set", "--uri")
        )
        for address in filter(secrets_of, addresses_in(word)):
            say((NOTE if setting else READ).format(hidden(address)))


def without_secrets(arguments: Sequence[str]) -> tuple[list[str], str | None]:
    """The arguments with `***` for the secrets of MLflow's store, and its whole address; None
    where they hold no secret."""
    kept, found = list(arguments), None
    for place, word in enumerate(arguments):
        before = arguments[place - 1] if place else ""
        uri = _address(before, word)
        if uri is not None and secrets_of(uri):
            kept[place], found = word.replace(uri, hidden(uri)), uri
    return kept, found


def _address(before: str, word: str) -> str | None:
    """The address of MLflow's store in an argument, by the argument before it."""
    for option, values in (("--uri", ("",)), ("--set", _SETTINGS)):
        text = word.removeprefix(f"{option}=")
        if before != option and text == word:
            continue
        for value in values:
            if text.startswith(value):
                uri = text.removeprefix(value).strip().strip("'\"")
                return uri if "://" in uri and not uri.startswith("{") else None
    return None


def _is_ascii(encoding: str) -> bool:
    return encoding.lower() in ("ascii", "us-ascii", "ansi_x3.4-1968", "646")
