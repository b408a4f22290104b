"""Figures of benchmarks, kept with the revision, the date and the machine that they belong to.

The make targets name the file in the environment, `FIGURES=tests/benchmarks/FIGURES.md`: a benchmark
that is started by hand with other settings writes nothing.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import subprocess
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import torch

from sweeps.storage.files import write_atomic

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
FILE = HERE / "FIGURES.md"
INTRODUCTION = """# Figures of the benchmarks

Each section is written whole by the make command that it names, on an idle machine. A figure holds
for the revision, the hardware and the versions beside it, and for no other: measure again to compare.
"""
PACKAGES = ("torch", "ray", "mlflow", "optuna", "numpy")


def record(
    section: str, command: str, rows: Sequence[Mapping[str, object]] | str, note: str = ""
) -> None:
    """Replaces a section of the file that `$FIGURES` names; without it nothing is written.

    command: the make command, with DIR for a place on this machine. rows: column → value, the same
    columns in each, or a table in Markdown.
    """
    place = os.environ.get("FIGURES")
    if not place:
        return
    file = Path(place)
    table = rows if isinstance(rows, str) else markdown(rows)
    parts = [f"## {section}", _origin(command), table, *([note] if note else [])]
    before = file.read_text(encoding="utf-8") if file.is_file() else INTRODUCTION
    write_atomic(file, replaced(before, section, "\n\n".join(parts) + "\n").encode())
    print(f"written into {place}: {section}", flush=True)


def make_command(target: str, *variables: str) -> str:
    """The make command of a target with those variables that are set, without their places."""
    given = [f"{name}=DIR" for name in variables if os.environ.get(name)]
    return " ".join(["make", target, *given])


def replaced(text: str, section: str, content: str) -> str:
    """The text with this section in its place by name; all others stay as they are."""
    introduction, sections = split(text)
    sections[section] = content
    ordered = [sections[name] for name in sorted(sections)]
    return "\n".join(part.rstrip("\n") + "\n" for part in (introduction, *ordered))


def split(text: str) -> tuple[str, dict[str, str]]:
    """What stands before the first section, and name → text of each, its heading included."""
    introduction, *parts = re.split(r"(?m)^(?=## )", text)
    return introduction, {part.partition("\n")[0].removeprefix("## "): part for part in parts}


def markdown(rows: Sequence[Mapping[str, object]]) -> str:
    """A table of these rows; numbers with four significant digits."""
    if not rows:
        return "No rows."
    lines = [_line(list(rows[0])), _line(["---"] * len(rows[0]))]
    return "\n".join(lines + [_line([_cell(value) for value in row.values()]) for row in rows])


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1e4 else f"{value:.0f}"
    return str(value).replace("|", "\\|").replace("\n", " ")


def _origin(command: str) -> str:
    """Where the figures come from: command, revision, date, hardware, versions."""
    versions = [f"Python {platform.python_version()}"]
    versions += [f"{name} {importlib.metadata.version(name)}" for name in PACKAGES]
    return "\n".join(
        [
            f"- command: `{command}`",
            f"- revision: {STARTED_AT}",
            f"- date: {datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
            f"- hardware: {hardware()}",
            f"- versions: {', '.join(versions)}",
        ]
    )


def revision(root: Path = ROOT) -> str:
    """What git calls the commit, and whether files differ from it, FIGURES.md apart."""
    described = _git(root, "describe", "--always")
    if not described:
        return "unknown, since this is no git checkout"
    changed = _git(root, "status", "--porcelain", "--", ".", f":!{FILE.relative_to(ROOT)}")
    return f"{described} with uncommitted changes" if changed else described


def _git(root: Path, *arguments: str) -> str:
    """What git prints; nothing where it cannot answer."""
    try:
        run = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True)
    except FileNotFoundError:
        return ""
    return run.stdout.strip()


#: Asked for when a benchmark starts: at its end, hours later, another commit may lie here.
STARTED_AT = revision()


def hardware() -> str:
    """Processor, cores that may be used, memory, GPUs and operating system."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1024**3
    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return (
        f"{_processor()}, {_cores()} cores, {memory:.0f} GiB of memory, "
        f"{', '.join(gpus) or 'no GPU'}, {_system()}"
    )


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _processor() -> str:
    try:
        found = re.search(r"(?m)^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text())
    except OSError:
        found = None
    return found[1] if found else platform.processor() or platform.machine()


def _system() -> str:
    try:
        name = platform.freedesktop_os_release()["PRETTY_NAME"]
    except OSError:
        name = platform.system()
    return f"{name} on {platform.machine()}"
