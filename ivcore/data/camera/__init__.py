"""Real camera clips, cut from films in installed packages: `Camera`, `clips`, `film` as in `rendered`, see `config`."""
# ruff: noqa: F401  (this file lists what the folder offers)

from ivcore.data.camera.config import CLASSES, MOTION_CLASSES, RENDERER_VERSION, Camera, clips, film, require_simulator
from ivcore.data.camera.films import FILMS, installed
