"""Which sockets processes listen on, and who can reach them.

A sweep's own Ray listens on loopback (`local_head.py`), where people on the same machine reach it,
and nobody else does. On a machine that others use, and where something listens beyond loopback all
the same, that is said once.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import pwd
import sys
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from backdoor.wording import counted

#: The state of a listening socket in /proc/net/tcp.
_LISTENS = "0A"
#: User ids of people, and the shells of accounts that nobody uses.
PEOPLE = range(1000, 60000)
NO_SHELLS = ("nologin", "false", "sync")
#: The file in the cache folder that says that the warning was given.
TOLD = "told-of-open-ports"


@dataclass(frozen=True)
class ListeningSocket:
    """A socket that a process listens on. kind: the process's name, as /proc has it."""

    pid: int
    kind: str
    address: str
    port: int

    @property
    def on_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        address = ipaddress.ip_address(self.address)
        return (getattr(address, "ipv4_mapped", None) or address).is_loopback


def listening(pids: Collection[int]) -> list[ListeningSocket]:
    """Sockets that these processes listen on, by process and port; empty without /proc."""
    places = dict(_places())
    found = {
        ListeningSocket(pid, _name(pid), *places[inode])
        for pid in pids
        for inode in _inodes(pid)
        if inode in places
    }
    return sorted(found, key=lambda each: (each.pid, each.port, each.address))


def _places() -> Iterator[tuple[str, tuple[str, int]]]:
    """The inode, address and port of each socket that listens."""
    for table in ("tcp", "tcp6"):
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == _LISTENS:
                    yield fields[9], place_of(fields[1])


def place_of(text: str) -> tuple[str, int]:
    """Address and port as /proc/net/tcp has them: words of four bytes in the order of this machine.

    Example:
        place_of("0100007F:1F90") is ("127.0.0.1", 8080) on a little-endian machine.
    """
    address, port = text.split(":")
    words = (bytes.fromhex(address[i : i + 8]) for i in range(0, len(address), 8))
    content = b"".join(word[::-1] if sys.byteorder == "little" else word for word in words)
    return str(ipaddress.ip_address(content)), int(port, 16)


def _inodes(pid: int) -> Iterator[str]:
    with contextlib.suppress(OSError):
        for each in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                target = os.readlink(each)
                if target.startswith("socket:["):
                    yield target[8:-1]


def _name(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text(errors="replace").strip()
    return "?"


def people(accounts: Iterable[pwd.struct_passwd] | None = None) -> int:
    """How many accounts of this machine people can log into."""
    known = pwd.getpwall() if accounts is None else accounts
    return sum(
        each.pw_uid in PEOPLE and Path(each.pw_shell).name not in NO_SHELLS for each in known
    )


def open_warning(found: Iterable[ListeningSocket], users: int) -> str | None:
    """What to say where something listens beyond loopback on a machine of several people."""
    beyond = [each for each in found if not each.on_loopback]
    if users < 2 or not beyond:
        return None
    places = ", ".join(f"{each.kind} on port {each.port}" for each in beyond)
    return (
        f"{counted(users, 'account')} can log into this machine, and "
        f"{counted(len(beyond), 'socket')} of Ray can be reached from other machines: {places}. "
        "A firewall closes them, and so does a machine of your own. This is said once."
    )


def warn_once(pids: Collection[int], cache: Path, users: int | None = None) -> str | None:
    """The warning, where it is due and this user has not seen it; a file in `cache` notes that."""
    if (cache / TOLD).exists():
        return None
    text = open_warning(listening(pids), people() if users is None else users)
    if text is not None:
        with contextlib.suppress(OSError):  # then it is said again
            cache.mkdir(parents=True, exist_ok=True)
            (cache / TOLD).touch()
    return text
