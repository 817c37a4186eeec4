"""Retrieval as a stage: the videos, their sentences, embeddings of both, and the scores (paper 4.3.2, 4.3.3)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import SimpleNamespace

import torch
import torch.nn.functional as F
from torch import Tensor

from ivcore.data.captions.releases import released_sets
from ivcore.data.captions.sets import CaptionedSet, captioned_set, captioned_splits
from ivcore.data.embedded import is_generated
from ivcore.data.video_answers import VideoModel
from ivcore.data.videos import VideoSet
from ivcore.data.views import Views, views_of
from ivcore.encoders.uniformerv2 import NEW
from ivcore.errors import ParameterError, UserError
from ivcore.metrics import retrieval
from ivcore.stages import zero_shot
from ivcore.stages.embed import embed_texts
from ivcore.weights.averaging import average


def sets(
    files: Mapping[str, str], *, data: str = "", release: str = "", root: str = "", num_clips: int = 0, chooses: bool = True,
    captioning: bool = False, max_bad=None, run_dir=None,
) -> dict[str, CaptionedSet]:  # fmt: skip
    """split -> its videos. files: split -> captions (any file of `formats.read_captions`), "" for none; its keys are
    the requested splits.

    data: a generated set, "" for the moving shapes, or the folder of a dataset with the layout `release`. Files
    override it. With only a test list there is no other split; with a training list, the other splits are held out of
    it. chooses: whether val is used for choices; if not, there is no val unless a list of it is given or published.
    captioning: use a release's splits for captioning, see `data.captions.releases`.

    Validation and test videos without a sentence are left out, and a message says so. UserError if none has one.
    """
    reading = {"max_bad": max_bad, "run_dir": run_dir}
    found = _sets(files, data, release, root, num_clips, chooses, captioning, reading)
    return {name: videos if name == "train" else _told(name, videos) for name, videos in found.items()}


def _told(name: str, videos: CaptionedSet) -> CaptionedSet:
    told = videos.told()
    if not told.records:
        raise UserError(f"{videos.source}: none of the {len(videos)} videos for {name} has a sentence")
    if len(told) < len(videos):
        print(f"{name}: {len(videos) - len(told)} of {len(videos)} videos have no sentence, and are left out")
    return told


def _sets(files, data, release, root, num_clips, chooses, captioning, reading) -> dict[str, CaptionedSet]:
    if any(files.values()):
        if files.get("train"):
            files = {name: file for name, file in files.items() if file or chooses or name != "val"}
            return dict(zip(files, captioned_splits({n: (f, "") for n, f in files.items()}, root=root, **reading)))
        return {name: captioned_set(name, file, root=root) for name, file in files.items() if file}
    if not is_generated(data):
        return released_sets(data, release, files, chooses=chooses, captioning=captioning, **reading)
    fields = {"source": data or "shapes"} | ({} if data else {"train": num_clips})
    return {name: captioned_set(name, **fields) for name in files}


def load(run, parameter: str, dropout: float = 0.0) -> VideoModel | None:
    """The video-text model at the run's parameter of this name; None if the parameter is empty. ParameterError if the
    model stores no vocabulary.

    dropout: set in the MLPs of its global blocks, whatever the model was trained with; CLIP has no such blocks.
    """
    if (place := run.upstream(parameter)) is None:
        return None
    found = VideoModel.load(str(place), run.device, parameter)
    if found.usage.tokenizer is None:
        raise ParameterError(f"{parameter} = {run.params[parameter]!r}: does not say which words it knows")
    for block in getattr(found.model.visual.transformer, "dec", ()):
        block.mlp.dropout.p = dropout
    return found


def ends(run, model: VideoModel) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """(weights of the run's `start_model`, the model's own), the ends of WiSE-FT; twice the own ones without a start
    model.
    """
    own, begun = zero_shot.state_of(model.model), run.upstream("start_model")
    return (own if begun is None else zero_shot.begun_from(model.model, begun)), own


def begin_between(run, model: VideoModel, share: float) -> None:
    """If the run has a `start_model`, sets the model's weights to (1 - share) * start + share * own, as in WiSE-FT."""
    if run.upstream("start_model") is not None:
        model.model.load_state_dict(average(list(ends(run, model)), [1 - share, share]))


def chooses(run) -> bool:
    """Whether the run has something to choose on validation: `frame_counts`, or `alphas` with a `start_model`."""
    return len(run.params["frame_counts"]) > 1 or len(_alphas(run)) > 1


def choose_alpha(run, score: Callable[[float], float], own: float | None = None) -> tuple[float, dict[float, float]]:
    """(the alpha of the run with the best validation score, the first on a tie; alpha -> score). A single alpha is
    returned without a score, and 1.0 without a `start_model`.

    score(alpha): that of the weights at this share of the way from the start model to the model. own: that of alpha 1,
    if it is known.
    """
    alphas = _alphas(run)
    known = {} if own is None else {1.0: own}
    curve = {a: known[a] if a in known else score(a) for a in alphas} if len(alphas) > 1 else {}
    return (max(curve, key=curve.get) if curve else alphas[0]), curve


def _alphas(run) -> list[float]:
    return [1.0] if run.upstream("start_model") is None else run.params["alphas"]


def sentences(videos: CaptionedSet, every: bool = False) -> tuple[list[str], Tensor]:
    """(the M sentences, int64 (M,): the video of each). every: all captions of a video; otherwise only its query."""
    each = videos.captions if every else [(query,) for query in videos.queries]
    owner = [row for row, texts in enumerate(each) for _ in texts]
    return [text for texts in each for text in texts], torch.tensor(owner)


