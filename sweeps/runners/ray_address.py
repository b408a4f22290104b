"""$RAY_ADDRESS: which Ray a sweep uses."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Mapping

from backdoor.errors import Mistake, UserError
from sweeps.addresses import hidden
from sweeps.storage.environment import variable

VARIABLE = "RAY_ADDRESS"
#: Seconds to wait for a Ray head to accept a connection.
CONNECT_SECONDS = 5.0
#: How this machine calls itself.
LOOPBACK = ("127.0.0.1", "localhost", "::1")
RULE = "must be the address of a running Ray cluster"
REMEDY = f"Start it, or unset {VARIABLE} to run on this machine"
_ADDRESS = re.compile(r"(ray://)?(\[[0-9A-Fa-f:.%]+\]|[^\s/:@\[\]?#]+):(\d{1,5})")


def ray_address(environ: Mapping[str, str] = os.environ) -> str | None:
    """HOST:PORT, ray://HOST:PORT or `auto`; None where the variable is blank or `local`.

    Raises:
        UserError: it is none of these.
    """
    address = variable(VARIABLE, environ)
    if address in (None, "auto", "local"):
        return None if address == "local" else address
    assert address is not None
    found = _ADDRESS.fullmatch(address)
    if found and 0 < int(found[3]) < 2**16:
        return address
    rule = "must be HOST:PORT, ray://HOST:PORT, auto or local"
    remedy = f"For example 10.0.0.1:6379. Unset {VARIABLE} to run on this machine."
    raise UserError(Mistake(VARIABLE, rule, hidden(address), remedy))


def refuse_dead_address(address: str) -> None:
    """Ray itself tries an address for minutes; this reports a refused connection at once."""
    found = _ADDRESS.fullmatch(address)
    if found is None:
        return  # `auto`: Ray finds it
    try:
        place = found[2].strip("[]"), int(found[3])
        socket.create_connection(place, timeout=CONNECT_SECONDS).close()
    except (OSError, UnicodeError) as error:  # the latter of a host that cannot be one
        raise no_cluster(address, error) from None


def no_cluster(address: str, why: object) -> UserError:
    """No Ray answers at the address that the variable names."""
    return UserError(Mistake(VARIABLE, RULE, address, f"{REMEDY} ({why})."))


def only_on_loopback(address: str) -> bool:
    """Whether Ray listens at this address on loopback and nowhere else, as that of another sweep
    does. Ray would look for it at this machine's own address."""
    from ray._private.services import get_node_ip_address

    found = _ADDRESS.fullmatch(address)
    if found is None or found[1] or found[2].strip("[]") not in LOOPBACK:
        return False
    try:
        socket.create_connection((get_node_ip_address(), int(found[3])), CONNECT_SECONDS).close()
    except OSError:
        return True
    return False
