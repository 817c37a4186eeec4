"""Walks: first-person views of MiniWorld's rooms and yards: `Walks`, `clips`, `film` as in `rendered`, see `config`."""
# ruff: noqa: F401  (this file lists what the folder offers)

from ivcore.data.walks.config import CLASSES, RENDERER_VERSION, Walks, clips, film
from ivcore.data.walks.world import require_simulator
