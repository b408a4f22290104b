"""What a sweep asks: the text of its spec, and those that it had before.

sweep.json has them all, and is the one that counts; spec.yaml is the present one for people to
read. It is written after sweep.json, so that one of before is what a killed process left.
"""

from __future__ import annotations

import datetime
import shlex
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from backdoor.errors import Missing, Mistake, StoredDataError, UserError
from sweeps.early_stopping.limits import in_words
from sweeps.records.sweep_file import AskedSpec, SweepFile
from sweeps.results.differences import Difference, differences
from sweeps.results.stored import spec_digest
from sweeps.results.tracking import command_without_secrets, written
from sweeps.space.yaml_loader import load_yaml
from sweeps.storage.files import read_text
from sweeps.storage.paths import SweepPaths, read_sweep
from sweeps.storage.shell import command

if TYPE_CHECKING:  # looking at results loads no torch
    from sweeps.spec import SweepSpec


def asked(spec: SweepSpec, argv: Sequence[str], planned: int) -> AskedSpec:
    """The entry of a spec that is asked from now on, without secrets."""
    text = written(spec)
    return {
        "yaml": text,
        "since": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "command": shlex.join(command_without_secrets(argv, spec.document)),
        "planned": planned,
        "digest": spec_digest(text),
        "thresholds": in_words(spec.region) if spec.predicting else None,
    }


def present_text(paths: SweepPaths, sweep: SweepFile) -> str:
    """The spec that the sweep asks, as YAML. Folders of releases that kept no digest of it are
    taken as they are.

    Raises:
        UserError: spec.yaml was changed by hand, with every difference.
    """
    if (text := _known_text(paths, sweep)) is not None:
        return text
    sweep = read_sweep(paths)  # it may have been extended between the two readings
    if (text := _known_text(paths, sweep)) is not None:
        return text
    specs = sweep.get("specs")
    found = differences(plain(specs[-1]["yaml"]), plain(read_text(paths.spec))) if specs else []
    by_hand = _by_hand(paths, bool(specs))
    changed = [_changed(paths, each) for each in found]
    if changed:  # one edit is one mistake
        changed[-1] = replace(changed[-1], remedy=f"{changed[-1].remedy} {by_hand.remedy}")
    raise UserError(changed or [by_hand])


def _known_text(paths: SweepPaths, sweep: SweepFile) -> str | None:
    """The text of spec.yaml, or that of sweep.json where spec.yaml is missing, or where an
    extension was interrupted before it wrote it; None where spec.yaml is none of these."""
    specs = sweep.get("specs", [])
    if specs and not paths.spec.exists():
        return specs[-1]["yaml"]
    text = read_text(paths.spec)
    digest = spec_digest(text, str(paths.spec))
    known = specs[-1]["digest"] if specs else sweep.get("spec_digest", digest)
    if digest == known:
        return text
    return specs[-1]["yaml"] if digest in (spec["digest"] for spec in specs[:-1]) else None


def asked_text(paths: SweepPaths, sweep: SweepFile) -> str:
    """The same, also where spec.yaml was changed by hand, if sweep.json has it."""
    specs = sweep.get("specs")
    return specs[-1]["yaml"] if specs else present_text(paths, sweep)


def plain(text: str) -> dict[str, Any]:
    """The plain values of a stored spec.

    Raises:
        StoredDataError: it is none.
    """
    mistakes: list[Mistake] = []
    document = load_yaml(text, mistakes.append, "spec.yaml")
    if not isinstance(document, dict):
        remedy = "Restore the file: results are judged by the question they answer."
        raise StoredDataError(Mistake("spec.yaml", "must be a spec", document, remedy))
    return document


def _changed(paths: SweepPaths, found: Difference) -> Mistake:
    rule = f"must be as the sweep asks it: {found.before_in_words}"
    return Mistake(f"{paths.spec}: {found.place}", rule, found.after, "Write it as it was.")


def _by_hand(paths: SweepPaths, recorded: bool) -> Mistake:
    """recorded: whether sweep.json has the spec, so that the changed one can be compared."""
    rule = "must not be changed by hand: its results answer what was asked"
    extend = command("sweeps", "extend", paths.root, paths.spec)
    remedy = f"If it asks more, and not less, give it to `{extend}`."
    if not recorded:
        remedy = "Restore the file: only its digest is known."
    return Mistake(str(paths.spec), rule, Missing.VALUE, remedy)
