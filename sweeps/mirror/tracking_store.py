"""Where MLflow's store is, whether it is there, and what opens its pages."""

from __future__ import annotations

import http.client
import os
import re
import socket
import ssl
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

from backdoor.errors import BackdoorSweepsError, Mistake, UserError
from sweeps.records.sweep_file import SweepFile
from sweeps.storage.shell import command

#: Seconds that a server may take to show that it is there.
PREFLIGHT_SECONDS = 3.0
_DATABASE_PORTS = {"postgresql": 5432, "mysql": 3306, "mssql": 1433}


class TrackingUnreachable(BackdoorSweepsError):  # noqa: N818  (a state of the store)
    """MLflow's store cannot be reached or used."""

    def __init__(self, uri: str, reason: str) -> None:
        self.uri, self.reason = shown(uri), one_line(reason.replace(uri, shown(uri)))
        super().__init__(f"MLflow's store {self.uri} cannot be used: {self.reason}")

    def __reduce__(self) -> tuple[type[TrackingUnreachable], tuple[str, str]]:
        return type(self), (self.uri, self.reason)


def tracking_uri(sweep: SweepFile) -> str:
    """The store that a sweep (sweep.json) was begun with; `UserError` where it has none."""
    uri = tracking.get("uri") if (tracking := sweep.get("tracking")) else None
    if uri:
        return uri
    rule = "must name MLflow's tracking store: the sweep ran with tracking off"
    raise UserError(Mistake("--uri", rule, None, "For example --uri sqlite:///mlflow.db."))


def ui_command(uri: str) -> str:
    """What opens the store's pages: a command to copy, or the address of a server."""
    if uri.startswith(("http://", "https://")):
        return shown(uri)
    return command("mlflow", "ui", "--backend-store-uri", shown(uri))


def shown(uri: str) -> str:
    """`uri` as it may be printed: without its password."""
    return re.sub(r"://([^:/@]*):[^/]*@", r"://\1:***@", uri)


def one_line(text: str) -> str:
    """`text` as a reason within a sentence."""
    line = " ".join(text.split())
    return line if len(line) <= 300 else line[:297] + "..."


def preflight(uri: str) -> None:
    """Looks whether the store is there, within seconds; `TrackingUnreachable` where it is not."""
    try:
        parts = urllib.parse.urlsplit(uri)
        scheme = parts.scheme.partition("+")[0]
        if scheme in ("http", "https"):
            _ask(parts)
        elif scheme == "sqlite":
            _look_at_file(uri)
        elif parts.hostname and (port := parts.port or _DATABASE_PORTS.get(scheme)):
            socket.create_connection((parts.hostname, port), PREFLIGHT_SECONDS).close()
    except (OSError, ValueError, http.client.HTTPException) as error:
        cause = getattr(error, "reason", error)  # urllib wraps what went wrong
        raise TrackingUnreachable(uri, str(cause) or type(cause).__name__) from None


def _ask(parts: urllib.parse.SplitResult) -> None:
    """Any answer will do, except that of a gateway with nothing behind it."""
    host = parts.netloc.rpartition("@")[2]
    address = f"{parts.scheme}://{host}{parts.path.rstrip('/')}/health"
    try:
        urllib.request.urlopen(address, timeout=PREFLIGHT_SECONDS).close()
    except urllib.error.HTTPError as error:
        error.close()  # it is an answer too, with its connection
        if error.code in (502, 503, 504):
            raise
    except urllib.error.URLError as error:
        # Certificates are MLflow's affair: it has its own settings for them.
        if not isinstance(error.reason, ssl.SSLError):
            raise


def _look_at_file(uri: str) -> None:
    """A sqlite file that is there must be one; a new one needs a folder to be made in."""
    file = Path(uri.partition(":///")[2].partition("?")[0]).absolute()
    if file.is_file():
        with file.open("rb") as stream:
            if stream.read(16) not in (b"", b"SQLite format 3\0"):
                raise OSError(f"{file} is not a sqlite database")
    nearest = next(path for path in (file, *file.parents) if path.exists())
    if nearest != file and not nearest.is_dir():
        raise OSError(f"{nearest} is not a folder")
    if not os.access(nearest, os.W_OK):
        raise OSError(f"{nearest} cannot be written to")
