"""Which library draws without a screen, and what is said where there is none."""

import importlib.util

import numpy as np
import pytest

from ivcore.data import offscreen
from ivcore.errors import UserError


@pytest.fixture
def machine(monkeypatch):
    """machine(package there, GL libraries there)"""

    def pretend(package: bool, libraries: tuple[str, ...]):
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: object() if package else None)
        monkeypatch.setattr("ctypes.util.find_library", lambda name: name if name in libraries else None)

    monkeypatch.setenv("MUJOCO_GL", "")  # so that it is restored afterwards
    monkeypatch.delenv("MUJOCO_GL")
    return pretend


@pytest.mark.parametrize(("there", "chosen"), [(("OSMesa", "EGL"), "osmesa"), (("EGL",), "egl")])
def test_one_that_is_there_is_chosen(machine, there, chosen, monkeypatch):
    machine(True, there)
    offscreen.require("gymnasium", "Gymnasium")
    assert offscreen.os.environ["MUJOCO_GL"] == chosen


def test_the_users_choice_stays(machine, monkeypatch):
    machine(True, ("OSMesa", "EGL"))
    monkeypatch.setenv("MUJOCO_GL", "glfw")
    offscreen.require("gymnasium", "Gymnasium")
    assert offscreen.os.environ["MUJOCO_GL"] == "glfw"


@pytest.mark.parametrize("package", [False, True])
def test_what_is_missing_is_named(machine, package):
    machine(package, ())
    with pytest.raises(UserError, match=r"(libOSMesa|Gymnasium) is not installed: `make sim`.*libosmesa6"):
        offscreen.require("gymnasium", "Gymnasium")


def test_a_library_that_was_asked_for_and_is_not_there(machine, monkeypatch):
    machine(True, ("OSMesa",))
    monkeypatch.setenv("MUJOCO_GL", "egl")
    with pytest.raises(UserError, match="libEGL is not installed"):
        offscreen.require("gymnasium", "Gymnasium")


def test_four_pixels_become_one():
    picture = np.arange(16, dtype=np.uint8).reshape(4, 4, 1) * np.array([1, 2, 0], np.uint8)
    assert offscreen.halved(picture)[..., 0].tolist() == [[3, 5], [11, 13]]  # 2.5, 4.5, 10.5, 12.5 rounded up
