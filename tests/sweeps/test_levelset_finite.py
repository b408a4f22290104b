"""The region search over a finite table of recorded trainings, and the reading of such tables."""

from collections import Counter

import numpy as np
import pytest
import region.map as dense
from region.finite import Cells, Replay, Table, replayed, unit
from region.means import mean_probability
from region.recorded import read
from scipy.special import expit

from sweeps.levelset.columns import Columns
from sweeps.levelset.membership import probability
from sweeps.levelset.model import Panel
from sweeps.records.thresholds import Thresholds

OUTCOME_SIZE, SEEDS, IMAGES = 9, 3, 500
THRESHOLDS = Thresholds(attack_success=0.25, clean_accuracy=0.9)


@pytest.fixture(scope="module")
def table() -> Table:
    """A diagonal band: accuracy falls off on one side of it, and either attack takes on the other."""
    axis = np.linspace(0, 1, OUTCOME_SIZE)
    points = np.array([(a, b) for a in axis for b in axis])
    total, rng = points.sum(axis=1), np.random.default_rng(5)
    clean = 0.1 + 0.87 * expit(12 * (1.4 - total))
    success = np.column_stack([expit(10 * (front - total)) for front in (0.55, 0.7)])
    shape = (len(points), 2, SEEDS)

    def counts(rates, noise):
        odds = np.log(rates / (1 - rates)) + noise * rng.standard_normal(shape)
        return rng.binomial(IMAGES, expit(odds)).astype(float)

    images = np.full(shape, float(IMAGES))
    panel = Panel(Columns((2,)), np.arange(2.0)[:, None])
    hits = counts(clean[:, None, None], 0.1), counts(success[:, :, None], 0.4)
    return Table(Cells(points), panel, hits[0], images, hits[1], images)


def _truth(table: Table) -> np.ndarray:
    clean = np.median(table.correct / IMAGES, axis=(1, 2))
    success = np.median(table.success / IMAGES, axis=2).max(axis=1)
    return (clean >= THRESHOLDS.clean_accuracy) & (success <= THRESHOLDS.attack_success)


def test_the_search_finds_the_cells_from_an_eighth_of_the_table(table) -> None:
    *_, search = replayed(table, THRESHOLDS, seed=0, budget=60, batch=5, f1=2.0, undecided=-1.0)
    found, truth = probability(search.current(), table.cells.points) >= 0.5, _truth(table)
    assert table.correct.size == 486 and len(search.points) == 60
    assert 2 * (found & truth).sum() / (found.sum() + truth.sum()) >= 0.85
    assert {p.tobytes() for p in search.points} <= set(table.cells.number)


def test_a_small_table_is_looked_up_once_and_no_more(table) -> None:
    small = Table(Cells(table.cells.points[:4]), table.panel, *(
        c[:4] for c in (table.correct, table.images, table.success, table.triggered)
    ))  # fmt: skip
    *_, search = replayed(small, THRESHOLDS, seed=1, budget=100, batch=4, f1=2.0, undecided=-1.0)
    tried = Counter((p.tobytes(), a) for p, a in zip(search.points, search.attacks, strict=True))
    assert search.finished and max(tried.values()) == SEEDS and len(search.points) == 4 * 2 * SEEDS


def test_a_replay_uses_every_seed_before_any_again(table) -> None:
    replay = Replay(table, np.random.default_rng(0))
    rounds = [sorted(replay.train(40, 1).success for _ in range(SEEDS)) for _ in range(2)]
    assert rounds[0] == rounds[1] == sorted(table.success[40, 1])


def test_draws_are_distinct_cells_and_even(table) -> None:
    drawn = table.cells.sample(27, seed=3)
    assert len({p.tobytes() for p in drawn}) == 27
    corners = Counter((int(a > 0.5), int(b > 0.5)) for a, b in drawn)
    assert min(corners[0, 0], corners[0, 1], corners[1, 0], corners[1, 1]) >= 3
    assert len(table.cells.sample(1000, seed=3)) == OUTCOME_SIZE * OUTCOME_SIZE


def test_means_of_cells_that_are_wholly_known_are_exact(table) -> None:
    *_, search = replayed(table, THRESHOLDS, seed=0, budget=30, batch=10, f1=2.0, undecided=-1.0)
    cell, replay = 40, Replay(table, np.random.default_rng(1))
    search.outcomes = {i: o for i, o in search.outcomes.items() if table.cells.rows([search.points[i]])[0] != cell}  # fmt: skip
    for attack in (0, 1):
        for _ in range(SEEDS):
            search.tell(search.add(table.cells.points[cell], attack), replay.train(cell, attack))
    mean = (table.success[cell] / IMAGES).mean()
    above, below = (mean_probability(search, table, mean + d, 1.0) for d in (1e-6, -1e-6))
    assert above[cell] == 1.0 and below[cell] == 0.0
    assert 0.0 < mean_probability(search, table, 0.25, 0.1).mean() < 1.0


def test_a_recorded_file_is_read_with_seeds_as_attacks(tmp_path) -> None:
    path = tmp_path / "ours_svm_pair7-1_ttypebadnet_tsize3.csv"
    rows = [(s, -1, c, 0.9 + c / 1000, 0.1 * s) for s in (1, 2) for c in (0.1, 1, 10)]
    text = "seed,gamma,c,clfp_acc,clfp_acc_on_backdoor\n"
    path.write_text(text + "".join(",".join(map(str, row)) + "\n" for row in rows))
    file = read(path)
    assert (file.learner, file.pair, file.size) == ("ours_svm", "7-1", "badnet 3")
    assert file.table.cells.points.ravel().tolist() == [0.0, 0.5, 1.0]  # by logarithms
    assert np.allclose(file.success, 0.15) and file.table.success.shape == (3, 2, 1)
    assert file.table.images.max() == 10_000 and file.table.correct[0, 0, 0] == 9001


