"""The captioned videos of a stage: the user's own files, or the embedded moving shapes where no path is given."""

from dataclasses import dataclass
from pathlib import Path

from ivcore.data import formats, shapes
from ivcore.errors import UserError


@dataclass(frozen=True)
class CaptionedSet:
    """records have `.path` and `.captions`. For record i, queries[i] is the sentence that it is to be found by, and backwards[i] says, sentence
    by sentence, what it shows when played backwards; empty where that is not known. `source` says what a result on it may be called."""

    records: list[formats.CaptionedVideo]
    queries: list[str]
    backwards: list[tuple[str, ...]]
    source: str

    def __len__(self) -> int:
        return len(self.records)

    @property
    def captions(self) -> list[tuple[str, ...]]:
        return [record.captions for record in self.records]

    @property
    def sentences(self) -> list[str]:
        """Every caption of the set, those of the reversals included."""
        return [text for several in (*self.captions, *self.backwards) for text in several]


def captioned_set(
    split: str,
    captions: str = "",
    split_csv: str = "",
    reversed_captions: str = "",
    root: str = "",
    **embedded,
) -> CaptionedSet:
    """Videos of `captions` (any file of `formats.read_captions`), those of `split_csv` (MSR-VTT) only where it is given, or else of the embedded
    `split` (train, val or test). reversed_captions: a file like `captions`. `embedded` are fields of `shapes.Shapes`.

    Raises FormatError for a malformed file, UserError where no video is left.
    """
    source = Path(captions).name if captions else "moving shapes"
    if not captions:
        folder = shapes.build(shapes.Shapes(parts=("clips", "captions"), **embedded))
        captions, root = str(folder / "msrvtt.json"), str(folder / "videos")
        split_csv, reversed_captions = (
            str(folder / f"msrvtt_{split}.csv"),
            str(folder / "msrvtt_reversed.json"),
        )
    videos = formats.read_captions(captions, root or None)
    rows = formats.read_msrvtt_csv(split_csv) if split_csv else [formats.SplitRow(v.id) for v in videos]
    formats.in_split(videos, rows, split_csv)  # refuses a row without a video
    if not rows:
        raise UserError(f"{split_csv or captions}: there is no video in it")
    listed, backwards = {v.id: v for v in videos}, _backwards(reversed_captions, root)
    records = [listed[row.video_id] for row in rows]
    queries = [row.sentence or next(iter(record.captions), "") for row, record in zip(rows, records)]
    return CaptionedSet(records, queries, [backwards.get(r.id, ()) for r in records], source)


def _backwards(file: str, root: str) -> dict[str, tuple[str, ...]]:
    return {v.id: v.captions for v in formats.read_captions(file, root or None)} if file else {}
