"""Groups finished runs that may be compared: those with equal budgets."""

from __future__ import annotations

import json
from collections.abc import Iterable

# What may differ between runs of equal budget: the encoder, and the learning rates that suit it.
FREE = ("seed", "masked_encoder", "encoder_size", "patch_size", "lr", "layer_decay")
MEASURES = {"fine-tuned": "top1", "linear probe": "probe_top1", "k-NN": "knn_top1"}


def equal_budgets(rows: Iterable, *free: str) -> list[list]:
    """Leaderboard rows in groups, the largest first, that are equal in data and in every parameter.

    These parameters may differ: the encoder's source, its learning rates and the seed (FREE); or, if `free` names
    others, those and the seed.
    """
    ignored = {"seed", *free} if free else set(FREE)
    groups: dict[str, list] = {}
    for row in rows:
        spent = {name: value for name, value in row.settings.items() if name not in ignored}
        groups.setdefault(json.dumps([row.data, spent], sort_keys=True), []).append(row)
    return sorted(groups.values(), key=len, reverse=True)


def side_by_side(rows: Iterable, by: str, *free: str) -> list:
    """The largest group of equal budget (see `equal_budgets`) whose runs differ in their metric `by`; [] if there is
    none.
    """
    budgets = equal_budgets(rows, *free)
    return next((budget for budget in budgets if len(sides(budget, by)) > 1), [])


def most_seeds(rows: list, by: str) -> list:
    """For each side only the setting with most seeds, the first on a tie: trials of settings are not seeds."""
    kept: dict[str, list] = {}
    for row in rows:
        same = [other for other in rows if other.group == row.group and by in other.metrics]
        if by in row.metrics and len(same) > len(kept.get(row.metrics[by], [])):
            kept[row.metrics[by]] = same
    return [row for side in kept.values() for row in side]


def sides(rows: Iterable, by: str, metric: str = "top1") -> dict[str, list[float]]:
    """The values of a metric, one for each run, grouped by the runs' metric `by` ("pretrained", "scratch")."""
    values: dict[str, list[float]] = {}
    for row in rows:
        if by in row.metrics and metric in row.metrics:
            values.setdefault(row.metrics[by], []).append(row.metrics[metric])
    return dict(sorted(values.items()))


def measures(rows: list) -> dict[str, str]:
    """The names of the accuracies that all rows have."""
    shared = {name: metric for name, metric in MEASURES.items() if all(metric in row.metrics for row in rows)}
    return shared if rows else {}
