"""How single images are read: transparency, orientation, 16 bits, frames, and all other modes."""

import io

import numpy as np
import pytest
from image_bytes import png, saved, tiff
from PIL import Image

from backdoor.reading.pixels import TRAITS, Decoding, decode

#: Every value with every alpha, (256, 256) uint8 each.
ALPHA, VALUE = np.indices((256, 256)).astype(np.uint8)
NOISE = np.random.default_rng(7).integers(0, 256, (6, 9, 3), dtype=np.uint8)
RGB = Image.fromarray(NOISE)
GREY = RGB.convert("L")
BACKGROUNDS = {"white": 255, "grey": 128, "black": 0}


def laid_over(value, alpha, background):
    """The nearest whole number, computed apart from Pillow."""
    a, v = alpha.astype(np.float64), value.astype(np.float64)
    return np.floor((a * v + (255 - a) * background) / 255 + 0.5).astype(np.uint8)


def pixels(encoded, **how):
    return decode(encoded, Decoding(**how)).pixels


@pytest.mark.parametrize("background", BACKGROUNDS)
def test_every_value_with_every_alpha_over_every_background(background) -> None:
    right = laid_over(VALUE, ALPHA, BACKGROUNDS[background])
    for channels in (2, 4):
        layers = np.stack([*[VALUE] * (channels - 1), ALPHA], axis=2)
        found = decode(saved(Image.fromarray(layers), "PNG"), Decoding(background=background))
        assert found.traits == {"alpha"} and found.peak is None
        assert all(np.array_equal(channel, right) for channel in found.pixels)
        assert found.pixels.shape == (3, 256, 256)


def with_alpha(alpha):
    image = RGB.copy()
    image.putalpha(Image.fromarray(alpha))
    return image


@pytest.mark.parametrize("form", ["PNG", "WEBP", "TIFF", "TGA"])
def test_formats_with_an_alpha_channel(form) -> None:
    alpha = np.random.default_rng(8).integers(0, 255, (6, 9), dtype=np.uint8)
    options = {"lossless": True, "exact": True} if form == "WEBP" else {}
    found = decode(saved(with_alpha(alpha), form, **options), Decoding(background="black"))
    right = laid_over(NOISE, alpha[..., None], 0).transpose(2, 0, 1)
    assert found.traits == {"alpha"} and np.array_equal(found.pixels, right)
    opaque = decode(saved(with_alpha(np.full((6, 9), 255, np.uint8)), form, **options))
    assert not opaque.traits and np.array_equal(opaque.pixels, NOISE.transpose(2, 0, 1))


PALETTE = (b"PLTE", bytes([10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110, 120]))
FOUR = [b"\x1b"]  # the values 0, 1, 2, 3 of two bits


@pytest.mark.parametrize(
    ("encoded", "right"),
    [
        (png((4, 1), 2, 3, FOUR, PALETTE, (b"tRNS", b"\xff\0\x80")), [[10, 255, 162, 100], [20, 255, 167, 110], [30, 255, 172, 120]]),
        (png((4, 1), 2, 3, FOUR, PALETTE, (b"tRNS", b"\xff\0")), [[10, 255, 70, 100], [20, 255, 80, 110], [30, 255, 90, 120]]),
        (png((4, 1), 2, 0, FOUR, (b"tRNS", b"\0\1")), [[0, 255, 170, 255]]),
        (png((2, 1), 4, 0, [b"\x1f"], (b"tRNS", b"\0\1")), [[255, 255]]),
        (png((2, 1), 1, 0, [b"\x40"], (b"tRNS", b"\0\0")), [[255, 255]]),
        (png((2, 1), 8, 0, [b"\1\2"], (b"tRNS", b"\0\2")), [[1, 255]]),
        (png((2, 1), 8, 2, [b"\1\2\3\1\2\4"], (b"tRNS", b"\0\1\0\2\0\3")), [[255, 1], [255, 2], [255, 4]]),
        (png((2, 1), 16, 0, [b"\x40\0\x40\1"], (b"tRNS", b"\x40\0")), [[255, 63]]),
        (png((2, 1), 16, 4, [b"\x50\0\xff\xff\x50\0\0\xff"]), [[80, 255]] * 3),
        (tiff((2, 1), (8, 8, 8, 8), 2, bytes([100, 50, 20, 128, 3, 2, 1, 255]), extra=1), [[227, 3], [177, 2], [147, 1]]),
        (saved(Image.merge("PA", (RGB.quantize(4).crop((0, 0, 2, 1)), Image.new("L", (2, 1)))), "TIFF"), [[255, 255]] * 3),
    ],
    ids=["palette alphas", "palette entry", "2 bits", "4 bits", "1 bit", "grey", "colour", "16 bits", "16 bits with alpha", "premultiplied", "palette and alpha"],
)  # fmt: skip
def test_other_ways_of_transparency(encoded, right) -> None:
    found = decode(encoded)
    assert found.pixels[:, 0].tolist() == right and "alpha" in found.traits


