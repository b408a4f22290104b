"""Around opening an image: its EXIF orientation, foreign warnings, and why it cannot be read."""

from __future__ import annotations

import threading
import warnings

from PIL import Image, UnidentifiedImageError

#: EXIF tag of the orientation, and what turns each one upright.
ORIENTATION = 0x0112
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
#: Characters of a reason that are kept.
LONGEST = 100


def orientation(opened: Image.Image) -> int:
    """The orientation that its EXIF (or XMP) states, 1 to 8; 1 if it states none or is broken."""
    try:
        stated = opened.getexif().get(ORIENTATION, 1)
        return int(stated) if stated in UPRIGHT else 1
    except Exception:  # broken in one of many ways; the pixels are not
        return 1


def turned(image: Image.Image, stated: int) -> Image.Image:
    """The image upright; the same object if that changes nothing. stated: 1 to 8."""
    if stated not in UPRIGHT:
        return image
    upright = image.transpose(UPRIGHT[stated])
    same = upright.size == image.size and upright.tobytes() == image.tobytes()
    return image if same else upright


def reason(error: Exception, encoded: bytes) -> str:
    """Why an image cannot be read, in a few printable words."""
    if isinstance(error, UnidentifiedImageError):
        return _unidentified(encoded)
    if isinstance(error, Image.DecompressionBombError):
        return f"has more than {2 * (Image.MAX_IMAGE_PIXELS or 0):,} pixels"
    words = "".join(c if c.isprintable() else "?" for c in " ".join(str(error).split()))
    said_something = any(c.isalpha() for c in words)
    return (words if said_something else f"is damaged ({type(error).__name__})")[:LONGEST]


def _unidentified(encoded: bytes) -> str:
    if encoded.startswith(b"version https://git-lfs"):
        return "is a pointer of Git LFS and not the file itself"
    start = encoded[:64].decode("utf-8", errors="replace").lstrip("\ufeff").rstrip("\ufffd")
    if "\ufffd" not in start and "".join(start.split()).isprintable():
        return "is text, such as a web page"
    return "is no image of a format that is read, or its beginning is damaged"


class _Quiet:
    """Warnings are ignored in all threads: Pillow warns of files that we read or refuse by rules of
    our own. Around many images it costs less than around each.

    `warnings.catch_warnings` restores the wrong filters where threads overlap. So the first one
    that enters puts it on, and the last one that leaves takes it off.
    """

    def __init__(self) -> None:
        self.lock, self.inside, self.caught = threading.Lock(), 0, warnings.catch_warnings()

    def __enter__(self) -> None:
        with self.lock:
            if self.inside == 0:
                self.caught = warnings.catch_warnings()
                self.caught.__enter__()
                warnings.simplefilter("ignore")
            self.inside += 1

    def __exit__(self, *error: object) -> None:
        with self.lock:
            self.inside -= 1
            if self.inside == 0:
                self.caught.__exit__(None, None, None)


#: `with QUIET:`
QUIET = _Quiet()
