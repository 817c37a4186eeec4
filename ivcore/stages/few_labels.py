"""Compares two encoders by the number of labelled videos: finished runs that have seen equally many clips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ivcore.data import embedded
from ivcore.run.board import Row
from ivcore.run.session import Run
from ivcore.show.leaderboard import most_seeds, sides
from ivcore.show.means import Panel, lines
from ivcore.stages.finished import comparable

FREE = ("encoder", "num_frames", "frame_sampling", "num_clips", "epochs", "warmup_epochs")
BRANCHES = ("masked", "multimodal")


def runs_by_labels(run: Run, metrics: dict, train_videos: int) -> dict[int, list[Row]]:
    """Number of labelled videos -> this run and comparable finished ones; for each branch, the setting with the most
    seeds.

    They may differ in the encoder, its frames, the number of labelled videos and the seed (FREE). All must have seen
    equally many clips (fewer videos, more often) and have equally many test videos; small trials and Meta-World have
    smaller test sets. metrics: as in `finished.comparable`, with "branch" and "test_videos". train_videos: number in
    this run's lists.
    """
    generated = run.params["label_sets"] in embedded.SIZED

    def labelled(row: Row) -> int:
        return row.params["num_clips"] if generated else train_videos

    def clips_seen(row: Row) -> float:
        return row.params["epochs"] * labelled(row)

    rows = comparable(run, metrics, *FREE)
    alike = [(clips_seen(row), row.metrics.get("test_videos")) for row in rows]
    rows = [row for row, what in zip(rows, alike) if what == alike[0]]
    numbers = sorted({labelled(row) for row in rows})
    return {n: most_seeds([row for row in rows if labelled(row) == n], "branch") for n in numbers}


def label_curves(by_labels: Mapping[int, list[Row]], metric: str, kinds: Sequence[str], chance: float, title: str):
    """A figure with a panel for each kind of class ("motion", …; "" for all): `metric` over the number of labelled
    videos, a line for each branch.
    """
    panels = []
    for kind in kinds:
        values = {n: sides(rows, "branch", f"{metric}_{kind}" if kind else metric) for n, rows in by_labels.items()}
        curves = {b: [(n, branches[b]) for n, branches in values.items() if b in branches] for b in BRANCHES}
        curves = {branch: points for branch, points in curves.items() if points}
        panels.append(Panel(f"{kind or 'all'} classes: labelled videos", curves, log=True))
    return lines(panels, "top-1", {"chance": chance}, title)
