"""The authors' result files: one CSV for each learner, pair of classes and trigger, one row for each training."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from pathlib import Path

from backdoor.errors import Mistake, UserError

NAME = re.compile(r"(?P<set>[a-z0-9]+)_(?P<learner>svm|svm-rbf|logistic|ridge)"
                  r"_pair(?P<pair>\d-\d)_ttype(?P<trigger>[a-z0-9]+)_tsize(?P<size>\d+|None)\.csv")  # fmt: skip
FORM = "{set}_{svm|svm-rbf|logistic|ridge}_pair{a}-{b}_ttype{type}_tsize{n}.csv"

#: Columns: what we call a figure → its name in the files.
CLEAN, BACKDOOR = "clfp_acc", "clfp_acc_on_backdoor"
INFLUENCE = "avg_I_poison_train_triggered_test_clf"
COLUMNS = ("seed", "gamma", "c", CLEAN, BACKDOOR, INFLUENCE)

#: What stands for an influence that could not be computed, and for the gamma of a linear learner.
NO_INFLUENCE, NO_GAMMA = 9999.0, -1.0


@dataclass(frozen=True)
class Training:
    """One row: the accuracy of the poisoned model on clean and on triggered test images.

    influence: their mean influence of a poisoned image on the loss of a triggered one; NaN where
    it could not be computed.
    """

    seed: int
    gamma: float | None
    c: float
    clean: float
    backdoor: float
    influence: float

    @property
    def cell(self):
        return self.gamma, self.c


@dataclass(frozen=True)
class RecordedFile:
    path: Path
    data: str
    learner: str
    pair: tuple[int, int]
    trigger: str
    size: int | None
    rows: tuple[Training, ...]


def read_folder(folder):
    """All its CSV files, by name; a `UserError` with every mistake of every file."""
    if not folder.is_dir():
        raise UserError(Mistake("RECORDED", "must be a folder", str(folder), "Check the path."))
    files, mistakes = [], []
    for path in sorted(folder.glob("*.csv")):
        try:
            files.append(read(path))
        except UserError as error:
            mistakes += error.mistakes
    if not files and not mistakes:
        mistakes.append(Mistake("RECORDED", f"must hold files named {FORM}", str(folder), "Check the path."))  # fmt: skip
    if mistakes:
        raise UserError(mistakes)
    return files


def read(path):
    """One file; a `UserError` where its name or a column is not as in the authors' repository."""
    found = NAME.fullmatch(path.name)
    if found is None:
        raise UserError(Mistake("RECORDED", f"must hold only files named {FORM}", path.name, "Rename the file, or take it out of the folder."))  # fmt: skip
    with open(path, newline="", encoding="utf-8") as file:
        table = list(csv.DictReader(file))
    if not table:
        raise UserError(Mistake(path.name, "must have rows", 0, "Fetch the file again."))
    if lacking := [name for name in COLUMNS if name not in table[0]]:
        raise UserError(Mistake(path.name, f"must have the columns {', '.join(COLUMNS)}", sorted(table[0]), f"Add {', '.join(lacking)}."))  # fmt: skip
    rows = tuple(_training(path, number, row) for number, row in enumerate(table, 2))
    if len({(row.cell, row.seed) for row in rows}) < len(rows):
        raise UserError(Mistake(path.name, "must have each seed once in a cell", len(rows), "Remove the repeated rows."))  # fmt: skip
    a, b = found["pair"].split("-")
    size = None if found["size"] == "None" else int(found["size"])
    return RecordedFile(path, found["set"], found["learner"], (int(a), int(b)), found["trigger"], size, rows)  # fmt: skip


def _training(path, number, row):
    try:
        seed, gamma, c, clean, backdoor, influence = (float(row[name]) for name in COLUMNS)
        if not (c > 0 and seed == int(seed) and 0 <= clean <= 1 and 0 <= backdoor <= 1):
            raise ValueError
    except (TypeError, ValueError):
        given = [row[name] for name in COLUMNS]
        raise UserError(Mistake(f"{path.name}, line {number}", "must hold a seed, a gamma, C > 0, two accuracies in [0, 1] and an influence", given, "Fetch the file again.")) from None  # fmt: skip
    known = float("nan") if influence == NO_INFLUENCE else influence
    return Training(int(seed), None if gamma == NO_GAMMA else gamma, c, clean, backdoor, known)
