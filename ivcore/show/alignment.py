"""How a contrastive loss works, on small data: tables with numbers, gradients on each caption, and losses with their
lower bounds.
"""

from __future__ import annotations

import numpy as np

from ivcore.show.style import OKABE_ITO, titled

CELL = 0.38  # inches: fits a number of 9 points, and three tables of eight columns on a page
RIGHT, WRONG = OKABE_ITO[0], OKABE_ITO[1]


def tables(panels: dict, rows, columns, form: str = "{:.2f}", framed=None, title: str | None = None):
    """Tables of numbers side by side, larger numbers darker (each table has its own scale). -> Figure

    panels: name -> (R, C). rows: R names, on the left. columns: C names, below. framed: cells (row, column) to outline;
    by default the diagonal of a square table, and nothing in other tables.
    """
    import matplotlib.pyplot as plt

    arrays = {name: _array(values) for name, values in panels.items()}
    height, width = next(iter(arrays.values())).shape
    framed = [(i, i) for i in range(height) if height == width] if framed is None else framed
    size = (len(arrays) * (CELL * width + 0.3) + 0.09 * max(map(len, map(str, rows))), CELL * height + 1.5)
    figure, axes = plt.subplots(1, len(arrays), figsize=size, layout="constrained", squeeze=False)
    for panel, (name, values) in zip(axes[0], arrays.items()):
        _table(panel, values, form)
        for place in framed:
            _frame(panel, *place)
        panel.set_title(name, loc="left")
        panel.set_xticks(range(width), columns, rotation=45, ha="right", rotation_mode="anchor")
        panel.set_yticks(range(height), rows if panel is axes[0, 0] else [""] * height)
    return titled(figure, title)


def pushes(quantities: dict, names, right: int, title: str | None = None):
    """A panel for each quantity, a bar for each caption: blue for the right caption, orange for the others. -> Figure

    quantities: name -> (N,); names: N captions; right: number of the clip's own caption.
    """
    import matplotlib.pyplot as plt

    size = (8.4, 0.28 * len(names) + 1.0)
    figure, axes = plt.subplots(1, len(quantities), figsize=size, sharey=True, layout="constrained", squeeze=False)  # fmt: skip
    colours = [RIGHT if i == right else WRONG for i in range(len(names))]
    for panel, (name, values) in zip(axes[0], quantities.items()):
        values = _array(values)
        panel.barh(range(len(names)), values, color=colours, height=0.7)
        panel.set_title(name, loc="left")
        panel.set_yticks(range(len(names)), names)
        panel.tick_params(axis="y", length=0)
        panel.axvline(0, color="0.3", lw=0.8)
        if values.min() >= 0:
            panel.set_xlim(0, 1.05)  # shares and probabilities: a fixed scale for all positions of the slider
    axes[0, 0].invert_yaxis()
    return titled(figure, title)


def floors(losses: dict, marks: dict, title: str | None = None):
    """Losses over steps, with reference values as dashed lines. -> Figure

    losses: name -> a loss for each step. marks: name of a reference -> its loss.
    """
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 3.4), layout="constrained")
    last = max(len(values) for values in losses.values())
    for name, values in losses.items():
        axes.plot(range(1, len(values) + 1), values, lw=1.8, label=name)
    for words, value in marks.items():
        axes.axhline(value, color="0.35", ls="--", lw=1, zorder=0)
        axes.annotate(words, (last, value), (6, 0), textcoords="offset points", va="center", annotation_clip=False)  # fmt: skip
    axes.set(xlabel="step", ylabel="contrastive loss (nats)", xlim=(0, last))
    axes.set_ylim(0, 1.25 * max([*marks.values(), 1e-9]))
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=3, borderaxespad=0)
    return titled(figure, title)


def against_batch_size(sizes, series: dict, ylabel: str, marks: dict | None = None, title: str | None = None):  # fmt: skip
    """A line for each quantity over batch sizes, on a logarithmic axis of base 2. -> Figure

    series: name -> a value for each size, drawn with dots. marks: name -> a value for each size, or one for all, drawn
    dashed without dots.
    """
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 3.4), layout="constrained")
    lines = [(name, values, "-") for name, values in series.items()]
    lines += [(name, values, "--") for name, values in (marks or {}).items()]
    for (name, values, style), colour in zip(lines, OKABE_ITO):
        values = np.broadcast_to(_array(values), (len(sizes),))
        marker = "o" if style == "-" else None
        axes.plot(sizes, values, style, color=colour, marker=marker, ms=5, lw=1.8, label=name, clip_on=False)
    axes.set_xscale("log", base=2)
    axes.set_xticks(sizes, [f"{n:,}" for n in sizes])
    axes.minorticks_off()
    axes.set(xlabel="pairs in the batch", ylabel=ylabel)
    axes.set_ylim(bottom=0)
    axes.grid(axis="y", alpha=0.3)
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=3, borderaxespad=0)
    return titled(figure, title)


def _array(values) -> np.ndarray:
    return np.asarray(values.detach().cpu() if hasattr(values, "detach") else values, float)


def _table(panel, values: np.ndarray, form: str) -> None:
    low, high = values.min(), values.max()
    panel.imshow(values, cmap="Blues", vmin=low, vmax=high + 0.25 * max(high - low, 1e-9), aspect="auto")
    for (row, column), value in np.ndenumerate(values):
        dark = value > low + 0.75 * (high - low)
        panel.text(column, row, form.format(value), ha="center", va="center", fontsize=9, color="white" if dark else "black")  # fmt: skip
    panel.spines[:].set_visible(False)
    panel.tick_params(length=0)


def _frame(panel, row: int, column: int) -> None:
    from matplotlib.patches import Rectangle

    panel.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, ec=OKABE_ITO[3], lw=1.6, clip_on=False))  # fmt: skip
