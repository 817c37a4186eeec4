"""Makes the hybrid set: each source's own set, then one folder of links and lists that joins them."""

import hashlib
import os
import random
import shutil
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from ivcore.data import annotations, formats, generated
from ivcore.data.annotations import Clip
from ivcore.data.formats.table import write_table
from ivcore.data.groups import read_groups
from ivcore.data.hybrid.config import VERSION, Hybrid, Part, folder_of, left_out, parts
from ivcore.files import write_atomic

_LISTS = ("train.csv", "val.csv", "test.csv", "classes.txt", "groups.csv", "msrvtt.json", annotations.REVERSED)


def build(config: Hybrid | None = None, *, workers: int | None = None) -> Path:
    """Makes what is missing of the joined set and its sources, and returns its folder. It can be stopped; the next call continues.

    Prints which sources are left out. UserError if a source that the config names needs a simulator that is not installed.
    """
    config = config or Hybrid()
    chosen = parts(config)
    for name, why in left_out(config).items():
        print(f"hybrid without {name}: {why}", flush=True)
    folder = folder_of(chosen)
    roots = {part.name: part.build(workers) for part in chosen}
    return generated.build_once(folder, _version(roots), lambda: _join(folder, chosen, roots))


def table(chosen: list[Part]) -> list[tuple]:
    """(source, numbers of training, validation and test clips, number of classes, requirement) of each part; the parts must be made."""
    rows = []
    for part in chosen:
        clips, classes = _read(part.name, part.folder)
        count = Counter(clip.split for clip in clips)
        needs = "make sim" if part.needs_simulator else ""
        rows.append((part.name, *(count[split] for split in annotations.SPLITS), len(classes), needs))
    return rows


def _version(roots: Mapping[str, Path]) -> str:
    """A digest of the sources' lists: if they change, the joined lists are written again."""
    files = [root / name for root in roots.values() for name in _LISTS]
    return hashlib.sha256(VERSION.encode() + b"".join(f.read_bytes() for f in files if f.exists())).hexdigest()


def _join(folder: Path, chosen: list[Part], roots: Mapping[str, Path]) -> None:
    own = {part.name: _read(part.name, roots[part.name]) for part in chosen}
    times = Counter(name for _, classes in own.values() for name in classes)

    def called(source: str, name: str) -> str:
        return name if times[name] == 1 else f"{source}: {name}"

    clips = [replace(c, label=called(source, c.label)) for source, (some, _) in own.items() for c in some]
    for source, (some, _) in own.items():
        _link(folder, source, roots[source], some)
    random.Random(0).shuffle(clips)  # the first clips of a list then come from all sources
    annotations.write_labels(folder, clips, [called(source, n) for source, (_, names) in own.items() for n in names])
    annotations.write_captions(folder, clips)
    annotations.write_groups(folder, [(clip.file, clip.scene) for clip in clips], folder)
    source_of = {clip.file: source for source, (some, _) in own.items() for clip in some}
    write_table(folder / "sources.csv", [["video", "source"], *([clip.file, source_of[clip.file]] for clip in clips)])
    motion = [name for part in chosen for name in getattr(part.module, "MOTION_CLASSES", own[part.name][1])]
    annotations.write_label_sets(folder, own, motion)


def _read(source: str, root: Path) -> tuple[list[Clip], list[str]]:
    """Reads a source's folder: (its clips with their names in the hybrid, its classes)."""
    classes, together = formats.read_class_names(root / "classes.txt"), read_groups(root)
    captions, backwards = (_captions(root / name) for name in ("msrvtt.json", annotations.REVERSED))
    clips = []
    for split in annotations.SPLITS:
        file = root / f"{split}.csv"
        for video in formats.read_kinetics_csv(file) if file.exists() else []:
            name, scene = Path(video.path).stem, together.get(os.path.normpath(video.path), video.path)
            words = {"captions": captions[name], "backwards": backwards.get(name, ())}
            clips.append(Clip(f"{source}-{name}", split, classes[video.label], scene=f"{source} {scene}", **words))
    return clips, classes


def _captions(file: Path) -> dict[str, tuple[str, ...]]:
    return {video.id: video.captions for video in formats.read_msrvtt_json(file)} if file.exists() else {}


def _link(folder: Path, source: str, root: Path, clips: list[Clip]) -> None:
    (folder / "videos").mkdir(exist_ok=True)
    for clip in clips:
        video, link = root / "videos" / f"{clip.name.removeprefix(f'{source}-')}.mp4", folder / clip.file
        if not link.exists():
            try:
                os.link(video, link)
            except OSError:  # a file system without links
                write_atomic(link, lambda scratch, video=video: shutil.copyfile(video, scratch))
