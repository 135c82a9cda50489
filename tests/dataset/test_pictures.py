"""What a person sees is what the model gets: one reader, for the check, the prompt and Fig. 2."""

import io
import json
import shutil

import numpy as np
import pytest
from PIL import Image

import tiny
from arbitration import dataset
from arbitration.dataset import pictures
from arbitration.models.prompt import Unusable
from reproduction import figures
from reproduction.measures import tokens
from shared_folder import SHARED

RAMP = np.linspace(0, 65535, 64).reshape(8, 8).astype(np.uint16)


def stored(image: Image.Image, kind: str, **options) -> io.BytesIO:
    file = io.BytesIO()
    image.save(file, kind, **options)
    file.seek(0)
    return file


def half_and_half(mode: str = "RGB") -> Image.Image:
    """Left red, right blue, twice as wide as high."""
    image = Image.new("RGB", (32, 16), "blue")
    image.paste("red", (0, 0, 16, 16))
    return image.convert(mode)


@pytest.mark.parametrize(
    "orientation, turn",
    list(
        enumerate(
            [
                None,
                Image.Transpose.FLIP_LEFT_RIGHT,
                Image.Transpose.ROTATE_180,
                Image.Transpose.FLIP_TOP_BOTTOM,
                Image.Transpose.TRANSPOSE,
                Image.Transpose.ROTATE_90,
                Image.Transpose.TRANSVERSE,
                Image.Transpose.ROTATE_270,
            ],
            start=1,
        )
    ),
)
def test_a_picture_is_turned_upright(orientation, turn):
    """Stored turned and tagged so, it is read as the picture that is not turned."""
    upright, exif = half_and_half(), Image.Exif()
    exif[0x0112] = orientation
    turned = upright if turn is None else upright.transpose(turn)
    assert np.array_equal(pictures.read_picture(stored(turned, "PNG", exif=exif)), upright)


@pytest.mark.parametrize("mode, clear", [("RGBA", (0, 0, 0, 0)), ("LA", (0, 0))])
def test_what_is_transparent_is_white(mode, clear):
    image = Image.new(mode, (4, 2), clear)
    image.putpixel((0, 0), (*clear[:-1], 255))
    image.putpixel((1, 0), (*clear[:-1], 128))
    read = pictures.read_picture(stored(image, "PNG"))
    assert read.mode == "RGB" and [read.getpixel((x, 0)) for x in range(3)] == [
        (0, 0, 0),
        (127, 127, 127),
        (255, 255, 255),
    ]


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_a_transparent_colour_of_a_palette_is_white(kind):
    image = Image.new("P", (2, 1), 1)
    image.putpalette([10, 20, 30, 200, 0, 0])
    image.putpixel((0, 0), 0)
    assert [
        pictures.read_picture(stored(image, kind, transparency=0)).getpixel((x, 0)) for x in (0, 1)
    ] == [(255, 255, 255), (200, 0, 0)]
    assert pictures.read_picture(stored(image, kind)).getpixel((0, 0)) == (10, 20, 30)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bits_keep_their_grey_levels(kind):
    read = np.asarray(pictures.read_picture(stored(Image.fromarray(RAMP), kind)))
    assert (
        np.array_equal(
            read, np.repeat(np.round(RAMP / 257).astype(np.uint8)[:, :, None], 3, axis=2)
        )
        and read.std() > 50
    )


@pytest.mark.parametrize("values", [RAMP.astype(np.int32) * 2, RAMP.astype(np.float32) / 65535])
def test_grey_levels_of_unknown_white_are_refused(values):
    with pytest.raises(ValueError, match="cannot be read as a picture .its grey levels.* 16 bits"):
        pictures.read_picture(stored(Image.fromarray(values), "TIFF"))


@pytest.mark.parametrize("mode", ["1", "L", "P", "CMYK", "YCbCr", "RGB"])
def test_other_pictures_are_as_pillow_has_them(mode):
    image = half_and_half(mode)
    assert np.array_equal(pictures.read_picture(stored(image, "TIFF")), image.convert("RGB"))


