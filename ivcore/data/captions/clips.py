"""Captioned videos and images for video-language training, the same from files and from memory.

The frames and the caption of an item are a pure function of (seed, epoch, index), so a resumed run sees the same items as an
uninterrupted one. By default frames are not cropped: in the small moving shapes a crop would cut off the movement that a caption describes.
An image is a clip of one frame; with num_frames=1 videos give images, too, one random frame each.
"""

from collections.abc import Sequence

import numpy as np

from ivcore.data.captions.clip_spec import ClipSpec
from ivcore.data.captions.texts import Captions
from ivcore.data.clips import Clips
from ivcore.data.records import frames_of
from ivcore.errors import ParameterError
from ivcore.video.images import is_image


class CaptionedClips:
    """Items dict(video uint8 (T, size, size, 3), ids int64 (L,), text, caption_id int, index int, path).

    records: see `data.records`; files or decoded. captions: one tuple a record, by default its `.captions`; records without a caption are
    left out, see `counts` of `texts.Captions`. `caption_id` is equal for samples with the same captions, which a contrastive loss must not
    push apart. `index` is the record shown: an unreadable video is replaced, with its caption, as in `Clips`. max_bad, run_dir and strict: as
    in `Clips`. spec: frames and crops; if it is not random, the first caption is taken. ParameterError if captions and records differ in number.
    """

    def __init__(
        self,
        records: Sequence,
        tokenizer,
        spec: ClipSpec,
        *,
        seed: int = 0,
        captions: Sequence[Sequence[str]] | None = None,
        max_bad: int | float | None = None,
        run_dir=None,
        strict: bool = False,
    ):
        captions = [record.captions for record in records] if captions is None else captions
        if len(captions) != len(records):
            raise ParameterError(f"captions: {len(captions)} given for {len(records)} videos")
        self.captions = Captions(captions, tokenizer, [record.path for record in records], run_dir)
        self.counts = self.captions.counts
        kept = [records[i] for i in self.captions.kept]
        self.clips = VideosAndImages(kept, spec, seed, max_bad=max_bad, run_dir=run_dir, strict=strict)

    def __len__(self) -> int:
        return len(self.captions)

    def item(self, index: int, epoch: int = 0) -> dict:
        """The clip and a caption of one sample in one epoch."""
        clip = self.clips.item(index, epoch)
        place = clip["index"]
        text = self.captions.choose(place, *((self.clips.seed, epoch, index) if self.clips.random else ()))
        return {
            "video": clip["video"],
            "ids": self.captions.ids(text),
            "text": text,
            "caption_id": int(self.captions.caption_ids[place]),
            "index": int(self.captions.kept[place]),
            "path": clip["path"],
        }


class VideosAndImages(Clips):
    """Clips as a ClipSpec says; a picture becomes a clip of equal frames."""

    def __init__(self, records, spec: ClipSpec, seed: int, **reading):
        crops = {"random": spec.random, "transform": spec.crop}
        super().__init__(records, spec.sampler, spec.short_side, seed=seed, **crops, **reading)
        self.spec = spec

    def clip(self, record, rng: np.random.Generator) -> tuple:
        if not is_image(record.path):
            return super().clip(record, rng)
        with frames_of(record, self.size) as (_, read, _):
            return self.spec.crop(self.spec.still(read(np.zeros(1, int))), rng), 0
