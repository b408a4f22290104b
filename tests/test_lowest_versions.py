"""The lowest versions: what is stated is what is locked, and uv asks the index that pip asks."""

from __future__ import annotations

import tomllib

import lowest_versions
import pytest
from lowest_versions import (  # fmt: skip
    LOCK,
    PYPROJECT,
    locked,
    lowest_python,
    pip_settings,
    stated,
    uv_environment,
)
from packaging.version import Version

PROJECT = tomllib.loads(PYPROJECT.read_text())["project"]


def test_the_lowest_versions_stated_are_those_locked() -> None:
    """Else raise the bound in pyproject.toml, and say there why; then lock again."""
    pins = locked(LOCK.read_text())
    other = {name: (low, pins.get(name)) for name, low in stated(PROJECT)
             if name not in pins or Version(pins[name]) != Version(low)}  # fmt: skip
    assert other == {}, "run python tests/lowest_versions.py --lock"


def test_the_lowest_python_is_the_first_of_those_named() -> None:
    named = [c.rsplit(" ", 1)[1] for c in PROJECT["classifiers"] if ":: 3." in c]
    assert named[0] == lowest_python()


@pytest.mark.parametrize("text", ["numpy", "numpy==2.0", "numpy>=2.0,<3", "numpy~=2.0"])
def test_a_requirement_without_a_plain_lowest_version_is_refused(text: str) -> None:
    project = {"name": "mine", "dependencies": [text], "optional-dependencies": {}}
    with pytest.raises(ValueError, match=r"must state its lowest version, as NAME>=VERSION"):
        list(stated(project))


LISTED = """\
:env:.find-links='wheels more'
freeze.index-url='https://other.invalid/'
global.extra-index-url='\\nhttps://two.invalid/\\nhttps://three.invalid/'
global.index-url='https://one.invalid/simple'
"""


def test_settings_of_pip_reach_uv_and_those_of_uv_win(monkeypatch) -> None:
    for name in ("UV_DEFAULT_INDEX", "UV_INDEX", "UV_FIND_LINKS"):
        monkeypatch.delenv(name, raising=False)
    env = uv_environment(pip_settings(LISTED))
    assert env["UV_DEFAULT_INDEX"] == "https://one.invalid/simple"
    assert env["UV_INDEX"] == "https://two.invalid/ https://three.invalid/"
    assert env["UV_FIND_LINKS"] == "wheels,more"
    stronger = LISTED + ":env:.index-url='https://four.invalid/simple'\n"
    assert (
        uv_environment(pip_settings(stronger))["UV_DEFAULT_INDEX"] == "https://four.invalid/simple"
    )
    monkeypatch.setenv("UV_DEFAULT_INDEX", "https://five.invalid/simple")
    assert uv_environment(pip_settings(LISTED))["UV_DEFAULT_INDEX"] == "https://five.invalid/simple"


def test_without_an_index_it_fails_and_says_so(monkeypatch, tmp_path, capfd) -> None:
    monkeypatch.setattr(lowest_versions, "HOME", tmp_path / "lowest")
    monkeypatch.setenv("PIP_INDEX_URL", "https://one.invalid/simple")
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    for name in ("UV_FIND_LINKS", "UV_INDEX", "UV_DEFAULT_INDEX"):
        monkeypatch.setenv(name, "")
    with pytest.raises(SystemExit) as stop:
        lowest_versions.install()
    assert stop.value.code not in (None, 0)
    assert "the network was disabled" in " ".join(capfd.readouterr().err.split())
    assert not (tmp_path / "lowest" / "made-from.txt").exists()


def test_a_lock_that_fails_leaves_the_one_that_is_there(monkeypatch, tmp_path) -> None:
    def fails(*words: str) -> None:
        raise SystemExit(2)

    lock = tmp_path / "lowest.txt"
    lock.write_text("numpy==2.0.0\n")
    monkeypatch.setattr(lowest_versions, "LOCK", lock)
    monkeypatch.setattr(lowest_versions, "HOME", tmp_path / "build" / "lowest")
    monkeypatch.setattr(lowest_versions, "uv", fails)
    with pytest.raises(SystemExit):
        lowest_versions.lock()
    assert lock.read_text() == "numpy==2.0.0\n"
