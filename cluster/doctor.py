"""Judges facts: each line is ok, a warning or a failure, the latter two with their remedy."""

from __future__ import annotations

import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backdoor.errors import UserError
from cluster.facts import imported_from, other_packages, owners
from cluster.head import Head, find_token, normal

OK, WARNING, FAILURE = "ok", "warning", "failure"
GIB = 2**30
#: Free bytes below which to warn, and below which a sweep cannot work.
DISK, MEMORY, SHARED_MEMORY = (10 * GIB, GIB), (4 * GIB, GIB), 256 * 2**20


@dataclass(frozen=True)
class Finding:
    """One line. where: "here", or a node of the cluster."""

    level: str
    where: str
    subject: str
    says: str
    remedy: str = ""

    def __str__(self) -> str:
        text = f"{self.level:8}{self.where + ': ' if self.where != 'here' else ''}"
        return f"{text}{self.subject}: {self.says}" + (f". {self.remedy}" if self.remedy else "")


def from_mistakes(error: UserError, where: str = "here") -> list[Finding]:
    """A failure for every mistake."""
    return [
        Finding(FAILURE, where, m.place, f"{m.rule}, but got {m.value!r}", m.remedy)
        for m in error.mistakes
    ]


def judge(facts: Mapping[str, Any], where: str, storage: str) -> Iterator[Finding]:
    """What the facts of one machine mean. storage: where results would go."""
    if "error" in facts:
        remedy = "Look at `ray list nodes` and at the node's logs."
        yield Finding(FAILURE, where, "node", f"does not answer: {facts['error']}", remedy)
        return
    yield Finding(OK, where, "python", facts["python"])
    yield from _packages(facts, where)
    yield from _gpus(facts, where)
    yield _amount(where, f"disk at {storage}", facts["disk"], DISK, "Make room there.")
    yield _amount(
        where, "memory", facts["memory"], MEMORY, "End other programs, or use fewer CPUs."
    )
    yield from _shared_memory(facts, where)
    for path in facts["missing"]:
        remedy = "Put the data there, or mount them, on every node; or correct data.root."
        yield Finding(FAILURE, where, "data", f"{path} does not exist", remedy)
    if facts["storage"]:
        remedy = "Name a folder that can be written."
        yield Finding(FAILURE, where, "storage", f"cannot be written ({facts['storage']})", remedy)
    yield from _ports(facts, where)


def _packages(facts: Mapping[str, Any], where: str) -> Iterator[Finding]:
    found = facts["packages"]
    have = ", ".join(f"{name} {version}" for name, version in found.items() if version)
    yield Finding(OK, where, "packages", have)
    lacking = [name for name, version in found.items() if not version]
    if lacking:
        says = f"not installed: {', '.join(lacking)}"
        yield Finding(FAILURE, where, "packages", says, f"pip install {' '.join(lacking)}")
    if facts["extra"]:
        says = f"not installed as ray[default] (no {', '.join(facts['extra'])}): no cluster jobs"
        yield Finding(WARNING, where, "ray", says, "pip install 'ray[default]'")


def _gpus(facts: Mapping[str, Any], where: str) -> Iterator[Finding]:
    if not facts["gpus"]:
        yield Finding(OK, where, "gpu", "none; trainings run on the CPU")
        return
    yield Finding(OK, where, "gpu", "; ".join(facts["gpus"]))
    if not facts["torch_cuda"].endswith("True"):
        says = f"torch cannot use it (its CUDA: {facts['torch_cuda'] or 'it does not load'})"
        remedy = "Install a torch that is built for the CUDA version of the driver."
        yield Finding(FAILURE, where, "gpu", says, remedy)


def _amount(
    where: str, subject: str, free: int | None, thresholds: tuple[int, int], remedy: str
) -> Finding:
    if free is None:
        return Finding(OK, where, subject, "unknown on this system")
    level = FAILURE if free < thresholds[1] else WARNING if free < thresholds[0] else OK
    says = f"{free / GIB:.1f} GiB free"
    return Finding(level, where, subject, says, "" if level == OK else remedy)


