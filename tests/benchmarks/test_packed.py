"""32 networks in one pack against one after the other with torch modules and torch's SGD.

Both sides train the same trials in one process with one thread, in turn; the ratio of each pair of
runs is printed, and the lower quartile is held against the goal. Run it on an idle machine.
"""

import statistics
import time

import pytest
import torch
from trials import DIGITS, trial

from backdoor.data import load_source
from backdoor.engines.packed import Packed
from backdoor.engines.serial import Serial
from backdoor.trial import prepare

RUNS = 5


@pytest.mark.parametrize(("architecture", "goal"), [("linear", 5.0), ("mlp", 4.0)])
def test_packed_against_one_by_one(architecture, goal) -> None:
    configs = [trial(architecture, seed=seed, epochs=10) for seed in range(32)]
    lanes, bank = prepare(configs, (), load_source(DIGITS))
    torch.set_num_threads(1)

    def seconds(engine, grad):
        start = time.perf_counter()
        with torch.enable_grad() if grad else torch.no_grad():
            engine.train(lanes, bank, 10, None)
        return time.perf_counter() - start

    seconds(Packed(), False), seconds(Serial(), True)
    ratios = [seconds(Serial(), True) / seconds(Packed(), False) for _ in range(RUNS)]
    lower = statistics.quantiles(ratios, n=4)[0]
    print(
        f"\n{architecture}: one by one / packed = {[round(r, 1) for r in ratios]}, lower quartile {lower:.1f}"
    )
    assert lower >= goal
