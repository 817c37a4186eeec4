import numpy as np
import pytest

from ivcore.data.figures import motions


@pytest.fixture
def recording(monkeypatch):
    """Another recording in place of pybullet's: half a second, in which somebody swings an arm and both knees and moves a metre along x."""
    lines = np.zeros((9, 43))
    column = 3
    for _, _, width in motions._JOINTS.values():
        lines[:, column] = 1.0 if width == 4 else 0.0
        column += width
    swing = np.sin(np.linspace(0, 2 * np.pi, 9))
    lines[:, 0], lines[:, 1] = np.linspace(0, 1, 9), 0.87
    names = list(motions._JOINTS)
    starts = dict(zip(names, 3 + np.cumsum([0] + [width for *_, width in motions._JOINTS.values()]), strict=False))
    lines[:, starts["right_knee"]] = lines[:, starts["left_knee"]] = -0.4 - 0.4 * swing
    lines[:, starts["right_shoulder"]], lines[:, starts["right_shoulder"] + 3] = np.cos(swing / 2), np.sin(swing / 2)
    made = np.linspace(0, 0.5, 9), motions.points(lines)
    monkeypatch.setattr(motions, "read", lambda file: made)
    return made
