"""Clips against captions: the similarity of every pair before and after training, and recall at k during training."""

from __future__ import annotations

import numpy as np

from ivcore.errors import ParameterError
from ivcore.show.style import OKABE_ITO, titled

NAMED = 12  # maximum of clips whose captions are written at their rows
PANEL = 3.4  # inches


def similarity_matrices(matrices, captions=None, title: str | None = None, label: str = "cosine similarity"):
    """Matrices side by side on one colour scale: if clips and captions are aligned, the diagonal is bright. -> Figure

    matrices: name -> (N, N), clips by captions, the true caption of clip i in column i. captions: N texts, written at
    the rows if there are at most twelve. Each clip's most similar caption is marked by a white dot if it is the true
    one, else by a cross; the share of dots, recall at 1, is the title.
    """
    import matplotlib.pyplot as plt

    arrays = {name: _square(name, matrix) for name, matrix in matrices.items()}
    low, high = (f([f(each) for each in arrays.values()]) for f in (np.min, np.max))
    names = captions if captions is not None and len(captions) <= NAMED else None
    size = (PANEL * len(arrays) + (3.2 if names else 1.4), PANEL + (1.7 if title else 1.4))
    figure, panels = plt.subplots(1, len(arrays), figsize=size, layout="constrained", squeeze=False)
    for panel, (name, matrix) in zip(panels[0], arrays.items()):
        image = panel.imshow(matrix, cmap="viridis", vmin=low, vmax=high)
        right = _mark(panel, matrix)
        panel.set_title(f"{name}\nrecall at 1: {100 * right:.0f} %", loc="left")
        panel.set_xlabel("caption")
    _name(panels[0], len(matrix), names)
    figure.colorbar(image, ax=panels[0], label=label, shrink=0.75, pad=0.02)
    figure.legend(*_markers(), loc="outside lower center", ncols=2, handletextpad=0.2)
    return titled(figure, title)


def retrieval_curve(steps, recalls, chance: float | None = None, title: str | None = None, ylabel: str = "R@1 (%)"):  # fmt: skip
    """Recall on held-out clips over training steps. -> Figure

    recalls: name -> shares in [0, 1], one for each step, drawn in per cent; the legend has the last. chance: a share,
    the dashed line.
    """
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(6.5, 3.4), layout="constrained")
    for (name, values), marker in zip(recalls.items(), "os^Dv"):
        shares = 100 * np.asarray(values, float)
        end = f"{name}  {shares[-1]:.1f} %" if len(shares) else name
        axes.plot(steps, shares, marker=marker if len(shares) <= 40 else None, ms=5, lw=1.8, label=end, clip_on=False)  # fmt: skip
    if chance is not None:
        axes.axhline(100 * chance, color="0.35", lw=1.2, ls="--", label=f"chance  {100 * chance:.1f} %")
    axes.set(xlabel="step", ylabel=ylabel)
    axes.set_ylim(bottom=0)
    axes.grid(axis="y", alpha=0.3)
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=3, borderaxespad=0, handlelength=1.8)
    return titled(figure, title)


def _square(name: str, matrix) -> np.ndarray:
    matrix = matrix.detach().cpu().numpy() if hasattr(matrix, "detach") else np.asarray(matrix)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not matrix.size:
        raise ParameterError(f"matrices: {name}: expected (N, N), clips by captions, got {matrix.shape}")
    return matrix.astype(np.float64)


def _mark(panel, matrix: np.ndarray) -> float:
    """Marks every clip's most similar caption. -> the share of clips for which it is the true one"""
    clips, best = np.arange(len(matrix)), matrix.argmax(1)
    right = best == clips
    panel.scatter(best[right], clips[right], **_dot(len(matrix)))
    panel.scatter(best[~right], clips[~right], **_cross(len(matrix)))
    return right.mean()


def _dot(count: int) -> dict:
    return {"marker": "o", "s": _area(count), "color": "white", "edgecolors": "black", "linewidths": 0.6}


def _cross(count: int) -> dict:
    return {"marker": "X", "s": 1.5 * _area(count), "color": OKABE_ITO[3], "edgecolors": "white", "linewidths": 0.6}


def _area(count: int) -> float:
    """Area in square points: half a cell wide, between 3 and 7 points."""
    return float(np.clip(PANEL * 72 / count / 2, 3, 7)) ** 2


def _markers() -> tuple[list, list[str]]:
    from matplotlib.lines import Line2D

    dot = Line2D([], [], ls="", marker="o", ms=6, mfc="white", mec="black", mew=0.6)
    cross = Line2D([], [], ls="", marker="X", ms=8, mfc=OKABE_ITO[3], mec="white", mew=0.6)
    return [dot, cross], ["most similar caption is the true one", "most similar caption is another"]


def _name(panels, count: int, names) -> None:
    places = range(0, count, 1 if count <= NAMED else 8)
    for panel in panels:
        panel.spines[:].set_visible(False)
        panel.tick_params(length=0)
        panel.set(xticks=places, yticks=[])
    if names is not None:
        panels[0].set_yticks(range(count), names, fontsize=9)
    else:
        panels[0].set(yticks=places, ylabel="clip")
