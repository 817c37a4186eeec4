"""Captioning as a stage: what a model writes about videos, how it is decoded, what its sentences are worth, and what is written without seeing a video."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch
import torch.nn.functional as F

from ivcore import files
from ivcore.data.captions.sets import CaptionedSet
from ivcore.data.embedded import is_generated
from ivcore.data.shapes.scenes import ACTIONS, COLOURS, SHAPES, TEXTURES
from ivcore.data.video_answers import VideoModel
from ivcore.data.views import Views, over_views
from ivcore.encoders import generate
from ivcore.encoders.caption_decoder import PlainCaptionDecoder
from ivcore.encoders.tokenizer import Tokenizer
from ivcore.errors import ParameterError
from ivcore.metrics import captioning
from ivcore.stages.classify import order_frames
from ivcore.stages.video_text import respelt

MIXED = ("a", "an", "and", "by", "each", "is", "it", "other", "the", "to", "where")  # of phrases, no motion


def with_decoder(model: VideoModel, width: int, layers: int, seed: int) -> VideoModel:
    """The model; where it has no caption decoder, with the paper's plain one (3.2) of this width, untrained."""
    inner = model.model
    if inner.caption_decoder is None:
        torch.manual_seed(seed)
        vocabulary, text_width = inner.text.token_embedding.weight.shape
        sizes = (text_width, len(inner.visual.class_embedding), width, layers, max(1, width // 64), vocabulary)
        inner.caption_decoder = PlainCaptionDecoder(*sizes).to(inner.logit_scale.device)
        print(f"no caption decoder in it: a new one, {layers} layers of {width}")
    return model


def ways(beams: Sequence[int], length_penalties: Sequence[float], top_p: float) -> dict[str, Callable]:
    """name -> decoding(model, video, tokenizer) -> ids: greedy, beam search with each of these, nucleus sampling, which draws from the global generator."""
    found: dict[str, Callable] = {"greedy": generate.greedy}
    for count in beams:
        for penalty in length_penalties:
            found[f"beam {count}, penalty {penalty:g}"] = partial(generate.beam, beams=count, length_penalty=penalty)
    return found | {f"nucleus {top_p:g}": partial(generate.nucleus, top_p=top_p)}


@dataclass(frozen=True)
class Written:
    """A sentence for each readable video, and all true ones, both as the tokenizer spells them. rows: which videos of the set these are. told: the true
    sentences as they were told, for the file."""

    texts: list[str]
    references: list[list[str]]
    rows: list[int]
    told: list[Sequence[str]] = ()

    def instead(self, texts: Sequence[str]) -> Written:
        """Other sentences about the same videos."""
        return replace(self, texts=list(texts))

    def of_others(self, order) -> Written:
        """Each video gets what was written about another one: order int64 (n,)."""
        return self.instead([self.texts[row] for row in order.tolist()])

    def measures(self) -> dict[str, float]:
        """As `metrics.captioning.captioning`."""
        return captioning.captioning(self.texts, self.references)

    def save(self, file) -> None:
        """A JSON object a line, for other measures: generated, references as they were told, and the row of the video."""
        rows = zip(self.rows, self.texts, self.told or self.references)
        lines = (json.dumps({"row": row, "generated": text, "references": [*true]}) for row, text, true in rows)
        files.write_text(file, "".join(f"{line}\n" for line in lines))


def write(model: VideoModel, videos: CaptionedSet, shown: Views, way: Callable, frame_order: str = "ordered", *, seed: int, **reading) -> Written:  # fmt: skip
    """What the model writes about the videos, decoded by a way of `ways`. shown: of `search.views`. seed: of what is drawn, anew for each batch. reading:
    num_workers and precision."""
    tokenizer = model.tokenizer()

    def ids(video):
        found = way(model.model, order_frames(video, frame_order), tokenizer)
        return F.pad(found, (0, tokenizer.context - found.shape[1]))

    values, rows = over_views(ids, model.model, shown, seed=seed, **reading)
    texts = [tokenizer.caption(row) for row in values[:, 0].long()]
    told = [videos.captions[row] for row in rows]
    return Written(texts, [[respelt(text, tokenizer) for text in some] for some in told], rows.tolist(), told)


def by_frequency(videos: CaptionedSet, tokenizer: Tokenizer) -> list[str]:
    """The sentences of these videos, the one that most of them have first; equals in their order. ParameterError where there is none."""
    counts = Counter(respelt(text, tokenizer) for texts in videos.captions for text in dict.fromkeys(texts))
    if not counts:
        raise ParameterError(f"{videos.source}: no training video has a caption")
    return [text for text, _ in counts.most_common()]


def best_for_all(sentences: Sequence[str], written: Written, seed: int, most: int = 2000) -> str:
    """The one of these sentences that has the highest CIDEr if it is written about every video of `written`: the best that can be said blindly.

    Of more than `most` sentences the first half of so many are tried, and as many others by chance.
    """
    sentences, half = list(sentences), most // 2
    if len(sentences) > most:
        drawn = torch.randperm(len(sentences) - half, generator=torch.Generator().manual_seed(seed))[: most - half]
        sentences = sentences[:half] + [sentences[half + place] for place in sorted(drawn.tolist())]
    scores = captioning.cider_of_each(sentences, written.references)
    return sentences[max(range(len(scores)), key=scores.__getitem__)]


def word_kinds(data: str, listed: bool, tokenizer: Tokenizer) -> dict[str, frozenset[str]]:
    """What kind of thing words of a generated set name; {} for videos of the user's own (`listed`) or of a release."""
    if listed or not is_generated(data):
        return {}
    kinds = {"colour": COLOURS, "shape": SHAPES, "texture": TEXTURES, "motion": [a.phrase for a in ACTIONS.values()]}
    kinds = kinds if not data else {"colour": COLOURS}  # the other words are of the moving shapes alone
    return {name: _words(texts, tokenizer) - {*MIXED, "0", "1"} for name, texts in kinds.items()}


def _words(texts, tokenizer: Tokenizer) -> frozenset[str]:
    return frozenset(word for text in texts for word in captioning.words(respelt(text, tokenizer)))


def right_by_kind(written: Written, kinds: Mapping[str, frozenset[str]]) -> dict[str, float]:
    """Share of the videos about which a sentence names just the true things of each kind; of those whose true sentences name any.

    What is true is what all references together say.
    """
    shares = {}
    for name, words in kinds.items():
        pairs = zip(written.texts, written.references)
        found = [({*captioning.words(text)} & words, {w for t in true for w in captioning.words(t)} & words) for text, true in pairs]  # fmt: skip
        asked = [said == true for said, true in found if true]
        if asked:
            shares[name] = sum(asked) / len(asked)
    return shares
