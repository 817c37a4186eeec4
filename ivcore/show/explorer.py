"""An explorer's widgets: controls, a player, the figure, and a status line with the time of the answer or the error in
the input.
"""

from __future__ import annotations

import contextlib
import html
import io
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import ipywidgets

from ivcore.data.examples import own
from ivcore.errors import UserError
from ivcore.show.controls import Clips, Control, Patch, are_words, described, in_words
from ivcore.show.player import Player, pages
from ivcore.show.style import image, png

LOOK = {"style": {"description_width": "11em"}, "layout": {"width": "30em", "max_width": "98%"}}
KEPT = 100  # positions whose pictures are cached
BLANK = "\u00a0"  # text of a cell that is not chosen; the browser does not reset a text to an empty one
SIDE = 272  # of a clickable picture, in pixels
VIDEOS = "video/*,.mp4,.avi,.mkv,.mov,.webm,.mpg,.mpeg,.m4v"


class Explorer:
    """The widgets that `explore` shows in a live notebook."""

    def __init__(self, draw: Callable, play: Callable | None, alt: str, controls: dict[str, Control], starts: dict):
        self._draw, self._play, self._alt, self._kept, self._times = draw, play, alt, {}, 0
        self._figure, self._said = ipywidgets.HTML(), ipywidgets.HTML()
        self._player = Player() if play else None
        self._moved = {name: _made(name, control, starts[name], self) for name, control in controls.items()}
        for each in self._moved.values():
            each.on_change(self.answer)

    def show(self) -> None:
        from IPython.display import display

        wrapped = {"flex_flow": "row wrap", "align_items": "flex-start"}
        moved = ipywidgets.VBox([each.widget for each in self._moved.values()])
        above = ipywidgets.HBox([moved, *([self._player.widget] if self._player else [])], layout=wrapped)
        whole = ipywidgets.VBox([above, self._said, self._figure])
        whole.add_class("iv-explorer")
        self.answer()
        display(whole)

    def values(self, without=None) -> dict:
        return {name: each.value for name, each in self._moved.items() if each is not without}

    def answer(self) -> None:
        """Draws the figure for the controls' values and shows printed messages. For invalid input it shows the error
        and keeps the picture.
        """
        began, values, printed = time.perf_counter(), self.values(), io.StringIO()
        try:
            with contextlib.redirect_stdout(printed):
                figure, films = self._answered(values)
            self._figure.value = figure
            if films is not None:
                self._player.load(films)
            for each in self._moved.values():
                each.follow()
        except UserError as error:
            return self.say(str(error))
        except Exception as error:  # a traceback of a callback would go to a log that nobody reads
            return self.say(f"not drawn: {type(error).__name__}: {error}")
        notes = printed.getvalue().split("\n")
        self.say("; ".join([*filter(None, notes), f"answered in {1000 * (time.perf_counter() - began):.0f} ms"]))

    def forget(self) -> None:
        """Draws everything anew, because clips that a picture compares may have changed, such as a new clip in a
        menu.
        """
        self._kept.clear()

    def say(self, text: str) -> None:
        self._times += 1  # makes a repeated equal line visible
        self._said.value = f'<span role="status" data-times="{self._times}">{html.escape(text)}</span>'

    def _answered(self, values: dict):
        key = tuple(values.items())
        if key not in self._kept:
            if len(self._kept) >= KEPT:
                self._kept.pop(next(iter(self._kept)))
            films = self._play(**values) if self._play else None
            figure = image(png(self._draw(**values)), described(self._alt, values))
            self._kept[key] = figure, films
        return self._kept[key]


# ---- controls: show `widget`, read `value`; `on_change(told)` calls `told()` after a change, `follow()` after an answer


def _made(name: str, control: Control, start, explorer: Explorer):
    name = name.replace("_", " ")
    if isinstance(control, Clips):
        return _ClipChoice(name, control, start, explorer)
    if isinstance(control, Patch):
        return _PatchGrid(name, control, start, explorer)
    if isinstance(control, str):
        return _Plain(ipywidgets.Text(start, description=name, continuous_update=False, **LOOK))
    if are_words(control):
        return _Plain(ipywidgets.Dropdown(options=control, value=start, description=name, **LOOK))
    options = [(f"{value:g}", value) for value in control]
    return _Plain(ipywidgets.SelectionSlider(options=options, value=start, description=name, continuous_update=False, **LOOK))  # fmt: skip


class _Plain:
    def __init__(self, widget):
        self.widget = widget

    @property
    def value(self):
        return self.widget.value

    def on_change(self, told) -> None:
        self.widget.observe(lambda _: told(), "value")

    def follow(self) -> None:
        pass


