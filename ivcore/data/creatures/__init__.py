"""Creatures: drawn, thin, articulated things with moving parts on textured grounds; the camera may move.

Eighteen body plans, from stick people to bunches of balls, in all widths, colours and styles. An action is how parts move, whatever
the body, so a class has no look to learn. Drawn with numpy alone.
"""

from ivcore.data.creatures.actions import CLASSES, ORDER_PAIRS
from ivcore.data.creatures.config import RENDERER_VERSION, Creatures, clips, film

__all__ = ["CLASSES", "ORDER_PAIRS", "RENDERER_VERSION", "Creatures", "clips", "film"]