def test_the_shipped_scenes_are_read_as_before():
    for sample in dataset.load("scenes", "held")[:20]:
        with Image.open(sample.image) as image:
            assert np.array_equal(pictures.read_picture(sample.image), image.convert("RGB"))


def test_the_first_picture_of_an_animation_is_read():
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    assert pictures.read_picture(
        stored(frames[0], "GIF", save_all=True, append_images=frames[1:])
    ).getpixel((0, 0)) == (255, 0, 0)


def drawn_picture(figure) -> np.ndarray:
    """The picture that Fig. 2 draws, whose proportions it keeps."""
    (image,) = figure.axes[0].get_images()
    left, right, bottom, top = image.get_extent()
    pixels = np.asarray(image.get_array())
    assert (right - left) / (top - bottom) == pytest.approx(pixels.shape[1] / pixels.shape[0])
    return pixels


@pytest.mark.parametrize(
    "name, content",
    [
        ("sideways.jpg", "turned"),
        ("a.png", "JPEG"),
        ("grey.png", "L"),
        ("grey16.png", "I;16"),
        ("cut.png", "RGBA"),
    ],
)
def test_prompt_and_figure_have_the_same_picture(tmp_path, name, content):
    path, image = tmp_path / name, half_and_half()
    if content == "turned":
        exif = Image.Exif()
        exif[0x0112] = 6
        image.transpose(Image.Transpose.ROTATE_90).save(path, exif=exif)
    elif content == "JPEG":
        image.save(path, "JPEG")
    elif content == "I;16":
        Image.fromarray(RAMP).save(path)
    else:
        image.convert(content).save(path)
    sample = dataset.Sample(
        "s", "all", "", str(path), "What?", "Text.", "apple", "pear", "Look.", "Read."
    )
    subject, seen = tiny.subject("llava"), pictures.read_picture(path)
    prompt = subject.encode(sample, "vision")
    expected = subject.processor.image_processor(images=seen, return_tensors="pt")["pixel_values"]
    assert prompt.inputs["pixel_values"].equal(expected)
    forms = {"vision": ("apple",), "text": ("pear",)}
    assert np.array_equal(
        drawn_picture(figures.fig2(sample, tokens.group_tokens(subject, sample), forms)), seen
    )


@pytest.mark.shared
@pytest.mark.parametrize("name", ["cutout", "grey16", "sideways", "jpeg_called", "grey8"])
def test_the_pictures_that_failed_elsewhere(name, tmp_path):
    shutil.copytree(SHARED / "cases" / "pictures", tmp_path / "set")
    (sample,) = [one for one in dataset.load(tmp_path / "set", "held") if one.id == name]
    pixels = np.asarray(pictures.read_picture(sample.image)).astype(int)
    assert {
        "cutout": lambda: pixels[48, 48].tolist() == [0] * 3 and pixels[0, 0].tolist() == [255] * 3,
        "grey16": lambda: pixels.min() == 0 and pixels.max() == 255 and pixels.std() > 50,
        "sideways": lambda: pixels[2, 5, 0] > 200 and pixels[-3, 5, 2] > 200,
        "jpeg_called": lambda: pixels.shape == (96, 96, 3),
        "grey8": lambda: np.unique(pixels).tolist() == [90],
    }[name]()


@pytest.mark.shared
def test_a_banner_is_refused_by_name_where_a_processor_cannot_take_it():
    lines = (
        (SHARED / "cases" / "pictures" / "samples.jsonl").read_text(encoding="utf-8").splitlines()
    )
    assert len(lines) == len(dataset.load(SHARED / "cases" / "pictures", "held")), json.loads(
        lines[0]
    )
    (banner,) = [
        one for one in dataset.load(SHARED / "cases" / "pictures", "held") if one.id == "banner"
    ]
    with pytest.raises(
        Unusable,
        match=(
            "sample banner: the processor of tiny-qwen2.5-vl does not take its picture 'banner.png'"
        ),
    ):
        tiny.subject("qwen2.5-vl").encode(banner, "vision")
