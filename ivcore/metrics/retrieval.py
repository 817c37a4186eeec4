"""Retrieval between clips and sentences: recall at k, median and mean rank, dual softmax, word-order accuracy (paper
4.3.4, 4.3.8).

    retrieval(model(video, ids))                             # one sentence a clip, in the same order
    retrieval(similarity, owner=torch.tensor([0, 0, 1]))     # the first clip has two sentences

`similarity` is float (clips, texts), as video-text models return it; `owner` int (texts,) is the clip of each sentence.
Text to video ranks the clips for every sentence. Video to text ranks the clips' best sentences for every clip, so all
sentences of a clip count as one candidate, as in published evaluations of MSVD and VATEX.

Ties. The default rule, "fair", takes the expected value over all orders of candidates with equal scores: scores that
are all equal give chance level. The published code (`rule="published"`, CLIP4Clip and InternVideo) instead counts a
query once for every candidate with the true one's score, so shares are over more entries than there are queries. With
several sentences a clip, that code counts each sentence once, with equal scores in the order of the clips (as torch's
sort on a CPU leaves them); its text-to-video median is the lower of the two middle ranks, and its dual softmax uses the
matrix normalised over texts in both directions. Without ties and with one sentence a clip both rules agree.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ivcore.errors import ParameterError

RULES = ("fair", "published")
CUTS = (1, 5, 10)


@dataclass(frozen=True)
class Ranks:
    """For every query, int64 (queries,): the number of candidates that score above the true one, of others with the
    same score, and of these that come before it.
    """

    above: Tensor
    equal: Tensor
    before: Tensor

    def recall(self, k: int) -> float:
        """Expected share of queries whose true candidate is among the first k, with equal scores in random order."""
        return ((k - self.above).double() / (self.equal + 1)).clamp(0, 1).mean().item()

    @property
    def expected(self) -> Tensor:
        """Expected rank of the true candidate, float64 (queries,); the best is 1."""
        return 1 + self.above + self.equal.double() / 2

    @property
    def published(self) -> Tensor:
        """All ranks that the true candidate could have, int64; with ties there are more than queries. 1 is the best.
        For one sentence a clip, and for video to text.
        """
        first = self.equal.cumsum(0) + torch.arange(len(self.equal)) - self.equal
        within = torch.arange(int(self.equal.sum()) + len(self.equal))
        return 1 + (self.above - first).repeat_interleave(self.equal + 1) + within

    @property
    def in_order(self) -> Tensor:
        """The rank of the true candidate with equal scores in the candidates' order, int64 (queries,). The published
        rank for text to video with several sentences a clip.
        """
        return 1 + self.above + self.before


def retrieval(
    similarity: Tensor, owner: Tensor | None = None, *, rule: str = "fair", dual: bool = False
) -> dict[str, float]:
    """t2v_ and v2t_ each with r1, r5, r10 (shares in [0, 1]), median_rank and mean_rank (1 is the best).

    dual: after `dual_softmax`; `similarity` must then be the scaled logits. ParameterError for sizes that do not fit,
    an owner outside the clips, a clip without a sentence, or scores that are nan.
    """
    if rule not in RULES:
        raise ParameterError(f"rule: {rule!r} is not one of {', '.join(RULES)}")
    similarity, owner = _checked(similarity, owner)
    several = len(owner) > similarity.shape[0]
    for_texts, for_clips = dual_softmax(similarity) if dual else (similarity, similarity)
    if rule == "published" and several:
        for_clips = for_texts
    t2v, v2t = text_to_video(for_texts, owner), video_to_text(for_clips, owner)
    return _summary("t2v", t2v, rule, several) | _summary("v2t", v2t, rule, False)


def dual_softmax(similarity: Tensor) -> tuple[Tensor, Tensor]:
    """(clips, texts) -> the matrices for text to video and for video to text, of the same shape (arXiv 2109.04290).

    Multiplies each score by its softmax over the texts, or over the clips, so it counts only as far as the candidate
    prefers this query too. There is no extra temperature: `similarity` must include the learnt one. It needs all
    queries at once, which a search engine does not have.
    """
    return similarity * similarity.softmax(1), similarity * similarity.softmax(0)


def text_to_video(similarity: Tensor, owner: Tensor | None = None) -> Ranks:
    """Ranks of each sentence's clip among all clips."""
    similarity, owner = _checked(similarity, owner)
    return _ranks(similarity.T, owner)


