"""Captioned videos and images for video-language training: from memory for small sets, from files for large ones. Both feed `Batches`.

What an item shows, and which of its captions is taken, is a pure function of (seed, epoch, index), so a resumed run sees what an
uninterrupted one would. Frames are whole by default: at the size of the moving shapes a crop would cut off the very movement that a caption
tells of. Images are clips of one frame; with num_frames=1 videos give images too, one random frame each.
"""

from collections.abc import Sequence

import numpy as np

from ivcore.data.captions.clip_spec import WHOLE, ClipSpec
from ivcore.data.captions.texts import Captions
from ivcore.data.clips import Clips, draw_clip
from ivcore.errors import ParameterError, UserError
from ivcore.video.images import is_image, read_image


class FromMemory:
    """Decoded videos -> batches dict(video uint8 (B, T, size, size, 3), ids int64 (B, L), text list, caption_id int64 (B,), index int64 (B,), path list).

    columns: what `data.decoded.load` gives. captions: a tuple for each of their records; those without a caption are left out. `caption_id` is
    equal where two samples have the same captions, which a contrastive loss must not push apart. `index` is the record; in the place of
    an unreadable one stands the next good one with its own caption, as in `FromFiles`.
    random=False: the middle frames and the first caption. frame_sampling, scales and area: see `ClipSpec`. counts: see `texts.Captions`.
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
        frame_sampling: str = "segment",
        scales: Sequence[float] = WHOLE,
        area: float = 1.0,
        random: bool = True,
        run_dir=None,
    ):
        records = columns.get("records", len(columns["video"]))
        if len(captions) != records:
            raise ParameterError(f"captions: {len(captions)} given for {records} videos")
        self.columns, self.seed = columns, seed
        self.readable = np.asarray(columns.get("index", np.arange(records)))  # record of each video
        self.spec = ClipSpec(num_frames, size, frame_sampling, scales, area, random)
        paths = dict(zip(self.readable.tolist(), columns["path"]))
        self.captions = Captions(captions, tokenizer, [paths.get(i, "") for i in range(records)], run_dir)
        self.counts = self.captions.counts
        good = np.flatnonzero(np.isin(self.captions.kept, self.readable))
        if not len(good):
            raise UserError(f"none of the {len(self.captions)} captioned videos can be read")
        self.places = good[np.searchsorted(good, np.arange(len(self.captions))) % len(good)]
        self._ids: dict = {}

    def __len__(self) -> int:
        return len(self.captions)

    def batch(self, indices: np.ndarray, epoch: int) -> dict:
        import torch

        places = self.places[indices]
        keys = [(self.seed, epoch, index) for index in indices.tolist()]
        chosen = [self._chosen(place, key) for place, key in zip(places.tolist(), keys)]
        records = self.captions.kept[places]
        rows = np.searchsorted(self.readable, records)
        clips = [self._clip(row, key) for row, key in zip(rows, keys)]
        return {
            "video": torch.from_numpy(np.stack(clips)),
            "ids": torch.stack([self._tokens(text) for text in chosen]),
            "text": chosen,
            "caption_id": torch.from_numpy(self.captions.caption_ids[places]),
            "index": torch.from_numpy(records),
            "path": [self.columns["path"][row] for row in rows],
        }

    def _chosen(self, place: int, key: tuple) -> str:
        return self.captions.choose(place, *(key if self.spec.random else ()))

    def _clip(self, row: int, key: tuple) -> np.ndarray:
        video, spec = self.columns["video"][row], self.spec
        read, rng = video.__getitem__, np.random.default_rng(key)
        return draw_clip(len(video), read, spec.sampler, spec.drawn, spec.crop, rng)[0]

    def _tokens(self, text: str):
        if text not in self._ids:
            self._ids[text] = self.captions.ids(text)[0]
        return self._ids[text]


class FromFiles:
    """Items dict(video uint8 (T, size, size, 3), ids int64 (L,), text, caption_id int, index int, path), decoded when asked for.

    records have `.path`, of a video or an image, and `.captions`, and maybe `.start` and `.end` in seconds. Files that cannot be read
    are passed over as in `Clips`, whose max_bad, run_dir and strict these are; the caption is always that of the record shown, `index`.
    frame_sampling, scales and area: see `ClipSpec`. counts: see `texts.Captions`.
    """

    def __init__(
        self,
        records: Sequence,
        tokenizer,
        *,
        num_frames: int,
        size: int,
        seed: int,
        frame_sampling: str = "segment",
        scales: Sequence[float] = WHOLE,
        area: float = 1.0,
        random: bool = True,
        max_bad: int | float | None = None,
        run_dir=None,
        strict: bool = False,
    ):
        records = list(records)
        spec = ClipSpec(num_frames, size, frame_sampling, scales, area, random)
        every = [record.captions for record in records]
        self.captions = Captions(every, tokenizer, [record.path for record in records], run_dir)
        self.counts = self.captions.counts
        kept = [records[i] for i in self.captions.kept]
        self.clips = _ClipsAndImages(kept, spec, seed, max_bad=max_bad, run_dir=run_dir, strict=strict)

    def __len__(self) -> int:
        return len(self.captions)

    def __getitem__(self, index: int) -> dict:
        return self.item(index)

    def item(self, index: int, epoch: int = 0) -> dict:
        """The clip and a caption of one sample in one epoch."""
        clip = self.clips.item(index, epoch)
        place, random = clip["index"], self.clips.spec.random
        text = self.captions.choose(place, *((self.clips.seed, epoch, index) if random else ()))
        return {
            "video": clip["video"],
            "ids": self.captions.ids(text)[0],
            "text": text,
            "caption_id": int(self.captions.caption_ids[place]),
            "index": int(self.captions.kept[place]),
            "path": clip["path"],
        }


class _ClipsAndImages(Clips):
    """Clips of videos and of images."""

    def __init__(self, records, spec: ClipSpec, seed: int, **reading):
        super().__init__(
            records,
            spec.sampler,
            spec.short_side,
            seed=seed,
            random=spec.random,
            transform=spec.crop,
            **reading,
        )
        self.spec = spec

    def _clip(self, record, rng: np.random.Generator) -> tuple:
        if not is_image(record.path):
            return super()._clip(record, rng)
        return self.spec.crop(self.spec.still(read_image(record.path, self.size)), rng), 0
