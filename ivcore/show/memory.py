"""The memory of each engine on a device, as bars of parts."""

from __future__ import annotations

from collections.abc import Mapping

from ivcore.errors import ParameterError
from ivcore.show.style import OKABE_ITO, titled

HATCHES = ("", "//", "..", "\\\\", "xx", "oo")


def memory_bars(
    bars: Mapping[str, Mapping[str, float]], *, unit: str, limit: float | None = None, measured: Mapping[str, float] | None = None,
    title: str | None = None,
):  # fmt: skip
    """A bar for each engine, from the top, divided into its parts. -> Figure

    bars: engine -> part -> amount, in `unit`; each part has a colour and a hatch. limit: the device's memory, a dashed
    line. measured: engine -> amount, a diamond on its bar. ParameterError if there is no bar.
    """
    import matplotlib.pyplot as plt

    if not bars:
        raise ParameterError("bars: expected one engine or more")
    parts = list(dict.fromkeys(part for bar in bars.values() for part in bar))
    figure, place = plt.subplots(figsize=(7, 1.5 + 0.42 * len(bars)), layout="constrained")
    for row, (name, bar) in enumerate(bars.items()):
        left = 0.0
        for number, part in enumerate(parts):
            look = {
                "color": OKABE_ITO[number % len(OKABE_ITO)],
                "hatch": HATCHES[number % len(HATCHES)],
                "edgecolor": "white",
                "lw": 0.5,
            }
            place.barh(row, bar.get(part, 0.0), 0.62, left, label=part if row == 0 else None, **look)
            left += bar.get(part, 0.0)
        found = (measured or {}).get(name)
        text = f"{left:.3g}" if found is None else f"{left:.3g}, measured {found:.3g}"
        place.annotate(
            text, (max(left, found or 0.0), row), (8, 0), textcoords="offset points", va="center", fontsize=9
        )
        if found is not None:
            place.plot(found, row, "D", color="black", ms=6, label="measured" if row == 0 else None, zorder=3)
    if limit is not None:
        place.axvline(limit, color="black", ls="--", lw=1.2, label="device memory")
    place.set_yticks(range(len(bars)), list(bars))
    place.invert_yaxis()
    place.margins(x=0.12 if measured is None else 0.35)
    place.set_xlabel(unit)
    place.legend(loc="upper left", bbox_to_anchor=(1, 1), fontsize=9, frameon=False)
    return titled(figure, title)
