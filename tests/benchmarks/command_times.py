"""Seconds that commands take as whole processes, and the modules they load.

    python tests/benchmarks/command_times.py FOLDER [--against CHECKOUT] [--runs N] [--json FILE]

FOLDER is a results folder, of which copies are used: it is left as it is. With `--against` every
run here is followed by one of that checkout, so that both meet the same machine. A folder of a
former release lacks what spares `region` and `report` the spec, and so torch.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from figures import record, revision

ROOT = Path(__file__).resolve().parents[2]
#: Of each command; DIR is the results folder, TRIAL one of its trials, NEW a file to write.
COMMANDS = (
    "--help",
    "list specs",
    "list panels",
    "init NEW",
    "status DIR",
    "show DIR TRIAL",
    "export DIR --csv NEW",
    "region DIR",
    "report DIR",
)
#: Runs a command and says last, on stderr, what it has loaded, and from where.
COUNTING = """
import json, sys
import sweeps
from sweeps.cli.main import main
try:
    main(sys.argv[1:])
except SystemExit:
    pass
found = {"modules": len(sys.modules), "torch": "torch" in sys.modules, "from": sweeps.__file__}
print(json.dumps(found), file=sys.stderr)
"""


@dataclass(frozen=True)
class Row:
    """A command in one checkout. seconds: of each run; modules: loaded when it ends."""

    command: str
    tree: str
    seconds: tuple[float, ...]
    modules: int
    torch: bool

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)


class Tree:
    """A checkout with a copy of the results folder of its own."""

    def __init__(self, name: str, root: Path, folder: Path, scratch: Path) -> None:
        self.name, self.root = name, root.resolve()
        self.folder, self.scratch = scratch / name / folder.name, scratch / name
        shutil.copytree(folder, self.folder)
        self.trial = self._trial()

    def _trial(self) -> str:
        table = self.scratch / "trials.csv"
        self._run(["-m", "sweeps.cli", "export", str(self.folder), "--csv", str(table)])
        head, first = table.read_text(encoding="utf-8").splitlines()[:2]
        return first.split(",")[head.split(",").index('"trial_id"')].strip('"')

    def _run(self, python: Sequence[str]) -> subprocess.CompletedProcess[str]:
        paths = {"PYTHONPATH": str(self.root), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        argv = [sys.executable, *python]
        # Python looks for packages in the working directory first.
        run = subprocess.run(
            argv, env=os.environ | paths, cwd=self.scratch, capture_output=True, text=True
        )
        if run.returncode != 0:
            raise SystemExit(f"{self.name}: {' '.join(argv)}\n{run.stderr}")
        return run

    def argv(self, command: str) -> list[str]:
        """The words of a command; the file that it writes is not there yet."""
        new = self.scratch / "new"
        new.unlink(missing_ok=True)
        stand_ins = {"DIR": str(self.folder), "TRIAL": self.trial, "NEW": str(new)}
        return [stand_ins.get(word, word) for word in command.split()]

    def loaded(self, command: str) -> tuple[int, bool]:
        """How many modules a command loads, and whether torch is one of them."""
        run = self._run(["-c", COUNTING, *self.argv(command)])
        found = json.loads(run.stderr.splitlines()[-1])
        if not Path(found["from"]).is_relative_to(self.root):
            raise SystemExit(f"{self.name}: took {found['from']} instead of {self.root}")
        return found["modules"], found["torch"]

    def seconds(self, command: str) -> float:
        """Of the whole process."""
        argv = self.argv(command)
        begun = time.perf_counter()
        self._run(["-m", "sweeps.cli", *argv])
        return time.perf_counter() - begun


def measured(trees: Sequence[Tree], command: str, runs: int) -> list[Row]:
    """A row a tree, whose runs alternate; the run that counts modules is the warm-up."""
    loaded = [tree.loaded(command) for tree in trees]
    taken = [[tree.seconds(command) for tree in trees] for _ in range(runs)]
    by_tree = zip(trees, zip(*taken, strict=True), loaded, strict=True)
    return [Row(command, tree.name, seconds, *found) for tree, seconds, found in by_tree]


def table(rows: Sequence[Sequence[Row]]) -> str:
    """One line a command: median seconds, modules and torch of each tree, the first one last."""
    names = [row.tree for row in reversed(rows[0])]
    lines = [["command", *(f"{name}: s, modules" for name in names), "ratio"]]
    for of_command in rows:
        cells = [
            f"{row.median:.2f}  {row.modules}{' with torch' if row.torch else ''}"
            for row in reversed(of_command)
        ]
        ratio = f"{of_command[-1].median / of_command[0].median:.1f}" if len(names) > 1 else ""
        lines.append([of_command[0].command, *cells, ratio])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def kept(rows: Sequence[Sequence[Row]], against: Path | None) -> None:
    """Writes the figures into the file that the make target names, the other checkout's beside."""
    by_name = [
        {"command": of_command[0].command}
        | {
            f"{row.tree}: {what}": value
            for row in reversed(of_command)
            for what, value in (("s", row.median), ("torch", "yes" if row.torch else "no"))
        }
        for of_command in rows
    ]
    note = f"Before: revision {revision(against)}, in the same run." if against else ""
    command = "make bench-commands RESULTS=DIR" + (" AGAINST=DIR" if against else "")
    record("commands", command, by_name, note)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="a results folder")
    parser.add_argument("--against", type=Path, metavar="CHECKOUT", help="compare with this one")
    parser.add_argument("--runs", type=int, default=5, help="of each command; default 5")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    args = parser.parse_args()
    checkouts = {"here": ROOT} | ({"before": args.against} if args.against else {})
    with tempfile.TemporaryDirectory() as scratch:
        places = checkouts.items()
        trees = [Tree(name, root, args.folder, Path(scratch)) for name, root in places]
        rows = [measured(trees, command, args.runs) for command in COMMANDS]
    print(table(rows))
    kept(rows, args.against)
    if args.json:
        figures = [asdict(row) | {"median": row.median} for of in rows for row in of]
        args.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
