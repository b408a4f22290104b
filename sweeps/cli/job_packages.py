"""Packages of users that `sweeps job submit --packages` sends, and those that a spec needs."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.machinery import ModuleSpec, PathFinder
from typing import TYPE_CHECKING, Any

from backdoor.errors import Missing, Mistake, UserError, escaped
from backdoor.settings.outside import in_current_folder
from backdoor.settings.sent_package import Package
from backdoor.settings.source_files import SourceUnit, top_name, user_code
from backdoor.wording import counted
from cluster.user_code import packages_at
from sweeps.cli.console import say
from sweeps.storage.shell import line_of

if TYPE_CHECKING:
    from cluster.jobs import Jobs
    from cluster.payload import Payload


def packages_for(source: str, changes: Sequence[str], places: Sequence[str]) -> list[Package]:
    """The packages that these places hold; a folder that the spec names needs no `__init__.py`."""
    if not places:
        return []
    from sweeps.runners.sent_code import kinds_written
    from sweeps.spec import read_document

    document, _ = read_document(source, list(changes))
    return packages_at(places, {top_name(kind) for kind in kinds_written(document)})


class _Sent:
    """Finds the packages that are sent, and nothing else that lies beside them."""

    def __init__(self, packages: Sequence[Package]) -> None:
        self._places = {package.name: str(package.place.parent) for package in packages}

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: Any = None
    ) -> ModuleSpec | None:
        place = self._places.get(name)
        return None if place is None or path is not None else PathFinder.find_spec(name, [place])


@contextlib.contextmanager
def importable(packages: Sequence[Package]) -> Iterator[None]:
    """Inside, this process can import what is sent, as the cluster will."""
    finder: Any = _Sent(packages)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


@contextlib.contextmanager
def suggesting_packages() -> Iterator[None]:
    """Adds `--packages` to what is said of kinds that cannot be imported here."""
    try:
        yield
    except UserError as error:
        mistakes = [_with_packages(mistake) for mistake in error.mistakes]
        wrong = UserError(mistakes)
        wrong.about = error.about
        raise wrong from None


def _with_packages(mistake: Mistake) -> Mistake:
    if not mistake.rule.startswith("must be importable"):
        return mistake
    here = in_current_folder(str(mistake.value).partition(":")[0])
    send = line_of(["--packages", here or "FOLDER"])
    return replace(mistake, remedy=f"{mistake.remedy} To send it with the job, add {send}.")


@dataclass(frozen=True)
class Needed:
    """Users' code that a spec needs and that is not sent. units: by name; by: the kind that needs
    each, "" where another module imports it."""

    units: Mapping[str, SourceUnit]
    by: Mapping[str, str]


def code_needed(source: str, changes: Sequence[str], sent: Sequence[Package]) -> Needed:
    """What the spec, which has been read, needs besides what is sent."""
    from sweeps.runners.sent_code import named_kinds
    from sweeps.spec import read_document

    document, _ = read_document(source, list(changes))
    kinds = named_kinds(document)
    names = {package.name for package in sent}
    imports = user_code([*kinds, *names])
    units = {name: unit for name, unit in imports.items() if name not in names}
    by = {name: next((k for k in kinds if top_name(k) == name), "") for name in units}
    return Needed(units, by)


def refuse_missing(jobs: Jobs, payload: Payload, needed: Needed) -> None:
    """Asks the cluster whether it has that code.

    Raises:
        UserError: with all that it lacks.
    """
    if not needed.units:
        return
    lacking = jobs.lacks(payload, sorted(needed.units))
    if lacking:
        raise UserError([_missing(needed.units[name], needed.by[name]) for name in lacking])


def _missing(unit: SourceUnit, kind: str) -> Mistake:
    place = unit.places[0]
    send = line_of(["--packages", str(place)])
    if unit.installed:
        remedy = f"Install it on every node, or send it: add {send}."
    elif unit.sources():
        remedy = f"Send it: add {send}."
    else:
        remedy = f"Install it on every node: {place} is no Python source, which could be sent."
    what = kind or unit.name
    return Mistake(what, "must be installed on the cluster or sent", Missing.VALUE, remedy)


def say_sent(packages: Sequence[Package]) -> None:
    """What is sent of the user's, and what is left out."""
    for package in packages:
        size = f"{counted(len(package.files), 'file')}, {package.bytes / 2**20:.1f} MB"
        left = f"; left out: {escaped(', '.join(package.left))}" if package.left else ""
        say(f"sends {package.name} from {escaped(str(package.place))}: {size}{left}")
        if (note := package.compiled_note) is not None:
            say(f"note: {note}")
