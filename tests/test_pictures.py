"""One picture: every format and kind of pixel that people have, and the true reason where one cannot be read."""

import os

import numpy as np
import pytest
import torch
from PIL import Image

from simmim_lab.data.pictures import Unreadable, open_picture
from simmim_lab.images import load_picture


def one_picture(image: Image.Image, tmp_path, name: str, **options) -> np.ndarray:
    """What `load_picture` makes of a picture, height x width x 3, in bytes."""
    image.save(tmp_path / name, **options)
    return (load_picture(tmp_path / name, 16) * 255).round().byte().permute(1, 2, 0).numpy()


def test_a_picture_lies_between_0_and_1(tmp_path):
    Image.effect_noise((50, 70), 90).save(tmp_path / "a.png")
    picture = load_picture(tmp_path / "a.png")
    assert picture.dtype == torch.float32 and picture.shape == (3, 32, 32)
    assert 0 <= picture.min() < 0.2 and 0.8 < picture.max() <= 1


def test_phone_photos_stand_upright(tmp_path):
    upright = Image.new("RGB", (64, 64), "blue")
    upright.paste("red", (0, 0, 64, 32))
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: turn by 90 degrees clockwise to see it upright
    picture = one_picture(upright.rotate(90), tmp_path, "phone.jpg", exif=exif)
    assert picture[:6, :, 0].min() > 200 and picture[:6, :, 2].max() < 60
    assert picture[-6:, :, 2].min() > 200 and picture[-6:, :, 0].max() < 60


def test_damaged_notes_of_a_camera_do_not_cost_the_picture(tmp_path):
    picture = one_picture(Image.new("RGB", (20, 20), (200, 100, 50)), tmp_path, "a.png", exif=b"Exif\0\0no notes")
    assert (picture == [200, 100, 50]).all()


def test_long_pictures_are_cut_in_the_middle(tmp_path):
    image = Image.new("RGB", (300, 100), "white")
    image.paste("red", (100, 0, 200, 100))
    picture = one_picture(image, tmp_path, "wide.png")
    assert (picture[:, 2:-2] == [255, 0, 0]).all()


def test_every_kind_of_pixel_becomes_rgb(tmp_path):
    assert (one_picture(Image.new("L", (20, 20), 77), tmp_path, "a.png") == 77).all()
    assert (one_picture(Image.new("I;16", (20, 20), 77 * 256), tmp_path, "a.png") == 77).all()
    assert (one_picture(Image.new("1", (20, 20), 1), tmp_path, "a.png") == 255).all()
    assert (one_picture(Image.new("RGBA", (20, 20), (255, 0, 0, 0)), tmp_path, "a.png") == 255).all()
    assert (one_picture(Image.new("RGBA", (20, 20), (255, 0, 0, 255)), tmp_path, "a.png") == [255, 0, 0]).all()
    assert (one_picture(Image.new("LA", (20, 20), (0, 0)), tmp_path, "a.png") == 255).all()
    assert (one_picture(Image.new("CMYK", (20, 20), (0, 255, 255, 0)), tmp_path, "a.tif") == [255, 0, 0]).all()
    palette = Image.new("RGB", (20, 20), (200, 100, 50)).quantize(4)
    assert (one_picture(palette, tmp_path, "a.png") == [200, 100, 50]).all()
    transparent = Image.new("P", (20, 20))
    assert (one_picture(transparent, tmp_path, "a.png", transparency=0) == 255).all()


@pytest.mark.parametrize("name", ["a.jpg", "a.JPEG", "a.jpe", "a.jfif", "a", "a.heic", "a.txt", "ä b.png"])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "JPEG2000", "PPM"])
def test_the_content_says_what_a_file_is_and_not_its_name(tmp_path, name, kind):
    picture = one_picture(Image.new("RGB", (40, 40), (200, 100, 50)), tmp_path, name, format=kind)
    np.testing.assert_allclose(picture.mean((0, 1)), [200, 100, 50], atol=5)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF", "MPO"])
def test_of_a_moving_picture_the_first_frame_is_read(tmp_path, kind):
    frames = [Image.new("RGB", (20, 20), color) for color in ("red", "blue")]
    picture = one_picture(frames[0], tmp_path, "moving", format=kind, save_all=True, append_images=frames[1:])
    np.testing.assert_allclose(picture.mean((0, 1)), [255, 0, 0], atol=5)


