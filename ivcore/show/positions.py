"""The position table, and the similarity of a token's position to all others."""

from __future__ import annotations

import numpy as np

from ivcore.show.style import titled


def position_table(table, title: str | None = None):
    """Table (1, N, D) or (N, D) -> Figure: a row for each token, a column for each channel."""
    import matplotlib.pyplot as plt

    table = _plain(table)
    figure, axes = plt.subplots(figsize=(7, 3.6), layout="constrained")
    image = axes.imshow(table, aspect="auto", cmap="RdBu_r", vmin=-1, vmax=1, interpolation="nearest")
    axes.set(xlabel="channel", ylabel="token")
    figure.colorbar(image, ax=axes, ticks=(-1, 0, 1))
    if title:
        axes.set_title(title, loc="left")
    return figure


def position_likeness(table, grid: tuple[int, int, int], token: int, title: str | None = None):
    """Cosine of every token's position with that of one token, a panel for each temporal slot. -> Figure"""
    import matplotlib.pyplot as plt

    table = _plain(table)
    unit = table / np.linalg.norm(table, axis=1, keepdims=True)
    alike = (unit @ unit[token]).reshape(grid)
    size = (8.4, 8.4 / grid[0] + 0.7)
    figure, panels = plt.subplots(1, grid[0], figsize=size, layout="constrained", squeeze=False)
    for slot, panel in enumerate(panels[0]):
        image = panel.imshow(alike[slot], vmin=0, vmax=1, interpolation="nearest")
        panel.set_axis_off()
        panel.set_title(f"slot {slot}")
    slot, y, x = np.unravel_index(token, grid)
    panels[0, slot].plot(x, y, "o", color="black", mfc="white", ms=6)
    figure.colorbar(image, ax=panels[0, -1], ticks=(0, 1), shrink=0.6)
    return titled(figure, title)


def _plain(table) -> np.ndarray:
    table = table.detach().cpu().numpy() if hasattr(table, "detach") else np.asarray(table)
    return table.reshape(-1, table.shape[-1])
