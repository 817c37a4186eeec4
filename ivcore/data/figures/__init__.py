"""Human figures: people of simple shapes who walk, kick, roll and dance from motion capture, seen by a virtual camera. See `config`."""
# ruff: noqa: F401  (this file lists what the folder offers)

from ivcore.data.figures.config import CLASSES, RENDERER_VERSION, Figures, clips
from ivcore.data.figures.filming import film
from ivcore.data.figures.motions import require_simulator
