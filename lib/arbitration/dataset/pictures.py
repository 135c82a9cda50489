"""Reading a picture: the one way, for the check of a set, the prompt, Fig. 2 and everything else
that looks at a file.

A model gets what a person sees in a viewer: the picture upright, on white where it is transparent,
with all its grey levels.
"""

from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps

from arbitration.files.given import find_path, quote_error

#: What the modes of more than 8 bits stand for: the value that is white. Of the others (32-bit
#: floats) no file says what white is.
WHITE = {
    "I;16": 2**16 - 1,
    "I;16B": 2**16 - 1,
    "I;16L": 2**16 - 1,
    "I;16N": 2**16 - 1,
    "I": 2**16 - 1,
}


def read_picture(source: Path | str | BinaryIO) -> Image.Image:
    """A picture as it is shown to a model: 8-bit RGB.

    Turned upright by its EXIF orientation; laid on white where it is transparent; 16-bit grey
    scaled to 8 bits; of an animation the first picture. The format is told by the content, whatever
    the file is called.

    Raises
    ------
    ValueError
        If it cannot be read whole, or has numbers of which nobody says what is white.
    """
    try:
        with Image.open(source) as opened:
            opened.verify()  # a PNG's checksums: decoding lets one wrong bit in twenty pass
        with Image.open(source) as opened:
            opened.load()
            return _on_white(_scaled(ImageOps.exif_transpose(opened)))
    except Image.DecompressionBombError as error:
        why = f"cannot be read as a picture ({quote_error(error)}); save it smaller"
        raise ValueError(why) from error
    except Exception as error:  # Pillow's readers raise many kinds
        why = f"cannot be read as a picture ({quote_error(error)})"
        raise ValueError(why) from error


def find_fault(path: Path) -> str | None:
    """Why a picture cannot be read, or None: decoded whole, so that a truncated one does not stop a
    run half-way.
    """
    try:
        if not find_path(path).is_file():
            return f"there is no file {path}"
    except ValueError as error:
        return str(error)
    try:
        read_picture(path)
    except ValueError as error:
        return f"{path} {error}"
    return None


def _scaled(image: Image.Image) -> Image.Image:
    """Grey of more than 8 bits as 8 bits; other pictures as they are."""
    if image.mode in WHITE:
        values = np.asarray(image).astype(np.int64)
        white = WHITE[image.mode]
        if values.min() < 0 or values.max() > white:
            why = (
                f"its grey levels go from {values.min()} to {values.max()}, beyond 16 bits; "
                f"save it with 8 or 16"
            )
            raise ValueError(why)
        grey = Image.fromarray(np.round(values * (255 / white)).astype(np.uint8))
        if (clear := image.info.get("transparency")) is not None:
            grey.putalpha(Image.fromarray(np.where(values == clear, 0, 255).astype(np.uint8)))
        return grey
    if image.mode == "F":
        why = (
            "its grey levels are floating-point numbers, of which none is white by convention; "
            "save it with 8 or 16 bits"
        )
        raise ValueError(why)
    return image


def _on_white(image: Image.Image) -> Image.Image:
    if not image.has_transparency_data:
        return image.convert("RGB")
    above = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", above.size, "white"), above).convert("RGB")
