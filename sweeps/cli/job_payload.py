"""What a job takes to the cluster: this project, a spec, and packages of the user."""

from __future__ import annotations

import copy
import importlib.metadata
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backdoor.errors import Mistake
from sweeps.addresses import hidden
from sweeps.cli.console import say

if TYPE_CHECKING:
    from backdoor.settings.sent_package import Package
    from cluster.payload import Payload

#: Import packages of this project; they lie in one folder, installed or not.
PACKAGES = ("backdoor", "sweeps", "cluster", "dashboards")
ROOT = Path(__file__).resolve().parents[2]
#: Where a spec has the password of its tracking store.
NOT_SENT = (
    "note: the password of tracking.uri is not sent. Set MLFLOW_TRACKING_URI to the whole address "
    "where the head of the cluster is started."
)


def payload(spec: str | None = None, users: Sequence[Package] = ()) -> Payload:
    """This project's packages, from this machine, and those of the user."""
    from cluster.payload import Payload

    try:
        version = importlib.metadata.version("backdoor-sweeps")
    except importlib.metadata.PackageNotFoundError:
        version = ""
    return Payload({name: ROOT / name for name in PACKAGES}, version, spec, users)


def read_for_cluster(source: str, changes: list[str]) -> tuple[str, str]:
    """A spec's name and text, checked as far as possible without its data, which lie there. A
    password of its tracking store stays here: whoever may look at the cluster sees its jobs."""
    from sweeps.results.tracking import holds_secrets, without_secrets
    from sweeps.space.yaml_loader import dump_yaml
    from sweeps.spec import parse_spec, read_document

    document, mistakes = read_document(source, changes)
    if holds_secrets(document):
        say(NOT_SENT)
    text = dump_yaml(without_secrets(document))
    root = _given(document, "data", "root")
    if isinstance(root, str) and not root.startswith(("/", "~/")):
        rule = "must be an absolute path on the cluster, or begin with ~/"
        mistakes.append(Mistake("data.root", rule, root, "The data are read over there."))
    tracking = document.get("tracking")
    uri = tracking if isinstance(tracking, str) else _given(document, "tracking", "uri")
    if isinstance(uri, str) and uri.startswith("sqlite:///") and not uri.startswith("sqlite:////"):
        remedy = "Leave it out: then the store is in the results folder."
        mistakes.append(
            Mistake("tracking.uri", "must be absolute on a cluster", hidden(uri), remedy)
        )
    given = copy.deepcopy(document)
    spec = parse_spec(given, mistakes, against_data=False, names_later=True)
    return spec.name, text


def _given(document: dict[str, Any], section: str, key: str) -> Any:
    given = document.get(section)
    return given.get(key) if isinstance(given, dict) else None
