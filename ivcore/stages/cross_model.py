"""Cross-model interaction as a stage: batches of clips for the coordinated model of `ivcore.cma`, its training loss,
its predictions (paper 3.3).

A batch's `video` is uint8 (B, F, H, W, 3): the masked encoder's dense frames, then the `model.frames` sparse ones of
the multimodal encoder, as `sampling.dense_and_segment` gives them. A batch may instead hold the output of
`model.encode_frozen`; then a step computes only the trainable modules.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ivcore.cma import Coordinated, CrossModelAttention, Scores
from ivcore.data.batches import InMemory, each_batch
from ivcore.data.mismatched import OTHER
from ivcore.data.views import Views, over_views
from ivcore.losses.coordination import coordination
from ivcore.precision import autocast

AT_ONCE = 128  # clips


def prepared(model: Coordinated, video: Tensor) -> tuple[Tensor, Tensor]:
    """uint8 (B, both frames, H, W, 3) -> the normalised pair of clips that the model takes, on its device."""
    video = video.to(_device(model))
    return model.prepare(video[:, : -model.frames], video[:, -model.frames :])


@torch.no_grad()
def cache_features(model: Coordinated, source, precision: str = "fp32", num_workers: int = 0) -> InMemory:
    """The output of `model.encode_frozen` for every clip of `source`, or for the first view of its readable videos,
    with labels: columns of float16 on the CPU.

    For clips that are the same in every epoch (see `data.cached_views.CachedViews`) and frozen encoders. Ranks share
    the work, see `ivcore.distributed_evaluation`, and each keeps all features. Puts the model in eval mode.
    """
    model.eval()

    def encoded(batch: dict) -> dict[str, Tensor]:
        video = batch["video"] if "video" in batch else batch["views"][:, 0]
        with autocast(_device(model), precision):
            frozen = model.encode_frozen(prepared(model, video))
        return {name: value.cpu().half() for name, value in frozen.items()} | {"label": torch.as_tensor(batch["label"])}

    parts = [*_each(encoded, source, num_workers)]
    # Frees the parts of each column as it is joined; otherwise memory would hold all features twice.
    return InMemory(**{name: torch.cat([part.pop(name) for part in parts]) for name in list(parts[0])})


def scores(model: Coordinated, batch: dict) -> Scores:
    """Scores (B, K) of a batch of clips or of cached features."""
    return model.fuse(_frozen_features(model, batch))


def scores_of_mismatched_pair(model: Coordinated, batch: dict) -> Scores:
    """A control: as `scores`, but each branch attends to tokens of another clip, which `data.mismatched` put beside it.

    Each branch still classifies its own clip, and both scores of a clip are fused. So the modules keep all parameters
    and get tokens of the right kind, but these hold no information about the clip: neither its frames nor those of its
    scene.
    """
    own = _frozen_features(model, batch)
    other = {name.removeprefix(OTHER): value for name, value in batch.items() if name.startswith(OTHER)}
    other = _frozen_features(model, other)
    masked = model.fuse(other | {"masked": own["masked"]}).masked
    multimodal = model.fuse(own | {"masked": other["masked"]}).multimodal
    return Scores(masked, multimodal, model.fusion(masked, multimodal))


def interaction_loss(model: Coordinated, batch: dict, generator=None, *, branches=0.0, label_smoothing=0.0,
                     scoring: Callable = scores) -> tuple[Tensor, dict]:  # fmt: skip
    """The loss of `losses.coordination` for `train`; logs every gate and the fusion weight of the multimodal branch.

    Gates are logged as attention/<module> and feed-forward/<module>, with the names of `modules_of`. scoring(model,
    batch) -> Scores.
    """
    del generator  # draws no random numbers
    labels = batch["label"].to(_device(model))
    loss, numbers = coordination(scoring(model, batch), labels, branches, label_smoothing)
    for name, module in modules_of(model).items():
        numbers |= dict(zip((f"attention/{name}", f"feed-forward/{name}"), module.gates()))
    return loss, numbers | {"multimodal_share": model.fusion.shares()[1].mean()}


@torch.inference_mode()
def predictions(
    model: Coordinated, source, scoring: Callable = scores, num_workers: int = 0, precision: str = "fp32"
) -> list[Tensor]:
    """Probabilities (n, K) of the masked branch, the multimodal one and their fusion, and the labels (n,), of a whole
    set.

    source: clips, one for each video, or `Views` with `num_segments` frames; `Views` leave out unreadable videos, and
    probabilities are averaged over the views. precision: as in training. Ranks share the work, see `ivcore.distributed_evaluation`.
    """
    model.eval()

    def probabilities(batch: dict) -> Tensor:
        return torch.stack([logits.float().softmax(-1) for logits in scoring(model, batch)], 1)

    if isinstance(source, Views):
        options = {"precision": precision, "prepare": lambda clips: clips}
        of_video = lambda video: probabilities({"video": video})  # noqa: E731
        by_view, labels = over_views(of_video, model, source, AT_ONCE, num_workers, **options)
        return [*by_view.mean(1).unbind(1), labels]
    scored = lambda batch: (probabilities(batch).cpu(), torch.as_tensor(batch["label"]))  # noqa: E731
    with autocast(_device(model), precision):
        parts, labels = zip(*_each(scored, source, num_workers))
    return [*torch.cat(parts).unbind(1), torch.cat(labels)]


def modules_of(model: Coordinated) -> dict[str, CrossModelAttention]:
    """name -> module, with the names used in logs and figures, in order; the reversed module is last."""
    forward = {f"after masked block {block}": m for (block, _), m in zip(model.placement, model.cma)}
    return forward | ({} if model.last_cma is None else {"reversed": model.last_cma})


def _frozen_features(model: Coordinated, batch: dict) -> dict[str, Tensor]:
    if "masked" not in batch:
        return model.encode_frozen(prepared(model, batch["video"]))
    own = (name for name in batch if name != "label" and not name.startswith(OTHER))
    return {name: batch[name].to(_device(model)) for name in own}


def _each(function: Callable, source, num_workers: int = 0):
    if isinstance(source, Views):
        return source.each(function, AT_ONCE, num_workers)
    return each_batch(function, source, AT_ONCE, num_workers)


def _device(model: Coordinated) -> torch.device:
    return model.fusion.weight.device
