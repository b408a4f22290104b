"""From a file, or a bundled spec's name, and `--set` to a checked spec."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from backdoor.datasets.class_names import set_option
from backdoor.errors import Mistake, UserError
from backdoor.settings.plain import plain_values
from backdoor.settings.schema import suggest
from sweeps.addresses import scrubbed_value
from sweeps.space.parser import SCALES
from sweeps.space.yaml_limits import is_there, read_yaml_file
from sweeps.space.yaml_loader import load_yaml
from sweeps.spec.model import SweepSpec
from sweeps.spec.parser import parse_spec
from sweeps.spec.sections import Warn
from sweeps.storage.bundled import bundled_files

#: Settings that take names of classes.
CLASSES = ("attack.target", "attack.source", "data.classes")
_NO_CLASS = object()
#: What a remedy says to write for a class, such as `write target: 'cat'`.
WRITTEN = re.compile(r"write \w+: '((?:[^']|'')*)'")
LOADED = 'For example load_spec("digits").'
#: What a section given as a plain value stands for; `kind` for all others.
SHORT = {"attack": "panel", "tracking": "uri"}


def bundled_specs() -> dict[str, Path]:
    """Name → file of the specs that come with the package."""
    return bundled_files("specs")


def find_spec(name: str) -> Path:
    """The file of a path or of a bundled spec's name."""
    there = is_there(name)
    if there and Path(name).is_file():
        return Path(name)
    known = bundled_specs()
    if name in known:
        return known[name]
    beside = _beside(name)
    remedy = f"Did you mean {beside!r}?" if beside else suggest(name, known)
    if there:
        what = "a folder" if Path(name).is_dir() else "a pipe or a device"
        remedy = f"It is {what}: name a file with YAML text."
    raise UserError(Mistake("SPEC", "must be a file, or the name of a bundled spec", name, remedy))


def _beside(name: str) -> str | None:
    """The file that is called so but for its ending, such as s.yaml for s.yml."""
    for ending in (".yaml", ".yml"):
        with contextlib.suppress(ValueError, OSError):
            if (file := Path(name).with_suffix(ending)).is_file():
                return str(file)
    return None


def load_spec(
    source: Path | str | Mapping[str, Any], changes: Sequence[str] | None = None
) -> SweepSpec:
    """A question, checked against its data, with every mistake at once.

    Example:
        load_spec("digits", ["seeds=5"])
        load_spec({"name": "mine", "data": "digits", "defence": {"architecture": ["linear"],
            "weight_decay": [0, 0.01]}, "attack": "standard-1", "seeds": 3})

    Args:
        source: a YAML file, the name of a bundled spec, or the same sections as a mapping. Numpy
            arrays and numbers, tuples, ranges and paths in a mapping are taken as plain values.
        changes: `key=value` with a dotted key, as after `--set`; the value is read as YAML.

    None is no change. Relative data paths are taken from the working directory.

    Raises:
        UserError: with the rule, value, place and remedy of each mistake.
    """
    changes = _listed(changes)
    try:
        return parse_spec(*read_document(source, changes))
    except UserError as error:
        # Whose spec comes with the package, or is changed by --set, types on the command line.
        typed = bool(changes) or (isinstance(source, str) and not is_there(source))
        found = error.mistakes
        wrong = UserError([_typed(m, changes) for m in found] if typed else found)
        wrong.about = error.about
        raise wrong from None


def _typed(mistake: Mistake, changes: Sequence[str]) -> Mistake:
    """A number that is refused as the number of a class: who gave it, and what to type instead."""
    written = WRITTEN.search(mistake.remedy)
    if "numeric labels were renumbered" not in mistake.rule or written is None:
        return mistake
    keys = {change.partition("=")[0].strip() for change in changes}
    key, remedy = mistake.place.rpartition(".")[2], mistake.remedy
    if not keys & {mistake.place, mistake.place.partition(".")[0]}:
        remedy = f"The spec says {key}: {mistake.value}. {remedy}"
    if mistake.place in CLASSES[:2]:
        option = set_option(mistake.place, written[1].replace("''", "'"))
        remedy += f" On the command line: {option}."
    return replace(mistake, remedy=remedy)


