"""Averages of weights: model soups (arXiv 2203.05482) and WiSE-FT (arXiv 2109.01903), as published zero-shot results use both.

    model = weights.load(runs[0])
    model.load_state_dict(average(runs))                                       # several runs, or several checkpoints of one
    model.load_state_dict(interpolate("ViT-L-14.pt", "InternVideo-MM-L-14.ckpt", 0.5))   # half CLIP, half what was trained

A source is what `weights.load` takes (a file, a folder, a run folder, a name on the hub), a module or a state dict. Files of a
known layout are read under this library's names, so that published files and those of own runs go together; other safetensors and torch files
under their own. Sums are taken in float64 with one source in memory at a time and come back in the first source's type: equal sources
give themselves, bit for bit. Integers and booleans (counters, tables) are the first source's. Running statistics of batch normalisation are
averaged like weights, which is an approximation.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from os import PathLike

from torch import Tensor, nn

from ivcore import weights
from ivcore.errors import ParameterError
from ivcore.weights.accounting import State, WeightsError, listed
from ivcore.weights.hub import locate
from ivcore.weights.reading import read

Source = str | PathLike | nn.Module | State


@dataclass(frozen=True)
class Soup:
    """What `greedy_soup` chose: the averaged weights, which sources are in them (best first), and their score."""

    state: State
    members: list[int]
    score: float


def average(sources: Iterable[Source], shares: Sequence[float] | None = None) -> State:
    """The weighted mean of sources with the same keys and shapes; equal shares by default. shares: one each, sum 1.

    Errors: WeightsError naming the source and the key that does not fit; ParameterError for shares that do not.
    """
    sources = list(sources)
    shares = _checked(shares, len(sources))
    total: _Total | None = None
    for number, (source, share) in enumerate(zip(sources, shares)):
        state = _state(source)
        total = total or _Total(state, _name(source, number))
        total.add(state, share, _name(source, number))
    return total.result()


def greedy_soup(sources: Iterable[Source], score: Callable[[State], float]) -> Soup:
    """Begin with the best source, then keep each next best if the average with it scores at least as well (recipe 1 of the paper).

    score: weights -> a number, the higher the better, measured on held-out clips that are not those reported. Called twice a source at
    most.
    """
    sources = list(sources)
    _checked(None, len(sources))
    alone = [score(_state(source)) for source in sources]
    order = sorted(range(len(sources)), key=lambda number: -alone[number])
    members, best = order[:1], alone[order[0]]
    total = _Total(_state(sources[order[0]]), _name(sources[order[0]], order[0]))
    total.add(_state(sources[order[0]]), 1.0, total.name)
    for number in order[1:]:
        state = _state(sources[number])
        total.add(state, 1.0, _name(sources[number], number))
        reached = score(total.result(len(members) + 1))
        if reached >= best:
            members, best = [*members, number], reached
        else:
            total.add(state, -1.0, total.name)
    return Soup(total.result(len(members)), members, best)


def interpolate(zero_shot: Source, fine_tuned: Source, share: float) -> State:
    """WiSE-FT: share · zero_shot + (1 - share) · fine_tuned where both have a key; what only one has is kept as it is.

    share in [0, 1]: 0 keeps what was trained, 1 takes everything CLIP has from CLIP. A CLIP model is matched with the video-text
    model that began as it. Errors: WeightsError naming the key whose shapes differ, or where no key is shared.
    """
    if not 0 <= share <= 1:
        raise ParameterError(f"share: {share} is not in [0, 1]")
    first, second = _state(zero_shot), _state(fine_tuned)
    if "visual_proj" in second and "visual.proj" in first:
        first = _as_video_text(first)
    shared = [key for key in second if key in first]
    if not shared:
        raise WeightsError(f"interpolate: no key in common: {listed(first, 3)}; {listed(second, 3)}")
    for key in shared:
        _same_shape(first[key], second[key], key, "zero_shot", "fine_tuned")
    mixed = {key: _mixed(first[key], second[key], share) for key in shared}
    return {key: value.clone() for key, value in (first | second).items() if key not in mixed} | mixed


class _Total:
    """A running weighted sum in float64 over states of one form."""

    def __init__(self, state: State, name: str):
        self.name = name
        self.form = {key: (value.shape, value.dtype) for key, value in state.items()}
        self.sums = {k: v.double() * 0 if v.is_floating_point() else v.clone() for k, v in state.items()}

    def add(self, state: State, share: float, name: str) -> None:
        different = sorted(state.keys() ^ self.sums.keys())
        if different:
            who = name if different[0] in self.sums else self.name
            raise WeightsError(f"{who}: lacks {listed(different)}, which the other checkpoint has")
        for key, value in state.items():
            _same_shape(value, self.sums[key], key, name, self.name)
            if value.is_floating_point():
                self.sums[key].add_(value.double().to(self.sums[key].device), alpha=share)

    def result(self, count: int = 1) -> State:
        """The sum over `count`, in the types of the first state."""
        return {
            key: (total / count).to(self.form[key][1])
            if self.form[key][1].is_floating_point
            else total.clone()
            for key, total in self.sums.items()
        }


def _state(source: Source) -> State:
    if isinstance(source, nn.Module):
        return {key: value.detach() for key, value in source.state_dict().items()}
    if isinstance(source, dict):
        return source
    state, config = read(
        locate(str(source))
    )  # of a file with several sets of weights, the one that `weights.load` takes
    known = any(recognises(state) for recognises, _ in weights.LAYOUTS)
    return weights.from_official(state, config).state_dict() if known else state


def _name(source: Source, number: int) -> str:
    return str(source) if isinstance(source, (str, PathLike)) else f"source {number}"


def _checked(shares: Sequence[float] | None, count: int) -> Sequence[float]:
    if not count:
        raise ParameterError("sources: expected one or more, got none")
    if shares is None:
        return [1 / count] * count
    if len(shares) != count or not math.isclose(sum(shares), 1, abs_tol=1e-6):
        raise ParameterError(f"shares: {list(shares)}: expected {count} numbers whose sum is 1")
    return shares


def _same_shape(value: Tensor, other: Tensor, key: str, name: str, other_name: str) -> None:
    if value.shape != other.shape:
        raise WeightsError(f"{name}: {key} is {tuple(value.shape)}, but {tuple(other.shape)} in {other_name}")


def _mixed(first: Tensor, second: Tensor, share: float) -> Tensor:
    if not second.is_floating_point():
        return second.clone()
    first = first.to(second.device).double()
    return (share * first + (1 - share) * second.double()).to(second.dtype)


def _as_video_text(clip: State) -> State:
    """CLIP's weights under the names they have in the video-text model; its patch kernel becomes one frame deep (paper 3.2)."""
    renamed = {
        key.replace("visual.ln_post.", "visual_ln_post.").replace("visual.proj", "visual_proj"): value
        for key, value in clip.items()
    }
    return renamed | {"visual.conv1.weight": clip["visual.conv1.weight"][:, :, None]}
