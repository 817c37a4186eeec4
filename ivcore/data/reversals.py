"""Clips shown backwards as hard negatives: the same frames, only their order tells which caption is right (arXiv 2301.02074).

In a batch of a contrastive loss hardly two clips differ in order alone, so a model learns appearance and stops. A clip and its reversal,
side by side with "slides to the left" and "slides to the right", leave it nothing but the order.
"""

from collections.abc import Sequence

import numpy as np

from ivcore.data.texts import clean, fact
from ivcore.errors import ParameterError


class WithReversals:
    """A source like `captioned.FromMemory` in whose batches up to a `share` of the clips are reversals of the first ones.

    backwards: for each row of the source's columns the captions of the reversed clip; empty where there are none.
    Batches keep their size: the last clips make room.
    """

    def __init__(self, source, backwards: Sequence[tuple[str, ...]], share: float):
        if not 0 <= share <= 0.5:
            raise ParameterError(f"share={share}: must be in [0, 0.5]")
        self.source, self.share = source, share
        self.backwards = [tuple(clean(text) for text in texts) for texts in backwards]
        self.same = [fact(texts) for texts in self.backwards]
        self._ids: dict = {}

    def __len__(self) -> int:
        return len(self.source)

    @property
    def counts(self) -> dict:
        return self.source.counts

    def batch(self, indices: np.ndarray, epoch: int) -> dict:
        batch = self._forwards(indices, epoch)
        kept = len(indices) - int(self.share * len(indices))
        chosen = [i for i, row in enumerate(batch["index"][:kept].tolist()) if self.backwards[row]]
        for slot, i in zip(range(kept, len(indices)), chosen):
            self._reverse(batch, i, slot)
        return batch

    def _forwards(self, indices: np.ndarray, epoch: int) -> dict:
        if hasattr(self.source, "batch"):
            return self.source.batch(indices, epoch)
        from torch.utils.data import default_collate

        return default_collate([self.source.item(int(i), epoch) for i in indices])

    def _reverse(self, batch: dict, i: int, slot: int) -> None:
        """Put the reversal of clip i into a slot. Both say what they show in their first sentence, the fullest, so that little else fits them."""
        row, captions = int(batch["index"][i]), self.source.captions
        self._say(batch, i, captions.texts[int(np.searchsorted(captions.kept, row))][0])
        self._say(batch, slot, self.backwards[row][0])
        batch["video"][slot] = batch["video"][i].flip(0)
        batch["same"][slot], batch["index"][slot] = self.same[row], row
        batch["path"][slot] = batch["path"][i]

    def _say(self, batch: dict, slot: int, text: str) -> None:
        batch["ids"][slot], batch["text"][slot] = self._tokens(text), text

    def _tokens(self, text: str):
        if text not in self._ids:
            self._ids[text] = self.source.captions.ids(text)[0]
        return self._ids[text]
