"""The hybrid: moving shapes, drawn creatures, simulated and real things in one set. `hybrid.build(hybrid.Hybrid(...))`, see `config`."""
# ruff: noqa: F401  (this file lists what the folder offers)

from ivcore.data.hybrid.builder import build, table
from ivcore.data.hybrid.config import Hybrid, Part, every, left_out, parts
