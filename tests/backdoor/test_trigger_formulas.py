"""Each trigger equals an implementation written here from its paper's formula, with loops."""

import itertools
import math

import numpy as np
import pytest
import scipy.fft
import torch
from PIL import Image
from poisoners import their_generator

from backdoor.errors import UserError
from backdoor.settings.registry import TRIGGERS
from backdoor.streams import by_number
from backdoor.triggers.donors import DonorImages

SEED = 11


def draw(shape, count=4) -> torch.Tensor:
    """Noise, with black and white among it, which clip."""
    pixels = np.random.default_rng(SEED).integers(-60, 316, (count, *shape)).clip(0, 255)
    return torch.from_numpy(pixels.astype(np.uint8))


def stamp(trigger, images, ids=None) -> np.ndarray:
    numbers = torch.arange(len(images)) if ids is None else torch.as_tensor(ids)
    made = TRIGGERS.build(trigger) if isinstance(trigger, (str, dict)) else trigger
    return made.stamp(images, numbers, torch.zeros(len(images), dtype=torch.int64)).numpy()


def grey(x) -> np.ndarray:
    return np.clip(np.rint(np.round(x, 9)), 0, 255).astype(np.uint8)


def donors(images) -> DonorImages:
    """Rows 0 to n - 1, whose numbers in their source are 100 and so on."""
    return DonorImages(
        "test", 3, images.numpy(), np.arange(len(images)), 100 + np.arange(len(images))
    )


# --- patch, blend, sine ------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 9, 14)])
def test_patch_anywhere(shape) -> None:
    images, ids = draw(shape, 50), np.arange(200, 250)
    expected, places = images.numpy().copy(), set()
    table = their_generator("position", 5).random((256, 2))
    for image, number in zip(expected, ids, strict=True):
        top, left = (int(table[number, k] * (shape[1 + k] - 3)) for k in (0, 1))
        places.add((top, left))
        for i, j in itertools.product(range(4), range(4)):
            image[:, top + i, left + j] = 255 * ((i + j) % 2)
    random = {"kind": "patch", "size": 4, "pattern": "checkerboard", "position": "random"}
    made = TRIGGERS.build(random).for_seed(5)
    assert np.array_equal(stamp(made, images, ids), expected)
    assert len(places) > 15 and {p[0] for p in places} >= {0, shape[1] - 4}  # up to both edges
    assert made == TRIGGERS.build({**random, "position_seed": 5}) == made.for_seed(9)
    with pytest.raises(UserError, match=r"position_seed: must be known .* call for_seed\(seed\)"):
        stamp(random, images)


def test_a_random_position_is_all_that_is_new_in_a_patch() -> None:
    fixed = TRIGGERS.build({"kind": "patch", "position_seed": 4})
    assert fixed == TRIGGERS.build("patch") and "position_seed" not in fixed.identity()
    noise = {"kind": "patch", "pattern": "noise_per_class", "size": 2, "position": "random"}
    made = TRIGGERS.build(noise).for_seed(2)
    images = torch.zeros((3, 1, 6, 6), dtype=torch.uint8)
    stamped = made.stamp(images, torch.arange(3), torch.tensor([0, 1, 0])).numpy()
    square = np.rint(255 * their_generator("pattern", 2, 1, 1, 2, 2).random((1, 2, 2)))
    assert sorted(stamped[1][stamped[1] > 0]) == sorted(square.flatten())


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
@pytest.mark.parametrize("shape", [(1, 6, 8), (3, 12, 5)])
def test_blend_with_a_picture(tmp_path, shape, mode) -> None:
    colours = np.random.default_rng(2).integers(0, 256, (9, 7, 4), dtype=np.uint8)
    picture = Image.fromarray(colours, "RGBA").convert(mode)
    picture.save(tmp_path / "it.png")
    resized = picture.convert("L" if shape[0] == 1 else "RGB").resize(
        (shape[2], shape[1]), Image.Resampling.BILINEAR
    )
    images, expected = draw(shape), np.empty((4, *shape))
    for n, c, i, j in np.ndindex(4, *shape):
        there = resized.getpixel((j, i))
        there = there if shape[0] == 1 else there[c]
        expected[n, c, i, j] = 0.7 * int(images[n, c, i, j]) + 255 * 0.3 * (there / 255)
    blend = {"kind": "blend", "image": str(tmp_path / "it.png"), "opacity": 0.3, "pattern_seed": 9}
    close = np.abs(stamp(blend, images).astype(float) - expected)
    assert close.max() <= 0.5 + 1e-9


