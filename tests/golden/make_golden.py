"""Makes the golden files: what commit 5634bd7 answers, which later code has to answer as well.

Run it with the packages as they were in that commit, on one thread, from the repository's root:

    git worktree add --detach ../golden-again COMMIT     # one whose packages are those of 5634bd7
    cd ../golden-again
    OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 PYTHONPATH=. python tests/golden/make_golden.py

It refuses other packages, since a record of changed code would prove nothing; `--anyway` makes one
all the same, for looking at. It takes a minute and trains about 350 small models.

--out DIR: where to write, by default the folder of this file, whose files are then replaced.
--only NAME ...: some of ids, counts, searches, words, folders and mirror; by default all.

Every file holds the commit and, where floating point matters, the machine that it was made on:
see `golden_answers.signature`. The questions are in `golden_cases`, the ways in `golden_answers`,
and `test_golden` compares.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
COMMIT = "5634bd7"
PACKAGES = ("backdoor", "sweeps", "dashboards", "cluster")


def commit() -> str:
    """The whole hash of the commit whose packages these are; "" where they are others."""
    same = subprocess.run(["git", "diff", "--quiet", COMMIT, "--", *PACKAGES], cwd=HERE.parents[1])
    if same.returncode:
        return ""
    words = ["git", "rev-parse", COMMIT]
    return subprocess.run(words, cwd=HERE, capture_output=True, text=True).stdout.strip()


def main() -> None:
    """Reads the command line and writes what it asks for."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--out", type=Path, default=HERE, metavar="DIR")
    parser.add_argument("--only", nargs="+", default=list(PARTS), choices=list(PARTS))
    parser.add_argument("--anyway", action="store_true", help="whatever the packages are")
    args = parser.parse_args()
    made = commit()
    if not made and not args.anyway:
        sys.exit(f"error: {', '.join(PACKAGES)} must be those of commit {COMMIT}")
    sys.path.insert(0, str(HERE))
    import golden_answers as answers

    with tempfile.TemporaryDirectory() as scratch, answers.steady():
        os.environ["BACKDOOR_CACHE"] = str(Path(scratch) / "cache")
        maker = Maker(args.out.resolve(), Path(scratch), {"commit": made or "another one"})
        for name in PARTS:
            if name in args.only:
                PARTS[name](maker)
                print(f"{name}: written to {args.out}")


class Maker:
    """Writes golden files to `out`; each begins with `head`."""

    def __init__(self, out: Path, scratch: Path, head: dict[str, Any]) -> None:
        import golden_answers as answers

        self.out, self.scratch, self.head = out, scratch, head
        self.files = answers.make_files(scratch / "files")
        self.machine = answers.signature()

    def write(self, name: str, value: Any) -> None:
        """A file of answers, with the commit and the machine."""
        from golden_answers import write_golden

        write_golden(
            self.out / f"{name}.json.xz", {**self.head, "machine": self.machine, "answers": value}
        )

    def ids(self) -> None:
        """Ids and canonical forms."""
        import golden_answers as answers

        self.write(
            "ids",
            {
                "cases": answers.identities(self.files),
                "probes": answers.probe_identities(),
                "bundled": answers.bundled(),
            },
        )

    def counts(self) -> None:
        """Small trainings."""
        import golden_answers as answers
        from golden_cases import COUNTED

        found = {
            name: answers.counts(name, self.files, self.scratch / "counts" / name)
            for name in COUNTED
        }
        self.write("counts", found)

    def searches(self) -> None:
        """Proposals of searches."""
        import golden_answers as answers
        from golden_cases import SEARCHES

        found = {name: answers.proposals(name) for name in SEARCHES}
        self.write("searches", {"proposals": found, "sampler": answers.sampler_proposals()})

    def words(self) -> None:
        """Help, lists and checks."""
        import golden_answers as answers

        python = ".".join(map(str, sys.version_info[:2]))
        self.write("words", {"python": python, "texts": answers.words()})

    def folders(self) -> None:
        """Results folders, and what is said of each."""
        import golden_answers as answers
        from golden_cases import FOLDERS, KEPT

        shutil.rmtree(self.out / "folders", ignore_errors=True)
        found = {}
        for name, given in FOLDERS.items():
            made = self.scratch / "made" / name
            ran = answers.run_answers(given, self.scratch / "untracked" / name)
            answers.run_answers(given, made, tracked=True)
            answers.make_reproducible(made)
            whole = self.scratch / "whole" / name
            shutil.copytree(made, whole)
            if name in KEPT:
                answers.make_reproducible(made, KEPT[name])
            shutil.copytree(made, self.out / "folders" / name)
            found[name] = self.folder(name, ran, whole)
        self.write("folders", found)

    def folder(self, name: str, ran: Any, whole: Path) -> dict[str, Any]:
        """What is said of one folder. whole: the same one, had it not been interrupted."""
        import golden_answers as answers
        from golden_cases import KEPT

        def copy(use: str) -> Path:
            return answers.opened(name, self.scratch / use / name, self.out / "folders")

        # The results lie in the folder itself, or where it was resumed, and so does the region.
        kept = {key: value for key, value in ran.items() if key not in ("results", "region")}
        found = {"run": kept, "record": answers.record_answers(copy("record"))}
        read = copy("read")
        found |= answers.region_answers(read)
        found["report"] = answers.report_answers(read)
        found["subjects"] = answers.subject_answers(read)
        if name in KEPT:  # others are told to train nothing and say what they said
            shutil.copytree(whole, place := self.scratch / "resumed" / name)
            found["resumed"] = answers.resume_answers(answers.untracked(place))
        if name in answers.VERIFIED:
            found["verified"] = answers.verify_answers(name, copy("verified"))
        if name == "tpe":
            found["trained"] = answers.train_answers(copy("trained"))
        return found

    def mirror(self) -> None:
        """Runs in a store of MLflow."""
        import golden_answers as answers
        from golden_cases import MIRRORED

        found = {}
        for name in MIRRORED:
            place = answers.opened(name, self.scratch / "mirrored" / name, self.out / "folders")
            found[name] = answers.mirrored(place, self.scratch / "mlflow.db")
        self.write("mirror", found)


PARTS = {
    "ids": Maker.ids,
    "counts": Maker.counts,
    "searches": Maker.searches,
    "words": Maker.words,
    "folders": Maker.folders,
    "mirror": Maker.mirror,
}

if __name__ == "__main__":
    main()
