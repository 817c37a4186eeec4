"""Runs notebooks: `start` begins a run inside a notebook; `iv run` and `python -m ivcore.run` run one from outside."""

from ivcore.run.session import Run, start

__all__ = ["Run", "start"]
