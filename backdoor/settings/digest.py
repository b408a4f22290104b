"""Ids from canonical forms: equal for equal forms, on every machine."""

from __future__ import annotations

import hashlib
import json

#: To be raised if the meaning of a canonical form changes; that changes the id of every trial.
IDENTITY_VERSION = 1


def digest(word: str, value: object) -> str:
    """Sixteen hex digits of the SHA-256 of `word` and of `value` as canonical JSON."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(f"{word}/{IDENTITY_VERSION}/{text}".encode()).hexdigest()[:16]
