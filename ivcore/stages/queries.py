"""Natural language queries (Ego4D, arXiv 2211.09529): questions about clips, features of both, and a head that finds
the answer's time span.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ivcore import distributed_evaluation, paths
from ivcore.data import egocentric, formats, groups, splits, untrimmed
from ivcore.data.formats import Query, UntrimmedVideo
from ivcore.data.untrimmed import FeatureSequence, UntrimmedSet
from ivcore.data.video_answers import VideoModel
from ivcore.errors import ParameterError
from ivcore.heads.span import SpanFinder, best_spans
from ivcore.metrics.detection import tiou
from ivcore.metrics.span import BEST, span_scores
from ivcore.show.timeline import Timeline
from ivcore.stages import temporal_localization
from ivcore.stages.evenly import evenly

WORD = 64  # length of a word's vector in `word_table`
FILES = {"train": "annotations/nlq_train.json", "test": "annotations/nlq_val.json"}


@dataclass(frozen=True)
class QuerySet:
    """queries: those of one part; videos: their clips, in the form of a set of untrimmed videos."""

    queries: list[Query]
    videos: UntrimmedSet

    def __len__(self) -> int:
        return len(self.queries)


def query_sets(params: Mapping, run_dir=None) -> list[QuerySet]:
    """Training, validation and test queries, of the release in `data` or about generated first-person scenes.

    Validation is a fifth of the training clips, the same as in the other notebooks on them. If `features` are given,
    the clips' files may be missing. ParameterError if a file of the release is missing.
    """
    if params["data"]:
        folder, source = Path(paths.resolve(params["data"])), "ego4d"
        if lacking := [file for file in FILES.values() if not (folder / file).exists()]:
            raise ParameterError(f"data = {params['data']!r}: has no {lacking[0]}; `iv data mini --list` shows layouts")
    else:
        folder, source = egocentric.build(egocentric.Egocentric.of(params["num_videos"])), untrimmed.EGOCENTRIC
    train, test = (formats.read_nlq(folder / file, folder / "clips") for file in FILES.values())
    clips = {"train": _videos(train), "val": None, "test": _videos(test)}
    if params["features"]:
        clips = untrimmed.held_out(clips["train"], clips["test"])
    else:
        together = groups.of_one_video([*clips["train"], *clips["test"]])
        parted = splits.part(clips, together=together, max_bad=params["max_bad"], run_dir=run_dir)
        print("".join(f"{line}\n" for line in parted.notes), end="")
        clips = parted.records
    ids = {name: {video.id for video in clips[name]} for name in ("train", "val")}
    parts = {name: [query for query in train if query.clip in ids[name]] for name in ids} | {"test": test}
    return [QuerySet(part, UntrimmedSet(_videos(part), [], source)) for part in parts.values()]


def _videos(queries: Sequence[Query]) -> list[UntrimmedVideo]:
    clips = {query.clip: query for query in queries}
    return [UntrimmedVideo(uid, q.path, "", q.duration, None, (), q.video_uid) for uid, q in clips.items()]


def features(sets: Sequence[QuerySet], params: Mapping, models: Sequence[VideoModel], order: str, run_dir=None) -> list[dict[str, FeatureSequence]]:  # fmt: skip
    """For each part: clip id -> features, those of all models concatenated; without models, those in the folder
    `features`.
    """
    settings, videos = params | temporal_localization.MOMENTS, [each.videos for each in sets]
    parts = [temporal_localization.sequences(videos, settings, model, order, run_dir) for model in models or [None]]
    longest = params["max_seq_len"]
    return [{each[0].id: shortened(_joined(each), longest) for each in zip(*of_models)} for of_models in zip(*parts)]


def _joined(parts: Sequence[FeatureSequence]) -> FeatureSequence:
    """Concatenates features at the times of the first part; the others give their nearest features."""
    first, seconds = parts[0], parts[0].first + parts[0].step * np.arange(len(parts[0].features))
    rows = [((seconds - each.first) / each.step).round().clip(0, len(each.features) - 1).astype(int) for each in parts]
    return replace(first, features=torch.cat([each.features[row] for each, row in zip(parts, rows)], 1))


def shortened(each: FeatureSequence, longest: int) -> FeatureSequence:
    """Averages neighbours of a longer clip until `longest` features are left, which cover the clip evenly, as
    published.
    """
    if len(each.features) <= longest:
        return each
    step = each.duration / longest
    return replace(each, features=F.adaptive_avg_pool1d(each.features.T[None], longest)[0].T, first=step / 2, step=step)


def word_table(queries: Sequence[Query]) -> dict[str, Tensor]:
    """sentence -> a fixed random vector for each word (L, WORD), for sentences that no available text tower knows. The
    head must learn what words mean.
    """
    spoken = {query.text: re.findall(r"\w+", query.text.lower()) for query in queries}
    return {text: torch.stack([_word(each) for each in words or [""]]) for text, words in spoken.items()}


@cache
def _word(word: str) -> Tensor:
    seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:6], "big")
    return torch.randn(WORD, generator=torch.Generator().manual_seed(seed))


@torch.inference_mode()
def words_of(queries: Sequence[Query], model: VideoModel) -> dict[str, Tensor]:
    """sentence -> the text tower's normalised tokens (L, E), on the CPU, start and end included."""
    tokenizer, texts = model.tokenizer("queries"), sorted({query.text for query in queries})
    ids = tokenizer(texts)
    device = next(model.model.parameters()).device
    tokens = [model.model.text.tokens(part.to(device)).float().cpu() for part in ids.split(256)]
    return {
        text: row[:length].clone() for text, row, length in zip(texts, torch.cat(tokens), (ids != 0).sum(1).tolist())
    }


