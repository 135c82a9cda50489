"""Scenes as pictures: icons pasted on a gradient, many at once, on any device."""

import json
from dataclasses import asdict, dataclass
from functools import cache

import numpy as np
import torch
from PIL import Image
from torch.nn.functional import grid_sample

from arbitration.files.folders import DATA

SCENES = DATA / "scenes"
SIDE = 96  # pixels of a picture


@dataclass(frozen=True)
class Item:
    """An icon in a picture.

    Attributes
    ----------
    style : int
        Art style, its place in ``styles`` of ``icons.json``.
    row : int
        Which icon of the style's sheet.
    x, y, size : float
        Centre and width as fractions of the picture, from the left and from the top.
    tint : int
        Place of a colour in ``colours`` of ``icons.json``, or −1 for the icon's own colours.
    flip : bool
        Mirrored left to right.
    """

    style: int
    row: int
    x: float
    y: float
    size: float
    tint: int = -1
    flip: bool = False


@dataclass(frozen=True)
class Scene:
    """What a picture shows: items, later ones in front, and seven numbers in 0..1 that set the
    background.
    """

    items: tuple[Item, ...]
    background: tuple[float, ...]

    @classmethod
    def from_record(cls, record: dict) -> "Scene":
        """The scene of a line of ``samples.jsonl``."""
        return cls(tuple(Item(**item) for item in record["scene"]), tuple(record["background"]))

    def record(self) -> dict:
        return {"scene": [asdict(item) for item in self.items], "background": list(self.background)}


@cache
def icons() -> dict:
    """The content of ``icons.json``: styles, concepts and their icons, colours, number words."""
    return json.loads((SCENES / "icons.json").read_text(encoding="utf-8"))


@cache
def tiles() -> torch.Tensor:
    """All icons, colours times opacity; shape (styles, icons, 4, tile, tile), values 0..1."""
    side = icons()["tile"]
    sheets = []
    for style in icons()["styles"]:
        with Image.open(SCENES / "icons" / f"{style}.png") as sheet:
            pixels = torch.from_numpy(np.array(sheet.convert("RGBA"))).float() / 255
        rows, columns = pixels.shape[0] // side, pixels.shape[1] // side
        grid = pixels.view(rows, side, columns, side, 4).permute(0, 2, 4, 1, 3)
        sheets.append(grid.reshape(-1, 4, side, side))
    every = torch.stack(sheets)
    # Sampling between an icon's edge and the empty tile around it must not mix in the colour of
    # emptiness.
    every[:, :, :3] *= every[:, :, 3:]
    return every


def render(scenes: list[Scene], device="cpu") -> torch.Tensor:
    """Draw scenes.

    The background runs linearly from c₁ = 0.45 + 0.5·b₀₋₂ to c₂ = c₁ + 0.3·(b₃₋₅ − 0.5), both cut
    to 0..1, along b₆·x + (1 − b₆)·y.

    Parameters
    ----------
    scenes : list of Scene
    device : str or torch.device

    Returns
    -------
    Tensor
        Shape (scenes, 3, 96, 96), values 0..1.
    """
    where = (torch.arange(SIDE, device=device) + 0.5) / SIDE
    b = torch.tensor([scene.background for scene in scenes], device=device)[..., None, None]
    first = 0.45 + 0.5 * b[:, 0:3]
    second = (first + 0.3 * (b[:, 3:6] - 0.5)).clamp(0, 1)
    first = first.clamp(0, 1)
    along = b[:, 6:7] * where + (1 - b[:, 6:7]) * where[:, None]
    pictures = first + (second - first) * along
    for place in range(max(len(scene.items) for scene in scenes)):
        rows = [index for index, scene in enumerate(scenes) if len(scene.items) > place]
        pasted = _sampled([scenes[index].items[place] for index in rows], where)
        pictures[rows] = pictures[rows] * (1 - pasted[:, 3:]) + pasted[:, :3]
    return pictures.clamp(0, 1)


def _sampled(items: list[Item], where: torch.Tensor) -> torch.Tensor:
    """Each item where it lies in an otherwise empty picture; (items, 4, 96, 96), colours multiplied
    by opacity.
    """
    device = where.device
    styles = [item.style for item in items]
    source = tiles()[styles, [item.row for item in items]].to(device)
    tint = torch.tensor([item.tint for item in items], device=device)
    source = torch.where(
        (tint >= 0)[:, None, None, None], _tinted(source, tint.clamp(min=0)), source
    )
    x, y, size = torch.tensor([(item.x, item.y, item.size) for item in items], device=device).T
    across = 2 * (where - x[:, None]) / size[:, None]
    down = 2 * (where - y[:, None]) / size[:, None]
    across = (
        across
        * torch.tensor([-1.0 if item.flip else 1.0 for item in items], device=device)[:, None]
    )
    grid = torch.stack(torch.broadcast_tensors(across[:, None, :], down[:, :, None]), -1)
    return grid_sample(source, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def _tinted(source: torch.Tensor, tint: torch.Tensor) -> torch.Tensor:
    """The icons in one colour each; light and dark parts stay apart."""
    opacity = source[:, 3:]
    light = (source[:, :3] / opacity.clamp(min=1e-6)).mean(1, keepdim=True)
    colours = torch.tensor(list(icons()["colours"].values()), device=source.device)[tint][
        ..., None, None
    ]
    painted = (colours * (0.55 + 0.6 * light) + 0.12 * (light - 0.5)).clamp(0, 1)
    return torch.cat([painted * opacity, opacity], 1)


def to_image(picture: torch.Tensor) -> Image.Image:
    """A picture of shape (3, 96, 96), values 0..1, as the shipped files hold it."""
    return Image.fromarray((picture * 255).round().to(torch.uint8).permute(1, 2, 0).cpu().numpy())
