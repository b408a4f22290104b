"""make reproduce: reading recorded files, comparing tables, and the whole of it on made-up digits."""

import csv
import json
import math
import struct
import sys

import numpy as np
import pytest
import reproduce
from curves.compare import cell_means, compare, first_crossing
from curves.files import COLUMNS, read_folder
from curves.table import BEGIN, END, write_between
from curves.thetas import correlation
from sklearn.linear_model import RidgeClassifier

from backdoor.errors import UserError

NAME = "mnist_{}_pair7-1_ttypebadnet_tsize3.csv"
C = [1e-4, 1e-2, 1.0]


# --- comparing ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("y", "where"),
    [([0.1, 0.3, 0.7, 0.9], 1.5), ([0.6, 0.4, 0.9, 1], 0), ([0.1, 0.2, 0.3, 0.4], None),
     ([0.1, 0.9, 0.2, 0.9], 0.5), ([0.1, 0.5, 0.9, 0.9], 1), ([0.4, 0.45, 0.49, 0.5], 3)],
)  # fmt: skip
def test_the_first_crossing_is_interpolated(y, where) -> None:
    found = first_crossing([0.0, 1.0, 2.0, 3.0], y)
    assert found == (None if where is None else pytest.approx(where))


def tables(values, gamma=None):
    return {(gamma, c): value for c, value in zip((1e-2, 1e-1, 1, 10), values, strict=True)}


CLEAN = tables([0.9, 0.95, 0.97, 0.98])
RISING = tables([0, 0.2, 0.6, 1])


def test_equal_tables_agree() -> None:
    found = compare(CLEAN, RISING, CLEAN, RISING)
    assert (found.cells, found.clean, found.backdoor, found.misses) == (4, 0, 0, [])


@pytest.mark.parametrize(
    ("clean", "backdoor", "misses"),
    [
        (0.0199, 0.0349, []),
        (0.0201, 0.0, ["clean accuracy"]),
        (0.0, 0.0351, ["backdoor accuracy"]),
    ],
)
def test_each_bound_is_held_by_itself(clean, backdoor, misses) -> None:
    """A shift of either sign; the crossing moves by less than a step."""
    for sign in (1, -1):
        ours = {cell: value - sign * clean for cell, value in CLEAN.items()}
        other = {cell: value + sign * backdoor for cell, value in RISING.items()}
        assert compare(CLEAN, RISING, ours, other).misses == misses


@pytest.mark.parametrize(
    ("theirs", "ours", "steps"),
    [
        ([0, 0, 0.499, 0.501], [0, 0.496, 0.501, 0.501], 0.7),
        ([0, 0.49, 0.51, 0.51], [0.49, 0.512, 0.512, 0.512], 1.05),
        ([0.1, 0.2, 0.3, 0.4], [0.1, 0.2, 0.3, 0.4], 0.0),
        ([0, 0, 0, 0.49], [0, 0, 0, 0.51], math.inf),
        ([0, 0, 0.4, 0.6], [0.4, 0.6, 0.6, 0.6], 2.0),
    ],
)
def test_crossings_are_compared_in_steps_of_the_grid(theirs, ours, steps) -> None:
    found = compare(CLEAN, tables(theirs), CLEAN, tables(ours))
    assert found.most_steps == pytest.approx(steps, abs=0.01)
    assert ("crossing" in found.misses) == (steps > 1)
    json.dumps(found.plain(), allow_nan=False)


def test_each_gamma_has_its_own_crossing() -> None:
    theirs = {**tables([0, 0, 0, 0], 0.1), **tables([0, 0.2, 0.6, 1], 0.2)}
    ours = {**tables([0, 0, 0, 0], 0.1), **tables([0, 0, 0.02, 0.02], 0.2)}
    found = compare(dict.fromkeys(theirs, 1.0), theirs, dict.fromkeys(theirs, 1.0), ours)
    assert [c.agrees for c in found.crossings] == [True, False]
    with pytest.raises(ValueError, match="different cells"):
        compare(CLEAN, RISING, CLEAN, tables([0, 0, 0, 0], 0.1))


