"""An explorer: a figure with interactive controls in a live notebook; otherwise a strip of pictures at a few of their
positions.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping

from ivcore.show.controls import Clips, Control, Patch, described, laid_out, some
from ivcore.show.style import png, reading_width

POSITIONS, MOST = 3, 8  # for each control in the strip, and pictures of the strip


def explore(
    draw: Callable, *, alt: str, play: Callable | None = None, begin: Mapping | None = None, **controls
) -> None:
    """Shows `draw(**values) -> Figure` for values that the reader picks, and beside it the clips of `play(**values) ->
    {name: clip}`.

    controls: name -> its values. Numbers are sorted and become a slider, words a drop-down menu, a single text an input
    field, `Clips` a choice of clips with the reader's own, `Patch` a clickable picture. Each starts at its value in
    `begin`, or at the default of `draw`'s argument; otherwise a text as it is, a clip at the first, others in the
    middle. `draw` should cache slow steps such as a forward pass (`functools.cache`): clips can be keys.

    In a live notebook a change calls `draw` again; pictures drawn before are shown at once. With IVCORE_HEADLESS=1, or
    without a notebook front end (such as papermill), each control is moved alone and the pictures are shown below each
    other, so a printed run shows everything. A picture that cannot be drawn is reported and left out. alt: alt text of
    the picture; the values are added.
    """
    controls = {name: laid_out(values) for name, values in controls.items()}
    starts = {name: _start(draw, name, control) for name, control in controls.items()} | dict(begin or {})
    if _live():
        from ivcore.show.explorer import Explorer

        return Explorer(draw, play, alt, controls, starts).show()
    for values in positions(controls, starts):
        try:
            _show(draw(**values), described(alt, values))
        except Exception as error:  # a figure that only illustrates must not end its run
            print(f"not drawn: {type(error).__name__}: {error}")


def positions(controls: dict[str, Control], starts: dict, each: int = POSITIONS) -> list[dict]:
    """The positions of the strip: every control in turn at `each` of its values, the others at their start; fewer if
    there are many controls.
    """
    each = min(each, max(2, MOST // max(1, len(controls))))
    moved = [starts | {name: value} for name, control in controls.items() for value in some(control, each)]
    return [values for number, values in enumerate(moved) if values not in moved[:number]][:MOST]


def _start(draw: Callable, name: str, control: Control):
    if isinstance(control, str):
        return control
    if isinstance(control, Clips):
        return control.examples[0]
    parameter = inspect.signature(draw).parameters.get(name)
    default = parameter.default if parameter else inspect.Parameter.empty
    if isinstance(control, Patch):
        return control.middle if default is inspect.Parameter.empty else default
    return default if default in control else control[len(control) // 2]


def _live() -> bool:
    """Whether a person's notebook server or editor started this kernel.

    Under papermill or nbconvert nobody moves a slider, and their client sometimes waits forever for a widget's output.
    """
    if os.environ.get("IVCORE_HEADLESS", "0") not in ("", "0"):
        return False
    return any(name in os.environ for name in ("JPY_SESSION_NAME", "VSCODE_PID"))


def _show(figure, alt: str) -> None:
    from IPython.display import Image, display

    data = png(figure)
    display(Image(data, width=reading_width(data), alt=alt))