def test_a_transparent_value_that_no_pixel_has_changes_nothing() -> None:
    found = decode(png((2, 1), 8, 0, [b"\1\2"], (b"tRNS", b"\0\3")))
    assert found.pixels.tolist() == [[[1, 2]]] and not found.traits
    gif = decode(saved(RGB.quantize(8), "GIF", transparency=200))
    assert not gif.traits


PLAIN = {
    "1": saved(GREY.convert("1"), "PNG"),
    "grey": saved(GREY, "PNG"),
    "rgb": saved(RGB, "BMP"),
    "palette": saved(RGB.quantize(9), "PNG"),
    "gif": saved(RGB.quantize(9), "GIF"),
    "jpeg": saved(RGB, "JPEG"),
    "cmyk": saved(RGB.convert("CMYK"), "JPEG"),
    "cmyk tiff": saved(RGB.convert("CMYK"), "TIFF"),
    "ycbcr": saved(RGB.convert("YCbCr"), "TIFF", compression="jpeg"),
    "lab": saved(RGB.convert("LAB"), "TIFF"),
    "webp": saved(RGB, "WEBP"),
    "ppm": saved(RGB, "PPM"),
    "planes": tiff((9, 6), (8, 8, 8), 2, NOISE.transpose(2, 0, 1).tobytes(), planes=3),
    "16 bit colours": png((2, 1), 16, 2, [bytes(range(12))]),
}


@pytest.mark.parametrize("name", PLAIN)
def test_everything_else_is_as_pillow_converts_it(name) -> None:
    opened = Image.open(io.BytesIO(PLAIN[name]))
    theirs = np.asarray(opened.convert("L" if opened.mode in ("1", "L") else "RGB"))
    found = decode(PLAIN[name])
    assert np.array_equal(found.pixels, np.atleast_3d(theirs).transpose(2, 0, 1))
    assert not found.traits and found.pixels.dtype == np.uint8
    assert found.pixels.transpose(1, 2, 0).flags.c_contiguous


#: What turns each orientation upright: numpy, by the text of the EXIF standard.
UPRIGHT = {
    1: lambda a: a, 2: lambda a: a[:, ::-1], 3: lambda a: a[::-1, ::-1], 4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1), 6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1), 8: lambda a: np.rot90(a),
}  # fmt: skip


def oriented(image, form, value):
    if form.startswith("TIFF"):
        compression = "tiff_deflate" if form == "TIFF deflate" else None
        return saved(image, "TIFF", tiffinfo={274: value}, compression=compression)
    exif = Image.Exif()
    exif[274] = value
    return saved(image, form, exif=exif, **({"lossless": True} if form == "WEBP" else {}))


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF", "TIFF deflate"])
@pytest.mark.parametrize("value", UPRIGHT)
def test_images_are_turned_before_they_are_cut(form, value) -> None:
    encoded = oriented(RGB, form, value)
    with Image.open(io.BytesIO(oriented(RGB, form, 1))) as opened:
        right = UPRIGHT[value](np.asarray(opened))
    found = decode(encoded)
    assert np.array_equal(found.pixels, right.transpose(2, 0, 1))
    assert found.traits == ({"tiff" if form[0] == "T" else "exif"} if value > 1 else set())
    assert found.traits <= set(TRAITS)
    cut = Image.fromarray(np.ascontiguousarray(right))
    left, top = round((cut.width - 6) / 2), round((cut.height - 6) / 2)
    cut = np.asarray(cut.crop((left, top, left + 6, top + 6)))
    assert np.array_equal(pixels(encoded, side=6, resize="crop"), cut.transpose(2, 0, 1))


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_an_orientation_that_changes_no_pixel_is_not_counted(form) -> None:
    assert not decode(oriented(Image.new("RGB", (3, 3), (1, 2, 3)), form, 6)).traits
    assert decode(oriented(Image.new("L", (3, 2)), form, 6)).traits


