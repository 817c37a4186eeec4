"""Packs captioned files into tar shards: large files, read from front to back, which is fast on network and cluster file systems."""

import itertools
import json
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from ivcore.data.captions import texts
from ivcore.errors import ParameterError, UserError

_NUMBER = "%06d.tar"


def write_shards(records, folder, per_shard: int = 1000) -> dict:
    """Packs records (`.path`, `.captions`) in order into <folder>/000000.tar, …; members: the file, and .txt or .json with captions.

    A shard appears when it is complete. Missing files and records without a caption are left out, counted and listed in
    <folder>/skipped.jsonl. The files are not decoded: training finds and counts damaged ones.
    Returns counts dict(read, written, shards, missing, empty). ParameterError for a bad `per_shard`, UserError if nothing can be packed.
    """
    from webdataset import ShardWriter

    if int(per_shard) != per_shard or per_shard < 1:
        raise ParameterError(f"per_shard={per_shard!r}: must be a whole number, at least 1")
    folder, counts, skipped = Path(folder).absolute(), Counter(), []  # a relative name may look like an address
    folder.mkdir(parents=True, exist_ok=True)
    samples = _samples(records, counts, skipped)
    if (first := next(samples, None)) is None:
        raise UserError(f"nothing to pack: {counts['read']} records, none with a file and a caption")
    hidden = str(folder).replace("%", "%%") + f"/.{_NUMBER}.tmp"
    options = {"maxcount": per_shard, "verbose": 0, "mtime": 0, "post": _appear}
    with ShardWriter(hidden, **options) as writer:
        for sample in itertools.chain([first], samples):
            writer.write({"__key__": f"{writer.total:09d}", **sample})
        counts.update(written=writer.total, shards=writer.shard)
    (folder / "skipped.jsonl").write_text("".join(json.dumps(row) + "\n" for row in skipped))
    return {name: counts[name] for name in ("read", "written", "shards", "missing", "empty")}


def _samples(records, counts: Counter, skipped: list) -> Iterator[dict]:
    for record in records:
        counts["read"] += 1
        captions = [text for text, _ in map(texts.read, record.captions) if text]
        reason = "missing" if not os.path.isfile(record.path) else "" if captions else "empty"
        if reason:
            counts[reason] += 1
            skipped.append({"key": record.path, "reason": reason})
        else:
            yield _sample(record, captions)


def _sample(record, captions: list[str]) -> dict:
    suffix = Path(record.path).suffix.lower().lstrip(".") or "mp4"
    listed = {"id": getattr(record, "id", None), "path": record.path, "captions": captions}
    text = {"txt": captions[0]} if len(captions) == 1 else {"json": json.dumps(listed)}
    return {suffix: Path(record.path).read_bytes(), **text}


def _appear(name: str) -> None:
    """Renames a complete shard: .000000.tar.tmp -> 000000.tar"""
    hidden = Path(name)
    os.replace(hidden, hidden.with_name(hidden.name[1 : -len(".tmp")]))
