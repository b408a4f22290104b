"""Bytes through a job's log, which is text and the only thing that comes back from a job.

A frame is a line that begins it, base64 lines, and a line that ends it with the count of bytes and
their SHA-256. Whatever else is in the log stands before or after.
"""

from __future__ import annotations

import base64
import hashlib
import re
from typing import BinaryIO

BEGIN = b"-----BEGIN backdoor-sweeps-----\n"
END = b"-----END backdoor-sweeps %d %s-----\n"
_ENVELOPE = re.compile(
    r"^-----BEGIN backdoor-sweeps-----\n(.*?)^-----END backdoor-sweeps (\d+) ([0-9a-f]{64})-----$",
    re.S | re.M,
)
#: Bytes encoded at once; a multiple of 57, which is one line of base64.
BLOCK = 57 * 4096


def write_envelope(content: BinaryIO, log: BinaryIO) -> None:
    """Writes all of `content` as one frame."""
    digest, count = hashlib.sha256(), 0
    log.write(BEGIN)
    while block := content.read(BLOCK):
        digest.update(block)
        count += len(block)
        log.write(base64.encodebytes(block))
    log.write(END % (count, digest.hexdigest().encode()))
    log.flush()


def read_envelope(log: str) -> bytes | None:
    """The bytes of the frame in a log; None where there is no frame, or a damaged one."""
    found = _ENVELOPE.search(log)
    if found is None:
        return None
    try:
        content = base64.b64decode("".join(found[1].split()), validate=True)
    except ValueError:
        return None
    whole = len(content) == int(found[2]) and hashlib.sha256(content).hexdigest() == found[3]
    return content if whole else None
