"""What a request runs there: `python -m cluster.on_head pack FOLDER | nodes ... | lacks ...`

The answer goes to stdout in an envelope; `cannot: REASON` and exit 1 where there is none.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import tarfile
import tempfile
import time
from pathlib import Path
from typing import IO, Any

from cluster.envelope import write_envelope

#: Most bytes of a packed results folder that go through a job's log, which is read as a whole.
MOST = 512 * 2**20
#: Attempts at an archive during which no file appeared or vanished, and seconds between them.
ATTEMPTS, PAUSE = 20, 0.5


class CannotAnswer(Exception):  # noqa: N818  (it is printed as a line of text)
    """Says why in one line."""


def results_files(root: Path) -> list[str]:
    """Files of a results folder that are copied, relative, sorted.

    Not the lock, nor unfinished files, nor MLflow's database: it cannot be copied while it is
    written, and `sweeps mirror` makes it again from the ledger.
    """
    found = []
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            path = Path(folder, name)
            copied = not name.startswith((".", "mlflow.db")) and path.is_file()
            if copied and not path.is_symlink():
                found.append(str(path.relative_to(root)))
    return sorted(found)


def pack(root: Path, stream: IO[bytes]) -> None:
    """Writes the folder as tar.gz, as it is at one moment, also while its sweep runs.

    The ledger's files are written whole, and compacted into one before the old ones are removed: if
    the list of files is the same before and after reading, nothing was missed.
    """
    if not (root / "sweep.json").is_file():
        raise CannotAnswer(f"{root} on the cluster is not the results folder of a sweep")
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(PAUSE)
        stream.seek(0)
        stream.truncate()
        files = results_files(root)
        try:
            _archive(root, files, stream)
        except FileNotFoundError:
            continue
        if results_files(root) == files:
            return
    raise CannotAnswer(f"{root} changes faster than it can be read; stop the job first")


def _archive(root: Path, files: list[str], stream: IO[bytes]) -> None:
    with tarfile.open(fileobj=stream, mode="w:gz", compresslevel=3) as archive:
        for name in files:
            with (root / name).open("rb") as content:
                info = archive.gettarinfo(arcname=name, fileobj=content)
                info.uid = info.gid = 0
                info.uname = info.gname = ""
                archive.addfile(info, content)
            if stream.tell() > MOST:
                rule = f"more than {MOST // 2**20} MB go through no log; copy {root} in another way"
                raise CannotAnswer(rule)


def nodes(request: dict[str, Any]) -> dict[str, Any]:
    """The facts of every node that is alive, by its address; an error where one does not answer."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    from cluster.facts import gather

    ray.init(log_to_driver=False, logging_level="error")
    ask = ray.remote(num_cpus=0, max_retries=0)(gather)
    asked = {}
    for node in ray.nodes():
        if node["Alive"]:
            here = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            head = "node:__internal_head__" in node["Resources"]
            name = f"{node['NodeManagerAddress']}{' (head)' if head else ''}"
            asked[name] = ask.options(scheduling_strategy=here).remote(request, head)
    ready, _ = ray.wait(list(asked.values()), num_returns=len(asked), timeout=60)
    answers: dict[str, Any] = {}
    for name, reference in asked.items():
        try:
            answers[name] = ray.get(reference) if reference in ready else {"error": "no answer"}
        except ray.exceptions.RayError as error:
            answers[name] = {"error": str(error).splitlines()[0]}
    ray.shutdown()
    return answers


def lacking(modules: list[str]) -> list[str]:
    """Those of these top-level modules that Python finds nowhere; none is imported."""
    return [name for name in modules if importlib.util.find_spec(name) is None]


def main(arguments: list[str]) -> int:
    """Answers one request."""
    what, given = arguments
    with tempfile.TemporaryFile() as stream:
        try:
            if what == "pack":
                pack(Path(given), stream)
            elif what == "lacks":
                stream.write(json.dumps(lacking(json.loads(given))).encode())
            else:
                stream.write(json.dumps(nodes(json.loads(given))).encode())
        except (CannotAnswer, OSError) as error:
            print(f"cannot: {error}", flush=True)
            return 1
        stream.seek(0)
        write_envelope(stream, sys.stdout.buffer)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
