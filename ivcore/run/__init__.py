"""Running notebooks: `start` begins a run within one, `iv` and `python -m ivcore.run` run one from outside."""

from ivcore.run.session import Run, start

__all__ = ["Run", "start"]
