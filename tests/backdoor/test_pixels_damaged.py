"""Files that cannot be read as images: a short reason, no foreign error, and no warning."""

import struct
import threading
import warnings

import numpy as np
import pytest
from image_bytes import chunk, png, saved, tiff
from PIL import Image

from backdoor.reading.opening import QUIET
from backdoor.reading.pixels import Decoding, decode

NOISE = np.random.default_rng(7).integers(0, 256, (6, 9, 4), dtype=np.uint8)
RGB = Image.fromarray(NOISE[..., :3])
WHOLE = saved(RGB, "PNG")


def header(width: int, height: int) -> bytes:
    """A PNG file that only claims its size."""
    parts = (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)), (b"IDAT", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


UNKNOWN = "is no image of a format that is read, or its beginning is damaged"


@pytest.mark.parametrize(
    ("encoded", "why"),
    [
        (b"", "is empty"),
        (b"<!DOCTYPE html>\n<html>\n<title>404</title>", "is text, such as a web page"),
        (("\ufeff" + "<svg>é" * 20).encode(), "is text, such as a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a", "is a pointer of Git LFS and not the file itself"),
        (bytes(range(200)), UNKNOWN),
        (WHOLE[:20], ""),
        (WHOLE[: len(WHOLE) // 2], "image file is truncated"),
        (saved(RGB, "JPEG")[:-9], "image file is truncated"),
        (saved(RGB, "BMP")[:-9], "image file is truncated"),
        (header(60000, 60000), "has more than 178,956,970 pixels"),
        (png((0, 3), 8, 2, [b""] * 3), ""),
        (b"P6 0 3 255\n", ""),
        (saved(Image.fromarray(np.ones((2, 2), np.float32)), "TIFF"), "has values in floating point"),
        (saved(Image.fromarray(np.ones((2, 2), np.int32)), "TIFF"), "has values of 32 bits, or below 0"),
        (tiff((2, 2), (16,) * 3, 2, bytes(24), planes=3), "has planes of 16 bits that are not compressed"),
        (png((1, 1), 16, 2, [bytes(6)], (b"tRNS", bytes(6))), "has colours of 16 bits, of which one is transparent"),
        (saved(RGB, "EPS"), "is PostScript, which a program would have to draw"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_says_why(encoded, why) -> None:
    with pytest.raises(ValueError) as caught:
        decode(encoded)
    assert str(caught.value).startswith(why) and caught.value.__context__ is None


def seeds() -> list[bytes]:
    rgba = Image.fromarray(NOISE)
    exif = Image.Exif()
    exif[274], exif[271] = 6, "maker"
    several = {"save_all": True, "append_images": [RGB.rotate(180)]}
    return [
        saved(RGB, "PNG", exif=exif), saved(rgba, "PNG", **several), saved(RGB, "JPEG", exif=exif),
        saved(RGB, "JPEG", progressive=True), saved(RGB.convert("CMYK"), "JPEG"),
        saved(rgba, "WEBP", exif=exif), saved(RGB, "WEBP", lossless=True),
        saved(RGB, "TIFF", tiffinfo={274: 6}), saved(RGB, "TIFF", **several),
        saved(RGB.quantize(9), "GIF", transparency=3), saved(RGB, "GIF", **several),
        saved(RGB, "PPM"), b"P5 4 4 4095\n" + bytes(range(16)) * 2, saved(RGB, "BMP"),
        saved(rgba, "BMP"), saved(RGB.quantize(9), "BMP"),
    ]  # fmt: skip


def damaged(whole: bytes, rng: np.random.Generator) -> bytes:
    """With some bits flipped, bytes taken out or put in, or its end cut off."""
    content = bytearray(whole)
    for _ in range(rng.choice((1, 2, 6))):
        place = int(rng.integers(min(len(content), rng.choice((40, 10_000)))))
        match rng.integers(4):
            case 0:
                content[place] ^= 1 << int(rng.integers(8))
            case 1:
                del content[place : place + 3]
            case 2:
                content[place:place] = rng.bytes(3)
            case 3:
                del content[max(place, 20) :]
    return bytes(content)


def test_damage_of_any_kind_is_read_or_is_one_kind_of_error() -> None:
    rng, outcomes = np.random.default_rng(11), {"read": 0, "refused": 0}
    files = seeds()
    for number in range(600):
        try:
            found = decode(damaged(files[number % len(files)], rng), Decoding(16, bits=(None, 12)[number % 2]))  # fmt: skip
            assert found.pixels.shape in ((1, 16, 16), (3, 16, 16))
            outcomes["read"] += 1
        except ValueError as error:
            why = str(error)
            assert why.isprintable() and 5 < len(why) <= 100 and "object at 0x" not in why
            outcomes["refused"] += 1
    assert min(outcomes.values()) > 100


def test_no_memory_is_not_taken_for_damage(monkeypatch) -> None:
    def short(*given):
        raise MemoryError

    monkeypatch.setattr(Image, "open", short)
    with pytest.raises(MemoryError):
        decode(WHOLE)


def test_warnings_neither_leak_nor_stay_off(monkeypatch, recwarn) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 40)  # of which Pillow warns, up to twice as many
    warnings.simplefilter("always")
    before = list(warnings.filters)
    assert decode(WHOLE).pixels.shape == (3, 6, 9)
    assert not recwarn.list and warnings.filters == before


def test_warnings_come_back_when_the_last_of_several_threads_is_done() -> None:
    before = list(warnings.filters)
    entered, leave = threading.Barrier(3), threading.Event()

    def hold() -> None:
        with QUIET:
            entered.wait(10)
            leave.wait(10)

    threads = [threading.Thread(target=hold) for _ in range(2)]
    for thread in threads:
        thread.start()
    with QUIET:
        entered.wait(10)
    warnings.warn("not seen", UserWarning, stacklevel=1)
    leave.set()
    for thread in threads:
        thread.join()
    assert list(warnings.filters) == before
