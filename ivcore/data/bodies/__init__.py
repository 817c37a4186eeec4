"""Bodies: thin articulated things with moving parts. A source (see `data.rendered`) for final checks only, see `config`."""
# ruff: noqa: F401  (this file lists what the folder offers)

from ivcore.data.bodies.config import RENDERER_VERSION, Bodies
from ivcore.data.bodies.motions import CLASSES
from ivcore.data.bodies.plan import clips
from ivcore.data.bodies.stage import film, require_simulator