def test_broken_exif_is_ignored() -> None:
    whole, (plain,) = oriented(GREY, "JPEG", 6), pixels(oriented(GREY, "JPEG", 1))
    start, rng = whole.index(b"Exif\0\0") + 6, np.random.default_rng(3)
    turned = [UPRIGHT[value](plain).tolist() for value in UPRIGHT]
    for _ in range(150):
        broken = bytearray(whole)
        for place in rng.integers(start, start + 26, 3):
            broken[place] = rng.integers(256)
        assert pixels(bytes(broken))[0].tolist() in turned
    exif = (b"eXIf", b"no exif at all")
    assert not decode(png((2, 1), 8, 0, [b"\1\2"], exif)).traits


def deep(values, form):
    values = np.asarray(values, dtype="<u2").reshape(1, -1)
    big = values.astype(">u2").tobytes()
    size = values.shape[::-1]
    return {
        "png": lambda: png(size, 16, 0, [big]),
        "tiff": lambda: tiff(size, (16,), 1, values.tobytes()),
        "big tiff": lambda: tiff(size, (16,), 1, big, ">"),
        "pgm": lambda: b"P5 %d 1 65535\n" % size[0] + big,
    }[form]()


@pytest.mark.parametrize("form", ["png", "tiff", "big tiff", "pgm"])
def test_sixteen_bits_become_eight(form) -> None:
    found = decode(deep([0, 256, 257, 32896, 65534, 65535], form))
    assert found.pixels.tolist() == [[[0, 0, 1, 128, 254, 255]]]
    assert found.peak == 65535 and not found.traits
    said = decode(deep([9, 600], form), Decoding(bits=16))
    assert said.traits == {"bits"} and said.pixels.tolist() == [[[0, 2]]]
    for bits in range(9, 16):
        values = np.linspace(0, 2**bits - 1, 300).astype(int)
        found = decode(deep(values, form), Decoding(bits=bits))
        right = np.floor(values * 255 / (2**bits - 1) + 0.5)
        assert found.pixels[0, 0].tolist() == right.tolist()
        assert found.traits == {"bits"} and found.peak == 2**bits - 1
    with pytest.raises(
        ValueError, match=r"^has the value 4096, and `bits: 12` allows at most 4095$"
    ):
        pixels(deep([0, 4096], form), bits=12)


def test_netpbm_files_that_state_their_range_fill_it() -> None:
    values = np.array([0, 1, 2000, 4095], dtype=">u2").tobytes()
    for bits in (None, 12):
        found = decode(b"P5 4 1 4095\n" + values, Decoding(bits=bits))
        assert found.pixels.tolist() == [[[0, 0, 125, 255]]] and found.peak is None
    assert pixels(b"P2 2 1 15\n3 15").tolist() == [[[51, 255]]]


def test_twelve_bits_that_are_packed() -> None:
    packed = tiff((2, 1), (12,), 1, bytes([0x12, 0x3F, 0xFF]))
    assert pixels(packed, bits=12).tolist() == [[[18, 255]]] and decode(packed).peak == 4095


@pytest.mark.parametrize("largest", [100, 4095, 16383, 16384, 65535])
def test_what_colours_of_sixteen_bits_use_is_known(largest) -> None:
    values = np.array([0, 7, largest], dtype=">u2")
    some = values.astype("<u2").tobytes()
    for encoded in (
        png((1, 1), 16, 2, [values.tobytes()]),
        png((1, 1), 16, 6, [values.tobytes() + b"\xff\xff"]),
        tiff((1, 1), (16,) * 3, 2, some),
        tiff((1, 1), (16,) * 3, 2, values.tobytes(), ">"),
    ):
        found = decode(encoded)
        assert (found.peak > 16383) == (largest > 16383), encoded[:4]
        assert found.pixels[2].item() == largest // 256
        with pytest.raises(ValueError, match="has colours of 16 bits, and `bits: 12` is for grey"):
            pixels(encoded, bits=12)
        assert decode(encoded, Decoding(bits=16)).traits == {"bits"}
    assert decode(saved(RGB, "PNG"), Decoding(bits=12)).peak is None
    netpbm = decode(b"P6 1 1 65535\n" + values.tobytes())
    assert netpbm.peak is not None and abs(netpbm.peak - largest) <= 256


@pytest.mark.parametrize("form", ["GIF", "PNG", "WEBP", "TIFF"])
def test_of_several_frames_the_first_is_read_and_that_is_counted(form) -> None:
    options = {"lossless": True} if form == "WEBP" else {}
    first, others = RGB.quantize(9).convert("RGB"), [RGB.rotate(180), GREY.convert("RGB")]
    found = decode(saved(first, form, save_all=True, append_images=others, **options))
    assert found.traits == {"frames"}
    assert np.array_equal(found.pixels, np.asarray(first).transpose(2, 0, 1))
    assert not decode(saved(first, form, **options)).traits