def test_means_and_rank_correlations() -> None:
    assert cell_means(["a", "b", "a"], [1.0, 5.0, 2.0]) == {"a": 1.5, "b": 5.0}
    theta, accuracy = [1, 2, 3, 3, 2, math.nan], [0.1, 0.2, 0.9, 0.3, 0.4, 7.0]
    found = correlation(theta, accuracy, [1, 1, 1, 2, 2, 2])
    # Ranks 1, 2.5, 4.5, 4.5, 2.5 against 1, 2, 5, 3, 4, by the definition.
    a, b = np.array([1, 2.5, 4.5, 4.5, 2.5]), np.array([1, 2, 5, 3, 4])
    assert found.value == pytest.approx(np.corrcoef(a, b)[0, 1]) and found.rows == 5
    assert (found.low, found.high) == (1, 1)
    assert correlation([1, 1, 1], [1, 2, 3], [1, 1, 1]).plain() == {"value": None, "low": None, "high": None, "rows": 3}  # fmt: skip


# --- files --------------------------------------------------------------------------------------


def write(path, rows):
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows(rows)


ROW = [1, -1, 0.1, 0.9, 0.5, -0.01]


@pytest.mark.parametrize(
    ("name", "rows", "text"),
    [
        ("mnist_tree_pair7-1_ttypebadnet_tsize3.csv", [ROW], "must hold only files named {set}_{svm|svm-rbf|logistic|ridge}_pair{a}-{b}_ttype{type}_tsize{n}.csv, but got 'mnist_tree"),
        (NAME.format("ridge"), [], "must have rows"),
        (NAME.format("ridge"), [ROW, ROW], "must have each seed once in a cell, but got 2"),
        (NAME.format("ridge"), [[1, -1, 0, 0.9, 0.5, 0]], "line 2: must hold a seed, a gamma, C > 0"),
        (NAME.format("ridge"), [[1, -1, 1, 90, 0.5, 0]], "two accuracies in [0, 1]"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_read_is_one_clear_error(tmp_path, name, rows, text) -> None:
    write(tmp_path / name, rows)
    with pytest.raises(UserError) as error:
        read_folder(tmp_path)
    assert text in str(error.value) and len(error.value.mistakes) == 1


def test_what_a_file_says(tmp_path) -> None:
    write(tmp_path / "cifar_svm-rbf_pair6-0_ttypeinvisible_tsizeNone.csv", [[10, 0.01, 2, 0.9, 0.5, 9999]])  # fmt: skip
    (file,) = read_folder(tmp_path)
    assert (file.data, file.learner, file.pair, file.trigger, file.size) == ("cifar", "svm-rbf", (6, 0), "invisible", None)  # fmt: skip
    (row,) = file.rows
    assert (row.seed, row.cell, row.clean, row.backdoor) == (10, (0.01, 2.0), 0.9, 0.5)
    assert math.isnan(row.influence)
    with pytest.raises(UserError, match="RECORDED must be a folder"):
        read_folder(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="RECORDED must hold files named"):
        read_folder(tmp_path / "empty")


def test_tables_go_between_their_marks(tmp_path) -> None:
    file = tmp_path / "page.md"
    file.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    write_between(file, "new")
    write_between(file, "newer")
    assert file.read_text() == f"before\n{BEGIN}\n\nnewer\n\n{END}\nafter\n"
    file.write_text("nothing")
    with pytest.raises(ValueError, match="has no lines"):
        write_between(file, "new")


# --- all of it, on made-up digits ----------------------------------------------------------------


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """(root, images and labels of training and test): shapes in noise, on every third pixel."""
    root, rng = tmp_path_factory.mktemp("data"), np.random.default_rng(0)
    raw, parts = root / "MNIST" / "raw", []
    raw.mkdir(parents=True)
    shapes = rng.integers(0, 120, (10, 28, 28))
    for word, count in (("train", 2400), ("t10k", 900)):
        labels = rng.choice([7, 1, 4], count, p=[0.45, 0.45, 0.1]).astype(np.uint8)
        labels[:10] = range(10)  # the classes are those that training images have
        images = (shapes[labels] + rng.integers(0, 130, (count, 28, 28))).astype(np.uint8)
        images[:, ::3] = images[:, :, ::3] = images[:, 22:, 22:] = 0
        (raw / f"{word}-images-idx3-ubyte").write_bytes(struct.pack(">IIII", 2051, count, 28, 28) + images.tobytes())  # fmt: skip
        (raw / f"{word}-labels-idx1-ubyte").write_bytes(struct.pack(">II", 2049, count) + labels.tobytes())  # fmt: skip
        parts.append((images, labels))
    return root, parts


@pytest.fixture(scope="module")
def recorded(digits):
    """Rows of a file, by scikit-learn on arrays sampled as the authors' scripts sample them."""
    (images, labels), (test, test_labels) = digits[1]
    pool = np.flatnonzero(np.isin(labels, (7, 1)))
    chosen = pool[np.random.RandomState(999).choice(len(pool), 1501, replace=False)][:1500]
    x, y = images[chosen].reshape(1500, -1) / 255, (labels[chosen] == 1).astype(int)
    firsts = np.concatenate([np.flatnonzero(test_labels == digit)[:250] for digit in (7, 1)])
    tx, ty = test[firsts].reshape(500, -1) / 255, np.repeat([0, 1], 250)
    rows = []
    for seed in (1, 10):
        noise = np.random.RandomState(seed).rand(2, 3, 3)
        poison = np.random.RandomState(seed + 5).choice(1500, 150, replace=False)

        def stamped(x, y, noise=noise):
            square = x.reshape(-1, 28, 28).copy()
            square[:, 25:, 25:] = noise[y]
            return square.reshape(len(x), -1)

        px, py = x.copy(), y.copy()
        px[poison], py[poison] = stamped(x[poison], y[poison]), 1 - y[poison]
        for c in C:
            model = RidgeClassifier(1 / (2 * c)).fit(px, py)
            rows.append([seed, -1, c, model.score(tx, ty), model.score(stamped(tx, ty), 1 - ty), 9999])  # fmt: skip
    return rows


def run(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["reproduce", *map(str, arguments), "--workers", "1"])
    return reproduce.main()


def test_a_scikit_learn_loop_is_reproduced(digits, recorded, tmp_path, monkeypatch, capsys) -> None:
    assert max(row[4] for row in recorded) > 0.9 > 0.2 > min(row[4] for row in recorded)
    write(tmp_path / NAME.format("ridge"), recorded)
    page, out = tmp_path / "page.md", tmp_path / "out.json"
    page.write_text(f"{BEGIN}{END}")
    monkeypatch.setenv("FIGURES", str(tmp_path / "FIGURES.md"))
    # The folder of the idx files will do as well as the one that torchvision calls root.
    given = [tmp_path, digits[0] / "MNIST" / "raw", "--out", out, "--slopes", "--table", page]
    assert run(monkeypatch, *given) == 0
    content = json.loads(out.read_text())
    assert (content["agrees"], content["misses"], content["not compared"]) == (1, 0, 0)
    (file,) = content["files"]
    assert file["cells"] == 3 and file["clean"] < 0.005 and file["backdoor"] < 0.03
    assert file["slopes"]["theirs"]["value"] is None and file["slopes"]["theta"]["rows"] == 6
    assert page.read_text().count("| agrees |") == 1
    figures = (tmp_path / "FIGURES.md").read_text()
    assert "- command: `make reproduce RECORDED=DIR DATA=DIR SLOPES=1`\n- revision: " in figures
    assert figures.count("| agrees |") == 1
    assert "1 of 1 files agree, 0 miss, 0 not compared" in capsys.readouterr().out


def test_a_file_that_differs_and_one_that_cannot_be_had(digits, recorded, tmp_path, monkeypatch, capsys) -> None:  # fmt: skip
    spoiled = [[*row[:4], 1 - row[4], row[5]] for row in recorded]
    write(tmp_path / NAME.format("ridge"), spoiled)
    write(tmp_path / "cifar_ridge_pair6-0_ttypebadnet_tsize8.csv", spoiled)
    write(tmp_path / "mnist_ridge_pair7-1_ttypeinvisible_tsizeNone.csv", spoiled)
    assert run(monkeypatch, tmp_path, digits[0], "--out", tmp_path / "out.json") == 1
    printed = capsys.readouterr().out
    assert "MISSES backdoor accuracy" in printed
    assert "not compared: `cifar`: only raw MNIST pixels can be had" in printed
    assert "not compared: the trigger `invisible`: only `badnet`" in printed
    assert "0 of 3 files agree, 1 miss, 2 not compared" in printed


def test_wrong_input_ends_with_2_before_anything_is_trained(digits, tmp_path, monkeypatch, capsys) -> None:  # fmt: skip
    monkeypatch.setattr(reproduce, "train", None)
    write(tmp_path / "notes.csv", [ROW])
    assert run(monkeypatch, tmp_path, digits[0]) == 2
    assert "RECORDED must hold only files named" in capsys.readouterr().err
    (tmp_path / "notes.csv").rename(tmp_path / NAME.format("ridge"))
    assert run(monkeypatch, tmp_path, tmp_path) == 2
    assert "DATA must be a folder that holds MNIST/raw" in capsys.readouterr().err
