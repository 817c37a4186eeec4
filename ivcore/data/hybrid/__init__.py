"""The hybrid set: moving shapes, drawn creatures, simulated and real videos in one set: `hybrid.build(hybrid.Hybrid(...))`, see `config`."""
# ruff: noqa: F401  (this file lists what the folder offers)

from ivcore.data.hybrid.builder import build, table
from ivcore.data.hybrid.config import Hybrid, Part, every, left_out, parts