def test_a_truncated_file_gives_its_whole_cells(tmp_path) -> None:
    path = tmp_path / "mine.csv"
    lines = [
        "1,-1,0.1,0.9,0.2",
        "2,-1,0.1,0.9,0.4",
        "1,-1,1,0.8,0.6",
        "2,-1,1,0.8,0.6",
        "1,-1,10,0.7,0.9",
    ]
    head = "seed,gamma,c,clfp_acc,clfp_acc_on_backdoor\n"
    path.write_text(head + "\n".join(lines))
    file = read(path)
    assert file.left_out == 1 and np.allclose(file.success, [0.3, 0.6]) and file.rows == 4
    path.write_text(head + "\n".join(lines[1:2] + lines[2:]))
    with pytest.raises(ValueError, match=r"mine.csv has 1 cells with all of its 2 seeds"):
        read(path)
    path.write_text("seed,c\n1,2\n")
    with pytest.raises(ValueError, match="lacks the columns clfp_acc, clfp_acc_on_backdoor, gamma"):
        read(path)


def test_narrow_ranges_are_not_spaced_by_logarithms() -> None:
    assert unit([1, 2, 3]).tolist() == [0.0, 0.5, 1.0]
    assert np.allclose(unit([0.01, 0.1, 1]), [0.0, 0.5, 1.0])


@pytest.fixture
def mapped(table, monkeypatch):
    """Makes a map of eight seeds that say the same, but for those that say that all is lost."""

    def mapped(loud=()):
        quiet = np.repeat(np.median(table.success, axis=2, keepdims=True), 8, axis=2)
        quiet[:, :, list(loud)] = IMAGES
        clean = np.repeat(np.median(table.correct, axis=2, keepdims=True), 8, axis=2)
        images = np.full(quiet.shape, float(IMAGES))
        whole = Table(table.cells, table.panel, clean, images, quiet, images)
        monkeypatch.setattr(dense, "table", lambda folder=None: whole)
        return whole

    return mapped


def test_a_map_is_replayed_from_three_seeds_and_others_tell_the_truth(mapped) -> None:
    whole = mapped()
    whole.success[:] += np.arange(8)  # tells seeds apart
    drawn = set()
    for seed in range(20):
        truth, replay = dense.parts(seed, THRESHOLDS)
        used = [set(part.success[0, 0] - whole.success[0, 0, 0]) for part in (truth, replay)]
        assert (truth.seeds, replay.seeds) == (5, 3) and used[0] | used[1] == set(range(8))
        drawn.add(frozenset(used[1]))
    assert len(drawn) > 10


def test_more_seeds_are_replayed_until_they_agree_with_the_truth(mapped) -> None:
    mapped(loud=(0, 1))
    counts = Counter()
    for seed in range(40):
        found = dense.Map(seed)
        loud = (found.table.success[0, 0] == IMAGES).sum()
        counts[found.repeats] += 1
        # Two of three, and of four, pull the median over the threshold; two of the others do not.
        assert (found.repeats == 3) == (found.ceiling == 1.0) == (loud < 2)
    assert set(counts) == {3, 4}


def test_a_map_for_live_runs_replays_nothing_and_all_seeds_tell_its_truth(mapped) -> None:
    whole = mapped(loud=(0, 1, 2))
    found = dense.Map(5, live=True)
    assert np.array_equal(found.truth, dense.inside(whole, dense.thresholds_of(5)))
    assert found.truth.any() and found.ceiling == 1.0


def test_each_run_on_a_map_has_thresholds_of_its_own(mapped) -> None:
    mapped()
    one, again, other = (dense.Map(seed) for seed in (1, 1, 2))
    assert one.thresholds == again.thresholds != other.thresholds
    for seed, found in ((1, one), (2, other)):
        asked = np.array([found.thresholds.clean_accuracy, found.thresholds.attack_success])
        assert (dense.THRESHOLD_RANGE[0] <= asked).all() and (
            asked <= dense.THRESHOLD_RANGE[1]
        ).all()
        truth = dense.parts(seed, found.thresholds)[0]
        rates = np.median(truth.success / truth.triggered, axis=2).max(axis=1)
        clean = np.median(truth.correct / truth.images, axis=(1, 2))
        assert np.array_equal(found.truth, (clean >= asked[0]) & (rates <= asked[1]))


def test_a_map_trains_the_nearest_point_and_grids_lie_on_it(table, monkeypatch) -> None:
    monkeypatch.setattr(dense, "table", lambda folder: table)
    monkeypatch.setattr(dense, "parts", lambda *_: [table.only([0, 1]), table.only([2])])
    found = dense.Map(0)
    assert found.repeats == 1 and np.allclose(found.snap(np.array([0.13, 0.93])), [0.125, 0.875])
    outcome = found.train(np.array([[0.13, 0.93]]), [1], np.random.default_rng(0))[0]
    assert outcome.success == table.success[1 * OUTCOME_SIZE + 7, 1, 2]
    assert [list(axis) for axis in found.axes(3)] == [[0.0, 0.5, 1.0]] * 2