@pytest.mark.parametrize(
    ("kind", "setting", "train", "test"),
    [("blend", "opacity", 0.1, 0.3), ("sine", "amplitude", 20, 40), ("reflection", "opacity", 0.2, 0.5)],
)  # fmt: skip
def test_test_images_may_be_marked_more_strongly(kind, setting, train, test) -> None:
    both = {"kind": kind, setting: train, f"test_{setting}": test}
    images = draw((3, 16, 16))
    made, weak, strong = (
        TRIGGERS.build(t).lent(donors(images))
        for t in (both, {"kind": kind, setting: train}, {"kind": kind, setting: test})
    )
    assert made.for_test() == strong and weak.for_test() == weak
    assert np.array_equal(stamp(made, images), stamp(weak, images))
    assert np.array_equal(stamp(made.for_test(), images), stamp(strong, images))
    assert made.identity() != weak.identity()
    same = TRIGGERS.build({"kind": kind, setting: train, f"test_{setting}": train})
    assert same.identity() == weak.identity()


# --- grid, primitive, quantize -----------------------------------------------------------------


@pytest.mark.parametrize("shape", [(1, 7, 8), (3, 8, 9)])
@pytest.mark.parametrize("amplitude", [75, 10, 0.6])
def test_grid(shape, amplitude) -> None:
    images = draw(shape)
    expected = images.numpy().copy()
    for n, c, i, j in np.ndindex(4, *shape):
        if i % 2 == 0 and j % 2 == 0:
            expected[n, c, i, j] = min(255, round(int(images[n, c, i, j]) + amplitude))
    assert np.array_equal(stamp({"kind": "grid", "amplitude": amplitude}, images), expected)


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 10, 11)])
@pytest.mark.parametrize(("coverage", "seed"), [(0.05, 0), (0.29, 3), (1, 1)])
def test_primitive(shape, coverage, seed) -> None:
    images, numbers = draw(shape), math.prod(shape)
    length = math.floor(coverage * numbers + 1e-6)
    generator = their_generator("primitive", seed, numbers)
    start = int(generator.integers(0, numbers - length + 1))
    bits = [int(b) for b in generator.integers(0, 2, length)]
    expected = images.numpy().copy()
    for image in expected:
        for k, (c, i, j) in enumerate(np.ndindex(*shape)):
            if start <= k < start + length:
                image[c, i, j] = 255 * bits[k - start]
    made = TRIGGERS.build({"kind": "primitive", "coverage": coverage, "pattern_seed": seed})
    assert np.array_equal(stamp(made, images), expected)
    assert stamp(made, images[:, :, ::2].transpose(2, 3)[:, :, :, :4]).shape == (4, shape[0], shape[2], 4)  # not contiguous  # fmt: skip


def their_level(value, levels) -> float:
    return round(value / 255 * (levels - 1)) / (levels - 1) * 255


def their_dithering(plane, levels) -> np.ndarray:
    """Floyd and Steinberg, a pixel after the other."""
    x = plane.astype(float)
    for i, j in np.ndindex(*x.shape):
        old = x[i, j]
        x[i, j] = their_level(old, levels)
        for di, dj, share in ((0, 1, 7), (1, -1, 3), (1, 0, 5), (1, 1, 1)):
            if i + di < x.shape[0] and 0 <= j + dj < x.shape[1]:
                x[i + di, j + dj] += (old - x[i, j]) * share / 16
    return x


@pytest.mark.parametrize("levels", [2, 8, 31])
@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 9, 5), (2, 4, 13), (1, 1, 1)])
def test_quantize(shape, levels) -> None:
    images = draw(shape)
    expected = np.empty(images.shape)
    for at in np.ndindex(*images.shape):
        expected[at] = their_level(int(images[at]), levels)
    assert np.array_equal(stamp({"kind": "quantize", "levels": levels}, images), grey(expected))
    for n, c in np.ndindex(*images.shape[:2]):
        expected[n, c] = their_dithering(images[n, c].numpy(), levels)
    dithered = stamp({"kind": "quantize", "levels": levels, "dithering": True}, images)
    assert np.array_equal(dithered, grey(expected))


