"""How probable it is that one new seed misses the threshold, at a setting: the figure and its words.

By seeds it is held to Student's t on Anscombe's angles, computed here by other routines; by the
model of a region search to draws of normal log-odds.
"""

from __future__ import annotations

import math
from statistics import stdev
from typing import Any

import numpy as np
import pytest
from made_sweeps import IMAGES, PATCH, asked, judged, trial, trials
from scipy import stats
from scipy.special import expit, logit

from sweeps.records.setting_text import rate_words
from sweeps.region.searched_points import _limits as limits_of_model
from sweeps.statistics.logit_limits import chance_above


def angle(count: float) -> float:
    return math.asin(math.sqrt((count + 0.375) / (IMAGES + 0.75)))


def misses(counts: tuple[int, ...], worst: float, above: bool) -> float:
    """The chance of a new seed's count beyond `worst`, which lies half an image beyond the last
    count that meets the threshold."""
    angles, m = [angle(k) for k in counts], len(counts)
    least = (1 + 1 / m) / (4 * IMAGES + 2)
    scale = math.sqrt(max(stdev(angles) ** 2 * (1 + 1 / m), least))
    own = stats.t(df=m - 1, loc=sum(angles) / m, scale=scale)
    return float(own.sf(angle(worst)) if above else own.cdf(angle(worst)))


def setting(right: tuple[int, ...], hits: tuple[int, ...], **thresholds: Any) -> Any:
    """The only point of a sweep, with its clean baselines (3 % success)."""
    rows = trials(1, right, hits)
    rows += [trial(1, "clean", s, 960, {PATCH: 30}) for s in range(len(right))]
    return judged(rows, asked(seeds=len(right), **thresholds))["setting"]


@pytest.mark.parametrize(
    ("right", "hits"),
    [
        ((930, 850, 900), (100, 140, 150)),
        ((805, 800, 811), (190, 199, 200)),  # at the thresholds themselves
        ((900, 900, 900), (180, 180, 180)),  # equal seeds: the noise of counting images is left
        ((820, 990), (10, 380)),
    ],
)
def test_by_seeds_it_is_that_of_the_limits(right: tuple[int, ...], hits: tuple[int, ...]) -> None:
    """At least 800 correct and at most 200 successful of 1000 meet the thresholds."""
    found = setting(right, hits)
    clean, success = found["clean_accuracy"], found["attack_success"]
    assert clean["chance_to_miss"] == pytest.approx(misses(right, 799.5, above=False), abs=1e-9)
    assert success["chance_to_miss"] == pytest.approx(misses(hits, 200.5, above=True), abs=1e-9)
    (attack,) = found["attacks"]
    assert attack["attack_success"]["chance_to_miss"] == success["chance_to_miss"]


def test_a_threshold_between_two_images_is_that_of_the_next_one() -> None:
    """0.7995 of 1000 asks for 800; 0.2005 allows 200."""
    found = setting((805, 800, 811), (190, 199, 200), clean_accuracy=0.7995, attack_success=0.2005)
    clean, success = found["clean_accuracy"], found["attack_success"]
    assert clean["chance_to_miss"] == pytest.approx(misses((805, 800, 811), 799.5, above=False))
    assert success["chance_to_miss"] == pytest.approx(misses((190, 199, 200), 200.5, above=True))


def test_of_many_seeds_as_many_miss_as_it_says() -> None:
    """The counts of 40 seeds say how their population is: of 20,000 new ones as many miss."""
    rng = np.random.default_rng(3)

    def drawn(seeds: int) -> Any:
        return rng.binomial(IMAGES, np.sin(rng.normal(0.4, 0.06, seeds)) ** 2)

    hits = tuple(int(k) for k in drawn(40))
    found = setting((950,) * 40, hits)["attack_success"]["chance_to_miss"]
    assert found == pytest.approx((drawn(20_000) > 200).mean(), abs=0.05) and 0.1 < found < 0.35


def test_it_is_unknown_of_one_seed_and_against_the_baseline() -> None:
    alone = setting((940,), (20,))
    assert alone["clean_accuracy"]["chance_to_miss"] is None
    assert alone["attack_success"]["chance_to_miss"] is None
    assert "of new seeds" not in "".join(alone["text"])
    compared = setting((820, 850, 900), (100, 140, 150), above_baseline=True, attack_success=0.15)
    clean, success = compared["clean_accuracy"], compared["attack_success"]
    assert success["lower"] is not None and success["chance_to_miss"] is None
    assert compared["attacks"][0]["attack_success"]["chance_to_miss"] is None
    # Accuracy has a threshold of its own.
    assert clean["chance_to_miss"] == pytest.approx(misses((820, 850, 900), 799.5, above=False))
    told = [line for line in compared["text"] if "of new seeds miss the threshold" in line]
    assert len(told) == 1 and told[0].startswith("  clean accuracy 0.857 (mean of 3 seeds; ")


