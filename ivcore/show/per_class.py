"""The gain of each class from one model to another, with motion and appearance classes marked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ivcore.errors import ParameterError
from ivcore.show.style import OKABE_ITO

MOST = 40  # maximum of classes; if there are more, the largest gains and losses
LOOKS = (  # colour and hatch of the kinds, in the order of their first occurrence
    (OKABE_ITO[0], ""),
    (OKABE_ITO[1], "///"),
    (OKABE_ITO[2], "..."),
    (OKABE_ITO[4], "xx"),
)


def class_gain_bars(
    gains: Sequence,
    kinds: Mapping[str, str] | None = None,
    before: str = "A",
    after: str = "B",
    title: str | None = None,
    most: int = MOST,
):
    """A bar for each class, the largest gain at the top, in percentage points of the class's clips. -> Figure

    gains: from `metrics.overlap.class_gains`. kinds: class -> "motion" or "appearance" (or other kinds, up to four),
    marked by colour and hatch; the legend has each kind's mean. The number beside a bar is the class's accuracy before
    → after, in per cent.
    """
    import matplotlib.pyplot as plt

    gains = sorted(gains, key=lambda gain: (-gain.gain, gain.name))
    if not gains:
        raise ParameterError("gains: expected one class or more")
    shown = _ends(gains, most)
    figure, axes = plt.subplots(figsize=(7.5, 1.3 + 0.27 * len(shown)), layout="constrained")
    looks = _looks([_kind(gain, kinds) for gain in gains])
    for y, gain in enumerate(shown):
        colour, hatch = looks[_kind(gain, kinds)]
        axes.barh(y, 100 * gain.gain, 0.75, color=colour, hatch=hatch, ec="white", lw=0)
        _write(axes, y, gain)
    axes.set_yticks(range(len(shown)), [gain.name for gain in shown], fontsize=9)
    _finish(axes, before, after, title or _left_out(len(gains), len(shown)))
    if kinds:
        _legend(axes, gains, kinds, looks)
    return figure


def _ends(gains: list, most: int) -> list:
    return gains if len(gains) <= most else [*gains[: (most + 1) // 2], *gains[-(most // 2) :]]


def _kind(gain, kinds) -> str:
    return (kinds or {}).get(gain.name, "other" if kinds else "")


def _looks(found: list[str]) -> dict[str, tuple[str, str]]:
    names = sorted(set(found), key=lambda name: (name == "other", name != "motion", name))
    if len(names) > len(LOOKS):
        raise ParameterError(f"kinds: {len(names)} of them, at most {len(LOOKS)} can be told apart")
    return dict(zip(names, LOOKS))


def _write(axes, y: int, gain) -> None:
    left = gain.gain < 0
    text = f"{100 * gain.accuracy_a:.0f} → {100 * gain.accuracy_b:.0f}"
    place = {"xytext": (-5 if left else 5, 0), "textcoords": "offset points", "va": "center"}
    axes.annotate(text, (100 * gain.gain, y), ha="right" if left else "left", fontsize=9, **place)


def _finish(axes, before: str, after: str, title: str | None) -> None:
    axes.set_ylim(len(axes.patches) - 0.4, -0.6)  # the first at the top
    axes.axvline(0, color="black", lw=0.8)
    low, high = axes.get_xlim()
    room = 0.16 * max(high - low, 1)  # room for the numbers beside the longest bars
    axes.set_xlim(low - room if low < 0 else -room / 4, high + room)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel(f"{after} minus {before}, percentage points of the class's clips")
    if title:
        axes.set_title(title, loc="left")


def _left_out(classes: int, shown: int) -> str | None:
    halves = f"the {(shown + 1) // 2} greatest gains and {shown // 2} greatest losses"
    return None if shown == classes else f"{halves} of {classes} classes"


def _legend(axes, gains, kinds, looks) -> None:
    from matplotlib.patches import Patch

    handles = []
    for name, (colour, hatch) in looks.items():
        members = [gain.gain for gain in gains if _kind(gain, kinds) == name]
        mean = f"{100 * sum(members) / len(members):+.1f}".replace("-", "−")
        label = f"{name}: {mean} on average, {len(members)} classes"
        handles.append(Patch(fc=colour, hatch=hatch, ec="white", lw=0, label=label))
    axes.figure.legend(handles=handles, loc="outside lower center", frameon=False, fontsize=9)
