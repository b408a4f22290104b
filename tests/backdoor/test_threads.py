"""Numerical libraries use as many threads as they were given, and afterwards as many as before."""

import sys
import types

import torch
from threadpoolctl import ThreadpoolController, threadpool_info

import backdoor.engines.base
from backdoor.engines import threads


def counts():
    """Threads of torch, and of each library that numpy, scipy and the like have loaded."""
    return torch.get_num_threads(), [library["num_threads"] for library in threadpool_info()]


def test_all_libraries_are_limited_and_released() -> None:
    before = counts()
    with threads(1):
        assert counts()[0] == 1 and set(counts()[1]) == {1}
        with threads(2):
            assert counts()[0] == 2
        assert set(counts()[1]) == {1}
    assert counts() == before


def test_libraries_are_looked_for_again_only_after_an_import(monkeypatch) -> None:
    """What is loaded between two trainings is limited in the second one."""
    looks = []
    monkeypatch.setattr(
        backdoor.engines.base,
        "ThreadpoolController",
        lambda: looks.append(1) or ThreadpoolController(),
    )
    backdoor.engines.base._libraries.cache_clear()
    for _ in range(3):
        with threads(1):
            pass
    assert len(looks) == 1
    monkeypatch.setitem(sys.modules, "loaded_later", types.ModuleType("loaded_later"))
    with threads(1):
        pass
    assert len(looks) == 2