class QueryItems:
    """Batches for `losses.span`, from the queries whose clip has features. `unseen`: the other queries, which get no
    answer. See `unasked` for a control that hides the queries' words.
    """

    def __init__(self, queries: Sequence[Query], clips: Mapping[str, FeatureSequence], words: Mapping[str, Tensor]):
        self.queries = [query for query in queries if query.clip in clips]
        self.unseen = [query for query in queries if query.clip not in clips]
        self.clips, self.words = clips, words
        self.cells = [span_of(query, clips[query.clip]) for query in self.queries]

    def __len__(self) -> int:
        return len(self.queries)

    def batch(self, indices, epoch: int = 0) -> dict:
        chosen = [self.queries[int(index)] for index in indices]
        clips = [self.clips[query.clip] for query in chosen]
        video, there = _padded([clip.features for clip in clips])
        words, said = _padded([self.words[query.text] for query in chosen])
        span = torch.tensor([self.cells[int(index)] for index in indices])
        return {"video": video, "there": there, "words": words, "said": said, "span": span}


def _padded(parts: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    lengths = torch.tensor([len(part) for part in parts])
    there = torch.arange(int(lengths.max())) < lengths[:, None]
    return torch.nn.utils.rnn.pad_sequence(list(parts), batch_first=True), there


def span_of(query: Query, clip: FeatureSequence) -> tuple[int, int]:
    """First and last feature of the answer: the cells (`FeatureSequence.edges`) that overlap it best, as in VSLNet."""
    edges, last = clip.edges(), len(clip.features) - 1
    first, end = np.searchsorted(edges, query.start, "right") - 1, np.searchsorted(edges, query.end) - 1
    near = [np.unique(np.clip([cell - 1, cell, cell + 1], 0, last)) for cell in (first, end)]
    pairs = np.array([(a, b) for a in near[0] for b in near[1] if a <= b])
    overlap = tiou(in_seconds(clip, pairs), np.array([[query.start, query.end]]))[:, 0]
    return tuple(pairs[overlap.argmax()].tolist())


def in_seconds(clip: FeatureSequence, cells: np.ndarray) -> np.ndarray:
    """First and last cells (n, 2) -> seconds from the start of the first to the end of the last."""
    # A short clip has fewer spans than asked for.
    edges, cells = clip.edges(), cells.clip(max=len(clip.features) - 1)
    return np.stack([edges[cells[:, 0]], edges[cells[:, 1] + 1]], 1)


def head(items: QueryItems, params: Mapping) -> SpanFinder:
    """A new head. With `standardise` it normalises features by the mean and deviation over the items."""
    clip, words = next(iter(items.clips.values())), next(iter(items.words.values()))
    longest = max(params["max_seq_len"], max(map(len, items.words.values())))
    sizes = params["width"], params["n_head"], params["dropout"], longest
    model = SpanFinder(clip.features.shape[1], words.shape[1], *sizes)
    if params["standardise"]:
        model.standardise(torch.cat([each.features for each in items.clips.values()]))
    return model


@torch.inference_mode()
def found(
    model: SpanFinder, items: QueryItems, overlap: float = 1.0, at_once: int = 64, best: int = max(BEST)
) -> list[np.ndarray]:
    """The `best` answers (n, 2) of each query in seconds, best first; empty for the `unseen`, which come last.

    overlap: see `best_spans`. Ranks share the work. Puts the model into eval mode.
    """
    model.eval()
    device = next(model.parameters()).device
    parts = [range(first, min(first + at_once, len(items))) for first in range(0, len(items), at_once)]

    def answers(rows: range) -> list[np.ndarray]:
        batch = {name: value.to(device) for name, value in items.batch(rows).items()}
        start, end, _ = model(batch["video"], batch["there"], batch["words"], batch["said"])
        spans = best_spans(start, end, best, overlap)[0].cpu().numpy()
        return [in_seconds(items.clips[items.queries[row].clip], each) for row, each in zip(rows, spans)]

    told = distributed_evaluation.in_turns(
        answers, (parts[number] for number in distributed_evaluation.own(len(parts))), len(parts)
    )
    return [each for part in told for each in part] + [np.zeros((0, 2))] * len(items.unseen)


def scored(model: SpanFinder, items: QueryItems, overlap: float = 1.0) -> dict[str, float]:
    return span_scores(truth(items), found(model, items, overlap))


def truth(items: QueryItems) -> np.ndarray:
    return np.array([(query.start, query.end) for query in items.queries + items.unseen])


def by_prior(train: QueryItems, test: QueryItems) -> dict[str, float]:
    """Scores of a prior that knows neither clip nor query: the five commonest answers of training, rounded to tenths of
    the clip and scaled to the clip's length.
    """
    shares = np.array([(q.start / q.duration, q.end / q.duration) for q in train.queries])
    places, counts = np.unique((shares * 10).round() / 10, axis=0, return_counts=True)
    common = places[np.argsort(-counts, kind="stable")]
    common = common[common[:, 1] > common[:, 0]][: max(BEST)]
    return span_scores(truth(test), [common * query.duration for query in test.queries + test.unseen])


def unasked(items: QueryItems) -> QueryItems:
    """A control: the same clips and answers, but every query has the same words. Other queries' words would still tell
    what is not asked.
    """
    text = min(items.words)
    return QueryItems([replace(query, text=text) for query in items.queries] + items.unseen, items.clips, items.words)


@torch.inference_mode()
def timelines_of(
    model: SpanFinder, items: QueryItems, count: int = 3, frames: bool = True, best: int = 3, overlap: float = 1.0
) -> list[Timeline]:
    """`count` queries, evenly spread, for a figure: the true answer, the best ones, and the highlighting over time."""
    rows = evenly(range(len(items)), count)
    device, shown = next(model.parameters()).device, []
    for row in rows:
        query, batch = items.queries[row], items.batch([row])
        start, end, highlight = model.eval()(*(batch[name].to(device) for name in ("video", "there", "words", "said")))
        clip, (spans, chances) = items.clips[query.clip], best_spans(start, end, best, overlap)
        answers = []
        for span, chance in zip(in_seconds(clip, spans[0].cpu().numpy()), chances[0].tolist()):
            right = bool(tiou(span[None], np.array([[query.start, query.end]]))[0, 0] > 0.5)
            answers.append((*span, "answer", chance, right))
        seconds = clip.first + clip.step * np.arange(len(clip.features))
        pictures = temporal_localization.pictures(query.path) if frames else ()
        true = [(query.start, query.end, "true answer")]
        shown.append(
            Timeline(query.text, query.duration, true, answers, seconds, highlight[0].sigmoid().cpu().numpy(), pictures)
        )
    return shown
