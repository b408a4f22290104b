"""Changing the probes of a sweep that has begun: the one part of its spec that may change.

A probe is no part of a trial's identity, so that nothing recorded becomes wrong. Models are not
kept: trials without a result of a probe are trained again for it, and their rows stay as they are.
"""

from __future__ import annotations

from pathlib import Path

from backdoor.errors import Mistake
from sweeps.results.asked import present_text
from sweeps.results.tracking import written
from sweeps.space.yaml_loader import load_yaml
from sweeps.spec import RecordedClasses, parse_spec
from sweeps.storage.files import write_atomic, write_json
from sweeps.storage.paths import open_results, read_sweep


def ask_probes(folder: Path | str, text: str) -> None:
    """Replaces `probes` in the folder's spec by this YAML, once it is checked against the data. For
    who holds the folder's lock.

    Results of probes that are no longer named stay in the ledger.

    Raises:
        UserError: a probe is wrong.
    """
    paths, mistakes = open_results(folder), list[Mistake]()
    sweep = read_sweep(paths)
    document = load_yaml(present_text(paths, sweep), mistakes.append, str(paths.spec))
    document["probes"] = load_yaml(text, mistakes.append, "--probes")
    spec = parse_spec(document, mistakes, begun=RecordedClasses.of(sweep))
    if "specs" in sweep:
        sweep["specs"][-1]["yaml"] = written(spec)
        write_json(paths.sweep, sweep)
    write_atomic(paths.spec, written(spec).encode(), follow=False)
