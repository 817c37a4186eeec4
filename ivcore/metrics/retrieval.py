"""Retrieval between clips and sentences: recall at k, median and mean rank, dual softmax, word-order accuracy (paper 4.3.4, 4.3.8).

    retrieval(model(video, ids))                             # one sentence a clip, in the same order
    retrieval(similarity, owner=torch.tensor([0, 0, 1]))     # the first clip has two sentences

`similarity` is float (clips, texts), as video-text models return it; `owner` int (texts,) is the clip of each sentence. Text to
video ranks the clips for every sentence. Video to text ranks the clips' best sentences for every clip, so that all sentences of a clip
count as one candidate, as published evaluations of MSVD and VATEX do.

Ties. The fair rule, the default, takes the expected value over all orders of candidates with exactly the same score: scores that are
all equal give chance, never more. The rule of the published code (`rule="published"`, CLIP4Clip's and InternVideo's) instead
counts a query once for every candidate that scores as the true one, so that shares are over more than there are queries. With several sentences
a clip, that code counts a sentence once, equal scores in the order of the clips (torch's sort on a CPU leaves them so); its text-to-video median is the
lower of the two middle ranks, and its dual softmax reads both directions from the matrix normalised over texts. Without ties and with one sentence a clip
both rules agree.
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
    """Of every query: how many candidates score above the true one, how many others exactly the same, and how many of these stand before it.
    All int64 (queries,)."""

    above: Tensor
    equal: Tensor
    before: Tensor

    def recall(self, k: int) -> float:
        """Expected share of queries whose true candidate is among the first k, if equal scores fall in any order."""
        return ((k - self.above).double() / (self.equal + 1)).clamp(0, 1).mean().item()

    @property
    def expected(self) -> Tensor:
        """Expected rank of the true candidate, float64 (queries,); the best is 1."""
        return 1 + self.above + self.equal.double() / 2

    @property
    def published(self) -> Tensor:
        """All ranks the true candidate could have, int64; longer than there are queries where scores are equal. The best is 1. Of one sentence a clip,
        and of clips that look for sentences."""
        first = self.equal.cumsum(0) + torch.arange(len(self.equal)) - self.equal
        within = torch.arange(int(self.equal.sum()) + len(self.equal))
        return 1 + (self.above - first).repeat_interleave(self.equal + 1) + within

    @property
    def in_order(self) -> Tensor:
        """The rank of the true candidate, equal scores in the order of the candidates, int64 (queries,). The published one of sentences where a clip has
        several."""
        return 1 + self.above + self.before


def retrieval(
    similarity: Tensor, owner: Tensor | None = None, *, rule: str = "fair", dual: bool = False
) -> dict[str, float]:
    """t2v_ and v2t_ each with r1, r5, r10 (shares in [0, 1]), median_rank and mean_rank (1 is the best).

    dual: after `dual_softmax`; `similarity` must then be the scaled logits. Errors: ParameterError for sizes that do not fit, an owner
    outside the clips, a clip without a sentence, or scores that are not numbers.
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
    """(clips, texts) -> the matrix for text to video and the one for video to text, of the same shape (arXiv 2109.04290).

    A score counts in so far as the candidate prefers this query too: times its softmax over the texts, or over the clips. No
    temperature of its own: `similarity` must carry the learnt one. It looks at all queries at once, which a search engine cannot.
    """
    return similarity * similarity.softmax(1), similarity * similarity.softmax(0)


def text_to_video(similarity: Tensor, owner: Tensor | None = None) -> Ranks:
    """Every sentence looks for its clip among all clips."""
    similarity, owner = _checked(similarity, owner)
    return _ranks(similarity.T, owner)


def video_to_text(similarity: Tensor, owner: Tensor | None = None) -> Ranks:
    """Every clip looks for its sentences among the sentences of all clips, each clip's by the best of them."""
    similarity, owner = _checked(similarity, owner)
    clips = len(similarity)
    lowest = similarity.new_full((clips, clips), -torch.inf)
    best = lowest.scatter_reduce(1, owner.expand(clips, -1), similarity, "amax")
    return _ranks(best, torch.arange(clips))


def chance(clips: int, k: int = 1) -> float:
    """Recall at k of scores that know nothing, in both directions: of all clips k are among the first k, whichever they are."""
    return min(1.0, k / clips)


def order_accuracy(own: Tensor, reversed_: Tensor) -> float:
    """Share of clips (N,) that score above their caption's with the order of events reversed; a tie counts one half, chance is 0.5.

    "slides left" against "slides right" for the same clip: who looks at single frames or at shuffled ones cannot tell.
    """
    if own.shape != reversed_.shape or own.dim() != 1 or not len(own):
        raise ParameterError(
            f"own {tuple(own.shape)} and reversed {tuple(reversed_.shape)}: expected (N,) twice, N > 0"
        )
    return (((own - reversed_).sign().double() + 1) / 2).mean().item()


def _ranks(scores: Tensor, true: Tensor) -> Ranks:
    """(queries, candidates), index of the true candidate (queries,)."""
    reached = scores.gather(1, true[:, None])
    equal, earlier = scores == reached, torch.arange(scores.shape[1]) < true[:, None]
    return Ranks((scores > reached).sum(1), equal.sum(1) - 1, (equal & earlier).sum(1))


def _summary(name: str, ranks: Ranks, rule: str, several: bool) -> dict[str, float]:
    """several: of sentences that look for clips that have several of them."""
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
