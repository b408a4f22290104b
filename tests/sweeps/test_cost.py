"""How long a sweep will take: the model of a pack's cost, against costs that are known."""

import itertools
import json
import os
from dataclasses import replace

import pytest
from small import begin, small_spec, sweep
from trials import FEW, fake_result, trial

import sweeps.cost.estimate
from backdoor.settings.registry import PROBES
from sweeps.cli.main import main
from sweeps.cost.estimate import (
    _in_parallel,
    estimate,
    makespan,
    measure_pack,
    measure_packs,
    train_images,
    workers_here,
)
from sweeps.cost.probe_cost import Example, examples, probe_seconds
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


@pytest.mark.parametrize(("fixed", "step"), [(0.3, 0.001), (2.0, 0.05), (0.0, 1e-6)])
def test_a_pack_that_is_trained_in_steps_is_predicted_from_a_part(monkeypatch, fixed, step) -> None:
    machine = Known(fixed, step)
    monkeypatch.setattr(sweeps.cost.estimate, "train_pack", machine.train)
    pack = Pack(tuple(trial(seed=seed, epochs=200) for seed in range(8)), PackSettings(()))
    steps = -(-1100 // 64) * 200
    assert measure_pack(pack, machine.clock) * 8 == pytest.approx(fixed + 8 * step * steps)
    assert machine.images[0] == 256, "it begins with a part of the images"


def test_a_long_closed_form_is_trained_once(monkeypatch) -> None:
    machine = Known(3.0, 0.0)
    monkeypatch.setattr(sweeps.cost.estimate, "train_pack", machine.train)
    pack = Pack(
        tuple(trial("ridge", seed=seed, weight_decay=1.0) for seed in range(4)), PackSettings(())
    )
    assert measure_pack(pack, machine.clock) == 0.75
    assert machine.images == [256, 1100], "first a part, since libraries are loaded then"


def test_all_packs_count_and_a_sample_is_scaled(monkeypatch) -> None:
    monkeypatch.setattr(
        sweeps.cost.estimate, "measure_packs", lambda packs, workers: [2.0] * len(packs)
    )
    monkeypatch.setattr(sweeps.cost.estimate, "workers_here", lambda cpu, gpu: 2)
    packs = [
        Pack((trial(seed=2 * i), trial(seed=2 * i + 1)), PackSettings((), gpu=0.5))
        for i in range(3)
    ]
    cost = estimate(packs)
    assert (cost.trials, cost.packs, cost.seconds, cost.worker_seconds) == (6, 3, 8.0, 12.0)
    assert cost.gpu_hours == 12 * 0.5 / 3600
    more = estimate(packs, trials=60)
    assert (more.trials, more.packs, more.seconds, more.worker_seconds) == (60, 30, 80.0, 120.0)


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
    monkeypatch.setattr(
        sweeps.cost.estimate, "measure_packs", lambda packs, workers: [1.0] * len(packs)
    )
    monkeypatch.setattr(sweeps.cost.estimate, "measure_probes", lambda asked, workers: [10.0, 0.5])
    monkeypatch.setattr(sweeps.cost.estimate, "workers_here", lambda cpu, gpu: 1)
    assert estimate(packs).seconds == 4 * 1.0 + 3 * 10.0 + 0.5


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
def test_workers_are_measured_at_the_same_time(monkeypatch) -> None:
    """In processes of their own, whose figures are averaged; a single one stays here."""
    packs = [
        Pack((trial("ridge", seed=s, weight_decay=0.1, data=FEW),), PackSettings(()))
        for s in range(2)
    ]
    monkeypatch.setattr(
        sweeps.cost.estimate, "measure_pack", lambda pack: float(pack.trials[0].seed)
    )
    assert measure_packs(packs, workers=1) == [0.0, 1.0]
    found = measure_packs(packs, workers=2)
    assert len(found) == 2 and all(0 < seconds < 0.5 for seconds in found), "really trained"


@pytest.mark.slow
def test_many_kinds_are_dealt_out_to_the_workers() -> None:
    """Each is measured once, by one of two processes, and stands where it stood."""
    found = _in_parallel(_process_and_part, range(8), workers=2)
    assert [part for _, part in found] == list(range(8))
    processes = [process for process, _ in found]
    assert len(set(processes[::2])) == len(set(processes[1::2])) == 1


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
