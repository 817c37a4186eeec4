"""Clips shown backwards as hard negatives: the same frames, only their order tells which caption is right (arXiv 2301.02074).

In a batch of a contrastive loss hardly two clips differ in order alone, so a model learns appearance and stops. A clip and its reversal,
side by side with "slides to the left" and "slides to the right", leave it nothing but the order.
"""

from collections.abc import Sequence

import numpy as np

from ivcore.data.batches import batch_of
from ivcore.data.captions.clips import CaptionedClips
from ivcore.data.captions.texts import caption_id, clean
from ivcore.errors import ParameterError


class WithReversals:
    """Captioned clips in whose batches up to a `share` of the clips are reversals of the clips beside them.

    backwards: for each record of the source the captions of the reversed clip; empty where there are none. Of clips 2j and 2j + 1 of a
    batch the second makes room for the reversal of the first, or the first for that of the second where only that has one. Which pairs do is a
    function of (seed, epoch, index of their first), so ranks that share a batch show what one process would. ParameterError for a batch, or
    a rank's part of one, of an odd number of clips.
    """

    def __init__(self, source: CaptionedClips, backwards: Sequence[tuple[str, ...]], share: float, seed: int = 0):
        if not 0 <= share <= 0.5:
            raise ParameterError(f"share={share}: must be in [0, 0.5]")
        self.source, self.share, self.seed, self.counts = source, share, seed, source.counts
        self.backwards = [tuple(clean(text) for text in texts) for texts in backwards]
        self.caption_ids = [caption_id(texts) for texts in self.backwards]

    def __len__(self) -> int:
        return len(self.source)

    def batch(self, indices: np.ndarray, epoch: int) -> dict:
        if len(indices) % 2:
            raise ParameterError(
                f"reversals: a clip stands beside its reversal, so batch_size must be an even multiple of the number of ranks; "
                f"here are {len(indices)} clips"
            )
        batch = batch_of(self.source, indices, epoch)
        able = [bool(self.backwards[record]) for record in batch["index"].tolist()]
        for first in range(0, len(indices), 2):
            draw = np.random.default_rng((self.seed, epoch, int(indices[first]), 1)).random()
            if draw < 2 * self.share and able[first]:
                self._reverse(batch, first, first + 1)
            elif draw < 2 * self.share and able[first + 1]:
                self._reverse(batch, first + 1, first)
        return batch

    def _reverse(self, batch: dict, i: int, slot: int) -> None:
        """Put the reversal of clip i into a slot. Both say what they show in their first sentence, the fullest, so that little else fits them."""
        record = int(batch["index"][i])
        self._caption(batch, i, self.source.captions.first(record))
        self._caption(batch, slot, self.backwards[record][0])
        batch["video"][slot] = batch["video"][i].flip(0)
        batch["caption_id"][slot], batch["index"][slot] = self.caption_ids[record], record
        batch["path"][slot] = batch["path"][i]

    def _caption(self, batch: dict, slot: int, text: str) -> None:
        batch["ids"][slot], batch["text"][slot] = self.source.captions.ids(text), text
