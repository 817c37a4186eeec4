"""Films clips: cuts the motion, dresses the body, places the camera, draws."""

from collections.abc import Iterator, Sequence

import numpy as np

from ivcore.data.annotations import Clip
from ivcore.data.figures import camera
from ivcore.data.figures.body import Rods, dressed, shaped
from ivcore.data.figures.config import Figures, plan_of
from ivcore.data.figures.drawing import draw
from ivcore.data.figures.motions import cut
from ivcore.data.figures.plan import Place


def film(config: Figures, todo: Sequence[Clip]) -> Iterator[np.ndarray]:
    """Yields uint8 (frames, size, size, 3) for each clip. UserError if pybullet, whose files hold the motions, is not installed."""
    seconds = np.arange(config.frames) / config.fps
    for clip in todo:
        plan = plan_of(config, clip.name)
        body = cut(plan.cut.motion, plan.cut.start, plan.cut.speed, seconds)
        body = shaped(body, plan.person, plan.cut.mirrored)
        rods = dressed(body, plan.person)
        if plan.place.posts:
            rods = rods + _posts(plan.place, body)
        yield draw(camera.place(plan.view, body, seconds), rods, plan.place, config.size)


def _posts(place: Place, body: np.ndarray) -> Rods:
    """Fixed posts around the middle of the person's path."""
    middle = body[:, :, ::2].mean(axis=(0, 1))
    shapes = np.array([shape for shape, _ in place.posts])
    foot = np.stack([shapes[:, 0] + middle[0], np.zeros(len(shapes)), shapes[:, 1] + middle[1]], axis=1)
    head = foot + shapes[:, 3:] * (0, 1, 0)
    radii = np.repeat(shapes[:, 2:3], 2, axis=1)
    colours = np.array([colour for _, colour in place.posts])
    every = [np.broadcast_to(ends, (len(body), *ends.shape)) for ends in (foot, head)]
    return Rods(*every, radii, colours, colours)
