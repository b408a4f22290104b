"""Grid and random search."""

from small import small_spec

from sweeps.search import make_search


def drain(search, limit=7):
    found = []
    while not search.finished:
        found += search.ask(limit)
    assert search.ask(limit) == []
    return found


def test_grid_visits_everything_once() -> None:
    trials = drain(make_search(small_spec()))
    assert len(trials) == len({t.trial_id for t in trials}) == 4 * 3 * 2


def test_points_that_are_the_same_point_are_tried_once() -> None:
    defence = {"architecture": "ridge", "weight_decay": [0.1, 1], "epochs": [1, 2, 3]}
    assert len(drain(make_search(small_spec(defence=defence)))) == 2 * 3 * 2


RANDOM = {"architecture": ["linear", "ridge"], "weight_decay": {"log": [1e-4, 1]}, "epochs": 2}


def test_random_draws_as_many_distinct_points_as_asked_and_repeats_itself() -> None:
    spec = small_spec(defence=RANDOM, search={"kind": "random", "points": 9})
    trials = drain(make_search(spec))
    assert len({t.defence_id for t in trials}) == 9 and len(trials) == 9 * 3 * 2
    assert [t.trial_id for t in trials] == [t.trial_id for t in drain(make_search(spec), 50)]
    other = small_spec(defence=RANDOM, search={"kind": "random", "points": 9, "seed": 1})
    assert {t.trial_id for t in trials} != {t.trial_id for t in drain(make_search(other))}


def test_random_ends_where_the_space_is_exhausted() -> None:
    defence = {"architecture": "ridge", "weight_decay": [0.1, 1]}
    spec = small_spec(defence=defence, search={"kind": "random", "points": 50})
    assert len({t.defence_id for t in drain(make_search(spec))}) == 2
