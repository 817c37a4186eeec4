"""Captioning as a stage: writing captions of videos, decoding, scores, and baselines that see no video."""

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
    """The model. If it has no caption decoder, it gets an untrained plain one (paper 3.2) of this width."""
    inner = model.model
    if inner.caption_decoder is None:
        torch.manual_seed(seed)
        vocabulary, text_width = inner.text.token_embedding.weight.shape
        sizes = (text_width, len(inner.visual.class_embedding), width, layers, max(1, width // 64), vocabulary)
        inner.caption_decoder = PlainCaptionDecoder(*sizes).to(inner.logit_scale.device)
        print(f"no caption decoder in it: a new one, {layers} layers of {width}")
    return model


def ways(beams: Sequence[int], length_penalties: Sequence[float], top_p: float) -> dict[str, Callable]:
    """name -> decoding(model, video, tokenizer) -> ids: greedy, beam search for each pair of settings, and nucleus
    sampling, which draws from the global generator.
    """
    found: dict[str, Callable] = {"greedy": generate.greedy}
    for count in beams:
        for penalty in length_penalties:
            found[f"beam {count}, penalty {penalty:g}"] = partial(generate.beam, beams=count, length_penalty=penalty)
    return found | {f"nucleus {top_p:g}": partial(generate.nucleus, top_p=top_p)}


@dataclass(frozen=True)
class Written:
    """Written captions (texts) and true ones (references) of the readable videos, spelt as the tokenizer decodes them.

    rows: the rows of these videos in the set. told: the true captions in their original spelling, for the file.
    """

    texts: list[str]
    references: list[list[str]]
    rows: list[int]
    told: list[Sequence[str]] = ()

    def instead(self, texts: Sequence[str]) -> Written:
        """The same videos with other written sentences."""
        return replace(self, texts=list(texts))

    def of_others(self, order) -> Written:
        """Each video gets the sentence written about another one: order int64 (n,)."""
        return self.instead([self.texts[row] for row in order.tolist()])

    def measures(self) -> dict[str, float]:
        """As `metrics.captioning.captioning`."""
        return captioning.captioning(self.texts, self.references)

    def save(self, file) -> None:
        """Writes a JSON object a line for other scoring tools: the generated sentence, the references as given, and the
        row of the video.
        """
        rows = zip(self.rows, self.texts, self.told or self.references)
        lines = (json.dumps({"row": row, "generated": text, "references": [*true]}) for row, text, true in rows)
        files.write_text(file, "".join(f"{line}\n" for line in lines))


def write(model: VideoModel, videos: CaptionedSet, shown: Views, way: Callable, frame_order: str = "ordered", *, seed: int, **reading) -> Written:  # fmt: skip
    """Writes a caption for each video, decoded by one of `ways`.

    shown: from `search.views`. seed: of random draws, restarted for each batch. reading: num_workers and precision.
    """
    tokenizer = model.tokenizer()

    def ids(video):
        found = way(model.model, order_frames(video, frame_order), tokenizer)
        return F.pad(found, (0, tokenizer.context - found.shape[1]))

    values, rows = over_views(ids, model.model, shown, seed=seed, **reading)
    texts = [tokenizer.caption(row) for row in values[:, 0].long()]
    told = [videos.captions[row] for row in rows]
    return Written(texts, [[respelt(text, tokenizer) for text in some] for some in told], rows.tolist(), told)


def by_frequency(videos: CaptionedSet, tokenizer: Tokenizer) -> list[str]:
    """The captions of these videos, most frequent first; ties keep their order. ParameterError if there is none."""
    counts = Counter(respelt(text, tokenizer) for texts in videos.captions for text in dict.fromkeys(texts))
    if not counts:
        raise ParameterError(f"{videos.source}: no training video has a caption")
    return [text for text, _ in counts.most_common()]


def best_for_all(sentences: Sequence[str], written: Written, seed: int, most: int = 2000) -> str:
    """The sentence with the highest CIDEr when it is written about every video of `written`: the best caption without
    seeing a video.

    If there are more than `most`, it tries the first `most` // 2 and a random sample of the rest.
    """
    sentences, half = list(sentences), most // 2
    if len(sentences) > most:
        drawn = torch.randperm(len(sentences) - half, generator=torch.Generator().manual_seed(seed))[: most - half]
        sentences = sentences[:half] + [sentences[half + place] for place in sorted(drawn.tolist())]
    scores = captioning.cider_of_each(sentences, written.references)
    return sentences[max(range(len(scores)), key=scores.__getitem__)]


def word_kinds(data: str, listed: bool, tokenizer: Tokenizer) -> dict[str, frozenset[str]]:
    """kind -> the words of that kind in a generated set; {} for the user's own videos (`listed`) or a release."""
    if listed or not is_generated(data):
        return {}
    kinds = {"colour": COLOURS, "shape": SHAPES, "texture": TEXTURES, "motion": [a.phrase for a in ACTIONS.values()]}
    kinds = kinds if not data else {"colour": COLOURS}  # the other words occur in the moving shapes alone
    return {name: _words(texts, tokenizer) - {*MIXED, "0", "1"} for name, texts in kinds.items()}


def _words(texts, tokenizer: Tokenizer) -> frozenset[str]:
    return frozenset(word for text in texts for word in captioning.words(respelt(text, tokenizer)))


def right_by_kind(written: Written, kinds: Mapping[str, frozenset[str]]) -> dict[str, float]:
    """kind -> share of the videos whose caption names exactly the true words of that kind, among videos whose
    references name any.

    The true words are those of all references together.
    """
    shares = {}
    for name, words in kinds.items():
        pairs = zip(written.texts, written.references)
        found = [({*captioning.words(text)} & words, {w for t in true for w in captioning.words(t)} & words) for text, true in pairs]  # fmt: skip
        asked = [said == true for said, true in found if true]
        if asked:
            shares[name] = sum(asked) / len(asked)
    return shares
