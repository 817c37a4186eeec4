"""Training curves from train.jsonl: a panel for each quantity, a line for each run."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

WINDOW = 25  # points of the running mean if there are ten times as many, otherwise a tenth of them
_NOISY = 100  # schedules are exact and not smoothed; noisy curves with more points than this get the running mean
_COLOURS = 8  # in the colour cycle
_STYLES = ("-", "--", "-.", ":")  # no two of 32 runs share colour and style
_INSIDE = 3  # legends of more runs than this are beside the panel
_SPOKEN = {
    "contrastive": "contrastive loss",
    "captioning": "captioning loss",
    "lr": "learning rate",
}  # for keys that need more words
_EXACT = ("lr", "epoch", "weight_decay")


def training_curves(log, keys=("loss", "lr"), title: str | None = None, after: float = 0.0):
    """-> Figure

    log: the path of a train.jsonl, its records (dicts with `step`), or a dict name -> either of them to compare runs.
    keys: quantities to draw over the steps, each in its own panel, named with its last value; keys that no record has
    are left out. after: share of the steps to leave out at the beginning, where a steep fall would hide the rest.
    """
    import matplotlib.pyplot as plt

    runs = {name: _records(each) for name, each in (log if isinstance(log, dict) else {"": log}).items()}
    shown = [key for key in keys if any(key in record for run in runs.values() for record in run)]
    count = max(len(shown), 1)
    beside = len(runs) > _INSIDE
    size = (9 if beside else 7, max(0.6 + 2.0 * count, 0.25 * len(runs) + 0.8 if beside else 0))
    figure, axes = plt.subplots(count, 1, sharex=True, squeeze=False, figsize=size, layout="constrained")
    for panel, key in zip(axes[:, 0], shown):
        for number, (name, records) in enumerate(runs.items()):
            series = _series(records, key)
            if series.size:
                series = series[:, series[0] >= after * series[0, -1]]
            _line(panel, number, name, *series, noisy=key not in _EXACT)
        panel.set_ylabel(_SPOKEN.get(key, key.replace("_", " ")))
        outside = {"loc": "upper left", "bbox_to_anchor": (1.0, 1.0)} if beside else {}
        panel.legend(handlelength=2.6 if len(runs) > 1 else 0, **outside)
    _finish(axes[:, 0], shown, title)
    return figure


def _records(log) -> list[dict]:
    if isinstance(log, (str, Path)):
        return [json.loads(line) for line in Path(log).read_text(encoding="utf-8").splitlines() if line]
    return list(log)


def _series(records: list[dict], key: str) -> np.ndarray:
    points = [(record["step"], record[key]) for record in records if record.get(key) is not None]
    return np.array(points, float).reshape(-1, 2).T


def _line(panel, number: int, name: str, steps: np.ndarray, values: np.ndarray, noisy: bool) -> None:
    if not len(steps):
        return
    label = f"{name}  {values[-1]:.3g}" if name else f"final {values[-1]:.3g}"
    smooth = noisy and len(values) > _NOISY
    marker = "o" if len(values) <= 20 else None
    look = {"color": f"C{number % _COLOURS}", "ls": _STYLES[(number + number // _COLOURS) % len(_STYLES)]}
    panel.plot(steps, values, alpha=0.3 if smooth else 1, marker=marker, ms=4, label=label, **look)
    if smooth:
        panel.lines[-1].set_label("")
        window = min(WINDOW, len(values) // 10)
        means = np.convolve(values, np.full(window, 1 / window), "valid")
        label = label.replace(f"{values[-1]:.3g}", f"{means[-1]:.3g}")
        panel.plot(steps[window // 2 : window // 2 + len(means)], means, lw=2, label=label, **look)


def _finish(panels, shown: list[str], title: str | None) -> None:
    panels[-1].set_xlabel("step")
    for panel, key in zip(panels, shown):
        if key == "lr":
            panel.ticklabel_format(axis="y", style="sci", scilimits=(-2, 3))
    if not shown:
        panels[0].text(0.5, 0.5, "no records yet", ha="center", transform=panels[0].transAxes)
    if title:
        panels[0].set_title(title, loc="left")
