"""How long a sweep will take: the model of a pack's cost, against costs that are known."""

import itertools
import json
import os
from dataclasses import replace

import pytest
from small import begin, small_spec, sweep
from trials import FEW, fake_result, trial

import sweeps.cost.estimate
import sweeps.cost.pack_cost
from backdoor.settings.registry import PROBES
from sweeps.cli.main import main
from sweeps.cost.estimate import estimate, makespan, workers_here
from sweeps.cost.pack_cost import (
    SECONDS,
    Asked,
    Line,
    filled,
    measure_shapes,
)
from sweeps.cost.pack_parts import shape_of, train_images, units_of
from sweeps.cost.probe_cost import Example, examples, probe_seconds
from sweeps.cost.processes import Measurers
from sweeps.ledger import finished_rows
from sweeps.packs.pack import Pack, PackSettings
from sweeps.runners.serial import SerialRunner


class Known:
    """A machine on which a pack takes `fixed` seconds, and `step` seconds a step and trial."""

    def __init__(self, fixed: float, step: float) -> None:
        self.now, self.fixed, self.step = 0.0, fixed, step
        self.images: list[int] = []

    def train(self, pack: Pack) -> None:
        one = pack.trials[0]
        images = train_images(one)
        self.images.append(images)
        steps = -(-images // one.training.batch_size) * one.defence.epochs
        self.now += self.fixed + self.step * steps * len(pack.trials)

    def clock(self) -> float:
        return self.now


def mlp(width: int) -> dict:
    return {"kind": "mlp", "width": width}


def asked(pack: Pack, packs: int = 1) -> Asked:
    return Asked(pack, packs * units_of(pack), packs)


@pytest.mark.parametrize(("fixed", "step"), [(0.3, 0.001), (2.0, 0.05), (0.0, 1e-6)])
def test_a_pack_that_is_trained_in_steps_is_predicted_from_a_part(monkeypatch, fixed, step) -> None:
    machine = Known(fixed, step)
    monkeypatch.setattr(sweeps.cost.pack_cost, "train_pack", machine.train)
    pack = Pack(tuple(trial(seed=seed, epochs=200) for seed in range(8)), PackSettings(()))
    steps = -(-1100 // 64) * 200
    (line,) = measure_shapes([asked(pack)], clock=machine.clock)
    assert line.seconds(units_of(pack)) == pytest.approx(fixed + 8 * step * steps)
    assert machine.images[0] == 256, "it begins with a part of the images"


@pytest.mark.parametrize("each", [1e-5, 1e-3, 0.01, 0.1])
def test_measuring_keeps_to_its_budget(monkeypatch, each) -> None:
    """A fifth of what is predicted, or eight seconds; start-up counts. Here 40 packs for one."""
    machine = Known(0.1, each)
    monkeypatch.setattr(sweeps.cost.pack_cost, "train_pack", machine.train)
    packs = [
        Pack(tuple(trial(mlp(width), seed=seed, epochs=epochs) for seed in range(8)), PackSettings(()))
        for epochs, width in ((50, 16), (60, 32), (70, 64))
    ]  # fmt: skip
    lines = filled(every := [asked(p, 40) for p in packs], measure_shapes([asked(p, 40) for p in packs], 5.0, 2.0, machine.clock))  # fmt: skip
    total = sum(line.fixed * 40 + line.each * one.together for one, line in zip(every, lines, strict=True))  # fmt: skip
    assert total == pytest.approx(40 * sum(0.1 + 8 * each * units_of(p) for p in packs))
    assert 5.0 + machine.now <= max(SECONDS, 0.2 * total / 2)


def test_a_budget_that_is_used_leaves_one_of_each_architecture(monkeypatch) -> None:
    """Other shapes get the mean of what was measured of theirs."""
    machine = Known(0.0, 0.001)
    monkeypatch.setattr(sweeps.cost.pack_cost, "train_pack", machine.train)
    widths = [Pack((trial(mlp(width), epochs=40),), PackSettings(())) for width in (8, 16, 32)]
    linear = Pack((trial("linear", epochs=40),), PackSettings(()))
    every = [*map(asked, widths), asked(linear)]
    lines = measure_shapes(every, SECONDS + 1, 1.0, machine.clock)
    assert [line is None for line in lines] == [False, True, True, False]
    assert filled(every, lines)[2] == lines[0]


def test_packs_that_differ_in_epochs_only_have_one_shape() -> None:
    short, long = (Pack((trial(epochs=n),), PackSettings(())) for n in (10, 30))
    assert shape_of(short) == shape_of(long) and units_of(long) == 3 * units_of(short)
    other = Pack((trial(mlp(8), epochs=10),), PackSettings(()))
    assert shape_of(other) != shape_of(short)


def test_a_closed_form_is_measured_by_whole_training_sets(monkeypatch) -> None:
    seen = []
    monkeypatch.setattr(sweeps.cost.pack_cost, "train_pack", lambda pack: seen.append(pack.trials))
    trials = tuple(
        trial("ridge", seed=s, weight_decay=d) for s in range(8) for d in (0.1, 0.2, 0.3)
    )
    clock = itertools.count()
    measure_shapes([asked(Pack(trials, PackSettings(())))], clock=lambda: float(next(clock)))
    assert {len(some) % 3 for some in seen} == {0} and len(seen[0]) == 6


def test_all_packs_count_and_a_sample_is_scaled(monkeypatch) -> None:
    known(monkeypatch, workers=2)
    packs = [
        Pack((trial(seed=2 * i), trial(seed=2 * i + 1)), PackSettings((), gpu=0.5))
        for i in range(3)
    ]
    cost = estimate(packs, measurers=Measurers(1))
    assert (cost.trials, cost.packs, cost.seconds, cost.worker_seconds) == (6, 3, 8.0, 12.0)
    assert cost.gpu_hours == 12 * 0.5 / 3600
    more = estimate(packs, trials=60, measurers=Measurers(1))
    assert (more.trials, more.packs, more.seconds, more.worker_seconds) == (60, 30, 80.0, 120.0)


def known(monkeypatch, workers: int, seconds: float = 4.0) -> None:
    """Every pack takes so long, and so many are trained at once."""
    line = Line(seconds, 0.0)
    monkeypatch.setattr(
        sweeps.cost.estimate, "measure_shapes", lambda asked, **_: [line for _ in asked]
    )
    monkeypatch.setattr(sweeps.cost.estimate, "workers_here", lambda cpu, gpu: workers)


@pytest.mark.parametrize(("fixed", "image", "epoch"), [(0.5, 1e-3, 2e-4), (0, 0, 1e-3), (1, 0, 0)])
def test_probes_are_predicted_from_three_short_trainings(fixed, image, epoch) -> None:
    seen = []

    def timer(one, settings):
        seen.append((train_images(one), one.defence.epochs))
        return fixed + seen[-1][0] * (image + epoch * seen[-1][1])

    example = Example(trial(epochs=40), PackSettings(()))
    expected = fixed + 1100 * (image + 40 * epoch)
    assert probe_seconds(example, timer) == pytest.approx(expected)
    assert seen == [(256, 1), (256, 1), (256, 3), (768, 1)]
    closed = Example(trial("ridge", weight_decay=1.0), PackSettings(()))
    assert probe_seconds(closed, lambda one, settings: train_images(one)) == 1100, "as it is"
    few = Example(trial(epochs=4, data=FEW), PackSettings(()))
    images = train_images(few.trial)
    assert probe_seconds(few, timer) == pytest.approx(fixed + images * (image + epoch * 4))


@pytest.mark.parametrize("config", [trial(epochs=40), trial("ridge", weight_decay=1.0)])
def test_the_time_to_load_libraries_is_not_counted_for_probes(config) -> None:
    """Libraries load at their first use: that would hide what images and epochs cost."""
    loading = [100.0]

    def timer(one, settings):
        return train_images(one) * one.defence.epochs * 1e-3 + (loading.pop() if loading else 0)

    assert probe_seconds(Example(config, PackSettings(())), timer) == pytest.approx(
        1.1 * config.defence.epochs
    )


def test_a_trial_of_each_kind_stands_for_its_probes(monkeypatch) -> None:
    probes = (PROBES.build("learning_curve"),)
    clean, poisoned = trial(rate=0), trial(rate=0.1)
    members = (poisoned, trial(rate=0.1, seed=1), clean)
    packs = [
        Pack(members, PackSettings((), probes=probes)),
        Pack((poisoned,), PackSettings((), probes=probes)),
    ]
    found = examples(packs)
    assert [example.trial for example in found.values()] == [poisoned, clean]
    assert not examples([Pack(members, PackSettings(()))])
    known(monkeypatch, workers=1, seconds=3.0)
    monkeypatch.setattr(
        sweeps.cost.estimate, "measure_probes", lambda asked, workers, processes: [10.0, 0.5]
    )
    # The smaller pack takes a third of the time of the larger one.
    assert estimate(packs, measurers=Measurers(1)).seconds == 4 * 1.0 + 3 * 10.0 + 0.5


@pytest.mark.slow
def test_check_counts_probes(tmp_path, capsys) -> None:
    spec = tmp_path / "probed.yaml"
    spec.write_text(
        "name: probed\ndata: {kind: digits, train: 40, validation: 10, test: 20}\n"
        "defence: {architecture: ridge, weight_decay: 1}\n"
        "attack: {trigger: [{kind: patch, size: 1}], poison_rate: [0, 0.1]}\n"
        "seeds: 1\nprobes: [slope]\nregion: {clean_accuracy: 0.5, attack_success: 0.5}\n"
    )
    assert main(["check", str(spec), "--time"]) == 0
    assert "seconds, probes included on this machine, " in capsys.readouterr().out


@pytest.mark.slow
def test_few_parts_are_measured_by_all_and_many_are_dealt_out() -> None:
    """In processes of their own, whose figures are averaged; a single one stays here."""
    assert Measurers(1).seconds(_processes, [0, 1], workers=2) == [os.getpid()] * 2
    with Measurers(2) as measurers:
        (first, one), (second, two) = measurers.shares(_process_and_part, range(2), workers=2)
        assert list(first) == list(second) == [0, 1] and one[0][0] != two[0][0]
        found = measurers.shares(_process_and_part, range(8), workers=2)
    assert [list(numbers) for numbers, _ in found] == [[0, 2, 4, 6], [1, 3, 5, 7]]
    assert [part for _, parts in found for _, part in parts] == [0, 2, 4, 6, 1, 3, 5, 7]


def _processes(parts):
    return [float(os.getpid()) for _ in parts]


def _process_and_part(parts):
    return [(os.getpid(), part) for part in parts]


def test_the_last_pack_decides_when_all_are_done() -> None:
    assert makespan([3, 1, 1, 1, 4], workers=2) == 7
    for durations in itertools.permutations([1, 2, 3, 4]):
        assert 5 <= makespan(durations, workers=2) <= 8
    assert makespan([2, 2, 2], workers=1) == 6


def test_a_fraction_of_a_gpu_holds_several_packs() -> None:
    assert workers_here(1, 0.25, {"CPU": 16, "GPU": 2}) == 8
    assert workers_here(4, 0.25, {"CPU": 16, "GPU": 2}) == 4
    assert workers_here(4, 0, {"CPU": 2, "GPU": 0}) == 1


def test_the_training_images_follow_from_the_data() -> None:
    few = trial()
    assert train_images(replace(few, data=replace(few.data, train=100))) == 100


def test_status_adds_up_what_the_recorded_trials_held(tmp_path, capsys) -> None:
    spec = small_spec(resources={"cpu": 2, "gpu": 0})
    paths = begin(tmp_path / "r", spec)
    sweep(paths, spec, SerialRunner(lambda pack: _costed(pack)))
    assert main(["status", str(paths.root), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["worker_seconds"] == 24 * 1.5 and said["train_seconds"] == 24 * 1.0
    assert said["trained_images"] == 24 * 300 and said["peak_memory"] == 2**30
    assert said["cpu_hours"] == 24 * 1.5 * 2 / 3600 and said["gpu_hours"] == 0.005


def _costed(pack: Pack):
    """Rows as a worker with two cores and half a GPU would report them."""
    cost = {"seconds": 1.5, "train_seconds": 1.0, "trained_images": 300, "peak_memory": 2**30}
    results = [replace(fake_result(t, pack.settings.measures), **cost) for t in pack.trials]
    return finished_rows(results, pack.pack_id, pack.settings.cpu, 0.5)
