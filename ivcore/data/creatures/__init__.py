"""Creatures: drawn, thin, articulated things that move in parts, on textured grounds, before a camera that may move.

Eighteen body plans, from stick people to bunches of balls, in all widths, colours and styles. An action is how parts move, whatever
the body: its name can be learned, its look cannot. Drawn with numpy alone.
"""

from ivcore.data.creatures.actions import CLASSES, ORDER_PAIRS
from ivcore.data.creatures.config import RENDERER_VERSION, Creatures, clips, film

__all__ = ["CLASSES", "ORDER_PAIRS", "RENDERER_VERSION", "Creatures", "clips", "film"]
