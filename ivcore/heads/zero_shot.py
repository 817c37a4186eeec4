"""Classification by class names alone: each name becomes a sentence or several, the clip goes to the most similar (paper 4.3.7).

    classifier = ZeroShotClassifier(model, ["slide left", "slide right"], tokenizer)
    logits = classifier(model.prepare(clips))                                # (B, K), also through data.views.over_views

Several templates a class are joined in one of two ways. "embeddings" is CLIP's (arXiv 2103.00020, 3.1.4): the mean of the normalised
sentence embeddings, normalised again, costs nothing per clip. "probabilities" is that of the published zero-shot Kinetics code: softmax over the
classes for each template, then the mean.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ivcore.errors import ParameterError

TEMPLATES = (
    "{}",
    "a video of {}",
    "a short clip that shows {}",
    "someone filmed {}",
    "a recording of {}",
    "an example of {}",
    "footage of {}, from start to end",
    "what happens here is {}",
)
JOINS = ("embeddings", "probabilities")


class ZeroShotClassifier(nn.Module):
    """`m(video)`: (B, 3, T, H, W) -> logits (B, K); their softmax is the probability of each class.

    model: a video-text model or CLIP (`encode_video`, `encode_text`, `logit_scale`), which stays as it is. `embeddings` (P, K, E) are of unit
    length, P the number of templates, or 1 where they are joined beforehand.
    """

    def __init__(
        self,
        model: nn.Module,
        class_names: Sequence[str],
        tokenizer: Callable[[list[str]], Tensor],
        templates: Sequence[str] = TEMPLATES,
        join: str = "embeddings",
    ):
        super().__init__()
        if join not in JOINS:
            raise ParameterError(f"join: {join!r} is not one of {', '.join(JOINS)}")
        self.model = model
        embeddings = class_embeddings(model, class_names, tokenizer, templates)
        if join == "embeddings":
            embeddings = F.normalize(embeddings.mean(0, keepdim=True), dim=-1)
        self.register_buffer("embeddings", embeddings, persistent=False)

    def prepare(self, clips: Tensor) -> Tensor:
        """uint8 (B, T, H, W, 3) -> what the model wants."""
        return self.model.prepare(clips)

    def forward(self, video: Tensor) -> Tensor:
        features = F.normalize(self.model.encode_video(video), dim=-1)
        logits = self.model.logit_scale.exp() * torch.einsum("be,pke->pbk", features, self.embeddings)
        if len(logits) == 1:
            return logits[0]
        return logits.log_softmax(-1).logsumexp(0) - math.log(len(logits))


@torch.no_grad()
def class_embeddings(
    model: nn.Module,
    class_names: Sequence[str],
    tokenizer: Callable[[list[str]], Tensor],
    templates: Sequence[str] = TEMPLATES,
    batch_size: int = 256,
) -> Tensor:
    """Unit-length embeddings (P, K, E) of every class name in every template, on the model's device.

    Errors: ParameterError for a template without one place {} for the name, and where there is no class or no template.
    """
    _check(class_names, templates)
    device = next(model.parameters()).device
    sentences = [template.replace("{}", name) for template in templates for name in class_names]
    batches = [sentences[i : i + batch_size] for i in range(0, len(sentences), batch_size)]
    features = torch.cat([model.encode_text(tokenizer(batch).to(device)) for batch in batches])
    return F.normalize(features, dim=-1).unflatten(0, (len(templates), len(class_names)))


def _check(class_names: Sequence[str], templates: Sequence[str]) -> None:
    if not class_names or isinstance(class_names, str):
        raise ParameterError(f"class_names: expected a list of one or more names, got {class_names!r}")
    if not templates or isinstance(templates, str):
        raise ParameterError(f"templates: expected a list of one or more, got {templates!r}")
    for template in templates:
        if template.count("{}") != 1:
            raise ParameterError(f"templates: {template!r} needs one place {{}} for the name")
