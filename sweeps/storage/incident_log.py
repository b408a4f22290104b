"""incidents.jsonl of a results folder: what went wrong, one line of JSON each, for people and
`sweeps status`. It is no record of results: without it nothing is lost but explanations."""

from __future__ import annotations

import json
import os
from pathlib import Path

from sweeps.records.incident import Incident
from sweeps.records.incident_summary import well_formed

#: Bytes after which the log gets no more incidents: a sweep that fails all the time.
LARGEST = 32 * 2**20


class IncidentLog:
    """The log in this file. One process appends, any may read, also while it is written."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def append(self, incident: Incident) -> None:
        """Adds a line. Links are not followed, and a disk that is full is no error here."""
        line = json.dumps(incident.plain(), separators=(",", ":")).encode() + b"\n"
        try:
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            descriptor = os.open(self.file, flags, 0o600)
            try:
                if os.fstat(descriptor).st_size < LARGEST:
                    os.write(descriptor, line)
            finally:
                os.close(descriptor)
        except OSError:
            pass  # an explanation that cannot be kept must not end a sweep

    def read(self) -> list[Incident]:
        """All incidents, in order; lines that are cut off or damaged are left out."""
        try:
            lines = self.file.read_bytes().splitlines() if self.file.is_file() else []
        except OSError:
            return []
        found = list[Incident]()
        for line in lines:
            try:
                found.append(Incident.from_plain(json.loads(line)))
            except (ValueError, TypeError, AttributeError, RecursionError):
                continue
        return well_formed(found)
