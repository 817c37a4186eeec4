"""Sizes and resizing of whole frames. uint8 (T, H, W, 3) throughout."""

import numpy as np

from ivcore.errors import ParameterError


def target_size(height: int, width: int, size) -> tuple[int, int]:
    """The (height, width) of `size`: None keeps them, (h, w) is used directly, an int is the short side. ParameterError for others.

    The long side keeps the aspect ratio, rounded to the nearest pixel, halves up.
    """
    if size is None:
        return height, width
    if isinstance(size, (int, np.integer)) and size > 0:
        short, long = sorted((height, width))
        scaled = max((2 * long * int(size) + short) // (2 * short), 1)
        return (int(size), scaled) if height <= width else (scaled, int(size))
    if isinstance(size, (tuple, list)) and len(size) == 2 and all(int(s) == s and s > 0 for s in size):
        return int(size[0]), int(size[1])
    raise ParameterError(f"size={size!r}: must be a short side, a pair (height, width) or None")


def resize(frames: np.ndarray, height: int, width: int) -> np.ndarray:
    """Bilinear resize with antialiasing. (T, H, W, 3) uint8 -> (T, height, width, 3) uint8."""
    if frames.shape[1:3] == (height, width):
        return frames
    from torch.nn.functional import interpolate

    planes = as_tensor(frames).permute(0, 3, 1, 2)  # channels last in memory: the fast path for uint8
    planes = interpolate(planes, size=(height, width), mode="bilinear", antialias=True)
    return planes.permute(0, 2, 3, 1).contiguous().numpy()


def as_tensor(frames: np.ndarray):
    """The same memory as a tensor; a copy if the array is read-only, which torch does not support."""
    import torch

    return torch.from_numpy(frames if frames.flags.writeable else frames.copy())


def orient(frames: np.ndarray, matrix: tuple) -> np.ndarray:
    """Turns stored frames upright: a point (x, y) goes to (ax + cy, bx + dy), matrix = (a, b, c, d) of -1, 0, 1."""
    a, b, c, d = matrix
    if a == 0:
        frames = frames.swapaxes(1, 2)
    rows, columns = (-1 if b + d < 0 else 1), (-1 if a + c < 0 else 1)
    return np.ascontiguousarray(frames[:, ::rows, ::columns])
