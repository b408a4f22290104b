"""YAML as people mean it."""

import pytest

from backdoor.errors import UserError
from sweeps.space.yaml_loader import dump_yaml, load_yaml


def load(text):
    mistakes = []
    return load_yaml(text, mistakes.append), mistakes


def test_numbers_and_truth_values_of_yaml_1_2() -> None:
    value, mistakes = load("[1e-5, .5, 1., -3, 10, 0x10, 0o17, true, on, yes, ~, 2021-01-01, '1']")
    assert value == [1e-5, 0.5, 1.0, -3, 10, 16, 15, True, "on", "yes", None, "2021-01-01", "1"]
    assert not mistakes


def test_repeated_keys_are_mistakes_with_both_lines() -> None:
    _, mistakes = load("a: 1\nb: {c: 1, c: 2}\na: 3\n")
    assert sorted(map(str, mistakes)) == [
        "line 2: must not repeat a key (first in line 2), but got 'c'. Remove one of the two.",
        "line 3: must not repeat a key (first in line 1), but got 'a'. Remove one of the two.",
    ]


@pytest.mark.parametrize("text", ["a: [", "a: !!python/object/apply:os.system [ls]", "\t- x"])
def test_broken_or_dangerous_yaml_is_a_mistake(text) -> None:
    with pytest.raises(UserError, match="must be valid YAML"):
        load(text)


def test_what_is_dumped_is_read_back() -> None:
    value = {
        "a": [1e-5, 1e20, 3, "1e-5", "true", "on", None, True, "x: y", "", "0.5"],
        "b": {"c": -0.5},
    }
    assert load(dump_yaml(value)) == (value, [])
