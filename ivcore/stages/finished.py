"""Comparisons of a run with finished runs of the same notebook."""

from __future__ import annotations

from ivcore.run import Run, board
from ivcore.run.parameters import of_result
from ivcore.show.leaderboard import equal_budgets


def over_seeds(run: Run, metrics: dict) -> dict[str, list]:
    """The metrics of this run and of finished runs that differ only in seeds, including the seeds of the runs they
    start from.

    -> name: one value for each run, this run's first.
    """
    alike = board.apart_from_seeds(run.params)
    others = [
        row.metrics
        for row in board.rows(run.notebook)
        if board.apart_from_seeds(row.params) == alike and row.settings != of_result(run.params)
    ]
    return {name: [m[name] for m in (metrics, *others) if name in m] for name in metrics}


def comparable(run: Run, metrics: dict, *free: str) -> list[board.Row]:
    """Leaderboard rows: this run first, then finished runs with equal data and parameters except `free` and the seed.
    Runs that start from the box are compared only with each other.

    metrics: those of this run, with "data", as `run.finish` will get them.
    """
    own = board.Row(run.dir, run.params, metrics, metrics["data"], {})
    others = [row for row in board.rows(run.notebook) if ("box" in row.metrics) == bool(run.from_box)]
    rows = [own] + [row for row in others if row.folder != run.dir]
    return next(group for group in equal_budgets(rows, *free, "run_dir") if own in group)