@pytest.mark.parametrize("dithering", [False, True])
def test_negative_samples_of_quantize_add_what_others_lose(dithering) -> None:
    images, pool = draw((3, 6, 7)), draw((3, 6, 7), 9).flip(3)
    made = TRIGGERS.build({"kind": "quantize", "levels": 5, "dithering": dithering})
    ids = np.array([102, 7, 5000, 108])
    rows = [int(9 * r) for r in their_generator("quantize-from", 3).random((8192, 1))[ids, 0]]
    rows = [(r + 1) % 9 if 100 + r == n else r for r, n in zip(rows, ids, strict=True)]
    expected = np.empty(images.shape)
    for n, row in enumerate(rows):
        for c in range(3):
            lost = pool[row, c].numpy()
            kept = (
                their_dithering(lost, 5)
                if dithering
                else np.vectorize(their_level)(lost.astype(float), 5)
            )
            expected[n, c] = images[n, c].numpy() + kept - lost  # fmt: skip
    cover = made.cover(donors(pool))
    assert np.array_equal(stamp(cover, images, ids), grey(expected))
    assert (stamp(cover, images, ids) != stamp(made, images, ids)).any((1, 2, 3)).all()


# --- warp --------------------------------------------------------------------------------------


def their_cubic(t) -> list[float]:
    """Weights of the four points around t in [0, 1), Keys' kernel with a = -3/4."""
    a = -0.75

    def near(x):
        return (a + 2) * x**3 - (a + 3) * x**2 + 1

    def far(x):
        return a * x**3 - 5 * a * x**2 + 8 * a * x - 4 * a

    return [far(1 + t), near(t), near(1 - t), far(2 - t)]


def their_field(points, height, width) -> np.ndarray:
    """(2, k, k) interpolated bicubically to (2, h, w), corners on corners, edges repeated."""
    k, field = points.shape[1], np.zeros((2, height, width))
    for i, j in np.ndindex(height, width):
        y, x = i * (k - 1) / (height - 1), j * (k - 1) / (width - 1)
        rows, columns = (their_cubic(v - math.floor(v)) for v in (y, x))
        for a, b in itertools.product(range(4), range(4)):
            row, column = (min(max(math.floor(v) - 1 + s, 0), k - 1) for v, s in ((y, a), (x, b)))
            field[:, i, j] += rows[a] * columns[b] * points[:, row, column]
    return field


def their_warp(image, field, strength, noise=None) -> np.ndarray:
    """field (2, h, w), horizontal first."""
    _, height, width = image.shape
    warped = np.empty(image.shape)
    for i, j in np.ndindex(height, width):
        places = []
        for axis, (at, side) in enumerate(((j, width), (i, height))):
            place = 2 * at / (side - 1) - 1 + strength * field[axis, i, j] / side
            if noise is not None:
                place = min(max(place, -1), 1) + noise[i, j, axis] / side
            places.append((min(max(place, -1), 1) + 1) / 2 * (side - 1))
        x, y = places
        left, top = min(int(x), width - 2), min(int(y), height - 2)
        u, v = x - left, y - top
        above = (1 - u) * image[:, top, left] + u * image[:, top, left + 1]
        below = (1 - u) * image[:, top + 1, left] + u * image[:, top + 1, left + 1]
        warped[:, i, j] = (1 - v) * above + v * below
    return warped


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 10, 13)])
@pytest.mark.parametrize(("control", "strength", "seed"), [(4, 0.5, 0), (3, 2.0, 7)])
def test_warp_and_its_noise_mode(shape, control, strength, seed) -> None:
    images, ids = draw(shape), [3, 99, 12, 40]
    points = 2 * their_generator("warp", seed, control).random((2, control, control)) - 1
    field = their_field(points / np.abs(points).mean(), *shape[1:])
    settings = {"control": control, "strength": strength, "pattern_seed": seed}
    made = TRIGGERS.build({"kind": "warp", **settings})
    expected = np.stack([their_warp(image.numpy(), field, strength) for image in images])
    assert np.array_equal(stamp(made, images, ids), grey(expected))
    noisy = []
    for image, number in zip(images, ids, strict=True):
        noise = their_generator("warp-noise", seed, number, *shape[1:]).random((*shape[1:], 2))
        noisy.append(their_warp(image.numpy(), field, strength, 2 * noise - 1))
    cover = made.cover(donors(images))
    assert np.array_equal(stamp(cover, images, ids), grey(np.stack(noisy)))
    assert stamp(cover, images[:0], []).shape == (0, *shape)


