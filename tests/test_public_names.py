"""What the packages offer: names that stay what they are, light to load, documented, typed."""

from __future__ import annotations

import ast
import inspect
import json
import subprocess
import sys
from pathlib import Path

import pytest

import backdoor
import dashboards
import sweeps

ROOT = Path(__file__).parents[1]
PACKAGES = [backdoor, sweeps, dashboards]

#: What was promised, whatever else is offered.
PROMISED = {
    "backdoor": {
        "load_data", "poison_dataset", "evaluate_model",
        "Trigger", "Architecture", "Regularizer", "Dataset", "Probe",
    },
    "sweeps": {
        "load_spec", "run_sweep", "resume_sweep", "load_results", "read_region", "region_schema",
        "LevelSetSampler", "ReplayRunner",
    },
    "dashboards": {"write_report"},
}  # fmt: skip

#: Asks for every public name before and after all modules are imported; a name that is also a
#: module's would be the function first and the module afterwards.
ALL_NAMES = """
import importlib, json, pkgutil, sys, types

kinds = {}
for name in ("backdoor", "sweeps", "dashboards"):
    package = importlib.import_module(name)
    before = {each: getattr(package, each) for each in package.__all__} if FIRST else {}
    for module in pkgutil.walk_packages(package.__path__, f"{name}."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    after = {each: getattr(package, each) for each in package.__all__}
    assert not FIRST or before == after, name
    kinds[name] = {each: isinstance(value, types.ModuleType) for each, value in after.items()}
print(json.dumps(kinds))
"""


def run(code: str) -> str:
    """What a fresh process prints."""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    "first",
    [pytest.param(True, marks=pytest.mark.slow), False],
    ids=["asked before too", "asked after only"],
)
def test_names_are_no_modules_whatever_is_imported(first: bool) -> None:
    kinds = json.loads(run(ALL_NAMES.replace("FIRST", str(first))))
    assert set(kinds) == set(PROMISED)
    for package, names in kinds.items():
        assert PROMISED[package] <= set(names)
        assert not [name for name, is_module in names.items() if is_module]


def test_packages_load_nothing_heavy() -> None:
    heavy = ["torch", "numpy", "scipy", "pyarrow", "optuna", "mlflow", "ray", "matplotlib", "yaml"]
    code = (
        f"import sys, backdoor, sweeps, dashboards; print([m for m in {heavy} if m in sys.modules])"
    )
    assert run(code).strip() == "[]"


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.__name__)
def test_names_are_listed_and_explained(package) -> None:
    assert sorted(package.__all__) == sorted(n for n in dir(package) if not n.startswith("_"))
    for name in package.__all__:
        value = getattr(package, name)
        if inspect.isclass(value) or inspect.isroutine(value):
            assert inspect.getdoc(value), f"{package.__name__}.{name} says nothing"
    with pytest.raises(AttributeError, match="nonsense"):
        _ = package.nonsense


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.__name__)
def test_pydoc_is_a_page_for_people(package) -> None:
    import pydoc

    page = pydoc.render_doc(package, renderer=pydoc.plaintext)
    for name in package.__all__:
        assert name in page
    assert "Example:" in page and "Raises:" in page


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.__name__)
def test_type_checkers_see_the_same_names(package) -> None:
    folder = Path(package.__file__).parent
    stub = ast.parse((folder / "__init__.pyi").read_text())
    seen = [
        each.asname for node in stub.body if isinstance(node, ast.ImportFrom) for each in node.names
    ]
    assert sorted(seen) == sorted(package.__all__)
    assert (folder / "py.typed").is_file()
