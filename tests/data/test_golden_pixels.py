"""The moving shapes look and read as they did. Whoever changes a pixel or a word must name a new version, or old files pass for new ones."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from ivcore.data import shapes
from ivcore.data.shapes import annotations, scenes

GOLDEN = Path(__file__).parents[1] / "golden/moving_shapes.json"
CONFIG = shapes.Shapes(name="golden", train=15, val=0, test=0, untrimmed=0, parts=("clips", "captions"))
SAY = "another picture: set shapes.RENDERER_VERSION to another text and run `python tests/data/test_golden_pixels.py`"


def coarse(frame: np.ndarray) -> np.ndarray:
    """(H, W, 3) -> (4, 4, 3): the mean of each sixteenth, which no rounding of another processor moves by much."""
    side = len(frame) // 4
    return frame.reshape(4, side, 4, side, 3).mean((1, 3))


def pictures() -> np.ndarray:
    """The first and the last frame of one clip of each action. -> (15, 2, 4, 4, 3)"""
    films = [scenes.render(video.shots[0].scene(CONFIG), CONFIG.size) for video in shapes.clips(CONFIG)]
    return np.stack([[coarse(film[0]), coarse(film[-1])] for film in films])


def words(folder: Path) -> str:
    annotations.write("captions", CONFIG, folder)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()


def test_pixels_are_those_of_the_version():
    golden = json.loads(GOLDEN.read_text())
    assert golden["renderer"] == shapes.RENDERER_VERSION, SAY
    assert np.abs(pictures() - np.array(golden["pictures"])).max() < 0.5, SAY


def test_captions_are_those_of_the_version(tmp_path):
    golden = json.loads(GOLDEN.read_text())
    assert golden["annotator"] == annotations.ANNOTATOR_VERSION
    assert words(tmp_path) == golden["words"], "another text: set annotations.ANNOTATOR_VERSION to another one"


@pytest.mark.parametrize("version", ["config.RENDERER_VERSION", "annotations.ANNOTATOR_VERSION"])
def test_another_version_makes_new_files(version, tmp_path, monkeypatch):
    monkeypatch.setenv("IVCORE_CACHE", str(tmp_path))
    folder = shapes.build(CONFIG, workers=1)
    before = [path.stat().st_mtime_ns for path in sorted(folder.rglob("*.*")) if path.suffix in (".mp4", ".json")]
    monkeypatch.setattr(f"ivcore.data.shapes.{version}", "another")
    again = shapes.build(CONFIG, workers=1)
    after = [path.stat().st_mtime_ns for path in sorted(again.rglob("*.*")) if path.suffix in (".mp4", ".json")]
    assert len(before) == len(after) > 15
    assert before != after


if __name__ == "__main__":
    import tempfile

    GOLDEN.write_text(json.dumps({
        "renderer": shapes.RENDERER_VERSION, "annotator": annotations.ANNOTATOR_VERSION,
        "words": words(Path(tempfile.mkdtemp())), "pictures": pictures().round(2).tolist(),
    }))  # fmt: skip
