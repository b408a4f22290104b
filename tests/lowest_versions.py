"""Runs the test suite on the lowest versions that pyproject.toml states: build/lowest, on uv.

    python tests/lowest_versions.py [--lock] [PYTEST ARGUMENTS]

.ci/lowest.txt names the version of every package there: of those in pyproject.toml the lowest, of
what they need the newest of the day when it was made. So this passes or fails by what is in the
repository. `--lock` makes that file again, after a change of the dependencies.

The environment is kept, and made again when that file changes. Packages come from the index that
pip is set up to use. Without an index this fails.
"""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PYPROJECT = ROOT / "pyproject.toml"
LOCK = ROOT / ".ci" / "lowest.txt"
HOME = ROOT / "build" / "lowest"
#: Two processes, each file in one of them, as in `make test`.
PYTEST = ("-m", "pytest", "-n", "2", "--dist", "loadfile", "--no-loadscope-reorder")
#: Old packages call what newer ones deprecate: warnings are errors on the pinned versions only.
FORGIVING = ("-p", "no:warnings")
HEADER = """\
# The lowest versions that pyproject.toml states, and the newest of what those need. No hosts.
# Made by `python tests/lowest_versions.py --lock`, used by `make test-slow`.
"""


def lowest_python() -> str:
    """The lowest Python that pyproject.toml states, such as 3.11."""
    required: str = tomllib.loads(PYPROJECT.read_text())["project"]["requires-python"]
    return required.removeprefix(">=")


def stated(project: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """Name and lowest version of every requirement of a [project] table, its extras included.

    Raises ValueError where a requirement states no lowest version, or more than that.
    """
    extras: dict[str, list[str]] = project["optional-dependencies"]  # type: ignore[assignment]
    direct: list[str] = project["dependencies"]  # type: ignore[assignment]
    for text in [*direct, *(each for extra in extras.values() for each in extra)]:
        requirement = Requirement(text)
        if requirement.name == project["name"]:
            continue
        clauses = list(requirement.specifier)
        if [clause.operator for clause in clauses] != [">="]:
            raise ValueError(
                f"{text} must state its lowest version, as NAME>=VERSION, and no other"
            )
        yield canonicalize_name(requirement.name), clauses[0].version


def locked(text: str) -> dict[str, str]:
    """Name → version of a file such as .ci/lowest.txt."""
    pins = [Requirement(line) for line in text.splitlines() if line and not line.startswith("#")]
    return {canonicalize_name(pin.name): next(iter(pin.specifier)).version for pin in pins}


def pip_settings(listed: str | None = None) -> dict[str, str]:
    """What `pip config list` says, by the option's long name: the environment before the files."""
    if listed is None:
        command = [sys.executable, "-m", "pip", "config", "list"]
        listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    # Lines such as global.index-url='...' and :env:.index-url='...', the stronger section later.
    sections: dict[str, dict[str, str]] = {"global": {}, "install": {}, ":env:": {}}
    for line in listed.splitlines():
        key, _, value = line.partition("=")
        section, _, option = key.rpartition(".")
        sections.get(section, {})[option] = value
    merged = sections["global"] | sections["install"] | sections[":env:"]
    return {option: str(ast.literal_eval(value)) for option, value in merged.items()}


def uv_environment(pip: Mapping[str, str]) -> dict[str, str]:
    """This environment, and what uv needs to find the packages that pip finds.

    uv does not read pip's settings. What is set for uv itself is left as it is.
    """
    settings = {
        "UV_DEFAULT_INDEX": pip.get("index-url"),
        "UV_INDEX": " ".join(pip.get("extra-index-url", "").split()),
        # Like pip: the same version is the same package, whichever index has it.
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "UV_FIND_LINKS": ",".join(pip.get("find-links", "").split()),
        "SSL_CERT_FILE": pip.get("cert"),
        "UV_HTTP_TIMEOUT": pip.get("default-timeout") or pip.get("timeout"),
        "UV_PYTHON_DOWNLOADS": "never",
    }
    return {name: value for name, value in settings.items() if value} | os.environ


def uv(*words: str) -> None:
    """Runs uv; what it cannot do ends this process with its message and its exit code."""
    tool = Path(sysconfig.get_path("scripts"), "uv")
    run = subprocess.run([tool, *words], cwd=ROOT, env=uv_environment(pip_settings()))
    if run.returncode:
        raise SystemExit(run.returncode)


def lock() -> None:
    """Writes .ci/lowest.txt, once uv has found everything."""
    # uv would prefer the versions of a file that is there: a new one is asked for.
    new = HOME.parent / "lowest.txt"
    new.parent.mkdir(parents=True, exist_ok=True)
    new.unlink(missing_ok=True)
    uv("pip", "compile", "--quiet", "--resolution", "lowest-direct", "--all-extras",
       "--only-binary", ":all:", "--python-version", lowest_python(), "--no-annotate", "--no-header",
       "--output-file", str(new), str(PYPROJECT))  # fmt: skip
    LOCK.write_text(HEADER + new.read_text())
    new.unlink()


def install() -> None:
    """Makes build/lowest, unless it is there with what .ci/lowest.txt names."""
    made_from = HOME / "made-from.txt"
    expected = f"{sys.version}\n{LOCK.read_text()}"
    if made_from.is_file() and made_from.read_text() == expected:
        return
    shutil.rmtree(HOME, ignore_errors=True)
    uv("venv", "--quiet", "--seed", "--python", sys.executable, str(HOME))
    uv("pip", "install", "--quiet", "--python", str(HOME / "bin" / "python"), "--only-binary", ":all:",
       "--resolution", "lowest-direct", "--constraint", str(LOCK), "--all-extras",
       "--requirements", str(PYPROJECT))  # fmt: skip
    made_from.write_text(expected)


def install_checkout() -> None:
    """The `sweeps` command and the version, from this checkout."""
    uv("pip", "install", "--quiet", "--python", str(HOME / "bin" / "python"), "--no-deps",
       "--no-build-isolation", "--editable", ".")  # fmt: skip


def main(words: list[str]) -> int:
    if words[:1] == ["--lock"]:
        lock()
        return 0
    if sys.version_info[:2] != tuple(map(int, lowest_python().split("."))):
        print(f"The lowest versions are tested on Python {lowest_python()}, the lowest, only.")
        return 0
    install()
    install_checkout()
    command = [
        HOME / "bin" / "python",
        *PYTEST,
        *FORGIVING,
        "-o",
        "cache_dir=build/lowest/pytest",
        *words,
    ]
    return subprocess.run(command, cwd=ROOT).returncode


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