class _ClipChoice(_Plain):
    """A menu of clips, with a button and a field to add the reader's own."""

    def __init__(self, name: str, control: Clips, start, explorer: Explorer):
        self._explorer = explorer
        # All uploads, as long as this control exists: a clip is read again for a position that is not drawn yet.
        self._uploads = tempfile.TemporaryDirectory(prefix="iv-clip-", ignore_cleanup_errors=True)
        options = [(each.name, each) for each in control.examples]
        self._menu = ipywidgets.Dropdown(options=options, value=start, description=name, **LOOK)
        self._upload = ipywidgets.FileUpload(
            accept=VIDEOS, description="your video", tooltip="upload a video", layout={"width": "11em"}
        )
        self._path = ipywidgets.Text(
            placeholder="or its path, then Enter",
            tooltip="path of a video",
            continuous_update=False,
            layout={"width": "18.5em"},
        )
        self._upload.observe(lambda _: self._take(self._uploaded), "value")
        self._path.observe(lambda _: self._take(self._named), "value")
        row = ipywidgets.HBox([self._upload, self._path], layout={"flex_flow": "row wrap"})
        self.widget = ipywidgets.VBox([self._menu, row])

    @property
    def value(self):
        return self._menu.value

    def on_change(self, told) -> None:
        self._menu.observe(lambda _: told(), "value")

    def _take(self, found: Callable) -> None:
        """Adds a clip to the menu and chooses it; shows the error if it cannot be read."""
        try:
            if (example := found()) is None:
                return
            example.sparse(1, 16)
            self._explorer.forget()
            self._menu.options = [*(each for each in self._menu.options if each[1] != example), (example.name, example)]
            self._menu.value = example
        except UserError as error:
            self._explorer.say(str(error))

    def _named(self):
        return own(self._path.value) if self._path.value.strip() else None

    def _uploaded(self):
        if not self._upload.value:
            return None
        given = self._upload.value[-1]
        place = Path(tempfile.mkdtemp(dir=self._uploads.name)) / Path(given["name"]).name
        place.write_bytes(given["content"])
        return own(place)


class _PatchGrid(_Plain):
    """Buttons over a picture, one for each cell. They work with mouse and keyboard."""

    def __init__(self, name: str, control: Patch, start: tuple[int, int], explorer: Explorer):
        self._control, self._explorer, self._at, self._told = control, explorer, start, []
        self._picture = ipywidgets.HTML(layout={"grid_area": "all", "margin": "0"})
        side = f"{SIDE // max(control.rows, control.columns)}px"
        look = {"width": side, "height": side, "margin": "0", "padding": "0", "min_width": "0"}
        places = [(row, column) for row in range(control.rows) for column in range(control.columns)]
        self._buttons = {place: _button(place, look, self._chosen) for place in places}
        grid = {
            "grid_template_columns": f"repeat({control.columns}, {side})",
            "grid_gap": "0",
            "grid_area": "all",
            "margin": "0",
        }
        cells = ipywidgets.GridBox([*self._buttons.values()], layout=grid)
        stacked = {
            "grid_template_areas": '"all"',
            "width": f"{control.columns * (SIDE // max(control.rows, control.columns)) + 4}px",
        }
        title = ipywidgets.HTML(f"{html.escape(name)}: click a cell of the picture")
        self.widget = ipywidgets.VBox([title, ipywidgets.GridBox([self._picture, cells], layout=stacked)])
        self.widget.add_class("iv-patch")

    @property
    def value(self) -> tuple[int, int]:
        return self._at

    def on_change(self, told) -> None:
        self._told.append(told)

    def follow(self) -> None:
        """Shows the picture for the other controls' values, and marks the chosen cell."""
        frame = self._control.under(**self._explorer.values(without=self))
        width = self._control.columns * (SIDE // max(self._control.rows, self._control.columns))
        self._picture.value = image(pages({"": frame[None]})[0], "the picture to click", width)
        for place, button in self._buttons.items():
            chosen = place == self._at
            wanted = ("✕", "3px solid #D55E00") if chosen else (BLANK, "1px solid rgba(255, 255, 255, 0.35)")
            if (button.description, button.layout.border_top) != wanted:
                button.description, button.layout.border = wanted

    def _chosen(self, place: tuple[int, int]) -> None:
        self._at = place
        for told in self._told:
            told()


def _button(place: tuple[int, int], look: dict, chosen: Callable):
    style = {"button_color": "transparent", "text_color": "#FFFFFF", "font_weight": "bold"}
    button = ipywidgets.Button(tooltip=in_words(place), layout=look, style=style)
    button.on_click(lambda _: chosen(place))
    return button