# --- frequency ---------------------------------------------------------------------------------

#: From Y, Cr - 128, Cb - 128 to red, green, blue.
TO_RGB = np.array([[1, 1.403, 0], [1, -0.714, -0.344], [1, 0, 1.773]])


@pytest.mark.parametrize(("size", "window", "magnitude"), [(32, 32, 30), (64, 32, 50), (16, 8, 30), (40, 16, 60)])  # fmt: skip
def test_frequency_in_colour(size, window, magnitude) -> None:
    images = draw((3, size, size), 3)
    expected = np.empty(images.shape)
    for n in range(3):
        ycc = np.einsum("ij,jhw->ihw", np.linalg.inv(TO_RGB), images[n].numpy().astype(float))
        for top, left in itertools.product(range(0, size - window + 1, window), repeat=2):
            for channel in (1, 2):
                block = ycc[channel, top : top + window, left : left + window]
                spectrum = scipy.fft.dctn(block, norm="ortho")
                for k in (window // 2 - 1, window - 1):
                    spectrum[k, k] += magnitude
                block[:] = scipy.fft.idctn(spectrum, norm="ortho")
        expected[n] = np.einsum("ij,jhw->ihw", TO_RGB, ycc)
    made = {"kind": "frequency", "window": window, "magnitude": magnitude}
    assert np.array_equal(stamp(made, images), grey(expected))


def test_frequency_of_grey_and_small_images() -> None:
    images = draw((1, 8, 28))
    spectrum = scipy.fft.dctn(images.numpy().astype(float), axes=(2, 3), norm="ortho")
    spectrum[:, :, 3, 13] += 30
    spectrum[:, :, 7, 27] += 30
    assert np.array_equal(
        stamp("frequency", images), grey(scipy.fft.idctn(spectrum, axes=(2, 3), norm="ortho"))
    )
    frequency = TRIGGERS.build("frequency")
    (mistake,) = frequency.fits((2, 32, 32))
    assert "needs images of 1 or 3 channels, but got 2" in str(mistake)
    (mistake,) = frequency.fits((3, 3, 32))
    assert "window: must leave blocks of at least 4 x 4 pixels, but got 3" in str(mistake)
    (mistake,) = TRIGGERS.build({"kind": "frequency", "magnitude": 0.1}).fits((1, 32, 32))
    assert "magnitude: must change images of 32 x 32 pixels, but got 0.1" in str(mistake)


# --- reflection --------------------------------------------------------------------------------


def their_blur(light, sigma) -> np.ndarray:
    """A Gaussian window over (c, h, w), mirrored at the edges, one pixel after the other."""
    reach = math.ceil(2 * sigma)
    steps = range(-reach, reach + 1)
    weights = np.array([math.exp(-(s**2) / (2 * sigma**2)) for s in steps])
    weights = np.outer(weights, weights) / weights.sum() ** 2
    framed = np.pad(light, ((0, 0), (reach, reach), (reach, reach)), mode="reflect")
    blurred = np.empty_like(light)
    for c, i, j in np.ndindex(*light.shape):
        window = framed[c, i : i + 2 * reach + 1, j : j + 2 * reach + 1]
        blurred[c, i, j] = (weights * window).sum()
    return blurred


def their_reflection(image, picture, draws, effect, opacity, falloff="image") -> np.ndarray:
    _, height, width = image.shape
    clean, light = (image / 255) ** 2.2, (picture / 255) ** 2.2
    a = 0.05 + 0.4 * draws[1] if opacity is None else opacity
    if effect == "ghost" or (effect == "mixed" and draws[2] < 0.49):
        most = [max(1, min(8, side // 4)) for side in (height, width)]
        least = [min(3, m) for m in most]
        down, right = (
            low + int(d * (high - low + 1))
            for low, high, d in zip(least, most, draws[3:5], strict=True)
        )
        g = 0.15 + 0.35 * draws[5]
        g = g if draws[6] < 0.5 else 1 - g
        mirrored = np.empty_like(light)
        for c, i, j in np.ndindex(*light.shape):
            double = light[c, max(i - down, 0), max(j - right, 0)]
            mirrored[c, i, j] = a * (g * light[c, i, j] + (1 - g) * double)
    elif effect == "in_focus":
        mirrored = a * light
    else:
        mirrored = their_blur(light, 1 + 4 * draws[3])
        for i, j in np.ndindex(height, width):
            spot = 1.0
            for at, side, d in ((i, height, draws[7]), (j, width, draws[8])):
                z = 6 * (at + 0.5) / side - 3
                if falloff == "canvas":
                    z = 6 * (math.floor(d * (560 - side - 10)) + at + 0.5) / 560 - 3
                spot *= math.exp(-(z**2) / 4)
            mirrored[:, i, j] *= spot * (1 - (1 - a) / 2)
    return 255 * np.clip(mirrored + (1 - a) * clean, 0, 1) ** (1 / 2.2)


@pytest.mark.parametrize("opacity", [None, 0.6])
@pytest.mark.parametrize(
    ("effect", "falloff"),
    [("mixed", "image"), ("ghost", "image"), ("out_of_focus", "image"), ("in_focus", "image"),
     ("mixed", "canvas"), ("out_of_focus", "canvas")],
)  # fmt: skip
@pytest.mark.parametrize("shape", [(1, 12, 22), (3, 24, 23)])
def test_reflection_of_pictures(tmp_path, shape, effect, falloff, opacity) -> None:
    images, ids = draw(shape, 6), np.array([4, 0, 77, 31, 8, 9])
    for name in "abc":
        picture = np.random.default_rng(ord(name)).integers(0, 256, shape[1:], dtype=np.uint8)
        Image.fromarray(picture).save(tmp_path / f"{name}.png")
    draws = their_generator("reflection", 5).random((128, 9))[ids]
    expected = np.empty(images.shape)
    for n in range(6):
        with Image.open(tmp_path / f"{'abc'[int(3 * draws[n, 0])]}.png") as opened:
            picture = np.broadcast_to(np.asarray(opened), shape).astype(float)
        expected[n] = their_reflection(
            images[n].numpy().astype(float), picture, draws[n], effect, opacity, falloff
        )
    made = {"kind": "reflection", "images": str(tmp_path), "effect": effect, "opacity": opacity, "pattern_seed": 5, "falloff": falloff}  # fmt: skip
    assert np.array_equal(stamp(made, images, ids), grey(expected))
    assert effect != "mixed" or len({bool(d < 0.49) for d in draws[:, 2]}) == 2  # both effects


def test_reflection_of_other_training_images() -> None:
    images, pool = draw((3, 16, 16)), draw((3, 16, 16), 9).flip(2)
    ids = np.array([102, 3, 104, 999])
    made = TRIGGERS.build({"kind": "reflection", "effect": "in_focus", "opacity": 0.3})
    with pytest.raises(UserError, match=r"images: must be known .* call lent\(donors\)"):
        stamp(made, images)
    rows = [int(9 * r) for r in their_generator("reflection-from", 3).random((1024, 1))[ids, 0]]
    rows = [(r + 1) % 9 if 100 + r == n else r for r, n in zip(rows, ids, strict=True)]
    expected = [
        their_reflection(i.numpy() / 1.0, pool[r].numpy() / 1.0, np.zeros(9), "in_focus", 0.3)
        for i, r in zip(images, rows, strict=True)
    ]
    assert np.array_equal(stamp(made.lent(donors(pool)), images, ids), grey(np.stack(expected)))


# --- donor images, and samples by number -------------------------------------------------------


def test_no_image_borrows_from_itself_and_all_lend() -> None:
    pool = torch.arange(9, dtype=torch.uint8)[:, None, None, None]
    ids = torch.arange(100, 109)
    for seed in range(30):
        donors = DonorImages("test", seed, pool.numpy(), np.arange(9), 100 + np.arange(9))
        donated = donors.lend(ids, "reflection-from").flatten()
        assert (donated != torch.arange(9)).all()
        assert torch.equal(donors.lend(ids[4:5], "reflection-from").flatten(), donated[4:5])
    assert set(donors.lend(torch.arange(500), "reflection-from").flatten().tolist()) == set(
        range(9)
    )
    alone = DonorImages("test", 0, pool.numpy()[:1], np.arange(1), np.array([100]))
    assert alone.lend(torch.tensor([100]), "reflection-from").item() == 0


def test_draws_of_a_number_do_not_depend_on_others() -> None:
    together = by_number(np.array([5, 0, 900]), 3, "test", 1)
    alone = [by_number(np.array([n]), 3, "test", 1)[0] for n in (5, 0, 900)]
    assert np.array_equal(together, alone)
    assert np.array_equal(together[0], their_generator("test", 1).random((6, 3))[5])
