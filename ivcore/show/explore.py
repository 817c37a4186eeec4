"""A static figure with sliders and fields on top, where somebody is there to move them; else a strip of a few slider positions."""

from __future__ import annotations

import inspect
import io
import os

import numpy as np

from ivcore.errors import UserError

POSITIONS = 3  # of each slider in the strip


def explore(draw, **sliders) -> None:
    """Shows `draw(**values) -> Figure` for values that the reader picks.

    sliders: name -> its values. Numbers are sorted and become a slider, words a drop-down menu; each starts at the default of `draw`'s
    argument, or in the middle. A single text becomes a field to type in, which starts with it. In a live notebook a change calls `draw` again. With IVCORE_HEADLESS=1, or without a notebook front end
    (papermill alone), each is moved alone through three of its values and the pictures are shown below each other, so that a printed run
    misses nothing. A picture that cannot be drawn is reported and left out.
    """
    sliders = {name: _laid_out(values) for name, values in sliders.items()}
    starts = {name: _start(draw, name, values) for name, values in sliders.items()}
    if _live():
        return _widgets(draw, sliders, starts)
    for values in positions(sliders, starts):
        try:
            _show(draw(**values))
        except Exception as error:  # a toy must not cost the run it decorates
            print(f"not drawn: {type(error).__name__}: {error}")


def positions(sliders: dict[str, list | str], starts: dict, each: int = POSITIONS) -> list[dict]:
    """The slider positions of the strip: every slider in turn at `each` of its values, the others where they start."""
    moved = [starts | {name: value} for name, values in sliders.items() for value in _some(values, each)]
    return [values for number, values in enumerate(moved) if values not in moved[:number]]


def _laid_out(values):
    return values if isinstance(values, str) else list(values) if _words(values) else sorted(values)


def _words(values) -> bool:
    return any(isinstance(value, str) for value in values)


def _start(draw, name: str, values: list | str):
    if isinstance(values, str):
        return values
    default = inspect.signature(draw).parameters[name].default
    return default if default in values else values[len(values) // 2]


def _some(values: list | str, count: int) -> list:
    if isinstance(values, str):
        return [values]
    places = np.linspace(0, len(values) - 1, min(count, len(values)))
    return [values[round(place)] for place in places]


def _live() -> bool:
    """Whether a person's notebook server or editor started this kernel.

    Under papermill or nbconvert nobody moves a slider, and their client now and then waits for ever for a widget's output.
    """
    if os.environ.get("IVCORE_HEADLESS", "0") not in ("", "0"):
        return False
    return any(name in os.environ for name in ("JPY_SESSION_NAME", "VSCODE_PID"))


def _widgets(draw, sliders: dict[str, list | str], starts: dict) -> None:
    import ipywidgets

    def redraw(**values):
        try:
            _show(draw(**values))
        except UserError as error:  # a mistake in what was typed
            print(error)

    look = {"style": {"description_width": "8em"}, "layout": {"width": "34em"}}
    widgets = {}
    for name, values in sliders.items():
        how = {"value": starts[name], "description": name.replace("_", " "), **look}
        if isinstance(values, str):
            widgets[name] = ipywidgets.Text(continuous_update=False, **how)
        elif _words(values):
            widgets[name] = ipywidgets.Dropdown(options=values, **how)
        else:
            options = [(f"{value:g}", value) for value in values]
            widgets[name] = ipywidgets.SelectionSlider(options=options, continuous_update=False, **how)
    ipywidgets.interact(redraw, **widgets)


def _show(figure) -> None:
    """The figure as a picture at reading size; closed, so that the notebook does not show it a second time."""
    import matplotlib.pyplot as plt
    from IPython.display import Image, display

    from ivcore.show.style import DPI

    file = io.BytesIO()
    figure.savefig(file, dpi=DPI, bbox_inches="tight", format="png")
    plt.close(figure)
    data = file.getvalue()
    display(Image(data, width=round(int.from_bytes(data[16:20], "big") * 96 / DPI)))
