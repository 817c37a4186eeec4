"""Miniatures of Ego4D's five tracks, with generated first-person scenes as clips."""

from pathlib import Path

from ivcore.data.egocentric import Egocentric, fill

TRAIN, VAL = 5, 2  # clips


def ego4d(folder: Path, track: str) -> None:
    """Writes the clips and the annotation files whose names begin with `track` (for fho_sta also the detections)."""
    fill(Egocentric(train=TRAIN, val=VAL, frames=240, seed=17), folder)
    for path in (folder / "annotations").iterdir():
        if not path.name.startswith((track, "object_" if track == "fho_sta" else track)):
            path.unlink()
