"""What `dashboards` offers: loaded when asked for, documented, with examples that run."""

from __future__ import annotations

import doctest
import io
import json
import os
import pkgutil
import subprocess
import sys

import numpy as np
import pytest
from made_answers import model_entry
from PIL import Image

import dashboards
from backdoor.errors import UserError
from dashboards.plot_style import to_svg
from sweeps.storage import SweepPaths

OFFERED = [
    "plot_accuracy_against_attack", "plot_model_map", "plot_region_map",
    "plot_success_against_rate", "plot_triggers", "write_report",
]  # fmt: skip
OF_POINTS = [name for name in OFFERED if name.startswith("plot_") and name[5:] not in ("triggers", "model_map")]  # fmt: skip
#: The map of a model along one factor.
MAPS = [{"category": {}, "inside": 0.5, "across": {"factor": "width", "log": False, "values": [1, 2]},
         "up": None, "averaged": [], "probability": [[0.1, 0.9]]}]  # fmt: skip


def test_it_offers_figures_and_the_report_and_loads_nothing_before():
    program = """
import sys, dashboards
print([name for name in ("matplotlib", "jinja2", "numpy", "pyarrow") if name in sys.modules])
print(dir(dashboards))
"""
    found = {"PYTHONPATH": os.pathsep.join(sys.path)}
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=found)  # fmt: skip
    assert run.stdout.splitlines() == ["[]", str(OFFERED)]


def test_no_function_has_the_name_of_a_module():
    """Else a lazy attribute is the function once, and the module ever after."""
    assert dir(dashboards) == OFFERED == dashboards.__all__
    modules = {module.name for module in pkgutil.iter_modules(dashboards.__path__)}
    assert "region_map" in modules and not modules & set(OFFERED)
    for name in OFFERED * 2:
        assert callable(getattr(dashboards, name)), name
    with pytest.raises(AttributeError, match="draw_triggers"):
        dashboards.draw_triggers  # noqa: B018


def test_every_example_runs(small_region, folder, tmp_path, monkeypatch):
    folder.rename(tmp_path / "digits")
    searched = tmp_path / "digits-region"
    searched.mkdir()
    (searched / "sweep.json").write_text("{}")
    small_region["model"] = model_entry(True) | {"maps": MAPS}
    SweepPaths(searched).region.write_text(json.dumps(small_region))
    monkeypatch.chdir(tmp_path)
    names = {name: getattr(dashboards, name) for name in OFFERED}
    names |= {"np": np, "clean": np.zeros((3, 1, 8, 8), dtype=np.uint8)}
    said = io.StringIO()
    for name in OFFERED:
        (example,) = doctest.DocTestFinder(recurse=False).find(names[name], name, globs=dict(names))
        assert example.examples, f"{name} has no example"
        ran = doctest.DocTestRunner(verbose=False).run(example, out=said.write)
        assert ran.failed == 0, said.getvalue()
    written = {file.name for file in tmp_path.iterdir() if file.is_file()}
    assert written == {"accuracy.svg", "model.svg", "map.svg", "success.svg", "triggers.png", "digits.html"}  # fmt: skip


def test_a_figure_takes_a_folder_or_its_region(folder, small_region):
    """The examples pass a folder as text."""
    by_folder, by_region = map(dashboards.plot_accuracy_against_attack, (folder, small_region))
    assert to_svg(by_folder, "salt") == to_svg(by_region, "salt")


@pytest.mark.parametrize("name", [*OF_POINTS, "plot_model_map"])
@pytest.mark.parametrize("wrong", [7, {"points": []}, {"schema_version": 99}, None])
def test_what_is_no_region_is_refused(name, wrong):
    with pytest.raises(UserError) as caught:
        getattr(dashboards, name)(wrong)
    (mistake,) = caught.value.mistakes
    assert mistake.place == "region" and mistake.value == wrong
    assert (
        mistake.rule == "must be a results folder, or its region as `sweeps.read_region` returns it"
    )


def test_a_folder_without_a_region_says_how_to_get_it(folder):
    SweepPaths(folder).region.unlink()
    for name in (*OF_POINTS, "plot_model_map"):
        with pytest.raises(UserError, match=r"region.json: must exist.* Run `sweeps region "):
            getattr(dashboards, name)(folder)


def test_a_notebook_shows_the_figure_itself(small_region):
    """IPython asks a cell's value for `_repr_png_`, whether or not pyplot was imported."""
    shown = dashboards.plot_region_map(small_region)._repr_png_()
    with Image.open(io.BytesIO(shown)) as picture:
        assert picture.format == "PNG" and picture.width == 8 * 120


IMAGES = np.zeros((2, 3, 4, 4), dtype=np.uint8)


@pytest.mark.parametrize(
    ("clean", "triggered", "place", "rule"),
    [
        (IMAGES[0], {"a": IMAGES[0]}, "clean", "must be one image or more, (n, c, h, w) uint8"),
        (IMAGES[:0], {"a": IMAGES[:0]}, "clean", "must be one image or more, (n, c, h, w) uint8"),
        (IMAGES / 255, {"a": IMAGES}, "clean", "must be one image or more, (n, c, h, w) uint8"),
        (IMAGES, {}, "triggered", "must hold one trigger or more"),
        (IMAGES, {"a": IMAGES, "b": IMAGES[:1]}, "triggered['b']", "must have shape and dtype of clean, (2, 3, 4, 4) uint8"),
        (IMAGES, {"a": IMAGES / 255}, "triggered['a']", "must have shape and dtype of clean, (2, 3, 4, 4) uint8"),
    ],
)  # fmt: skip
def test_images_that_cannot_be_compared_are_refused(clean, triggered, place, rule):
    with pytest.raises(UserError) as caught:
        dashboards.plot_triggers(clean, triggered)
    assert [(m.place, m.rule) for m in caught.value.mistakes] == [(place, rule)]
