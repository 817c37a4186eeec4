"""The captioned videos of a stage: the user's own files, or a generated set (by default the moving shapes) if no path is given."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from ivcore.data import embedded, formats, splits
from ivcore.data.captions import texts
from ivcore.data.captions.clip_spec import ClipSpec
from ivcore.data.captions.clips import CaptionedClips
from ivcore.data.captions.reversals import WithReversals
from ivcore.data.groups import read_groups
from ivcore.data.memory import load
from ivcore.data.records import require_some
from ivcore.errors import UserError, one_line


@dataclass(frozen=True)
class CaptionedSet:
    """records have `.path` and `.captions`. For record i, queries[i] is the sentence to retrieve it by, and backwards[i] holds the captions of
    the video played backwards, or () if unknown. source: name of the set in results. missing: number of listed videos whose file does not
    exist."""

    records: list[formats.CaptionedVideo]
    queries: list[str]
    backwards: list[tuple[str, ...]]
    source: str
    missing: int = 0

    def __len__(self) -> int:
        return len(self.records)

    def only(self, rows) -> "CaptionedSet":
        """The records at these rows."""
        parts = ([column[i] for i in rows] for column in (self.records, self.queries, self.backwards))
        return CaptionedSet(*parts, self.source, self.missing)

    def first(self, count: int) -> "CaptionedSet":
        """The first `count` videos; 0 means all."""
        return self.only(range(min(count or len(self), len(self))))

    def told(self) -> "CaptionedSet":
        """The records that have a readable caption, without captions that are empty after cleaning: those serve neither retrieval nor metrics."""
        kept = [tuple(text for text in record.captions if texts.read(text)[0]) for record in self.records]
        rows = [row for row, some in enumerate(kept) if some]
        records = [replace(self.records[row], captions=kept[row]) for row in rows]
        queries = [self.queries[row] if texts.read(self.queries[row])[0] else kept[row][0] for row in rows]
        return replace(self.only(rows), records=records, queries=queries)

    def pairs(self) -> "CaptionedSet":
        """One record for each caption: an epoch then shows a video as often as it has captions."""
        rows = [(row, text) for row, record in enumerate(self.records) for text in record.captions]
        records = [replace(self.records[row], captions=(text,)) for row, text in rows]
        return CaptionedSet(
            records, [text for _, text in rows], [self.backwards[row] for row, _ in rows], self.source, self.missing
        )

    @property
    def captions(self) -> list[tuple[str, ...]]:
        return [record.captions for record in self.records]

    @property
    def sentences(self) -> list[str]:
        """Every caption of the set, including those of the reversals."""
        return [text for several in (*self.captions, *self.backwards) for text in several]


def captioned_set(
    split: str,
    captions: str = "",
    split_csv: str = "",
    reversed_captions: str = "",
    root: str = "",
    source: str = "shapes",
    **fields,
) -> CaptionedSet:
    """The videos of `captions` (any file of `formats.read_captions`), limited to those of `split_csv` (MSR-VTT) if given.

    Without `captions`: the `split` (train, val or test) of the generated set `source`, whose fields are `fields`, see `data.embedded`.
    reversed_captions: a file like `captions`. Raises FormatError for a malformed file, UserError if no video is left.
    """
    if captions:
        named = Path(captions).name
    else:
        generated = "" if source == "shapes" else source
        folder = embedded.build(generated, **({} if generated else {"parts": ("clips", "captions")}), **fields)
        named, captions, root = embedded.title(generated), str(folder / "msrvtt.json"), str(folder / "videos")
        split_csv = str(folder / f"msrvtt_{split}.csv")
        backwards_file = folder / "msrvtt_reversed.json"
        reversed_captions = str(backwards_file) if backwards_file.is_file() else ""
    videos = {video.id: video for video in formats.read_captions(captions, root or None)}
    rows = formats.read_msrvtt_csv(split_csv) if split_csv else [formats.SplitRow(name) for name in videos]
    formats.in_split(list(videos.values()), rows, split_csv)  # refuses a row without a video
    records = [videos[row.video_id] for row in rows]
    if not rows:
        raise UserError(f"{split_csv or captions}: there is no video in it")
    queries = [row.sentence or next(iter(record.captions), "") for row, record in zip(rows, records)]
    turned = formats.read_captions(reversed_captions, root or None) if reversed_captions else []
    backwards = {video.id: video.captions for video in turned}
    return CaptionedSet(records, queries, [backwards.get(r.id, ()) for r in records], named)


def captioned_splits(
    lists: Mapping[str, tuple[str, str]],
    reversed_captions: str = "",
    root: str = "",
    *,
    max_bad: int | float | None = None,
    run_dir=None,
    **fields,
) -> list[CaptionedSet]:
    """The videos of each split, in the order of `lists`: split -> (captions, split_csv), train first. No video is in two splits.

    If train has no captions, all splits come from the generated set. Otherwise a split with only a split_csv takes its videos from train's captions,
    and a split with neither is held out of the training videos, video by video, see `splits.part`; this is printed. The other arguments and
    errors are those of `captioned_set`; UserError also if another split has a list and train has no captions.
    """
    train = next(iter(lists))
    if not lists[train][0]:
        if other := [file for files in lists.values() for file in files if file]:
            raise UserError(f"{other[0]}: a list of its own needs captions for {train} too, which has none")
        return [captioned_set(split, root=root, **fields) for split in lists]
    own = {
        split: captioned_set(split, file or lists[train][0], rows, reversed_captions, root)
        for split, (file, rows) in lists.items()
        if file or rows
    }
    records = {split: own[split].records if split in own else None for split in lists}
    together = read_groups(Path(lists[train][0]).parent, root or None)
    options = {"together": together, "max_bad": max_bad, "run_dir": run_dir}
    parted = splits.part(records, label=lambda record: None, **options)
    print("".join(f"{one_line(line)}\n" for line in parted.notes), end="")
    return [_only(own.get(split, own[train]), kept, parted.missing[split]) for split, kept in parted.records.items()]


def _only(videos: CaptionedSet, records: list, missing: int) -> CaptionedSet:
    row = {id(record): i for i, record in enumerate(videos.records)}
    return replace(videos.only([row[id(record)] for record in records]), missing=missing)


def training_clips(
    videos: CaptionedSet, tokenizer, spec: ClipSpec, *, seed: int, in_memory: bool, reversals: float = 0.0, **reading
) -> CaptionedClips | WithReversals:  # fmt: skip
    """A source of captioned clips for `Batches`. in_memory: decode all videos once; the clips are the same. reversals: share of `WithReversals`.

    reading: max_bad, run_dir and strict, as in `Clips`. The source has `counts` of its captions, see `texts.Captions`.
    """
    require_some([record.path for record in videos.records], videos.source)
    records = load(videos.records, spec.short_side, **reading) if in_memory else videos.records
    source = CaptionedClips(records, tokenizer, spec, seed=seed, captions=videos.captions, **reading)
    if not reversals or not any(videos.backwards):
        return source
    return WithReversals(source, videos.backwards, reversals, seed)


def held_out_clips(
    videos: CaptionedSet, tokenizer, *, num_frames: int, size: int, run_dir=None, strict: bool = False
) -> tuple[CaptionedClips, CaptionedSet]:
    """Returns (clips with their queries, nothing random; the videos that they show, in order).

    The frames are decoded once and kept, so that every score leaves out the same unreadable videos.
    """
    decoded = load(videos.records, size, num_frames, max_bad=1.0, run_dir=run_dir, strict=strict)
    videos = videos.only(decoded.index)
    spec, queries = (ClipSpec(num_frames, size, "mirrored", random=False), [(query,) for query in videos.queries])
    source = CaptionedClips(decoded.readable(), tokenizer, spec, captions=queries)
    return source, videos.only(source.captions.kept)