# --- words -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("chance", "said"),
    [
        (0.1631, ", about 16 % of new seeds miss the threshold"),
        (0.0312, ", about 3.1 % of new seeds miss the threshold"),
        (0.005, ", about 0.5 % of new seeds miss the threshold"),
        (0.00499, ""),
        (0.0, ""),
        (None, ""),
        (0.994, ", about 99 % of new seeds miss the threshold"),
        (0.996, ", almost all new seeds miss the threshold"),
        (1.0, ", almost all new seeds miss the threshold"),
    ],
)
def test_its_words(chance: float | None, said: str) -> None:
    rate: Any = {"value": 0.15, "lower": 0.03, "upper": 0.29, "confidence": 0.95, "by": "seeds",
                 "seeds": 3, "chance_to_miss": chance}  # fmt: skip
    words = "0.150 (mean of 3 seeds; one new seed: 0.030 to 0.290 with 95 %"
    assert rate_words(rate) == f"{words}{said})"
    del rate["chance_to_miss"]  # of a file of before
    assert rate_words(rate) == f"{words})"


def test_a_setting_says_it_with_its_limits() -> None:
    """0.158 of 0.2, whose three seeds differ as much as 100 of 1000 images."""
    hits = (110, 164, 200)
    (line,) = [line for line in setting((950,) * 3, hits)["text"] if "worst attack" in line]
    share = 100 * misses(hits, 200.5, above=True)
    assert f" with 95 %, about {share:.0f} % of new seeds miss the threshold); clean models" in line
    assert 10 < share < 30


# --- by the model ------------------------------------------------------------------------------


def rate_of(mean: float, deviation: float) -> Any:
    """Log-odds with this mean and standard deviation, and its 95 % limits."""
    reach = stats.norm.ppf(0.975) * deviation
    ends = {"lower": mean - reach, "expected": mean, "upper": mean + reach}
    return {name: float(expit(end)) for name, end in ends.items()}


def test_by_the_model_it_is_that_of_normal_log_odds() -> None:
    success, clean = rate_of(-2.0, 0.5), rate_of(2.3, 0.9)
    above, below = limits_of_model(success, 0.2), limits_of_model(clean, 0.8, above=False)
    normal = stats.norm
    assert above["chance_to_miss"] == pytest.approx(normal.sf(logit(0.2), -2.0, 0.5))
    assert below["chance_to_miss"] == pytest.approx(normal.cdf(logit(0.8), 2.3, 0.9))
    draws = np.random.default_rng(5).normal(size=100_000)
    assert above["chance_to_miss"] == pytest.approx(
        (expit(0.5 * draws - 2) > 0.2).mean(), abs=0.005
    )
    assert below["chance_to_miss"] == pytest.approx((expit(0.9 * draws + 2.3) < 0.8).mean(), abs=0.005)  # fmt: skip
    assert (above["by"], above["seeds"], above["confidence"]) == ("model", None, 0.95)
    assert rate_words(above).endswith(f"about {100 * above['chance_to_miss']:.0f} % of new seeds miss the threshold)")  # fmt: skip


def test_a_rate_is_above_0_and_never_above_1() -> None:
    """At the limits, where log-odds are infinite."""
    ends = (0.3, 0.1, 0.6)
    assert chance_above(*ends, limit=0.0, confidence=0.95) == 1
    assert chance_above(*ends, limit=-0.1, confidence=0.95) == 1
    assert chance_above(*ends, limit=1.0, confidence=0.95) == 0
    assert chance_above(*ends, limit=1.1, confidence=0.95) == 0
    # Next to them it is almost that, and at its ends the confidence says what it is.
    assert chance_above(*ends, limit=1e-9, confidence=0.95) == pytest.approx(1)
    assert chance_above(*ends, limit=1 - 1e-9, confidence=0.95) == pytest.approx(0)
    middle = float(expit((logit(0.1) + logit(0.6)) / 2))
    assert chance_above(middle, 0.1, 0.6, 0.1, 0.9) == pytest.approx(0.95)
    assert chance_above(middle, 0.1, 0.6, middle, 0.9) == pytest.approx(0.5)
    assert chance_above(middle, 0.1, 0.6, 0.6, 0.9) == pytest.approx(0.05)


def test_rates_of_0_and_1_and_limits_that_coincide_give_no_error() -> None:
    assert chance_above(0.0, 0.0, 0.0, 0.2, 0.95) == 0
    assert chance_above(1.0, 1.0, 1.0, 0.2, 0.95) == 1
    assert chance_above(0.3, 0.3, 0.3, 0.2, 0.95) == 1
    assert chance_above(0.1, 0.1, 0.1, 0.2, 0.95) == 0
