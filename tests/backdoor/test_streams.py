"""Golden values: if one of these changes, every recorded result of every user changes."""

from backdoor.streams import stream, stream_seed


def test_golden_seeds() -> None:
    assert stream_seed("poison", 0, 1100) == GOLDEN["poison"]
    assert stream_seed("init", 3, "abc") == GOLDEN["init"]


def test_golden_draws() -> None:
    assert stream("order", 0, 10, 0).permutation(10).tolist() == GOLDEN["order"]
    assert stream("pattern", 0, 1, 8, 8).random(3).round(12).tolist() == GOLDEN["pattern"]


def test_every_part_of_a_key_matters() -> None:
    keys = [("a",), ("b",), ("a", 1), ("a", "1"), ("a", 1, 2), ("a", 12), ("a", 2, 1)]
    assert len({stream_seed(*key) for key in keys}) == len(keys)


GOLDEN = {
    "poison": 5785359227096451342,
    "init": 8116418924010344098,
    "order": [1, 2, 6, 3, 4, 0, 5, 9, 7, 8],
    "pattern": [0.56717408802, 0.637110436769, 0.214912079168],
}
