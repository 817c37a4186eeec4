"""An explorer: a static figure with controls on top, where somebody is there to move them; else a strip of pictures of a few of their positions."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping

from ivcore.show.controls import Clips, Control, Patch, described, laid_out, some
from ivcore.show.style import png, reading_width

POSITIONS, MOST = 3, 8  # of each control in the strip, and pictures of it


def explore(
    draw: Callable, *, alt: str, play: Callable | None = None, begin: Mapping | None = None, **controls
) -> None:
    """Shows `draw(**values) -> Figure` for values that the reader picks, and lets `play(**values) -> {name: clip}` run beside it.

    controls: name -> its values. Numbers are sorted and become a slider, words a drop-down menu, a single text a field to type in, `Clips`
    a choice of clips with the reader's own, `Patch` a picture to click. Each starts where `begin` says, or at the default of `draw`'s argument; a text as it
    is, a clip with the first, others in the middle. What takes long, such as a forward pass, `draw` should keep (`functools.cache`): clips can be keys.

    In a live notebook a change calls `draw` again, and what was drawn before is shown at once. With IVCORE_HEADLESS=1, or without a notebook front end
    (papermill alone), each control is moved alone and the pictures are shown below each other, so that a printed run misses nothing. A
    picture that cannot be drawn is reported and left out. alt: what the picture shows, for who cannot see it; the values are added.
    """
    controls = {name: laid_out(values) for name, values in controls.items()}
    starts = {name: _start(draw, name, control) for name, control in controls.items()} | dict(begin or {})
    if _live():
        from ivcore.show.explorer import Explorer

        return Explorer(draw, play, alt, controls, starts).show()
    for values in positions(controls, starts):
        try:
            _show(draw(**values), described(alt, values))
        except Exception as error:  # a toy must not cost the run it decorates
            print(f"not drawn: {type(error).__name__}: {error}")


def positions(controls: dict[str, Control], starts: dict, each: int = POSITIONS) -> list[dict]:
    """The positions of the strip: every control in turn at `each` of its values, the others where they start; fewer where there are many controls."""
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

    Under papermill or nbconvert nobody moves a slider, and their client now and then waits for ever for a widget's output.
    """
    if os.environ.get("IVCORE_HEADLESS", "0") not in ("", "0"):
        return False
    return any(name in os.environ for name in ("JPY_SESSION_NAME", "VSCODE_PID"))


def _show(figure, alt: str) -> None:
    from IPython.display import Image, display

    data = png(figure)
    display(Image(data, width=reading_width(data), alt=alt))
