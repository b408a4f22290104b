"""Where MLflow's store is, whether it is there, and what opens its pages."""

from __future__ import annotations

import http.client
import os
import shlex
import socket
import ssl
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from backdoor.errors import BackdoorSweepsError, Mistake, UserError
from sweeps.addresses import hidden, same_store, scrubbed, secrets_of
from sweeps.records.sweep_file import SweepFile
from sweeps.storage.environment import variable
from sweeps.storage.paths import SweepPaths
from sweeps.storage.shell import command
from sweeps.storage.sqlite_address import former_address, is_plain, sqlite_file, sqlite_uri
from sweeps.storage.tracking_uri import VARIABLE, broken_rule, whole_uri

#: Seconds that a server may take to show that it is there.
PREFLIGHT_SECONDS = 3.0
_DATABASE_PORTS = {"postgresql": 5432, "mysql": 3306, "mssql": 1433}


#: What stands around the address of a store that cannot be used.
UNUSABLE = ("MLflow's store", "cannot be used")


class TrackingUnreachable(BackdoorSweepsError):  # noqa: N818  (a state of the store)
    """MLflow's store cannot be reached or used. remedy: sentences, for people."""

    def __init__(self, uri: str, reason: str, remedy: str = "") -> None:
        self.uri, self.reason = hidden(uri), one_line(scrubbed(reason, [uri]))
        self.remedy = remedy
        told = f"{UNUSABLE[0]} {self.uri} {UNUSABLE[1]}: {self.reason}"
        super().__init__(f"{told.rstrip('.')}. {remedy}" if remedy else told)

    def __reduce__(self) -> tuple[type[TrackingUnreachable], tuple[str, str, str]]:
        return type(self), (self.uri, self.reason, self.remedy)


def elsewhere(paths: SweepPaths) -> str:
    """The command that sends a sweep's runs to another store."""
    return command("sweeps", "mirror", paths.root, "--uri", "sqlite:///FILE")


def other_store(sweep: SweepFile, paths: SweepPaths) -> str | None:
    """What to know where $MLFLOW_TRACKING_URI names another store than the sweep was begun with:
    it has no effect any more. None where it is not set, or is no address of a store."""
    given = variable(VARIABLE)
    if not given or broken_rule(given) is not None or not sweep["tracking"].get("uri"):
        return None
    stored = store_uri(sweep, paths)
    file = sqlite_file(given)
    if same_store(given, stored) or (file is not None and file == sqlite_file(stored)):
        return None
    there = command("sweeps", "mirror", paths.root, "--uri", hidden(given))
    return (
        f"{VARIABLE} names {hidden(given)}, but the first run of this sweep fixed its store: "
        f"{hidden(stored)}. The variable has no effect; to send there as well: {there}"
    )


def store_uri(sweep: SweepFile, paths: SweepPaths) -> str:
    """The store that a sweep (sweep.json) was begun with, as it is stored; `UserError` where it has
    none."""
    uri = tracking.get("uri") if (tracking := sweep.get("tracking")) else None
    if not uri:
        rule = "must name MLflow's tracking store: the sweep ran with tracking off"
        raise UserError(Mistake("--uri", rule, None, "For example --uri sqlite:///mlflow.db."))
    own = paths.own_store
    return sqlite_uri(own) if former_address(uri, own) else uri


def tracking_uri(sweep: SweepFile, paths: SweepPaths) -> str:
    """The store that a sweep (sweep.json) was begun with, with the secret of its address.

    Raises:
        UserError: it has none, or the environment lacks the secret.
    """
    return whole_uri(store_uri(sweep, paths))


def tracking_warnings(sweep: SweepFile, paths: SweepPaths, uri: str | None) -> Iterator[str]:
    """What to know before a sweep is mirrored. uri: that of its spec, if it has one."""
    stored = sweep["tracking"]["uri"]
    if stored and secrets_of(f"{stored}"):
        yield (
            f"{paths.sweep} holds the password of {hidden(stored)}, as earlier releases wrote it. "
            "It works; change the password, or pass the folder on to nobody."
        )
    if note := moved_store(sweep, paths):
        yield note
    # The first run says itself where its runs go.
    if any(paths.ledger.glob("*.parquet")) and (note := other_store(sweep, paths)):
        yield note
    if stored and not (uri and secrets_of(uri)):
        try:
            whole_uri(stored)
        except UserError as error:
            yield f"results will not be in MLflow. {error}"


def moved_store(sweep: SweepFile, paths: SweepPaths) -> str | None:
    """What to know where an earlier release wrote MLflow's runs of this sweep to another file than
    that of its folder, since the path holds `?` or `%`; None elsewhere."""
    uri = tracking.get("uri") if (tracking := sweep.get("tracking")) else None
    before = sqlite_file(uri) if uri and former_address(uri, paths.own_store) else None
    if before is None or not before.is_file():
        return None
    return (
        f"an earlier release wrote MLflow's runs to {before}; they are written to {paths.mlflow} "
        "now. The old file is left as it is."
    )


def ui_command(uri: str) -> str:
    """What opens the store's pages: a command to copy, or the address of a server."""
    if uri.startswith(("http://", "https://")):
        return hidden(uri)
    file = sqlite_file(uri)
    if file is None or is_plain(uri):
        return command("mlflow", "ui", "--backend-store-uri", hidden(uri))
    # MLflow would make a folder of the path as it is written in the address.
    line = command("mlflow", "ui", "--backend-store-uri", sqlite_uri(Path("/") / file.name))
    return f"cd {shlex.quote(str(file.parent))} && {line.replace('sqlite:////', 'sqlite:///')}"


def shown(uri: str) -> str:
    """`uri` as it may be printed: without its password."""
    return hidden(uri)


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
    if (file := sqlite_file(uri)) is None:
        return
    if file.is_file():
        with file.open("rb") as stream:
            if stream.read(16) not in (b"", b"SQLite format 3\0"):
                raise OSError(f"{file} is not a sqlite database")
    nearest = next(path for path in (file, *file.parents) if path.exists())
    if nearest != file and not nearest.is_dir():
        raise OSError(f"{nearest} is not a folder")
    if not os.access(nearest, os.W_OK):
        raise OSError(f"{nearest} cannot be written to")


def refuse_linked_store(uri: str, paths: SweepPaths) -> None:
    """`TrackingUnreachable` where the file of the folder itself is a link: whoever made the folder
    may have pointed it at a file of yours."""
    if sqlite_file(uri) == paths.own_store and paths.own_store.is_symlink():
        raise TrackingUnreachable(uri, f"{paths.mlflow} must not be a link. Remove the link")
