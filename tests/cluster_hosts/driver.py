"""A sweep's driver on a host of a lab: what it printed and when, and the rows that it recorded."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from typing import Any

import yaml

from cluster_hosts.lab import HOME, Host
from cluster_hosts.namespaces import wait_for
from sweeps.ledger import Ledger
from sweeps.records.incident import Incident
from sweeps.storage.incident_log import IncidentLog
from sweeps.storage.paths import SweepPaths


def sweeps(
    host: Host, *words: str, environ: Mapping[str, str] | None = None, seconds: float = 120
) -> subprocess.CompletedProcess[str]:
    """A command of ours on a host, to its end."""
    return host.run(*COMMAND, *words, environ=environ, seconds=seconds)


#: The command by its module: the entry point may lie in another checkout's environment.
COMMAND = (sys.executable, "-c", "import sys; from sweeps.cli.main import main; sys.exit(main())")


class Driver:
    """`sweeps run` on a host, running. lines: of stderr, each with the time when it came."""

    def __init__(
        self,
        host: Host,
        spec: Mapping[str, Any] | None,
        name: str,
        address: str,
        *words: str,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self.host, self.out = host, f"{HOME}/results/{name}"
        command = ["resume", self.out]
        if spec is not None:
            host.write(f"{HOME}/{name}.yaml", yaml.safe_dump(dict(spec)))
            command = ["run", f"{HOME}/{name}.yaml", "--out", self.out]
        self.begun = time.time()
        self._process = host.start(
            *COMMAND, *command, *words, environ={"RAY_ADDRESS": address, **(environ or {})},
            stderr=subprocess.PIPE,
        )  # fmt: skip
        self.lines = list[tuple[float, str]]()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stderr is not None
        with self._process.stderr as lines:
            for line in lines:
                self.lines.append((time.time(), line.rstrip("\n")))

    @property
    def text(self) -> str:
        """All of stderr so far."""
        return "\n".join(line for _, line in self.lines)

    @property
    def paths(self) -> SweepPaths:
        return SweepPaths(self.host.path(self.out))

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def rows(self) -> list[dict[str, Any]]:
        """Of the ledger, so far."""
        return Ledger(self.paths.ledger).rows() if self.paths.ledger.is_dir() else []

    def incidents(self, what: str) -> list[Incident]:
        """Of one kind, so far."""
        return [each for each in IncidentLog(self.paths.incidents).read() if each.what == what]

    def wait_for_rows(self, count: int, seconds: float) -> None:
        """Until so many are recorded."""
        self._wait(f"{count} rows", lambda: len(self.rows()) >= count, seconds)

    def wait_for_line(self, words: str, seconds: float) -> float:
        """Until a line of stderr has the words; when it came."""
        self._wait(f"{words!r} on stderr", lambda: self.said(words), seconds)
        return self.said(words)[0]

    def said(self, words: str) -> list[float]:
        """When lines with the words came."""
        return [at for at, line in list(self.lines) if words in line]

    def wait(self, seconds: float) -> int:
        """Until it ends; its exit code."""
        self._wait("the end of the driver", lambda: not self.running, seconds)
        self._reader.join()
        return self._process.returncode

    def _wait(self, what: str, seen: Any, seconds: float) -> None:
        try:
            wait_for(what, lambda: seen() or not self.running, seconds, 0.2)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.text}") from None
        assert seen(), f"the driver ended without {what}\n{self.text}"