def test_avif_is_read_where_pillow_can(tmp_path):
    pytest.importorskip("PIL._avif")
    picture = one_picture(Image.new("RGB", (40, 40), (200, 100, 50)), tmp_path, "a.avif")
    np.testing.assert_allclose(picture.mean((0, 1)), [200, 100, 50], atol=8)


def test_home_is_understood(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    Image.new("RGB", (20, 20)).save(tmp_path / "mine.png")
    assert load_picture("~/mine.png").shape == (3, 32, 32)
    with pytest.raises(FileNotFoundError, match=r"no file .*other\.png"):
        load_picture("~/other.png")
    with pytest.raises(FileNotFoundError, match="no file"):
        load_picture("~nobody-of-this-name/mine.png")
    with pytest.raises(FileNotFoundError, match="no file"):
        load_picture(tmp_path)


PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"


@pytest.mark.parametrize(
    "content, reason",
    [
        (b"", "empty"),
        (b"not a picture", "not a picture in a format that Pillow knows"),
        (PNG + b"\0" * 40, "damaged or incomplete PNG"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF\0", "damaged or incomplete JPEG"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC, which is not read here: convert to JPEG or PNG"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", "HEIC, which is not read here"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL, which is not read here"),
        (b"\xff\x0a\xfa\x7f", "JPEG XL, which is not read here"),
        (b"8BPS\0\x01", "PSD, which is not read here"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "EPS, which is not read here"),
    ],
)
def test_the_reason_is_the_true_one(tmp_path, content, reason):
    path = tmp_path / "IMG_1.jpg"
    path.write_bytes(content)
    with pytest.raises(ValueError) as caught:
        load_picture(path)
    assert str(caught.value).startswith(f"{path} cannot be read ({reason}")


def test_pictures_that_end_too_early(tmp_path):
    for kind in ("JPEG", "PNG", "WEBP", "BMP", "GIF"):
        path = tmp_path / kind
        Image.effect_noise((90, 90), 90).convert("RGB").save(path, kind)
        path.write_bytes(path.read_bytes()[:-500])
        with pytest.raises(Unreadable, match=f"damaged or incomplete {kind}"):
            open_picture(path, 16)


def test_huge_pictures_are_refused(tmp_path, monkeypatch):
    Image.new("RGB", (100, 100)).save(tmp_path / "bomb.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(ValueError, match=r"bomb\.png cannot be read \(more than 200 pixels"):
        load_picture(tmp_path / "bomb.png")


def test_pixels_without_a_range_are_refused(tmp_path):
    Image.new("F", (20, 20)).save(tmp_path / "a.tif")
    with pytest.raises(ValueError, match="mode F, which have no fixed range"):
        load_picture(tmp_path / "a.tif")


def test_what_the_system_says_is_passed_on(tmp_path, monkeypatch):
    (tmp_path / "a.jpg").write_bytes(b"x")

    def denied(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Image, "open", denied)
    with pytest.raises(Unreadable, match="permission denied"):
        load_picture(tmp_path / "a.jpg")


def test_heic_is_read_with_a_plugin(tmp_path, monkeypatch):
    """As `pillow_heif.register_heif_opener()` does, but for a plugin that always finds the same picture."""
    Image.init()
    monkeypatch.setattr(Image, "OPEN", dict(Image.OPEN))
    plugin = lambda file, name: Image.new("RGB", (20, 20), "red")  # noqa: E731
    Image.OPEN["HEIF"] = plugin, lambda head: head[4:12] == b"ftypheic"
    (tmp_path / "a.heic").write_bytes(b"\0\0\0\x18ftypheic" + os.urandom(50))
    assert load_picture(tmp_path / "a.heic")[:, 0, 0].tolist() == [1, 0, 0]


@pytest.mark.parametrize("size", [0, -32, 32.0, True, "32", None, float("nan")])
def test_the_size_is_a_number_of_pixels(tmp_path, size):
    Image.new("RGB", (20, 20)).save(tmp_path / "a.png")
    with pytest.raises(ValueError, match="size must be a whole number at least 1"):
        load_picture(tmp_path / "a.png", size)
