"""A comparison of two models on the same test videos, in one sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from ivcore.metrics.certainty import paired


def difference_in_words(
    name: str, base: str, hits: Mapping[str, Tensor], groups, seeds: Mapping[str, Sequence[float]]
) -> str:
    """How many points of top-1 `name` gains over `base`, with the standard error and the sign test of
    `metrics.certainty.paired`.

    hits: model -> bool (N,), True where it is right; groups (N,): the scene of each video. seeds: "top1_" + model ->
    one value for each seed; with several seeds the sentence begins with their mean.
    """
    this = paired(hits[base], hits[name], groups)
    points = [100 * (a - b) for a, b in zip(seeds[f"top1_{name}"], seeds[f"top1_{base}"])]
    several = ""
    if len(points) > 1:
        mean, ahead = sum(points) / len(points), sum(difference > 0 for difference in points)
        several = f"{mean:+.1f} points over {len(points)} seeds, ahead in {ahead}; in this run "
    luck = "may be chance" if this.sign_test >= 0.05 else "is unlikely to be chance"
    return (
        f"{name} against {base}: {several}{100 * this.difference:+.1f} ± {100 * this.error:.1f} points, better on "
        f"{this.ahead} scenes, worse on {this.behind}; that {luck} (p = {this.sign_test:.2g})"
    )
