"""Recognition as a stage: the encoder to fine-tune (masked, multimodal or both joined), and finished models whose
scores are added (paper 4.3.1).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from ivcore import weights
from ivcore.cma import Coordinated
from ivcore.data.video_answers import VideoModel
from ivcore.data.videos import VideoSet
from ivcore.data.views import Views, over_views, views_of
from ivcore.encoders.uniformerv2 import UniFormerV2
from ivcore.errors import ParameterError, UserError
from ivcore.heads.classifier import classifier, masked_encoder
from ivcore.metrics.recognition import merge_views
from ivcore.metrics.view_scores import ClipScores, align, merge, pooled_views, read_view_scores
from ivcore.run import Run
from ivcore.stages.classify import load_classifier
from ivcore.stages.coordinated_classifier import JoinedClassifier, joined

BESIDE = {"second_model": "second", "third_model": "third"}  # parameter -> name of its scores


def encoder_at(place, multimodal_frames: int = 0) -> nn.Module:
    """The encoder at `place`: a masked encoder, a multimodal model's video tower, or a coordinated model with
    `multimodal_frames` sparse frames.
    """
    loaded = weights.load(place)
    if isinstance(loaded, Coordinated):
        frames, height, _ = loaded.masked.clip
        return joined(loaded, frames=frames, image=height, sparse=multimodal_frames)
    tower = getattr(loaded, "visual", loaded)
    return tower if isinstance(tower, UniFormerV2) else masked_encoder(loaded)


def classifier_of(encoder: nn.Module, place, classes: Sequence[str], keep_head: bool, **shape) -> nn.Module:
    """A classifier from the encoder at `place` (None: scratch), which is not changed; keep_head and shape as in
    `classify.load_classifier`.
    """
    if isinstance(encoder, JoinedClassifier):
        return joined(encoder, len(classes), sparse=encoder.frames, **shape)
    if isinstance(encoder, UniFormerV2) or keep_head:
        return load_classifier(place, classes, keep_head=keep_head, **shape)
    return classifier(encoder, len(classes), **shape)


def mean_feature(encoder: nn.Module) -> Callable[[Tensor], Tensor]:
    """Prepared clips (B, 3, T, H, W) -> (B, D): a masked encoder's mean token, or the inputs of the heads of another
    encoder.
    """
    return (
        encoder.features
        if isinstance(encoder, UniFormerV2 | JoinedClassifier)
        else lambda video: encoder.encode(video).mean(1)
    )


def taught(encoder: nn.Module, place) -> str:
    """The training that an encoder has had, in a word."""
    if place is None:
        return "scratch"
    if isinstance(encoder, JoinedClassifier):
        return "coordinated"
    return "post-pretrained" if getattr(encoder, "num_classes", 0) else "pretrained"


def scores_beside(
    run: Run,
    classes: Sequence[str],
    videos: VideoSet,
    own: Views,
    *,
    num_workers: int = 0,
    precision: str = "fp32",
    **reading,
) -> dict[str, Tensor]:
    """Name -> probabilities (n, K) of the finished models that the run names besides its own, for the videos that `own`
    has scored.

    Each model uses its own sampling and views; its classes are put into the order of `classes`. reading: in_memory,
    strict and run_dir as in `views_of`. ParameterError for a model of other classes, UserError if it cannot read the
    same videos.
    """
    found = {}
    for parameter, name in BESIDE.items():
        if not (place := run.upstream(parameter)):
            continue
        model = VideoModel.load(str(place), run.device, parameter)
        rows = _rows(parameter, model.classes, classes)
        views = views_of(videos, **model.usage.views(), **reading)
        logits, _ = over_views(
            model.logits, model.model, views, 64, num_workers, precision, prepare=lambda clips: clips
        )
        if views.scored != own.scored:
            raise UserError(f"{parameter}: reads {len(views.scored)} of the videos, but the run's own model reads {len(own.scored)}")  # fmt: skip
        found[name] = merge_views(logits)[:, rows]
    return found


def check_beside(run: Run, classes: Sequence[str]) -> None:
    """Checks before training: ParameterError if a finished model beside the run's own has other classes."""
    for parameter in BESIDE:
        if place := run.upstream(parameter):
            _rows(parameter, VideoModel.load(str(place), "cpu", parameter).classes, classes)


def scores_in_files(folder, own: Views, scores: Tensor, labels: Tensor) -> Tensor:
    """Probabilities (n, K) from files of view scores, merged as published, for the videos that `own` has scored with
    these scores and labels.

    folder: has 0.txt, 1.txt, … (see `metrics.view_scores`), or a folder of them for each of several models, whose views
    are pooled. Videos are matched by file name without suffix. FormatError for a malformed file, ParameterError if
    videos, labels or classes differ.
    """
    models = sorted(each for each in Path(folder).iterdir() if each.is_dir()) or [Path(folder)]
    views = pooled_views([read_view_scores(model) for model in models])
    read, beside = merge(views), [Path(path).stem for path in own.scored]
    try:
        named = ClipScores([Path(name).stem for name in read.clips], read.labels, read.scores)
        return align([ClipScores(beside, labels, scores), named])[1].scores.float()
    except ParameterError as error:
        raise ParameterError(f"view_scores = {str(folder)!r}: {error}") from None


def _rows(parameter: str, of_model: Sequence[str], classes: Sequence[str]) -> Tensor:
    place = {name: row for row, name in enumerate(of_model)}
    if missing := [name for name in classes if name not in place]:
        raise ParameterError(f"{parameter}: knows {len(of_model)} classes, and {missing[0]!r} is not among them")
    if len(place) > len(classes):
        raise ParameterError(f"{parameter}: knows {len(of_model)} classes, and the videos have {len(classes)}")
    return torch.tensor([place[name] for name in classes])
