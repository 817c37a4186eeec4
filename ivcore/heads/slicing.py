"""Cuts a classification head from a union of label sets to one of them (paper 3.2: Kinetics-710 to K400, K600, K700).

`rows` are the union's rows of the set's classes, in the set's order: `labels.union.unite(...).maps[name]`, a published
label_mixto600.json, or `list(range(400))`, since a published K710 head has Kinetics-400's classes first. Every class keeps
its weights, so the cut model's logits are the selected logits of the whole one (up to the last bit, since a narrower
matrix product adds in another order).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ivcore.errors import ParameterError


def head(model: nn.Module) -> nn.Linear:
    """The classification layer of a VideoClassifier or UniFormerV2. ParameterError if there is none."""
    owner, name = _place(model)
    return getattr(owner, name) if isinstance(name, str) else owner[name]


def cut(model: nn.Module, rows: Sequence[int]) -> nn.Module:
    """Replaces the head of a VideoClassifier or UniFormerV2 by its `rows`, in place; returns the model.

    Keeps device, dtype and whether the head is trained. ParameterError if there is no head or a row is out of range.
    """
    whole = head(model)
    _check(rows, whole.out_features)
    part = nn.Linear(whole.in_features, len(rows), whole.bias is not None, "meta", whole.weight.dtype)
    for key, value in whole.named_parameters():
        setattr(part, key, nn.Parameter(_pick(value.detach(), rows), value.requires_grad))
    return replace(model, part.train(whole.training))


def replace(model: nn.Module, layer: nn.Linear) -> nn.Module:
    """Replaces the head of a VideoClassifier or UniFormerV2 by another layer; returns the model. ParameterError as in
    `head`.
    """
    owner, name = _place(model)
    if isinstance(name, str):
        setattr(owner, name, layer)
    else:
        owner[name] = layer
    model.num_classes = layer.out_features
    return model


def _place(model: nn.Module) -> tuple[nn.Module, str | int]:
    """The module that holds the head, and the head's name or index in it."""
    head = getattr(model, "head", None)
    if isinstance(head, nn.Linear):
        return model, "head"
    proj = getattr(getattr(model, "transformer", None), "proj", None)
    if isinstance(proj, nn.Sequential) and isinstance(proj[-1], nn.Linear):
        return proj, len(proj) - 1
    raise ParameterError(f"model: {type(model).__name__} has no classification head")


def _pick(value: Tensor, rows: Sequence[int]) -> Tensor:
    return value[torch.as_tensor(list(rows), dtype=torch.long, device=value.device)].clone()


def _check(rows: Sequence[int], classes: int) -> None:
    if not len(rows):
        raise ParameterError("rows: expected one row or more")
    wrong = [row for row in rows if not 0 <= row < classes]
    if wrong:
        raise ParameterError(f"rows: {wrong[0]} does not fit a head of {classes} classes")
    if len(set(rows)) < len(rows):
        raise ParameterError("rows: two classes of the set have the same row")
