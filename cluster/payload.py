"""What is sent with a job: this project's packages, a spec, and how to start.

A payload is a folder made for this purpose, so that nothing else is sent: no repository,
environment, results or data. Ray unpacks it on every node and puts it first on Python's path.
"""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from backdoor.errors import Mistake, UserError
from backdoor.settings.sent_package import Package

#: Runs the Python that Ray itself runs on: another may come first on the PATH. A job's shell
#: descends from the raylet, whose command line names the Python of its workers.
START = r"""pid=$PPID
while [ "${pid:-0}" -gt 1 ]; do
    python=$(tr '\0' '\n' 2>/dev/null <"/proc/$pid/cmdline" |
        sed -n 's/^--python_worker_command=\([^ ]*\) .*/\1/p')
    [ -x "$python" ] && exec "$python" "$@"
    pid=$(sed -n 's/^PPid:[[:space:]]*//p' "/proc/$pid/status" 2>/dev/null)
done
exec python3 "$@"
"""
_IGNORED = shutil.ignore_patterns("__pycache__", "*.pyc", ".*", "*.egg-info")
SPEC = "spec.yaml"


@dataclass(frozen=True)
class Payload:
    """packages: import name → folder. version: of ours, "" where it is not installed.

    spec: YAML text, sent as `spec.yaml`. users: packages and modules of the user.
    """

    packages: Mapping[str, Path]
    version: str = ""
    spec: str | None = None
    users: Sequence[Package] = ()

    def write(self, folder: Path) -> Path:
        """Fills an empty folder."""
        for name, source in self.packages.items():
            shutil.copytree(source, folder / name, ignore=_IGNORED)
        for package in self.users:
            package.copy_to(folder)
        (folder / "start.sh").write_text(START)
        if self.spec is not None:
            (folder / SPEC).write_text(self.spec, encoding="utf-8")
        if self.version:
            # So that the sweep records the version that runs, not one that is installed there.
            about = folder / f"backdoor_sweeps-{self.version}.dist-info"
            about.mkdir()
            lines = f"Metadata-Version: 2.1\nName: backdoor-sweeps\nVersion: {self.version}\n"
            (about / "METADATA").write_text(lines)
        return folder


@dataclass(frozen=True)
class Remote:
    """A path on the cluster: absolute, or in the home folder of the user who runs the head."""

    path: str
    place: str = field(default="--storage", compare=False)

    def __post_init__(self) -> None:
        plain = "\n" not in self.path and "\0" not in self.path
        if not plain or not (self.path.startswith("/") or self.path.startswith("~/")):
            rule = "must be an absolute path on the cluster, or begin with ~/"
            remedy = "It is a folder over there, for example /mnt/shared/sweeps."
            raise UserError(Mistake(self.place, rule, self.path, remedy))

    def __truediv__(self, name: str) -> Remote:
        return Remote(f"{self.path.rstrip('/')}/{name}", self.place)

    def __str__(self) -> str:
        return self.path


def entrypoint(*arguments: str | Remote) -> str:
    """The shell line of a job: our Python module and its arguments, quoted."""
    return " ".join(["exec sh ./start.sh -m", *map(_quoted, arguments)])


def _quoted(argument: str | Remote) -> str:
    if isinstance(argument, Remote) and argument.path.startswith("~/"):
        return '"$HOME"/' + shlex.quote(argument.path[2:])  # the shell on the cluster expands it
    return shlex.quote(str(argument))
