"""Visible parts and reconstructions of a masked autoencoder, at several mask ratios."""

from __future__ import annotations

from ivcore.show import frames as film


def reconstruction_strip(original, tries: dict, every: int = 1, title: str | None = None, below: str = "rebuilt"):
    """The clip, then for each try the visible part and the reconstruction. -> Figure

    original: uint8 (T, H, W, 3) or float (3, T, H, W) in [0, 1]. tries: name -> (hidden, reconstruction), clips as from
    `losses.reconstruction.blank` and `picture`; a number as name is a mask ratio. below: label of the second row of
    each try.
    """
    rows = [film.Row("original", film.as_frames(original)[::every])]
    for name, (hidden, rebuilt) in tries.items():
        label = name if isinstance(name, str) else f"{100 * name:.0f} % hidden"
        rows.append(film.Row(label, film.as_frames(hidden)[::every]))
        rows.append(film.Row(below, film.as_frames(rebuilt)[::every]))
    return film.draw(rows, title)
