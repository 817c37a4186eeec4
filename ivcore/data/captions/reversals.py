"""Reversed clips as hard negatives: the same frames, so only their order tells which caption is right (arXiv 2301.02074).

In a contrastive batch hardly any two clips differ in frame order alone, so a model can learn appearance only. A clip and its reversal in one
batch, "slides to the left" and "slides to the right", can be told apart by the order alone.
"""

from collections.abc import Sequence

import numpy as np

from ivcore.data.batches import batch_of
from ivcore.data.captions.clips import CaptionedClips
from ivcore.data.captions.texts import caption_id, clean
from ivcore.errors import ParameterError


class WithReversals:
    """Captioned clips; in each batch up to a `share` of the clips are reversals of their neighbours.

    backwards: the captions of the reversed clip for each record of the source, or (). In a pair of clips 2j and 2j + 1, the reversal of the first
    replaces the second; if only the second has a reversal, that replaces the first. The choice of pairs is a function of (seed, epoch, index of
    the first clip), so ranks that share a batch see the same as one process. ParameterError for a share outside [0, 0.5], and if a batch, or a
    rank's part of one, has an odd number of clips.
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
        """Puts the reversal of clip i into a slot. Both get their first caption, the most detailed one, so that it fits hardly any other clip."""
        record = int(batch["index"][i])
        self._caption(batch, i, self.source.captions.first(record))
        self._caption(batch, slot, self.backwards[record][0])
        batch["video"][slot] = batch["video"][i].flip(0)
        batch["caption_id"][slot], batch["index"][slot] = self.caption_ids[record], record
        batch["path"][slot] = batch["path"][i]

    def _caption(self, batch: dict, slot: int, text: str) -> None:
        batch["ids"][slot], batch["text"][slot] = self.source.captions.ids(text), text
