"""Gates of cross-model attention during training: tanh of each gate, 0 closed and 1 open."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ivcore.errors import ParameterError
from ivcore.show.style import OKABE_ITO, titled

STYLES = ("-", "--", "-.", ":")


def gates_opening(steps: Sequence, gates: Mapping[str, Mapping[str, Sequence]], title: str | None = None,
                  xlabel: str = "step", ylabel: str = "tanh of the gate", form: str = ""):  # fmt: skip
    """A panel for each kind of gate, a line for each module, with its last value in the legend. -> Figure

    gates: kind, such as "attention gates" -> module -> a value for each of `steps`. A negative value reverses the sign
    of the module's output. form: format of the last value in the legend; by default two decimals, or four if no gate
    reaches 0.1.
    """
    import matplotlib.pyplot as plt

    if not gates or any(len(v) != len(steps) for lines in gates.values() for v in lines.values()):
        raise ParameterError(f"gates: expected one kind or more, with a value for each of {len(steps)} steps")
    widest = max((abs(values[-1]) for lines in gates.values() for values in lines.values() if len(values)), default=0)
    form = form or ("{:+.2f}" if widest >= 0.1 else "{:+.4f}")
    size = (4.1 * len(gates) + 0.6, 3.3)
    figure, panels = plt.subplots(1, len(gates), sharey=True, squeeze=False, figsize=size, layout="constrained")
    for panel, (kind, lines) in zip(panels[0], gates.items()):
        panel.axhline(0, color="0.6", lw=1)
        for number, (name, values) in enumerate(lines.items()):
            look = {"color": OKABE_ITO[number % len(OKABE_ITO)], "ls": STYLES[number % len(STYLES)]}
            text = f"{name}: {form.format(values[-1])}".replace("-", "−")
            panel.plot(steps, values, label=text, marker="o" if len(steps) < 3 else None, ms=4, **look)
        panel.set_title(kind, loc="left")
        panel.set_xlabel(xlabel)
        panel.legend(fontsize=9)
    panels[0, 0].set_ylabel(ylabel)
    return titled(figure, title)
