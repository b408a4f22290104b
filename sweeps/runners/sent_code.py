"""Code of users' kinds for workers: sent to those of a cluster, found by those of this machine.

Ray's `py_modules` carries the whole top-level package (or the one file) of each kind's module, and
of what these import from outside of installed packages. Installed packages are not sent: they have
to be installed on every node. What cannot be sent is refused before anything starts.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from backdoor.errors import Mistake, UserError, escaped
from backdoor.settings.outside import KIND, OURS, texts_in
from backdoor.settings.sent_package import Package, too_large
from backdoor.settings.source_files import MAIN, SourceUnit, top_name, user_code

if TYPE_CHECKING:
    from ray.job_config import JobConfig

_KIND = re.compile(KIND)
#: Set by Ray in a job of its Jobs API, which runs in the folder that was sent with it.
IN_A_JOB = "RAY_JOB_CONFIG_JSON_ENV_VAR"
_INSTALL = "Or install it on every node of the cluster, as a package."


def named_kinds(*parts: object) -> list[str]:
    """The kinds `module:Class` of users in plain values, such as a spec, that are loaded."""
    return [kind for kind in kinds_written(*parts) if _loaded(kind)]


def kinds_written(*parts: object) -> list[str]:
    """All texts in plain values that may be a kind `module:Class` of users."""
    names = {name for part in parts for _, name in texts_in(part) if _KIND.fullmatch(name)}
    return sorted(name for name in names if not name.startswith((*OURS, f"{MAIN}:")))


def _loaded(kind: str) -> bool:
    """Whether this is a class, and no other text with a colon."""
    module, _, name = kind.partition(":")
    return isinstance(getattr(sys.modules.get(module), name, None), type)


@dataclass(frozen=True)
class SentCode:
    """packages: what is sent. notes: in words, what the user should know of it."""

    packages: tuple[Package, ...] = ()
    notes: tuple[str, ...] = ()


def code_to_send(kinds: Sequence[str]) -> SentCode:
    """What a cluster's workers have to be sent for these kinds.

    Raises:
        UserError: with all that cannot be sent.
    """
    packages, notes, mistakes = list[Package](), list[str](), list[Mistake]()
    units = user_code(kinds)
    mistakes += [_sourceless(k, None) for k in kinds if top_name(k) not in units]
    for name, unit in sorted(units.items()):
        by = next((kind for kind in kinds if top_name(kind) == name), name)
        if unit.installed:
            where = escaped(str(unit.places[0]))
            notes.append(f"{by} is of an installed package ({where}), which every node must have")
        elif _came_with_the_job(unit):
            continue
        elif not unit.sources():
            mistakes.append(_sourceless(by, unit))
        else:
            packages.append(Package.of(name, *unit.places))
    mistakes += too_large(packages, "code that is sent to the cluster", _INSTALL)
    if mistakes:
        raise UserError(mistakes)
    notes += [note for package in packages for note in _notes(package)]
    return SentCode(tuple(packages), tuple(notes))


def _notes(package: Package) -> Iterator[str]:
    yield f"sends {package.name} to the cluster, from {escaped(str(package.place))}"
    if large := package.large:
        yield f"of {package.name} not sent: {escaped(', '.join(large))}"
    if (note := package.compiled_note) is not None:
        yield note


def _sourceless(kind: str, unit: SourceUnit | None) -> Mistake:
    where = "no file" if unit is None else str(unit.places[0])
    rule = "must be of a package or module with .py files, so that it can be sent to the cluster"
    return Mistake(kind, rule, where, f"Write it as a .py file. {_INSTALL}")


def _came_with_the_job(unit: SourceUnit) -> bool:
    """Whether the workers of this job have it already."""
    here = Path.cwd().resolve()
    within = (place.resolve().is_relative_to(here) for place in unit.places)
    return IN_A_JOB in os.environ and all(within)


def note_not_sent(kinds: Sequence[str]) -> str | None:
    """What to say where this process was connected to a cluster before, to which nothing more can
    be sent; None where its workers have the code."""
    import ray
    from ray._private import worker

    node = getattr(worker, "_global_node", None)
    # A Ray that this process started finds the code where it lies: nothing has to be sent.
    if not kinds or (node is not None and node.head):
        return None
    names = [package.name for package in code_to_send(kinds).packages]
    if not names or "py_modules" in ray.get_runtime_context().runtime_env:
        return None
    several = ", ".join(names)
    return (
        f"{several} cannot be sent: Ray was connected before the sweep. Where workers lack it, "
        "leave ray.init to the sweep, or give it runtime_env={'py_modules': [...]}."
    )


@contextlib.contextmanager
def job_config(kinds: Sequence[str], address: str | None, with_cwd: bool) -> Iterator[JobConfig]:
    """How Ray is to be connected so that workers can import these kinds; valid while it connects.

    address: of a cluster, None for workers that are started here, which find the code where it
    lies. with_cwd: whether the current folder is on their path, as it is on that of this process.
    """
    from ray.job_config import JobConfig

    if not kinds or not address:
        yield JobConfig(_client_job=not with_cwd, _py_driver_sys_path=_folders(kinds))
        return
    sent = code_to_send(kinds)
    for note in sent.notes:
        print(f"note: {note}", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory(prefix="backdoor-sweeps-code-") as folder:
        copies = [str(package.copy_to(Path(folder))) for package in sent.packages]
        if address.startswith("ray://") or with_cwd or not copies:
            env = {"py_modules": copies} if copies else None
            yield JobConfig(_client_job=not with_cwd, runtime_env=env)
        else:
            yield _without_cwd(copies)


def _without_cwd(copies: list[str]) -> JobConfig:
    """Ray sends nothing for what it takes for jobs of its client, and gives others the current
    folder unless it believes that a working folder is sent."""
    from ray.job_config import JobConfig

    class WithoutCwd(JobConfig):  # type: ignore[misc]  # ray has no types
        def _runtime_env_has_working_dir(self) -> bool:
            return True

    script = os.path.dirname(os.path.realpath(sys.argv[0]))
    own = [script] if script in sys.path else []
    return WithoutCwd(runtime_env={"py_modules": copies}, _py_driver_sys_path=own)


def _folders(kinds: Sequence[str]) -> list[str]:
    """Folders from which this process imports users' code; Ray passes on only some of them."""
    units = user_code(kinds).values() if kinds else ()
    places = (place for unit in units if not unit.installed for place in unit.places)
    return sorted({os.path.abspath(place.parent) for place in places})
