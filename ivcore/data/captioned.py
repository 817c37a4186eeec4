"""Captioned videos and images for video-language training: from memory for small sets, from files for large ones. Both feed `Batches`.

What an item shows, and which of its captions is taken, is a pure function of (seed, epoch, index), so a resumed run sees what an
uninterrupted one would; both sources show the same for the same videos. Frames are whole by default: a crop would cut off the very
movement that a caption tells of. Images are clips of one frame; with num_frames=1 videos give images too, one random frame each.
"""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from ivcore.data.texts import Captions
from ivcore.errors import ParameterError
from ivcore.video import augment, sampling

WHOLE = (1.0,)  # as `scales`: the middle square, nothing random


def sampler(frames: str, num_frames: int) -> Callable:
    """Frame indices from a frame count: "sparse" (one of each of num_frames equal parts) or "uniform" (evenly spaced with both ends)."""
    kinds = {"sparse": sampling.sparse, "uniform": sampling.uniform}
    if frames not in kinds:
        raise ParameterError(f"frames={frames!r}: must be one of {', '.join(kinds)}")
    return partial(kinds[frames], num_frames=num_frames)


class FromMemory:
    """Decoded videos -> batches dict(video uint8 (B, T, size, size, 3), ids int64 (B, L), text list, same int64 (B,), index int64 (B,), path list).

    columns: what `data.decoded.load` gives. captions: a tuple for each of their rows. `same` is equal where two samples have the same
    captions, which a contrastive loss must not push apart. `index` is the row. random=False gives the middle frames and first captions.
    scales: of MultiScaleCrop; the default takes the whole frame.
    """

    def __init__(
        self,
        columns: dict,
        captions: Sequence[Sequence[str]],
        tokenizer,
        *,
        num_frames: int,
        size: int,
        seed: int,
        frames: str = "sparse",
        scales: Sequence[float] = WHOLE,
        random: bool = True,
        run_dir=None,
    ):
        if len(captions) != len(columns["video"]):
            raise ParameterError(f"captions: {len(captions)} given for {len(columns['video'])} videos")
        self.columns, self.size, self.seed = columns, size, seed
        self.scales, self.random = tuple(scales), random
        self.sampler = sampler(frames, num_frames)
        self.drawn = random and frames == "sparse"
        self.captions = Captions(captions, tokenizer, list(columns["path"]), run_dir)
        self._ids: dict = {}

    def __len__(self) -> int:
        return len(self.captions)

    @property
    def counts(self) -> dict:
        """See `texts.Captions`."""
        return self.captions.counts

    def batch(self, indices: np.ndarray, epoch: int) -> dict:
        import torch

        key = (self.seed, epoch)
        chosen = [self.captions.choose(i, *((*key, i) if self.random else ())) for i in indices.tolist()]
        rows = self.captions.kept[indices]
        return {
            "video": self._video(rows, indices, epoch),
            "ids": torch.stack([self._tokens(text) for text in chosen]),
            "text": chosen,
            "same": torch.from_numpy(self.captions.same[indices]),
            "index": torch.from_numpy(rows),
            "path": [self.columns["path"][row] for row in rows],
        }

    def _video(self, rows: np.ndarray, indices: np.ndarray, epoch: int):
        length = self.columns["video"].shape[1]
        key = (self.seed, epoch)
        options = [{"rng": np.random.default_rng((*key, i))} if self.drawn else {} for i in indices.tolist()]
        frames = np.stack([self.sampler(length, **option) for option in options])
        video = self.columns["video"][rows[:, None], frames]
        rng = np.random.default_rng([*key, *indices[:4].tolist()])
        return augment.multi_scale_crop_batch(video, self.size, rng, self.scales)

    def _tokens(self, text: str):
        if text not in self._ids:
            self._ids[text] = self.captions.ids(text)[0]
        return self._ids[text]
