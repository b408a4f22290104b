"""What one machine is like, as plain data: gathered here, and by a task on every node."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from cluster.ports import reachable_ports

#: How command lines of Ray's processes look.
RAY_PROCESSES = r"gcs_server|raylet\b|ray::\w+|ray/\S+/\w+\.py"
RAY_CORE = ("gcs_server", "raylet")
#: Of ray[default]; a head cannot serve its Jobs API without them.
DEFAULT_EXTRA = ("aiohttp", "aiohttp-cors", "colorful", "opencensus", "prometheus-client")
_GPUS = ("nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader")
_TORCH = "import torch; print(torch.version.cuda, torch.cuda.is_available())"
_SECONDS = 60


def gather(request: dict[str, Any], main: bool = True) -> dict[str, Any]:
    """packages: names of distributions. paths: folders with data. storage: where results go.

    main: whether this machine is the one that writes the results.
    """
    gpus = _gpus()
    return {
        "python": platform.python_version(),
        "packages": {name: version_of(name) for name in request["packages"]},
        "extra": [name for name in DEFAULT_EXTRA if not version_of(name)],
        "gpus": gpus,
        "torch_cuda": _output([sys.executable, "-c", _TORCH]) if gpus else "",
        "disk": shutil.disk_usage(_nearest(request["storage"])).free,
        "memory": _memory(),
        "shared_memory": _free("/dev/shm"),
        "missing": [p for p in request["paths"] if not Path(p).expanduser().exists()],
        "storage": _writable(request["storage"]) if main else "",
        "ports": _ports(),
    }


def version_of(name: str) -> str:
    """Of an installed distribution; "" where there is none."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _nearest(folder: str) -> Path:
    """The folder, or its first ancestor that exists."""
    path = Path(folder).expanduser().absolute()
    return next(p for p in (path, *path.parents) if p.exists())


def _writable(folder: str) -> str:
    """Why a file cannot be made there; "" where it can. Nothing stays behind."""
    nearest = _nearest(folder)
    try:
        with tempfile.NamedTemporaryFile(dir=nearest, prefix=".backdoor-sweeps-") as stream:
            stream.write(b"written")
            stream.flush()
            os.fsync(stream.fileno())
    except OSError as error:
        return f"{nearest}: {error.strerror or error}"
    return ""


def _free(folder: str) -> int | None:
    return shutil.disk_usage(folder).free if Path(folder).is_dir() else None


def _memory() -> int | None:
    """Bytes that new processes can have; None where the system does not say."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    amounts = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in lines if ":" in line}
    return amounts.get("MemAvailable")


def _gpus() -> list[str]:
    return [line.strip() for line in _output(_GPUS).splitlines() if line.strip()]


def _output(line: list[str] | tuple[str, ...]) -> str:
    """What a command prints; "" where it fails or is not there."""
    try:
        done = subprocess.run(line, capture_output=True, text=True, timeout=_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()


def _ports() -> list[dict[str, Any]]:
    """Ray's ports that others can reach; open: its process was not set to ask for a token.

    Ray's Python processes overwrite their environment; only its two other processes show it.
    """
    return [
        {
            "port": found.port,
            "process": found.process,
            "open": found.process in RAY_CORE and "RAY_AUTH_MODE=token" not in found.environ,
        }
        for found in reachable_ports(RAY_PROCESSES)
    ]


def other_packages(names: tuple[str, ...], root: Path) -> dict[str, list[str]]:
    """Name → other modules that Python could import under it than the folder in `root`.

    A folder without `__init__.py` does not count: any package takes precedence.
    """
    found = {}
    for name in names:
        others = []
        for entry in dict.fromkeys(Path(p or ".").absolute() for p in sys.path):
            for path in (entry / name / "__init__.py", entry / f"{name}.py"):
                if path.is_file() and not _same(path, root / name / "__init__.py"):
                    others.append(str(path))
        if others:
            found[name] = others
    return found


def _same(one: Path, other: Path) -> bool:
    return other.exists() and one.samefile(other)


def imported_from(name: str) -> str:
    """The file that `import NAME` would load; "" where there is none."""
    spec = importlib.util.find_spec(name)
    return (spec.origin or "") if spec is not None else ""


def owners(name: str) -> list[str]:
    """Installed distributions that contain a top-level package of this name."""
    return importlib.metadata.packages_distributions().get(name, [])