def views(videos: CaptionedSet, model: VideoModel, num_frames: int = 0, *, max_bad: int | float | None, **how) -> Views:  # fmt: skip
    """The videos as the model sees them, with `num_frames` frames (0: the model's own number); labels are their rows.

    max_bad: as in `Views`; an unreadable video takes its sentences with it, so without a limit the gallery would shrink
    and scores rise. how: as in `views_of`.
    """
    records = [SimpleNamespace(path=record.path, label=row, **_part(record)) for row, record in enumerate(videos.records)]  # fmt: skip
    shape = model.usage.views() | ({"num_frames": num_frames} if num_frames else {})
    return views_of(VideoSet(records, [], videos.source, missing=videos.missing), max_bad=max_bad, **shape, **how)


def _part(record) -> dict:
    return {"start": record.start, "end": record.end} if hasattr(record, "end") else {}


@dataclass(frozen=True)
class Scored:
    """similarity: float (n, M), logits of n readable videos with their M sentences `texts`; owner int64 (M,): the row
    of each sentence's video. rows: the videos' numbers in the set.
    """

    similarity: Tensor
    owner: Tensor
    texts: list[str]
    rows: Tensor

    def measures(self, **how) -> dict[str, float]:
        """As `metrics.retrieval.retrieval`, which takes `how`."""
        return retrieval.retrieval(self.similarity, self.owner, **how)

    @property
    def both(self) -> float:
        """The mean of R@1 in both directions, the criterion for choices."""
        found = self.measures()
        return (found["t2v_r1"] + found["v2t_r1"]) / 2

    def with_owners(self, order: Tensor) -> Scored:
        """A control: each sentence is assigned to another video. order int64 (n,) says which."""
        return replace(self, owner=order[self.owner])

    def first(self, count: int) -> Tensor:
        """The first `count` videos and the first sentence of each, float (k, k)."""
        own = [int((self.owner == row).nonzero()[0]) for row in range(min(count, len(self.similarity)))]
        return self.similarity[: len(own), own]

    def best(self, text: int, count: int = 5) -> list[int]:
        """The rows of the videos that best match a sentence, best first."""
        return self.similarity[:, text].argsort(descending=True, stable=True)[:count].tolist()

    @property
    def ranks(self) -> Tensor:
        """The rank at which each sentence finds its video, expected over ties, float64 (M,); 1 is the best."""
        return retrieval.text_to_video(self.similarity, self.owner).expected


def embed(model: VideoModel, shown: Views, frame_order: str = "ordered", **reading) -> tuple[Tensor, Tensor]:
    """Unit-length embeddings (n, E) of the readable videos, and their rows in the set, int64 (n,). reading: as in
    `zero_shot.embed`.
    """
    features, rows = zero_shot.embed(model.model, shown, frame_order, **reading)
    return F.normalize(features.mean(1), dim=-1), rows


def scored(
    model: VideoModel, videos: CaptionedSet, embedded: tuple[Tensor, Tensor], every: bool = False, precision: str = "fp32"
) -> Scored:  # fmt: skip
    """Scores of every readable video with every sentence of these videos. embedded: from `embed`."""
    features, rows = embedded
    texts, owner = sentences(videos.only(rows.tolist()), every)
    told = embed_texts(model.model, texts, model.tokenizer(), precision=precision)
    scale = model.model.logit_scale.detach().exp().cpu()
    return Scored(scale * features @ told.T, owner, texts, rows)


def together(parts: Sequence[Scored]) -> Scored:
    """The mean of several models' scores of the same videos and sentences. ParameterError if videos or sentences
    differ.
    """
    first = parts[0]
    if any(part.texts != first.texts or not torch.equal(part.rows, first.rows) for part in parts):
        raise ParameterError("second_model: could not read the same videos")
    return replace(first, similarity=torch.stack([part.similarity for part in parts]).mean(0))


def order_accuracy(
    model: VideoModel, videos: CaptionedSet, embedded: tuple[Tensor, Tensor], precision: str = "fp32"
) -> float | None:  # fmt: skip
    """Share of the videos that are nearer to their sentence than to the sentence for the reversed video; None if no
    such sentence is known.
    """
    features, rows = embedded
    asked = [(place, row) for place, row in enumerate(rows.tolist()) if videos.backwards[row]]
    if not asked:
        return None
    tokenizer = model.tokenizer()
    own = embed_texts(model.model, [videos.queries[row] for _, row in asked], tokenizer, precision=precision)
    turned = embed_texts(model.model, [videos.backwards[row][0] for _, row in asked], tokenizer, precision=precision)
    clips = features[[place for place, _ in asked]]
    return retrieval.order_accuracy((clips * own).sum(1), (clips * turned).sum(1))


def recall_curve(scores: Scored, most: int = 20) -> list[tuple[int, list[float]]]:
    """[(k, [text-to-video recall at k])] for k up to `most`."""
    ranks = retrieval.text_to_video(scores.similarity, scores.owner)
    return [(k, [ranks.recall(k)]) for k in range(1, min(most, len(scores.similarity)) + 1)]


FAST = {  # parts that may learn faster than the towers: prefixes of their names
    "projections": ("visual_ln_post", "visual_proj", "text.ln_final", "text.text_projection"),
    "temperature": ("logit_scale",),
    "global_blocks": tuple(f"visual.{name}" for name in NEW),
}


def lr_shares(fast: Sequence[str], tower_lr: float) -> tuple[tuple[str, float], ...]:
    """For `Recipe`: the named parts of FAST learn at the full rate, everything else at this share of it (CLIP4Clip,
    arXiv 2104.08860).
    """
    return (*((name, 1.0) for part in fast for name in FAST[part]), ("", tower_lr))


def gained(before: Scored, after: Scored) -> int:
    """The sentence whose rank improves by the largest factor between two tables of the same videos and sentences."""
    return int((before.ranks / after.ranks).argmax())
