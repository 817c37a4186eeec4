"""Bodies: thin articulated things with moving parts, from a physics engine's examples. A set for final checks, never for choices.

No choice of a setting and no pretraining uses it, so it shows how well a model does on unfamiliar videos. Poses are set directly;
no physics acts on the bodies. Motions (see `motions`) do not depend on the body. Each scene is one body with its own look and camera. It
has two clips, which show the two classes of a pair; scenes of one pair look like those of any other pair. So no look, and seldom a
single frame, tells the class.

The models are those of Gymnasium (Towers et al. 2024, arXiv 2407.17032), MIT licence, drawn by MuJoCo. Needs the extra `sim`.
"""

from dataclasses import dataclass

from ivcore.data import generated
from ivcore.data.rendered import MINIMUMS

RENDERER_VERSION = "1"  # change it whenever pixels change


@dataclass(frozen=True)
class Bodies:
    """train, val, test: numbers of clips; multiples of ten are balanced. size: width and height in pixels, even.

    A clip lasts frames / fps seconds; motions are made for about two seconds. ParameterError for numbers out of range.
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
