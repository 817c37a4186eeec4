"""A player of clips in the browser: play, stop and scrub. It asks the kernel only when the clips change."""

from __future__ import annotations

import io
from collections.abc import Mapping

import numpy as np

from ivcore.show import frames as film
from ivcore.show.style import image

SIDE, GAP, MILLISECONDS = 208, 8, 250  # of a clip on the page, between two clips, and of a frame


def pages(films: Mapping[str, np.ndarray]) -> list[bytes]:
    """A PNG for each moment: the clips side by side, each magnified by a whole number.

    films: name -> uint8 (T, H, W, 3). A clip with fewer frames than the longest shows each for longer.
    """
    films = [film.as_frames(clip) for clip in films.values()]
    length = max(len(clip) for clip in films)
    return [_encoded(_beside([clip[moment * len(clip) // length] for clip in films])) for moment in range(length)]


def _beside(pictures: list[np.ndarray]) -> np.ndarray:
    large = [picture.repeat(k := max(1, SIDE // len(picture)), axis=0).repeat(k, axis=1) for picture in pictures]
    tall = max(len(picture) for picture in large)
    padded = [np.pad(p, ((0, tall - len(p)), (0, GAP), (0, 0)), constant_values=255) for p in large]
    return np.concatenate(padded, axis=1)[:, :-GAP]


def _encoded(picture: np.ndarray) -> bytes:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(picture).save(file, "png", compress_level=1)
    return file.getvalue()


class Player:
    """`widget` is shown; `load(films)` changes the clips and keeps the reader's position."""

    def __init__(self):
        import ipywidgets

        self._stack, self._names = ipywidgets.Stack(), ipywidgets.HTML()
        self._play = ipywidgets.Play(interval=MILLISECONDS, max=0, repeat=True, show_repeat=False)
        self._place = ipywidgets.IntSlider(max=0, description="frame", layout={"width": "24em", "max_width": "98%"})
        for source, target in ((self._play, (self._place, "value")), (self._place, (self._stack, "selected_index"))):
            ipywidgets.jslink((source, "value"), target)
        row = ipywidgets.HBox([self._play, self._place], layout={"flex_flow": "row wrap"})
        self.widget = ipywidgets.VBox([self._names, self._stack, row])
        self.widget.add_class("iv-player")

    def load(self, films: Mapping[str, np.ndarray]) -> None:
        import ipywidgets

        shown, words = pages(films), ", then ".join(films)
        self._names.value = f"<b>{' | '.join(films)}</b>"
        texts = [_page(data, f"frame {moment} of {words}") for moment, data in enumerate(shown)]
        if len(texts) != len(self._stack.children):
            self._stack.children = [ipywidgets.HTML(text) for text in texts]
            self._play.max = self._place.max = len(texts) - 1
            self._stack.selected_index = self._place.value
            return
        for child, text in zip(self._stack.children, texts):
            child.value = text


def _page(data: bytes, alt: str) -> str:
    return image(data, alt, int.from_bytes(data[16:20], "big"), shrinks=True)
