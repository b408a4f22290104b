"""MLflow stores for the tests of the mirror: `pytest_plugins = ["mirror_fixtures"]`."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from mirrored import Folder, free_port, until
from mlflow import MlflowClient

from sweeps.mirror import mlflow_settings


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sqlite file with MLflow's tables, which take seconds to make."""
    file = tmp_path_factory.mktemp("store") / "mlflow.db"
    with mlflow_settings():
        MlflowClient(tracking_uri=f"sqlite:///{file}").search_experiments()
    return file


@pytest.fixture
def new_store(empty_store: Path, tmp_path: Path) -> Callable[[str], str]:
    """Makes an own, empty store; returns its URI."""

    def make(name: str) -> str:
        shutil.copy(empty_store, tmp_path / name)
        return f"sqlite:///{tmp_path / name}"

    return make


@pytest.fixture
def folder(new_store: Callable[[str], str], tmp_path: Path) -> Folder:
    return Folder(tmp_path / "results", new_store("mlflow.db"))


@pytest.fixture(scope="module")
def server(empty_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real MLflow server on the loopback interface."""
    place = tmp_path_factory.mktemp("server")
    store, port = shutil.copy(empty_store, place / "mlflow.db"), free_port()
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri",
               f"sqlite:///{store}", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]  # fmt: skip
    with (place / "log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=place, stdout=log, stderr=log, start_new_session=True
        )

    def answers() -> bool:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), 1).close()
            return True
        return False

    try:
        until(answers, 120)
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)
