"""Pictures: what is no picture, or none of a size that pictures have, is a VideoError that names the file."""

import io

import pytest
from PIL import Image

from ivcore.errors import VideoError
from ivcore.video.images import FORMATS, read_image


def encoded(size, form) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, "red").save(file, form)
    return file.getvalue()


@pytest.mark.parametrize("form", FORMATS)
def test_formats_whatever_the_suffix_says(form):
    frames = read_image(io.BytesIO(encoded((40, 30), form)), 10)
    assert frames.shape == (1, 10, 13, 3) and frames[0, 5, 5, 0] > 250


@pytest.mark.parametrize(
    "data, told",
    [
        (encoded((20000, 1), "PNG"), "claims 20000 x 1 pixels"),
        (encoded((6500, 100), "PNG"), "claims 6500 x 100 pixels"),
        (encoded((9000, 8000), "PNG"), "claims 9000 x 8000 pixels"),
        (encoded((64, 64), "EPS"), "not a picture"),  # Pillow would start another program
        (encoded((64, 64), "PNG")[:40], "not a picture"),
        (b"", "not a picture"),
    ],
)
def test_what_is_refused(data, told):
    with pytest.raises(VideoError, match=told) as caught:
        read_image(io.BytesIO(data), 32, name="a.png")
    assert caught.value.path == "a.png" and "\n" not in str(caught.value)


def test_a_large_photograph_is_decoded_small():
    assert read_image(io.BytesIO(encoded((17000, 4000), "JPEG")), 100).shape == (1, 100, 425, 3)
