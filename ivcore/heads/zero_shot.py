"""Classification by class names alone: each name becomes one or more sentences, and a clip gets the class with the most
similar ones (paper 4.3.3).

    classifier = ZeroShotClassifier(model, ["slide left", "slide right"], tokenizer)
    logits = classifier(model.prepare(clips))                                # (B, K), also through data.views.over_views

A class may have several sentences, such as one for each template. They are joined in one of two ways. "embeddings" is
CLIP's (arXiv 2103.00020, 3.1.4): the mean of the normalised sentence embeddings, normalised again; it costs nothing per
clip. "probabilities" is that of the published zero-shot Kinetics code: softmax over the classes for each template, then
the mean.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ivcore.errors import ParameterError

TEMPLATES = (  # ActionCLIP's (arXiv 2109.08472), used by the published zero-shot Kinetics code
    "a photo of action {}",
    "a picture of action {}",
    "Human action of {}",
    "{}, an action",
    "{} this is an action",
    "{}, a video of action",
    "Playing action of {}",
    "{}",
    "Playing a kind of action, {}",
    "Doing a kind of action, {}",
    "Look, the human is {}",
    "Can you recognize the action of {}?",
    "Video classification of {}",
    "A video of {}",
    "The man is {}",
    "The woman is {}",
)
JOINS = ("embeddings", "probabilities")


class ZeroShotClassifier(nn.Module):
    """`m(video)`: (B, 3, T, H, W) -> logits (B, K); their softmax is the probability of each class.

    model: a video-text model or CLIP (`encode_video`, `encode_text`, `logit_scale`), which is not changed. `embeddings`
    (P, K, E) have unit length; P is the number of templates, or 1 if they are already joined.
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
        self.model = model
        embeddings = class_embeddings(model, class_names, tokenizer, templates)
        self.register_buffer("embeddings", joined(embeddings, join), persistent=False)

    def prepare(self, clips: Tensor) -> Tensor:
        """uint8 (B, T, H, W, 3) -> the model's input."""
        return self.model.prepare(clips)

    def forward(self, video: Tensor) -> Tensor:
        features = F.normalize(self.model.encode_video(video), dim=-1)
        return class_logits(features, self.embeddings, self.model.logit_scale.exp())


def joined(texts: Tensor, join: str) -> Tensor:
    """Unit-length embeddings (P, K, E) of P sentences for each class, in the form for `class_logits`: (1, K, E) if the
    embeddings are averaged.

    ParameterError if `join` is not in JOINS.
    """
    if join not in JOINS:
        raise ParameterError(f"join: {join!r} is not one of {', '.join(JOINS)}")
    return F.normalize(texts.mean(0, keepdim=True), dim=-1) if join == "embeddings" else texts


def class_logits(features: Tensor, texts: Tensor, scale: Tensor) -> Tensor:
    """Unit-length features of clips (B, E) and of P sentences for each class (P, K, E) -> logits (B, K), whose softmax
    is the mean of P softmaxes.

    scale: factor for the cosines.
    """
    logits = scale * torch.einsum("be,pke->pbk", features, texts)
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

    ParameterError for a template without exactly one {} for the name, or if there is no class or no template.
    """
    return sentence_embeddings(model, in_templates(class_names, templates), tokenizer, batch_size)


@torch.no_grad()
def sentence_embeddings(
    model: nn.Module,
    sentences: Sequence[Sequence[str]],
    tokenizer: Callable[[list[str]], Tensor],
    batch_size: int = 256,
) -> Tensor:
    """P lists of a sentence for each of K classes -> unit-length embeddings (P, K, E), on the model's device."""
    device, flat = next(model.parameters()).device, [text for row in sentences for text in row]
    batches = [flat[i : i + batch_size] for i in range(0, len(flat), batch_size)]
    features = torch.cat([model.encode_text(tokenizer(batch).to(device)) for batch in batches])
    return F.normalize(features, dim=-1).unflatten(0, (len(sentences), -1))


def in_templates(class_names: Sequence[str], templates: Sequence[str] = TEMPLATES) -> list[list[str]]:
    """The sentences of all K classes for each of P templates. ParameterError as in `class_embeddings`."""
    _check(class_names, templates)
    return [[template.replace("{}", name) for name in class_names] for template in templates]


def _check(class_names: Sequence[str], templates: Sequence[str]) -> None:
    if not class_names or isinstance(class_names, str):
        raise ParameterError(f"class_names: expected a list of one or more names, got {class_names!r}")
    if not templates or isinstance(templates, str):
        raise ParameterError(f"templates: expected a list of one or more, got {templates!r}")
    for template in templates:
        if template.count("{}") != 1:
            raise ParameterError(f"templates: {template!r} needs one place {{}} for the name")
