"""What a training took, as the ledger keeps it."""

import sys
import time

import numpy as np
import pytest
from trials import trial

import backdoor.trial
from backdoor.memory import Meter
from backdoor.trial import run_pack


def test_seconds_and_images_of_a_pack_are_shared_among_its_trials() -> None:
    one, other = run_pack([trial("linear", seed=seed, epochs=3) for seed in (0, 1)])
    assert one.trained_images == other.trained_images == 3 * 1100
    assert 0 < one.train_seconds == other.train_seconds < one.seconds == other.seconds


def test_an_accelerator_ends_what_it_was_given_before_the_clock_is_read(monkeypatch) -> None:
    """What is queued on a GPU is waited for by the meter as it is left."""

    class Waiting(Meter):
        def __exit__(self, *error):
            time.sleep(0.2)
            super().__exit__(*error)

    monkeypatch.setattr(backdoor.trial, "Meter", Waiting)
    (result,) = run_pack([trial("ridge", weight_decay=1.0)])
    assert 0.2 <= result.train_seconds < result.seconds


def test_a_closed_form_sees_each_image_once() -> None:
    (ridge,) = run_pack([trial("ridge", weight_decay=1.0)])
    assert ridge.trained_images == 1100


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of a process is read from /proc")
def test_the_peak_is_of_the_work_inside_and_forgotten_afterwards() -> None:
    size = 200 * 2**20
    with Meter() as small:
        pass
    with Meter() as large:
        np.ones(size, np.uint8).sum()
    with Meter() as after:
        pass
    assert large.peak_memory - small.peak_memory > 0.9 * size
    assert large.peak_memory - after.peak_memory > 0.9 * size
