"""How much of what two encoders differ in do labels leave? Finished runs by the number of labelled videos, at equally many clips seen."""

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
    """Number of labelled videos -> this run and finished ones beside it, of each branch the setting that has most seeds.

    They may differ from this run in the encoder, its frames, the number of labelled videos and the seed (FREE), and have seen equally many
    clips in all: fewer videos, more often. All were tested on as many videos: a try with few clips, and Meta-World, have smaller test sets.
    metrics: as of `finished.comparable`, with "branch" and "test_videos". train_videos: those of this run's lists.
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
    """A panel for each kind of class ("motion", …; "" for all): `metric` over the labelled videos, a line for each branch. -> Figure"""
    panels = []
    for kind in kinds:
        values = {n: sides(rows, "branch", f"{metric}_{kind}" if kind else metric) for n, rows in by_labels.items()}
        curves = {b: [(n, branches[b]) for n, branches in values.items() if b in branches] for b in BRANCHES}
        curves = {branch: points for branch, points in curves.items() if points}
        panels.append(Panel(f"{kind or 'all'} classes: labelled videos", curves, log=True))
    return lines(panels, "top-1", {"chance": chance}, title)
