"""Bodies on film. Needs the simulator."""

import numpy as np
import pytest

from ivcore.data import bodies, rendered
from ivcore.data.bodies.models import BODIES
from ivcore.errors import UserError


def why_not() -> str:
    try:
        bodies.require_simulator()
    except UserError as error:
        return str(error)
    return ""


pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(why_not()), reason=why_not() or "the simulator is here")]
CONFIG = bodies.Bodies(train=20, val=0, test=0, size=32, frames=6, fps=4)


@pytest.fixture(scope="module")
def films() -> dict:
    clips = bodies.clips(CONFIG)
    return dict(zip(clips, bodies.film(CONFIG, clips), strict=True))


def test_every_body_moves_in_every_class(films):
    assert {clip.label for clip in films} == set(bodies.CLASSES)
    assert {clip.captions[1].removesuffix(f" {clip.label}") for clip in films} == {
        f"the {b.noun}" for b in BODIES.values()
    }
    for clip, frames in films.items():
        assert frames.shape == (6, 32, 32, 3) and frames.dtype == np.uint8
        assert np.abs(np.diff(frames.astype(int), axis=0)).max() > 20, clip


def test_travelling_bodies_move_in_the_named_direction(films):
    """The mean place of what differs from the film's median, which is the empty ground."""
    for label, direction in (("travels left", -1), ("travels right", 1)):
        ways = []
        for clip, frames in films.items():
            if clip.label == label:
                seen = np.abs(frames - np.median(frames, 0)).sum((1, 3)) + 1e-9  # (frames, columns)
                across = (seen * np.arange(32)).sum(1) / seen.sum(1)
                ways.append(direction * (across[-1] - across[0]))
        assert len(ways) == 2 and min(ways) > 4


def test_a_clip_depends_on_itself_alone(films):
    clips = bodies.clips(CONFIG)
    assert np.array_equal(next(iter(bodies.film(CONFIG, [clips[5]]))), films[clips[5]])


def test_a_set(tmp_path, monkeypatch):
    monkeypatch.setenv("IVCORE_CACHE", str(tmp_path))
    few = bodies.Bodies(train=4, val=0, test=2, size=16, frames=2)
    folder = rendered.build(bodies, few, workers=1)
    assert (folder / "complete").exists() and len(list(folder.glob("videos/*.mp4"))) == 6
