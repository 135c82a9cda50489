"""Pictures that no program writes any more: PNG by its bytes."""

import io
import struct
import zlib

from PIL import Image

RED, BLUE = (255, 0, 0), (0, 0, 255)


def png(width: int, height: int, bits: int = 8, colour: int = 0, rows: bytes = b"", **chunks):
    """A PNG of any stated size and kind, whether its rows fill it or not.

    Parameters
    ----------
    colour : int
        0 grey, 2 RGB, 4 grey with alpha.
    rows : bytes
        Each with the zero that says it is not filtered.
    **chunks : bytes
        Further ones by their names, such as ``tRNS``.
    """
    head = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    parts = {b"IHDR": head, **{name.encode(): content for name, content in chunks.items()}}
    parts |= {b"IDAT": zlib.compress(rows), b"IEND": b""}
    whole = b"\x89PNG\r\n\x1a\n"
    for name, content in parts.items():
        checksum = struct.pack(">I", zlib.crc32(name + content))
        whole += struct.pack(">I", len(content)) + name + content + checksum
    return whole


def two_colours(mode: str = "RGB", size: tuple[int, int] = (16, 8)) -> Image.Image:
    """Left red, right blue."""
    image = Image.new("RGB", size, BLUE)
    image.paste(RED, (0, 0, size[0] // 2, size[1]))
    return image.convert(mode)


def stored(image: Image.Image, kind: str, **options) -> bytes:
    """The bytes of a picture in a format."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()
