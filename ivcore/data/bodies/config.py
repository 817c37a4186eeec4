"""Bodies: thin articulated things that move in parts, from a physics engine's own examples. A set to confirm on, never to choose by.

No choice of a setting and no pretraining sees it, so it tells what a model is worth on a stranger's videos. Bodies move as they are told;
no physics acts on them. What they do (see `motions`) knows nothing of which body does it. Each scene, a body in a look of its own before a
camera of its own, is seen in two clips, which show the two classes of a pair; scenes of a pair look as those of any other. So no
look, and seldom a single frame, tells the class.

The models are those of Gymnasium (Towers et al. 2024, arXiv 2407.17032), MIT licence, drawn by MuJoCo. Needs the extra `sim`.
"""

from dataclasses import dataclass

from ivcore.data import generated
from ivcore.data.rendered import MINIMUMS

RENDERER_VERSION = "1"  # another text whenever pixels change


@dataclass(frozen=True)
class Bodies:
    """What is rendered. train, val, test: numbers of clips, balanced in tens. size: width and height in pixels, even.

    A clip lasts frames / fps seconds; motions are made for about two.
    """

    train: int = 700
    val: int = 200
    test: int = 300
    size: int = 96
    frames: int = 16
    fps: int = 8
    seed: int = 0

    def __post_init__(self):
        generated.require_whole(self, MINIMUMS)
