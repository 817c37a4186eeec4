"""Makes the pictures of executed notebooks smaller."""

import io

from PIL import Image


def webp(png: bytes) -> tuple[bytes, tuple[int, int]]:
    """A PNG as WebP, lossless or at quality 85, whichever is smaller, and its width and height in pixels."""
    image = _opened(png)
    settings = ({"lossless": True, "quality": 60}, {"quality": 85})
    return min((_saved(image, "WEBP", method=4, **each) for each in settings), key=len), image.size


def png_or_jpeg(png: bytes) -> tuple[str, bytes]:
    """(media type, content): the PNG, or a JPEG if that is at most a third of its size, as for video frames. GitHub
    shows no WebP in a notebook.
    """
    image = _opened(png)
    smaller, photo = _saved(image, "PNG", optimize=True), _saved(image, "JPEG", quality=88, subsampling=0)
    return ("image/jpeg", photo) if 3 * len(photo) < len(smaller) else ("image/png", min(smaller, png, key=len))


def _opened(png: bytes) -> Image.Image:
    """The picture on white, without transparency."""
    with Image.open(io.BytesIO(png)) as opened:
        image = opened.convert("RGBA")
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, image).convert("RGB")


def _saved(image: Image.Image, form: str, **settings) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **settings)
    return buffer.getvalue()
