"""Ports of this machine that other machines can reach, from Linux's /proc."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

_LISTEN = "0A"


@dataclass(frozen=True)
class Listener:
    """A port that others can reach. environ: of its process, as Linux shows it."""

    port: int
    process: str
    environ: frozenset[str] = field(repr=False)


def reachable_ports(pattern: str) -> list[Listener]:
    """Ports on which processes whose command line matches listen, beyond the loopback interface.

    Processes of other users are not seen. Empty where there is no /proc.
    """
    owners = dict(_sockets(pattern))
    found = {}
    for table in ("tcp", "tcp6"):
        with contextlib.suppress(OSError):
            for line in Path("/proc/net", table).read_text().splitlines()[1:]:
                columns = line.split()
                address, _, port = columns[1].partition(":")
                if columns[3] == _LISTEN and columns[9] in owners and not _is_loopback(address):
                    found[int(port, 16)] = owners[columns[9]]
    return [Listener(port, *found[port]) for port in sorted(found)]


def _is_loopback(text: str) -> bool:
    """Of an address as /proc/net writes it: words of 32 bits, each in this machine's order."""
    words = [int(text[i : i + 8], 16) for i in range(0, len(text), 8)]
    packed = struct.pack(f"={len(words)}I", *words)
    if len(packed) == 4:
        return ipaddress.IPv4Address(packed).is_loopback
    address = ipaddress.IPv6Address(packed)
    return (address.ipv4_mapped or address).is_loopback


def _sockets(pattern: str) -> Iterator[tuple[str, tuple[str, frozenset[str]]]]:
    """(inode, (process, environment)) of every socket that a matching process holds."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            found = re.search(pattern, " ".join(_words(process / "cmdline")))
            if not found:
                continue
            environ = frozenset(_words(process / "environ"))
            for handle in process.joinpath("fd").iterdir():
                with contextlib.suppress(OSError):
                    target = os.readlink(handle)
                    if target.startswith("socket:["):
                        yield target[8:-1], (found[0], environ)
        except OSError:  # it has ended, or belongs to another user
            continue


def _words(file: Path) -> list[str]:
    return file.read_bytes().decode(errors="replace").split("\0")