def _listed(changes: object) -> list[str]:
    """The changes as a list; one change given by itself is such a list of one."""
    if changes is None or isinstance(changes, str):
        return [] if changes is None else [changes]
    if isinstance(changes, Sequence) and all(isinstance(each, str) for each in changes):
        return list(changes)
    rule, remedy = "must be a list of texts key=value", 'For example ["seeds=5"].'
    raise UserError(Mistake("changes", rule, changes, remedy))


def read_document(
    source: object, changes: Sequence[str] | None = None
) -> tuple[dict[str, Any], list[Mistake]]:
    """The plain values of a spec with `changes` applied, and the mistakes found so far."""
    mistakes: list[Mistake] = []
    changes = _listed(changes)
    if isinstance(source, Mapping):
        document = plain_values(source, mistakes.append)
    elif not isinstance(source, (str, Path)):
        rule, remedy = "must be a file, the name of a bundled spec, or a mapping", LOADED
        raise UserError(Mistake("SPEC", rule, source, remedy))
    else:
        document = _from_file(find_spec(str(source)), mistakes.append)
    for change in changes:
        _apply(document, change, mistakes.append)
    return document, mistakes


def _from_file(path: Path, warn: Warn) -> dict[str, Any]:
    document = load_yaml(read_yaml_file(path, str(path)), warn, str(path))
    if not isinstance(document, dict):
        raise UserError(
            Mistake(
                str(path),
                "must be a mapping of sections",
                document,
                "Begin from `sweeps init FILE`.",
            )
        )
    return document


def _apply(document: dict[str, Any], change: str, warn: Warn) -> None:
    """Sets a dotted key, as in `data.root=FOLDER`; the value is read as YAML."""
    key, separator, text = change.partition("=")
    key, steps = str(scrubbed_value(key)), key.strip().split(".")
    if not separator or not all(steps):
        rule, remedy = "must be written key=value", "For example: --set seeds=5."
        if separator and any(steps):
            rule = "must name a key, with one point between two of its parts"
            meant = ".".join(filter(None, steps))
            remedy = f"Did you mean {scrubbed_value(f'{meant}={text}')}?"
        warn(Mistake("--set", rule, scrubbed_value(change), remedy))
        return
    target: Any = document
    for index, step in enumerate(steps[:-1]):
        inner = target.get(step)
        short = "kind" if index else SHORT.get(step, "kind")
        if isinstance(inner, str) and steps[index + 1] != short:
            inner = {short: inner}  # `data: digits` and `data: {kind: digits}` are the same
        if inner is None:
            inner = {}
        if not isinstance(inner, dict):
            at = ".".join(steps[: index + 1])
            warn(
                Mistake(
                    f"--set {key}",
                    f"must lead through mappings, and `{at}` is none",
                    inner,
                    f"Set `{at}` as a whole.",
                )
            )
            return
        target[step] = inner
        target = inner
    if ".".join(steps) in CLASSES:
        found = _class_value(".".join(steps), text, warn)
        if found is _NO_CLASS:
            return
        target[steps[-1]] = found
        return
    value = load_yaml(text, warn, f"--set {key}")
    if value is None and not re.search("null|~", text, re.IGNORECASE):
        remedy = f"For the default, write {key}=null."
        warn(Mistake(f"--set {key}", "must have a value", text, remedy))
        return
    target[steps[-1]] = value


def _class_value(key: str, text: str, warn: Warn) -> Any:
    """The value of a setting that takes names of classes, which may be called as they like."""
    quotes = f"If you mean the class of this name, put it in quotes: {set_option(key, text)}."
    try:
        value = load_yaml(text, warn, f"--set {key}")
    except UserError as error:
        raise UserError(
            replace(m, place=f"--set {key}", remedy=quotes) for m in error.mistakes
        ) from None
    empty = value is None and key == "attack.target"  # the others may be left out by null
    if empty or _holds_nothing(value):
        warn(Mistake(f"--set {key}", "must be the number or name of a class", text, quotes))
        return _NO_CLASS
    return value


def _holds_nothing(value: Any) -> bool:
    """Whether this is a list of nothing, or a mapping that is no range."""
    if isinstance(value, dict):
        return not set(value) & set(SCALES)
    return isinstance(value, list) and None in value
