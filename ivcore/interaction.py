"""Cross-model interaction as a stage: batches of clips for the coordinated model of `ivcore.cma`, its training loss, its predictions (paper 3.3).

A batch's `video` is uint8 (B, F, H, W, 3): the masked encoder's dense frames and behind them the `model.frames` sparse ones of the
multimodal encoder, as `sampling.dense_and_sparse` takes them. A batch may also hold what `model.observe` made of the clips already; then
a step costs only what the modules can change.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ivcore.cma import Coordinated, CrossModelAttention, Scores
from ivcore.data.batches import Batches, InMemory
from ivcore.data.strangers import OTHER
from ivcore.data.views import Views, over_views
from ivcore.losses.coordination import coordination

AT_ONCE = 128  # clips


def prepared(model: Coordinated, video: Tensor) -> tuple[Tensor, Tensor]:
    """uint8 (B, both frames, H, W, 3) -> the normalised pair of clips that the model takes, on its device."""
    video = video.to(_device(model))
    return model.prepare(video[:, : -model.frames], video[:, -model.frames :])


@torch.no_grad()
def observed(model: Coordinated, source) -> InMemory:
    """What the frozen halves see of every clip of `source`, with its label: columns of float16 on the CPU.

    Of use where clips are the same in every epoch (see `data.takes.Takes`) and the encoders frozen. The model is put in eval mode.
    """
    model.eval()
    parts = []
    for batch in _in_order(source):
        seen = model.observe(prepared(model, batch["video"]))
        parts.append({name: value.cpu().half() for name, value in seen.items()} | {"label": batch["label"]})
    return InMemory(**{name: torch.cat([part[name] for part in parts]) for name in parts[0]})


def interacted(model: Coordinated, batch: dict) -> Scores:
    """Scores (B, K) of a batch, observed before or now."""
    return model.interact(_observed(model, batch))


def interacted_with_another(model: Coordinated, batch: dict) -> Scores:
    """A control: as `interacted`, but whatever a branch listens to comes from another clip, the one that `data.strangers` put beside it.

    Each branch still answers for its own clip, and both scores of a clip are fused as ever. So the modules have all their parameters and
    hear tokens of the right kind, which tell nothing of the clip in question: neither its frames nor those of its scene.
    """
    own = _observed(model, batch)
    other = _observed(model, {n.removeprefix(OTHER): v for n, v in batch.items() if n.startswith(OTHER)})
    masked = model.interact(other | {"masked": own["masked"]}).masked
    multimodal = model.interact(own | {"masked": other["masked"]}).multimodal
    return Scores(masked, multimodal, model.fusion(masked, multimodal))


def interaction_loss(model: Coordinated, batch: dict, generator=None, *, branches=0.0, label_smoothing=0.0,
                     scores: Callable = interacted) -> tuple[Tensor, dict]:  # fmt: skip
    """The loss of `losses.coordination` for `train`; every gate and the multimodal share of the fusion go into the log.

    Gates are logged as attention/<module> and feed-forward/<module>, named as by `modules_of`. scores(model, batch) -> Scores.
    """
    del generator  # nothing is drawn
    labels = batch["label"].to(_device(model))
    loss, numbers = coordination(scores(model, batch), labels, branches, label_smoothing)
    for name, module in modules_of(model).items():
        numbers |= dict(zip((f"attention/{name}", f"feed-forward/{name}"), module.gates()))
    return loss, numbers | {"multimodal_share": model.fusion.shares()[1].mean()}


@torch.inference_mode()
def predictions(
    model: Coordinated, source, scores: Callable = interacted, num_workers: int = 0
) -> list[Tensor]:
    """Probabilities (N, K) of the masked branch, the multimodal one and their fusion, and the labels (N,), of a whole set.

    source: clips, one of each video, or `Views` with `num_sparse` frames, over whose views probabilities are averaged.
    """
    if isinstance(source, Views):
        of_each = lambda video: torch.stack([s.softmax(-1) for s in scores(model, {"video": video})], 1)  # noqa: E731
        found, labels = over_views(of_each, model, source, AT_ONCE, num_workers, prepare=lambda clips: clips)
        return [*found.mean(1).unbind(1), labels]
    found = []
    for batch in _in_order(source, num_workers):
        found.append((*(each.softmax(-1).cpu() for each in scores(model, batch)), batch["label"]))
    return [torch.cat(part) for part in zip(*found)]


def modules_of(model: Coordinated) -> dict[str, CrossModelAttention]:
    """The modules under the names they have in logs and figures, in order, the reversed one last."""
    forward = {f"after masked block {block}": m for (block, _), m in zip(model.placement, model.cma)}
    return forward | ({} if model.last_cma is None else {"reversed": model.last_cma})


def _observed(model: Coordinated, batch: dict) -> dict[str, Tensor]:
    if "masked" not in batch:
        return model.observe(prepared(model, batch["video"]))
    own = (name for name in batch if name != "label" and not name.startswith(OTHER))
    return {name: batch[name].to(_device(model)) for name in own}


def _in_order(source, num_workers: int = 0) -> Batches:
    size = min(AT_ONCE, len(source))
    return Batches(source, size, shuffle=False, drop_last=False, num_workers=num_workers)


def _device(model: Coordinated) -> torch.device:
    return model.fusion.weight.device
