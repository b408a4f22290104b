"""Where a sweep is mirrored to: what its files say of that, without secrets."""

from __future__ import annotations

import copy
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweeps.addresses import hidden, same_store, scrubbed, secrets_of
from sweeps.records.sweep_file import TrackingEntry
from sweeps.storage.paths import SweepPaths
from sweeps.storage.sqlite_address import sqlite_uri
from sweeps.storage.tracking_uri import environment_uri, whole_uri

if TYPE_CHECKING:  # looking at results loads no torch
    from sweeps.spec import SweepSpec


def tracking_uri(spec: SweepSpec, paths: SweepPaths) -> str | None:
    """The spec's tracking store, else $MLFLOW_TRACKING_URI, else sqlite in the results folder;
    with its secret. None where tracking is off.

    Raises:
        UserError: the variable holds no address, or the secret of the address is missing.
    """
    if spec.tracking is None:
        return None
    uri = spec.tracking.uri or environment_uri()
    if uri is None:
        return sqlite_uri(paths.own_store)
    scheme, separator, path = uri.partition(":///")
    relative = scheme == "sqlite" and separator and not path.startswith("/")
    return _absolute(path) if relative else whole_uri(uri)


def check_tracking(spec: SweepSpec) -> None:
    """Refuses what `tracking_uri` refuses; nothing is connected or written."""
    tracking_uri(spec, SweepPaths(Path("results") / spec.name))


def _absolute(path: str) -> str:
    """A sqlite address from its part after `:///`, which is encoded where that is needed, while
    the name of the working folder is not."""
    name, mark, query = path.partition("?")
    return f"{sqlite_uri(Path.cwd())}/{os.path.normpath(name)}{mark}{query}"


def tracking_entry(spec: SweepSpec, paths: SweepPaths) -> TrackingEntry:
    """What sweep.json says of it. `UserError` as `tracking_uri`."""
    uri = tracking_uri(spec, paths)
    runs = "trial" if spec.tracking is None else spec.tracking.runs
    return {"uri": None if uri is None else hidden(uri), "runs": runs}


def without_secrets(document: Mapping[str, Any]) -> dict[str, Any]:
    """A spec's plain values as they may be written, a copy: the address is without its secret."""
    kept = copy.deepcopy(dict(document))
    tracking = kept.get("tracking")
    if isinstance(tracking, str):
        kept["tracking"] = hidden(tracking)
    elif isinstance(tracking, dict) and isinstance(tracking.get("uri"), str):
        tracking["uri"] = hidden(tracking["uri"])
    return kept


def written(spec: SweepSpec) -> str:
    """A spec as spec.yaml has it."""
    return replace(spec, document=without_secrets(spec.document)).to_yaml()


def holds_secrets(document: Mapping[str, Any]) -> bool:
    """Whether a spec's plain values hold a secret, as those of earlier releases may."""
    return bool(secrets_of(_uri(document) or ""))


def same_tracking(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two specs, as plain values, mirror to the same store in the same way, whether or not
    they hold its secret."""
    first, second = _uri(one), _uri(other)
    alike = same_store(first, second) if first and second else first == second
    return alike and _rest(one) == _rest(other)


def command_without_secrets(argv: Sequence[str], document: Mapping[str, Any]) -> list[str]:
    """A command line as it may be written. document: of the spec that it changed, secrets
    included."""
    uri = _uri(document)
    found = [scrubbed(word, [uri] if uri else []) for word in argv]
    if uri is None or not secrets_of(uri):
        return found
    # YAML has many ways to write a text, quotes and escapes among them.
    plain = f"tracking.uri={hidden(uri)}"
    return [re.sub(r"(?s)^(--set=)?tracking(\.uri)?\s*=.*$", rf"\g<1>{plain}", w) for w in found]


def is_private(uri: str | None) -> bool:
    """Whether files that name this store are for their owner only: it is a server, whose address
    says who may enter."""
    return bool(uri) and not str(uri).startswith("sqlite")


def _uri(document: Mapping[str, Any]) -> str | None:
    tracking = document.get("tracking")
    uri = tracking.get("uri") if isinstance(tracking, dict) else tracking
    return uri if isinstance(uri, str) and uri.lower() != "none" else None


def _rest(document: Mapping[str, Any]) -> object:
    """The other settings of `tracking`; None where it is off."""
    tracking = document.get("tracking", {})
    if tracking in (None, False, "none", "None"):
        return None
    given = tracking if isinstance(tracking, dict) else {}
    kept = {key: value for key, value in given.items() if key != "uri" and value is not None}
    return {"runs": "trial"} | kept
