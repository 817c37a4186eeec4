"""Reads still pictures as videos of one frame, for training on images and videos together."""

import os

import numpy as np

from ivcore import git_lfs
from ivcore.errors import VideoError
from ivcore.video.resize import resize, target_size
from ivcore.video.table import refuse_size

SUFFIXES = ("jpg", "jpeg", "png", "webp", "bmp")
# The formats of files with these suffixes; Pillow knows more formats, and runs other programs for some.
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")


def is_image(path) -> bool:
    """Whether the path has the suffix of a picture."""
    return os.fspath(path).rpartition(".")[2].lower() in SUFFIXES


def read_image(source, size=None, name=None) -> np.ndarray:
    """A path or open file -> uint8 (1, H, W, 3), upright. size: as in VideoReader; name: of the file in errors.

    Raises VideoError for anything but a complete picture, and for an impossible size.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with Image.open(source, formats=FORMATS) as image:
            if size is not None:  # JPEG can decode directly to a half, a quarter or an eighth, no smaller than this
                image.draft("RGB", target_size(*image.size, size))
            refuse_size(name or source, image.height, image.width)
            image = ImageOps.exif_transpose(image).convert("RGB")
    except VideoError:
        raise
    except UnidentifiedImageError:
        cause = f"not a picture ({', '.join(FORMATS)})"
        if isinstance(source, str | os.PathLike):
            with open(source, "rb") as file:
                if git_lfs.is_pointer(file.read(128)):
                    cause = "a Git LFS pointer, not the picture: git lfs pull"
        raise VideoError(name or source, cause) from None
    except Exception as error:  # Pillow's decoders raise nearly anything on damaged data
        raise VideoError(name or source, f"not a picture ({type(error).__name__}: {error})") from None
    frames = np.asarray(image)[None]
    return resize(frames, *target_size(*frames.shape[1:3], size))
