"""First-person scenes: a camera over a table, and two hands that fill, empty, tighten, loosen, wind and unwind things. See `config`."""
# ruff: noqa: F401  (this file lists what the folder offers)

from ivcore.data.egocentric.config import RENDERER_VERSION, Egocentric, build, fill, make
from ivcore.data.egocentric.scenes import NOUNS, VERBS
