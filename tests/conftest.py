"""Fixtures for the whole suite: its own data cache, and one Ray for all tests that need it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

#: Files that take longest. They go first, so that none of them starts when all others are done.
LONGEST = ("test_golden.py", "test_jobs.py", "test_tune.py", "test_cli.py", "test_house.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keeps the order, except that `LONGEST` comes first."""
    items.sort(key=lambda item: LONGEST.index(name) if (name := item.path.name) in LONGEST else 99)


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Keeps decoded data of tests out of the user's cache; child processes inherit it."""
    folder = tmp_path_factory.mktemp("cache")
    before = os.environ.get("BACKDOOR_CACHE")
    os.environ["BACKDOOR_CACHE"] = str(folder)
    for name in ("MLFLOW_TRACKING_URI", "RAY_ADDRESS"):
        os.environ.pop(name, None)
    yield folder
    if before is None:
        del os.environ["BACKDOOR_CACHE"]
    else:
        os.environ["BACKDOOR_CACHE"] = before


@pytest.fixture(autouse=True)
def own_signals() -> Iterator[None]:
    """The command ignores signals once it has been interrupted, as its process is about to end;
    that of the tests goes on."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        if signal.getsignal(number) is not handler:
            signal.signal(number, handler)


@pytest.fixture(scope="session")
def local_ray() -> Iterator[Any]:
    """A local Ray with two CPUs, started once a session."""
    from sweeps.runners.ray_session import ray_session
    from sweeps.runners.tune import ENVIRONMENT

    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    # Workers import the tests' fakes, and the packages from this checkout.
    tests = Path(__file__).parent
    os.environ["PYTHONPATH"] = os.pathsep.join([str(tests), str(tests.parent)])
    with ray_session(workers=2):
        yield
