"""Image files in memory: what Pillow writes, and PNG and TIFF byte by byte for what it does not."""

import io
import struct
import zlib

from PIL import Image


def saved(image: Image.Image, form: str, **options) -> bytes:
    stream = io.BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(size, bits: int, colour_type: int, rows, *chunks: tuple[bytes, bytes]) -> bytes:
    """rows: the bytes of each row; chunks: what comes before the pixels, such as (b"tRNS", ...)."""
    header = struct.pack(">IIBBBBB", *size, bits, colour_type, 0, 0, 0)
    body = zlib.compress(b"".join(b"\0" + row for row in rows))
    parts = [(b"IHDR", header), *chunks, (b"IDAT", body), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


def tiff(size, bits: tuple[int, ...], photometric: int, data: bytes, order="<", extra=None, planes=1):  # fmt: skip
    """Without compression, in one strip for each plane. extra: kind of the extra samples."""
    length = len(data) // planes
    tags = {256: size[:1], 257: size[1:], 258: bits, 259: (1,), 262: (photometric,)}
    tags |= {273: (0,) * planes, 277: (len(bits),), 278: size[1:], 279: (length,) * planes}
    tags |= {284: (2 if planes > 1 else 1,)} | ({} if extra is None else {338: (extra,)})
    after = 8 + 2 + 12 * len(tags) + 4
    start = after + sum(4 * len(values) for values in tags.values() if len(values) > 1)
    tags[273] = tuple(start + length * plane for plane in range(planes))
    entries, more = b"", b""
    for tag, values in sorted(tags.items()):
        packed = struct.pack(f"{order}{len(values)}I", *values)
        if len(values) > 1:
            packed, more = struct.pack(order + "I", after + len(more)), more + packed
        entries += struct.pack(order + "HHI", tag, 4, len(values)) + packed
    magic = b"II*\0" if order == "<" else b"MM\0*"
    head = magic + struct.pack(order + "IH", 8, len(tags))
    return head + entries + b"\0\0\0\0" + more + data
