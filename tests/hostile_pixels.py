"""Hostile images, for every reader of encoded images."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from hostile import Case, Read, Refused, Sample, Settings, draw, expect, label_all
from hostile_files import gray_png, raw_png, wide_png
from hostile_writers import WRITERS, encode, png
from PIL import Image, ImageOps

Outcomes = tuple[Read | Refused, ...]


def with_alpha(pixels: np.ndarray, alpha: np.ndarray) -> Image.Image:
    return Image.fromarray(np.dstack([pixels, alpha]))


def rgb(image: Image.Image) -> np.ndarray:
    return np.asarray(image.convert("RGB"))


def thrice(pixels: np.ndarray) -> np.ndarray:
    """Grey as three equal channels: what has an alpha channel was always read as RGB."""
    return np.dstack([pixels] * 3)


def over(pixels: np.ndarray, alpha: np.ndarray, background: int = 255) -> np.ndarray:
    """What is seen where pixels of this opacity lie over a background."""
    share = (alpha if pixels.ndim == 2 else alpha[..., None]) / 255
    return np.rint(pixels * share + background * (1 - share)).astype(np.uint8)


COLOUR, GREY = draw(12, (6, 6, 3)), draw(12, (6, 6))
HALF = np.where(np.arange(36).reshape(6, 6) % 3 == 0, 0, 255).astype(np.uint8)
PARTLY = (np.arange(36).reshape(6, 6) * 7).astype(np.uint8)
OPAQUE = np.full((6, 6), 255, np.uint8)
WIDE = np.random.default_rng(8).integers(0, 65536, (12, 6, 6), dtype=np.uint16)
SCAN = np.random.default_rng(9).integers(0, 4096, (12, 6, 6), dtype=np.uint16)
WIDE_RGB = np.random.default_rng(7).integers(0, 65536, (12, 6, 6, 3), dtype=np.uint16)


def tiff(image: Image.Image, **options: Any) -> bytes:
    return encode(image, "TIFF", **options)


def keyed(image: Image.Image, key: Any) -> bytes:
    """A PNG file in which one colour is transparent."""
    return encode(image, "PNG", transparency=key)


def painted(pixels: np.ndarray) -> Image.Image:
    """As a palette of 16 colours."""
    return Image.fromarray(pixels).quantize(16)


def turned(pixels: np.ndarray, orientation: int, form: str) -> Sample:
    image, exif = Image.fromarray(pixels), Image.Exif()
    exif[0x0112] = orientation
    content = encode(image, form, exif=exif)
    seen = rgb(ImageOps.exif_transpose(Image.open(io.BytesIO(content))))
    return Sample(0, seen, content, {"PNG": ".png", "JPEG": ".jpg", "WEBP": ".webp"}[form])


def black_key(pixels: np.ndarray) -> Sample:
    """Colour whose black pixels are transparent."""
    changed = pixels.copy()
    changed[2, :3] = 0
    seen = changed.copy()
    seen[2, :3] = 255
    return Sample(0, seen, keyed(Image.fromarray(changed), (0, 0, 0)))


def grey_key(pixels: np.ndarray) -> Sample:
    changed = np.where(pixels == 7, 8, pixels).astype(np.uint8)
    changed[2, :3] = 7
    seen = changed.copy()
    seen[2, :3] = 255
    return Sample(0, seen, keyed(Image.fromarray(changed), 7))


def palette_key(pixels: np.ndarray) -> Sample:
    image = painted(pixels)
    index = int(np.asarray(image)[0, 0])
    seen = rgb(image).copy()
    seen[np.asarray(image) == index] = 255
    return Sample(0, seen, keyed(image, index))


def several(pixels: np.ndarray, form: str, suffix: str, **options: Any) -> Sample:
    """A file of two pictures, the second of which is another."""
    first, second = Image.fromarray(pixels), Image.fromarray(255 - pixels)
    content = encode(first, form, save_all=True, append_images=[second], **options)
    return Sample(0, rgb(Image.open(io.BytesIO(content))), content, suffix)


def jpeg(pixels: np.ndarray, mode: str = "RGB") -> Sample:
    content = encode(Image.fromarray(pixels).convert(mode), "JPEG")
    return Sample(0, rgb(Image.open(io.BytesIO(content))), content, ".jpg")


def scaled(values: np.ndarray, most: int) -> np.ndarray:
    return np.rint(values / most * 255).astype(np.uint8)


def bits(values: np.ndarray, most: int = 65535, content: bytes = b"", suffix: str = ".png") -> Sample:  # fmt: skip
    return Sample(0, scaled(values, most), content or wide_png(values), suffix)


#: Idea → 12 samples that are read, the tolerance, what is counted, and settings of the spec.
READ: dict[str, tuple[Sequence[Sample], int, str, Settings]] = {
    "transparent pixels": ([Sample(0, over(p, HALF), encode(with_alpha(p, HALF), "PNG")) for p in COLOUR], 0, "alpha", {}),
    "transparent pixels over black": ([Sample(0, over(p, HALF, 0), encode(with_alpha(p, HALF), "PNG")) for p in COLOUR], 0, "alpha", {"background": "black"}),
    "half transparent pixels": ([Sample(0, over(p, PARTLY), encode(with_alpha(p, PARTLY), "PNG")) for p in COLOUR], 1, "alpha", {}),
    "half transparent pixels over grey": ([Sample(0, over(p, PARTLY, 128), encode(with_alpha(p, PARTLY), "PNG")) for p in COLOUR], 1, "alpha", {"background": "grey"}),
    "an alpha channel without transparent pixels": ([Sample(0, p, encode(with_alpha(p, OPAQUE), "PNG")) for p in COLOUR], 0, "", {}),
    "transparent grey pixels": ([Sample(0, thrice(over(p, HALF)), encode(with_alpha(p, HALF), "PNG")) for p in GREY], 0, "alpha", {}),
    "grey with an opaque alpha channel": ([Sample(0, thrice(p), encode(with_alpha(p, OPAQUE), "PNG")) for p in GREY], 0, "", {}),
    "a colour that is transparent": ([black_key(p) for p in COLOUR], 0, "alpha", {}),
    "a grey level that is transparent": ([grey_key(p) for p in GREY], 0, "alpha", {}),
    "a palette": ([Sample(0, rgb(painted(p)), encode(painted(p), "PNG")) for p in COLOUR], 0, "", {}),
    "a palette with a transparent colour": ([palette_key(p) for p in COLOUR], 0, "alpha", {}),
    "transparent webp": ([Sample(0, over(p, HALF), encode(with_alpha(p, HALF), "WEBP", lossless=True, exact=True), ".webp") for p in COLOUR], 0, "alpha", {}),
    "black and white": ([Sample(0, np.where(p > 99, 255, 0).astype(np.uint8), encode(Image.fromarray(p > 99), "PNG")) for p in GREY], 0, "", {}),
    "grey of 2 bits": ([Sample(0, p // 64 * 85, gray_png(p // 64, 2)) for p in GREY], 0, "", {}),
    "grey of 4 bits": ([Sample(0, p // 16 * 17, gray_png(p // 16, 4)) for p in GREY], 0, "", {}),
    "grey that uses few levels": ([Sample(0, p // 64, None) for p in GREY], 0, "", {}),
    "16 bits": ([bits(p) for p in WIDE], 1, "", {}),
    "16 bits in the other byte order": ([bits(p, content=tiff(Image.frombytes("I;16B", (6, 6), p.astype(">u2").tobytes())), suffix=".tif") for p in WIDE], 1, "", {}),
    "12 of 16 bits, said so": ([bits(p, 4095) for p in SCAN], 1, "bits", {"bits": 12}),
    "12 of 16 bits, said to be 16": ([bits(p) for p in SCAN], 1, "bits", {"bits": 16}),
    "16 bits of colour": ([bits(p) for p in WIDE_RGB], 1, "", {}),
    "CMYK": ([jpeg(p, "CMYK") for p in COLOUR], 0, "", {}),
    "CMYK TIFF": ([Sample(0, rgb(Image.fromarray(p).convert("CMYK")), tiff(Image.fromarray(p).convert("CMYK")), ".tif") for p in COLOUR], 0, "", {}),
    "grey JPEG": ([Sample(0, np.asarray(Image.open(io.BytesIO(encode(Image.fromarray(p), "JPEG")))), encode(Image.fromarray(p), "JPEG"), ".JPG") for p in GREY], 0, "", {}),
    "JPEG in files called .png": ([Sample(0, s.pixels, s.content, ".png") for s in map(jpeg, COLOUR)], 0, "", {}),
    "a colour profile": ([Sample(0, p, encode(Image.fromarray(p), "PNG", icc_profile=b"no profile at all")) for p in COLOUR], 0, "", {}),
    "animated PNG": ([several(p, "PNG", ".png") for p in COLOUR], 0, "frames", {}),
    "animated webp": ([several(p, "WEBP", ".webp", lossless=True) for p in COLOUR], 0, "frames", {}),
    "TIFF of two pages": ([several(p, "TIFF", ".tiff") for p in COLOUR], 0, "frames", {}),
    "TIFF with planes apart": ([Sample(0, p, tiff(Image.fromarray(p), compression="tiff_lzw"), ".TIF") for p in COLOUR], 0, "", {}),
    "grey among colour": ([Sample(0, p) for pair in zip(COLOUR[:6], GREY[:6], strict=True) for p in pair], 0, "", {}),
    "one transparent image among others": ([Sample(0, over(COLOUR[0], HALF), encode(with_alpha(COLOUR[0], HALF), "PNG")), *(Sample(0, p) for p in COLOUR[1:])], 0, "alpha", {}),
    "EXIF orientations of PNG": ([turned(p, 1 + n % 8, "PNG") for n, p in enumerate(COLOUR)], 0, "exif", {}),
    "EXIF orientations of JPEG": ([turned(p, 1 + n % 8, "JPEG") for n, p in enumerate(COLOUR)], 0, "exif", {}),
    "EXIF orientations of webp": ([turned(p, 1 + n % 8, "WEBP") for n, p in enumerate(COLOUR)], 0, "exif", {}),
    "an EXIF orientation that changes nothing": ([turned(p, 1, "PNG") for p in COLOUR], 0, "", {}),
    "EXIF orientation that does not exist": ([turned(p, 77, "PNG") for p in COLOUR], 0, "", {}),
}  # fmt: skip
#: The same for readers that do not go by the ends of names.
READ_WITHOUT_NAMES: dict[str, tuple[Sequence[Sample], int, str, Settings]] = {
    "animated GIF": ([several(p, "GIF", ".gif") for p in COLOUR], 0, "frames", {}),
    "GIF": ([Sample(0, rgb(Image.open(io.BytesIO(c))), c, ".gif") for c in (encode(Image.fromarray(p), "GIF") for p in COLOUR)], 0, "", {}),
}  # fmt: skip


def _float(pixels: np.ndarray) -> bytes:
    return tiff(Image.fromarray(pixels.astype(np.float32)))


def _damaged(content: bytes) -> list[Sample]:
    """Three of twelve samples cannot be read."""
    return [Sample(0, p, content if n in (1, 5, 9) else None) for n, p in enumerate(COLOUR)]


BIG = raw_png((60_000, 60_000), 8, 2, b"\0")
#: Idea → 12 samples that are refused, what is said, and settings of the spec.
REFUSED: dict[str, tuple[Sequence[Sample], tuple[str, ...], Settings]] = {
    "12 of 16 bits": ([bits(p) for p in SCAN], (r"bits", r"12", r"data\.bits|bits: ?12"), {}),
    "14 of 16 bits": ([bits(p) for p in SCAN * np.uint16(4)], (r"bits", r"14"), {}),
    "more bits than were said": ([bits(p) for p in WIDE], (r"bits", r"12"), {"bits": 12}),
    "12 of 16 bits of colour": ([bits(p >> 4) for p in WIDE_RGB], (r"bits",), {}),
    "floating point": ([Sample(0, p, _float(p), ".tiff") for p in GREY], (r"bits|float",), {}),
    "one of floating point": ([Sample(0, p, _float(p) if n == 4 else None, ".tiff" if n == 4 else ".png") for n, p in enumerate(GREY)], (r"bits|float",), {}),
    "32 bits": ([Sample(0, p, tiff(Image.fromarray(p.astype(np.int32))), ".tif") for p in GREY], (r"bits",), {}),
    "images of several sizes": ([Sample(0, p[: 6 - n // 6]) for n, p in enumerate(COLOUR)], (r"size", r"5 x 6", r"image_size"), {}),
    "damaged: cut in half": (_damaged(png(COLOUR[0])[:90]), (r"decoded|damaged|read",), {}),
    "damaged: text": (_damaged(b"<html>404 Not Found</html>"), (r"decoded|damaged|read",), {}),
    "damaged: nothing": (_damaged(b""), (r"decoded|damaged|read",), {}),
    "damaged: a JPEG that ends early": (_damaged(encode(Image.fromarray(draw(1, (64, 64, 3))[0]), "JPEG")[:1500]), (r"decoded|damaged|read",), {}),
    "damaged: a bit of the content": (_damaged(png(COLOUR[0])[:60] + b"\xff" + png(COLOUR[0])[61:]), (r"decoded|damaged|read",), {}),
    "an image that claims milliards of pixels": (_damaged(BIG), (r"decoded|damaged|read",), {}),
}  # fmt: skip
#: All others that read encoded images hand them to the same function in the same way.
READERS = ("image_folder", "parquet", "parquet of bytes", "csv", "own open")


def cases() -> Iterator[Case]:
    for reader in READERS:
        settings_too = reader != "own open"  # which decodes by the defaults
        rows = READ if reader == "image_folder" else {**READ, **READ_WITHOUT_NAMES}
        for idea, (samples, tolerance, traits, settings) in rows.items():
            if settings_too or not settings:
                yield _read(idea, reader, samples, tolerance, traits, settings)
        for idea, (samples, texts, settings) in REFUSED.items():
            if settings_too or not settings:
                yield _refused(idea, reader, samples, texts, settings)
        yield from _warned(reader)
    yield from _warned("arrays")
    yield from _warned("own read")


def _split(samples: Sequence[Sample]) -> tuple[list[Sample], list[Sample]]:
    """Eight for training and four for testing, of classes a and b."""
    named = [Sample("ab"[n % 2], s.pixels, s.content, s.suffix) for n, s in enumerate(samples)]
    return named[:8], named[8:]


def _written(reader: str, train: Any, test: Any, settings: Settings) -> Callable[[Path], Settings]:
    return lambda root: {**WRITERS[reader](root, train, test), **settings}


def _read(idea: str, reader: str, samples: Sequence[Sample], tolerance: int, traits: str, settings: Settings) -> Case:  # fmt: skip
    train, test = _split(samples)
    says = {"traits": traits}
    outcome = expect(("a", "b"), train, test, tolerance=tolerance, says=says)
    return Case(f"{idea} [{reader}]", _written(reader, train, test, settings), (outcome,))


def _refused(idea: str, reader: str, samples: Sequence[Sample], texts: tuple[str, ...], settings: Settings) -> Case:  # fmt: skip
    train, test = _split(samples)
    if idea.startswith(("damaged", "an image that claims")):
        texts = (*texts, *_places(reader))
    return Case(f"{idea} [{reader}]", _written(reader, train, test, settings), (Refused(texts),))


def _places(reader: str) -> tuple[str, ...]:
    """How a reader names the images 1, 5 and 9 of twelve, the last of which is in the test set."""
    if reader in ("parquet", "parquet of bytes"):
        return r"train-00000-of-00001.parquet, row 1\b", r"row 5\b", r"test-00000-of-00001.parquet, row 1\b"  # fmt: skip
    if reader == "own open":
        return r"image 1\b", r"image 5\b", r"image 9\b"
    return r"train0*1\.png", r"train0*5\.png", r"test0*1\.png"


def _warned(reader: str) -> Iterator[Case]:
    """Read, with a warning."""
    named = 0 if reader in ("arrays", "own read") else "a"
    labels: list[Any] = [named, 1 if named == 0 else "b"]
    names = tuple(str(label) for label in labels)
    flat = [Sample(labels[n % 2], np.full_like(p, n) if n < 3 else p) for n, p in enumerate(COLOUR)]
    yield _reported("constant images", reader, flat[:8], flat[8:], names, {"warnings": r"3\b.*(one value|constant)|(one value|constant).*3\b"})  # fmt: skip
    seen = [*label_all(4 * labels, seed=5), *label_all(2 * labels, seed=6)]
    doubled = [*seen[:8], *(Sample(s.label, seen[n].pixels if n < 2 else s.pixels) for n, s in enumerate(seen[8:]))]  # fmt: skip
    yield _reported("images that are in training and in test", reader, doubled[:8], doubled[8:], names, {"warnings": r"[12]\b.*test"})  # fmt: skip
    yield _reported("nothing to be warned of", reader, seen[:8], seen[8:], names, {"warnings": "", "traits": "", "left_out": ""})  # fmt: skip


def _reported(idea: str, reader: str, train: Any, test: Any, names: tuple[str, ...], says: dict[str, str]) -> Case:  # fmt: skip
    outcome = expect(names, train, test, says=says)
    return Case(f"{idea} [{reader}]", _written(reader, train, test, {}), (outcome,))
