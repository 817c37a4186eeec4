"""Renders MuJoCo without a screen: chooses the GL library, and smooths pictures."""

import ctypes.util
import importlib.util
import os

import numpy as np

from ivcore.errors import UserError

# MuJoCo's name of a library, as in MUJOCO_GL -> the linker's name; in order of preference.
_LIBRARIES = {"osmesa": "OSMesa", "egl": "EGL"}


def require(package: str, called: str) -> None:
    """UserError, with what to install, unless `package` and a GL library that renders without a screen are installed.

    called: the package's name for users. Sets MUJOCO_GL, which MuJoCo reads when it is imported, unless it is set already.
    """
    if importlib.util.find_spec(package) is None:
        raise UserError(
            f"{called} is not installed: `make sim`, or `pip install 'ivcore[sim]'` (and Debian's libosmesa6)"
        )
    found = [name for name, library in _LIBRARIES.items() if ctypes.util.find_library(library)]
    wanted = os.environ.setdefault("MUJOCO_GL", found[0] if found else "osmesa")
    if wanted in _LIBRARIES and wanted not in found:
        raise UserError(
            f"lib{_LIBRARIES[wanted]} is not installed: `make sim`, or `apt-get install libosmesa6`; MUJOCO_GL=egl works with libegl1, too"
        )


def halved(picture: np.ndarray) -> np.ndarray:
    """uint8 (2 H, 2 W, 3) -> (H, W, 3), the rounded mean of each 2 x 2 pixels."""
    height, width, _ = picture.shape
    quarters = picture.reshape(height // 2, 2, width // 2, 2, 3).astype(np.uint16)
    return ((quarters.sum((1, 3)) + 2) // 4).astype(np.uint8)
