"""Bytes through a job's log, which is text and the only thing that comes back from a job.

An envelope is a first line, base64 lines, and a last line with the count of bytes and their
SHA-256. Other lines of the log come before or after it.
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
    """Writes all of `content` as one envelope."""
    digest, count = hashlib.sha256(), 0
    log.write(BEGIN)
    while block := content.read(BLOCK):
        digest.update(block)
        count += len(block)
        log.write(base64.encodebytes(block))
    log.write(END % (count, digest.hexdigest().encode()))
    log.flush()


def read_envelope(log: str) -> bytes | None:
    """The bytes of the envelope in a log; None where there is none, or a damaged one."""
    found = _ENVELOPE.search(log)
    if found is None:
        return None
    try:
        content = base64.b64decode("".join(found[1].split()), validate=True)
    except ValueError:
        return None
    whole = len(content) == int(found[2]) and hashlib.sha256(content).hexdigest() == found[3]
    return content if whole else None
