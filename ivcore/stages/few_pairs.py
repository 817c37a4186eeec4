"""Contrastive training on a single batch of pairs, as in the lesson on alignment."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR

from ivcore.encoders.uniformerv2 import NEW
from ivcore.encoders.video_text import VideoTextModel
from ivcore.losses.contrastive import clamp_, contrastive
from ivcore.train.optim import lr_at


def learn(model: VideoTextModel, video: Tensor, texts: Tensor, *, steps: int, lr: float, temperature: float):
    """Trains on these N pairs. -> the loss of every step, and the cosines of clips and captions (N, N)

    lr: of the parts that CLIP has too; new parts get ten times this rate. temperature: the initial one, which is
    learned too.
    """
    groups = {False: [], True: []}
    for name, parameter in model.named_parameters():
        groups[name.removeprefix("visual.").startswith(NEW)].append(parameter)
    peaks = [{"params": groups[new], "lr": 10 * lr if new else lr} for new in groups]
    optimizer = torch.optim.AdamW(peaks, betas=(0.9, 0.98), weight_decay=0, fused=True)
    schedule = LambdaLR(optimizer, lambda step: lr_at(step + 1, steps + 1, 1.0, warmup=10))
    model.logit_scale.data.fill_(-math.log(temperature))
    losses, cosines = [], []
    for _ in range(steps):
        clamp_(model.logit_scale)
        v, t = model.encode_video(video), model.encode_text(texts)
        loss = contrastive(v, t, model.logit_scale)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
        cosines.append((F.normalize(v) @ F.normalize(t).T).detach())
    return losses, cosines