def _shared_memory(facts: Mapping[str, Any], where: str) -> Iterator[Finding]:
    free = facts["shared_memory"]
    if free is not None and free < SHARED_MEMORY:
        says = f"only {free / 2**20:.0f} MiB free in /dev/shm, so Ray keeps objects on disk"
        remedy = "In a container: --shm-size=1g."
        yield Finding(WARNING, where, "shared memory", says, remedy)


def _ports(facts: Mapping[str, Any], where: str) -> Iterator[Finding]:
    for is_open in (False, True):
        ports: dict[str, list[str]] = {}
        for found in facts["ports"]:
            if found["open"] is is_open:
                ports.setdefault(found["process"], []).append(str(found["port"]))
        if not ports:
            continue
        each = ", ".join(f"{process} {' '.join(numbers)}" for process, numbers in ports.items())
        says = f"Ray listens beyond loopback: {each}"
        if not is_open:
            remedy = "It has no switch for that: keep them behind a firewall or a private network."
            yield Finding(WARNING, where, "ports", says, remedy)
        else:
            remedy = "Whoever reaches them runs code here: restart it with RAY_AUTH_MODE=token."
            yield Finding(FAILURE, where, "ports", f"{says}, and asks for no token", remedy)


def judge_versions(
    there: Mapping[str, Any], here: Mapping[str, Any], where: str, level: str = WARNING
) -> Iterator[Finding]:
    """Packages whose versions differ between two machines of one sweep."""
    pairs = [("python", there["python"], here["python"])]
    pairs += [(n, v, here["packages"].get(n)) for n, v in there["packages"].items()]
    different = [
        f"{name} {ours} here, {v} there" for name, v, ours in pairs if v and ours and v != ours
    ]
    if different:
        remedy = "Install the same versions everywhere: a result depends on its numerical code."
        yield Finding(level, where, "versions", "; ".join(different), remedy)


def judge_token() -> Finding:
    """The token of this machine, and who can read it."""
    try:
        token = find_token()
    except UserError as error:
        return from_mistakes(error)[0]
    if token is None:
        says = "none: `ray start --head` would start open to everybody who reaches its ports"
        remedy = "Make one: (umask 077; ray get-auth-token --generate)"
        return Finding(WARNING, "here", "token", says, remedy)
    if token.file is None:
        return Finding(OK, "here", "token", f"in {token.place}")
    return _judge_mode(token.file)


def _judge_mode(file: Path) -> Finding:
    mode = stat.S_IMODE(file.stat().st_mode)
    if mode & 0o077:
        says = f"{file} can be read by others (mode {mode:04o}; so Ray writes it)"
        return Finding(WARNING, "here", "token", says, f"chmod 600 {file}")
    return Finding(OK, "here", "token", f"{file}, mode {mode:04o}")


def judge_head(head: Head) -> Finding:
    """Whether the cluster asks for a token."""
    subject = f"cluster at {normal(head.url)}"
    says = f"Ray {head.ray}, Python {head.python or 'unknown'}"
    if head.token is not None:
        return Finding(OK, "here", subject, f"{says}, asks for a token")
    level = WARNING if head.on_loopback else FAILURE
    remedy = "Start it with RAY_AUTH_MODE=token: its Jobs API runs any code for whoever reaches it."
    return Finding(level, "here", subject, f"{says}, asks for no token", remedy)


def judge_names(names: tuple[str, ...], root: Path) -> list[Finding]:
    """Other packages that are called as ours are. root: the folder that holds ours."""
    findings = []
    for name in names:
        loaded = Path(imported_from(name) or ".")
        if loaded.parent.parent.resolve() != root.resolve():
            says = f"`import {name}` loads {loaded}, which is another package than ours"
            findings.append(Finding(FAILURE, "here", "names", says, _removal_of(name)))
    for name, others in other_packages(names, root).items():
        says = f"there is another `{name}`, at {', '.join(others)}"
        findings.append(Finding(WARNING, "here", "names", says, _removal_of(name)))
    return findings or [Finding(OK, "here", "names", f"no other {', '.join(names)}")]


def _removal_of(name: str) -> str:
    installed = [owner for owner in owners(name) if owner != "backdoor-sweeps"]
    if installed:
        return (
            f"pip uninstall {' '.join(sorted(set(installed)))}, or use an environment of its own."
        )
    return "Take its folder off PYTHONPATH, or work in another directory."