def video_to_text(similarity: Tensor, owner: Tensor | None = None) -> Ranks:
    """Ranks of each clip's sentences among those of all clips; the best sentence of a clip counts."""
    similarity, owner = _checked(similarity, owner)
    clips = len(similarity)
    lowest = similarity.new_full((clips, clips), -torch.inf)
    best = lowest.scatter_reduce(1, owner.expand(clips, -1), similarity, "amax")
    return _ranks(best, torch.arange(clips))


def chance(clips: int, k: int = 1) -> float:
    """Recall at k of uninformative scores, in both directions: k of all clips are among the first k."""
    return min(1.0, k / clips)


def order_accuracy(own: Tensor, reversed_: Tensor) -> float:
    """Share of clips (N,) whose caption scores above the same caption with the order of events reversed; a tie counts
    one half, chance is 0.5.

    "slides left" against "slides right" for the same clip: a model of single or shuffled frames cannot tell them apart.
    """
    if own.shape != reversed_.shape or own.dim() != 1 or not len(own):
        raise ParameterError(
            f"own {tuple(own.shape)} and reversed {tuple(reversed_.shape)}: expected (N,) twice, N > 0"
        )
    return (((own - reversed_).sign().double() + 1) / 2).mean().item()


def _ranks(scores: Tensor, true: Tensor) -> Ranks:
    """Ranks from scores (queries, candidates) and the true candidates' indices (queries,)."""
    reached = scores.gather(1, true[:, None])
    equal, earlier = scores == reached, torch.arange(scores.shape[1]) < true[:, None]
    return Ranks((scores > reached).sum(1), equal.sum(1) - 1, (equal & earlier).sum(1))


def _summary(name: str, ranks: Ranks, rule: str, several: bool) -> dict[str, float]:
    """several: text to video with several sentences a clip."""
    if rule == "fair":
        values, shares = ranks.expected, {k: ranks.recall(k) for k in CUTS}
    else:
        values = (ranks.in_order if several else ranks.published).double()
        shares = {k: (values <= k).double().mean().item() for k in CUTS}
    fair_median = values.quantile(0.5).item()
    median = values.median().item() if rule == "published" and several else fair_median
    summary = {f"{name}_r{k}": share for k, share in shares.items()}
    return summary | {f"{name}_median_rank": median, f"{name}_mean_rank": values.mean().item()}


def _checked(similarity: Tensor, owner: Tensor | None) -> tuple[Tensor, Tensor]:
    similarity = torch.as_tensor(similarity).detach().cpu()
    if similarity.dim() != 2 or not similarity.numel():
        raise ParameterError(f"similarity {tuple(similarity.shape)}: expected (clips, texts), none of them 0")
    clips, texts = similarity.shape
    if owner is None and clips != texts:
        raise ParameterError(f"similarity {clips} x {texts}: not one sentence a clip, so owner is needed")
    owner = torch.arange(clips) if owner is None else torch.as_tensor(owner).cpu().long()
    if owner.shape != (texts,):
        raise ParameterError(f"owner {tuple(owner.shape)}: expected one clip for each of {texts} texts")
    if owner.min() < 0 or owner.max() >= clips:
        raise ParameterError(f"owner: {owner.min()} to {owner.max()} do not fit {clips} clips")
    silent = torch.bincount(owner, minlength=clips) == 0
    if silent.any():
        raise ParameterError(f"owner: clip {int(silent.nonzero()[0])} has no sentence")
    if similarity.isnan().any():
        raise ParameterError(f"similarity: {int(similarity.isnan().sum())} of its scores are not numbers")
    return similarity, owner
