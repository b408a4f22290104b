"""What was probably meant by a command or an option that does not exist."""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Sequence
from difflib import get_close_matches
from pathlib import Path

from backdoor.settings.aliases import nearest
from sweeps.records.spec_keys import dotted_key, similar_key

#: What argparse says of a word that is no choice: the word, and the choices.
NO_CHOICE = re.compile(r"invalid choice: ('.*'|\".*\") \(choose from (.*)\)$", re.DOTALL)
#: Other words for commands.
COMMANDS = {
    "start": "run", "train-all": "run", "execute": "run", "sweep": "run", "tune": "run",
    "continue": "resume", "restart": "resume", "go": "resume",
    "ls": "list", "kinds": "list", "new": "init", "create": "init", "template": "init",
    "validate": "check", "lint": "check", "dry-run": "check", "plan": "check",
    "result": "region", "results": "region", "answer": "region", "best": "region",
    "html": "report", "csv": "export", "mlflow": "mirror", "sync": "mirror",
    "progress": "status", "info": "status", "stat": "status", "trial": "show",
    "fit": "train", "jobs": "job", "submit": "job submit", "analyse": "probe", "analyze": "probe",
    "version": "--version", "man": "help", "diagnose": "doctor",
}  # fmt: skip


def command_message(word: str, known: Collection[str], group: str) -> str:
    """What to say of an unknown command. group: the command before it, "" for none."""
    called = f"{group} {word}".strip()
    said = f"there is no command {called!r}."
    found = get_close_matches(word.lower(), known, 1) or [COMMANDS.get(word.lower(), "")]
    if not group and _is_spec(word):
        said += f" Did you mean `{shlex.join(['sweeps', 'run', word])}`?"
    elif found[0]:
        said += f" Did you mean {found[0]}?"
    listing = f"sweeps help {group}".strip()
    return f"{said} `{listing}` lists all commands."


def _is_spec(word: str) -> bool:
    from sweeps.storage.bundled import bundled_files

    return word in bundled_files("specs") or Path(word).suffix in (".yaml", ".yml")


def choice_message(message: str) -> str:
    """What argparse says of a word that is no choice, with the choice that is probably meant."""
    found = NO_CHOICE.search(message)
    if found is None:
        return message
    near = nearest(found[1][1:-1], re.findall(r"[\w-]+", found[2]))
    return f"{message}. Did you mean {near}?" if near else message


def unknown_message(
    extras: Sequence[str],
    options: Collection[str],
    command: str = "",
    changes: Sequence[str] | None = None,
) -> str:
    """What to say of arguments that a command does not take. options: those that it takes.
    changes: what it was given by `--set`."""
    said = f"unrecognized arguments: {shlex.join(extras)}"
    flag, _, value = next((word for word in extras if word.startswith("-")), "").partition("=")
    if not flag:
        change = _meant_change(extras, changes or ())
        return f"{said}. Did you mean `{change}`?" if change else said
    follows = extras[extras.index(next(w for w in extras if w.startswith("-"))) + 1 :]
    if not value and follows and not follows[0].startswith("-"):
        value = follows[0]
    meant = _meant(flag, value or "...", options)
    if meant is None and (others := _elsewhere(flag)):
        where = ", ".join(f"`sweeps {name}`" for name in others)
        here = f"`sweeps {command}`" if command else "this command"
        return f"{said}. {here} has no {flag}, which is an option of {where}"
    meant = meant or _similar(flag, value or "...", options)
    return f"{said}. Did you mean `{meant}`?" if meant else said


def _meant_change(extras: Sequence[str], changes: Sequence[str]) -> str | None:
    """The `--set` that was meant by `--set seeds 5`, which has a space in place of `=`."""
    value = "".join(extras).lstrip("=")
    key = next((each.rstrip("=") for each in changes if each.endswith("=") or "=" not in each), "")
    if not key or not value or _is_spec(extras[0]):
        return None
    return shlex.join(["--set", f"{key}={value}"])


def _elsewhere(flag: str) -> list[str]:
    """The commands that have this option."""
    from sweeps.cli.commands import COMMANDS as DECLARED

    return [c.name for c in DECLARED if any(flag in each.flags for each in c.arguments)]


def _meant(flag: str, value: str, options: Collection[str]) -> str | None:
    """The option that is meant by a flag, or the `--set` that changes this key of the spec."""
    name = flag.lstrip("-")
    settable = "--set" in options
    long = {option.lstrip("-"): option for option in options if option.startswith("--")}
    begun = [option for text, option in long.items() if name and text.startswith(name)]
    key = dotted_key(name.rpartition(".")[2]) if settable else None
    if key is None and len(begun) == 1:
        return begun[0]
    if key is None and (near := nearest(name, long)):
        return long[near]
    return None if key is None else shlex.join(["--set", f"{key}={value}"])


def _similar(flag: str, value: str, options: Collection[str]) -> str | None:
    """The `--set` that changes the key of the spec that is spelt most like the flag."""
    name = flag.lstrip("-")
    key = similar_key(name) if "--set" in options and len(name) > 1 else None
    return None if key is None else shlex.join(["--set", f"{key}={value}"])
