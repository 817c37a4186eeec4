"""`iv check`: reads a list of videos and the videos themselves, and reports every problem that training would meet.

A list is a Kinetics CSV (`path label`), a pretraining list or a table of captions. Malformed rows are reported like unreadable videos.
Training skips a few unreadable files and stops at many. The check finds all of them at once, in several processes, even a
file that kills the process that reads it.
"""

import json
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from ivcore.cores import cores
from ivcore.data import crash_safe_pool, formats
from ivcore.errors import FormatError, UserError, VideoError, one_line, shown
from ivcore.files import fingerprint
from ivcore.progress import Progress
from ivcore.video.probe import Probe, probe

SHOWN = 20  # findings printed; a file gets all


@dataclass(frozen=True)
class Finding:
    """kind: row (malformed), missing, unreadable, damaged, fatal (kills the process that reads it), repeated, contradictory, frames (a row
    names frames that the video lacks), classes (a label without a name) or labels (a label without a video). path: the video's; for row and labels
    the list's."""

    kind: str
    path: str
    cause: str


@dataclass
class Check:
    source: str
    records: list
    bad_rows: list[FormatError] = field(default_factory=list)
    probes: dict[str, Probe] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    def good(self) -> list:
        """Records with a readable file and a label that has a name and is not contradicted; each file once."""
        bad = {os.path.realpath(finding.path) for finding in self.findings if finding.kind != "repeated"}
        files = {}
        for record in self.records:
            files.setdefault(os.path.realpath(record.path), record)
        return [record for file, record in files.items() if file not in bad]

    def lines(self) -> list[str]:
        """The summary: counts, ranges, decoders, and the first findings."""
        videos = [video for video in self.probes.values() if video.frames]
        lines = [
            f"{self.source}: {len(self.records) + len(self.bad_rows)} lines, {len(self.probes)} files, "
            f"{len(videos)} readable"
        ]
        if videos:
            lines += _ranges(videos)
        counts = Counter(finding.kind for finding in self.findings)
        lines += [f"found: {', '.join(f'{n} {kind}' for kind, n in counts.items()) or 'nothing to mend'}"]
        lines += [f"  {one_line(f'{each.kind}: {each.path}: {each.cause}')}" for each in self.findings[:SHOWN]]
        if len(self.findings) > SHOWN:
            lines += [f"  … and {len(self.findings) - SHOWN} more; -o FILE lists all of them"]
        return lines


def check(
    path, root=None, *, found: Callable[[Finding], object], workers: int | None = None, strict: bool = False
) -> Check:
    """Checks a list and every file in it; calls `found` with each Finding at once.

    Raises FormatError if all rows of the list are malformed, UserError if the list does not exist.
    """
    result = Check(Path(path).name, *_read(path, root))

    def note(finding: Finding) -> None:
        result.findings.append(finding)
        found(finding)

    rows = [Finding("row", f"{error.path}:{error.line}", error.expected) for error in result.bad_rows]
    for finding in [*rows, *_repeated(result.records), *_labels(Path(path), result.records)]:
        note(finding)
    files = list(dict.fromkeys(record.path for record in result.records))
    for file, probed in probed_files(files, workers, strict):
        result.probes[file] = probed
        if probed.kind:
            note(Finding(probed.kind, file, probed.cause))
    for finding in _spans(result):
        note(finding)
    places = {file: place for place, file in enumerate(files)}
    result.findings.sort(key=lambda finding: places.get(finding.path, -1))  # in the order of the list
    return result


def probed_files(files: Sequence[str], workers: int | None = None, strict: bool = False) -> Iterator[tuple[str, Probe]]:
    """Yields (file, Probe) as each is read, in any order, in several processes; shows a progress bar."""
    workers = workers or cores()
    with Progress(len(files), "check", unit="file") as bar:
        done = crash_safe_pool.each(partial(probe, strict=strict), files, workers)
        for count, (index, probed) in enumerate(done, 1):
            if isinstance(probed, crash_safe_pool.Died):
                probed = Probe("fatal", f"the process that reads it is {probed}")
            yield files[index], probed
            bar.update(count)


def probed_once(files: Sequence[str], kept: Path) -> dict[str, Probe]:
    """file -> Probe. Each result is written to the file `kept` at once: a stopped call can continue, and an unchanged file is not read
    again."""
    states = {file: fingerprint(file) for file in files}
    probes = {file: probed for file, (state, probed) in _kept_probes(kept).items() if states.get(file) == state}
    if left := [file for file in files if file not in probes]:
        with open(kept, "a", encoding="utf-8") as rows:
            rows.write("\n")  # ends a line that a kill has cut off
            for file, probed in probed_files(left):
                probes[file] = probed
                rows.write(json.dumps([file, states[file], asdict(probed)]) + "\n")
                rows.flush()
    return probes


def _kept_probes(kept: Path) -> dict[str, tuple[tuple[int, int], Probe]]:
    """file -> (fingerprint, Probe). Skips a line cut off by a kill; the last line of a file counts."""
    found = {}
    for line in kept.read_text(encoding="utf-8", errors="replace").splitlines() if kept.is_file() else ():
        try:
            file, state, fields = json.loads(line)
            found[file] = tuple(state), Probe(**fields)
        except (ValueError, TypeError, RecursionError):
            continue
    return found


def write_finding(file, finding: Finding) -> None:
    """Writes one JSON object a line and flushes: an interrupted check keeps its findings."""
    file.write(json.dumps(vars(finding)) + "\n")
    file.flush()


def write_list(path, result: Check, root=None) -> None:
    """Writes the good records as `path label`, paths relative to `root` or to the new list's folder. UserError if none is good or labels lack."""
    good = result.good()
    if len(_labelled(good)) < len(good):
        raise UserError("--write: only lists of `path label` are written")
    if not good:
        raise UserError(f"--write: nothing in {result.source} can be trained on")
    formats.write_kinetics_csv(path, good, root)


def _read(path, root) -> tuple[list, list[FormatError]]:
    """Returns (records, the errors of malformed rows)."""
    if os.path.isdir(path):
        lists = [
            *Path(path).glob("train.csv"),
            *sorted(Path(path).glob("*/train.csv")),
            *sorted(Path(path).glob("*.csv")),
        ]
        example = f"give its list, {lists[0]}" if lists else "give a list of its videos, with `path label` on each line"
        raise UserError(f"{path}: is a folder; {example}")
    if not os.path.isfile(path):
        raise UserError(f"{shown(str(path))}: there is no such list")
    with formats.without_bad_rows() as bad:
        if Path(path).suffix in (".json", ".jsonl"):
            return formats.read_captions(path, root), bad
        try:
            return formats.read_captions(path, root), bad
        except FormatError:
            bad.clear()
            return formats.read_video_list(path, root), bad


def _labelled(records) -> list[formats.LabelledVideo]:
    """The records of a Kinetics CSV. In pretraining lists labels mean nothing, and a path is repeated for each of its pieces."""
    return [record for record in records if isinstance(record, formats.LabelledVideo)]


def _repeated(records) -> list[Finding]:
    rows = defaultdict(list)
    for record in _labelled(records):
        rows[os.path.realpath(record.path)].append(record)
    return [_repetition(several) for several in rows.values() if len(several) > 1]


def _repetition(records) -> Finding:
    labels = sorted({record.label for record in records})
    where = f"in {len(records)} lines"
    if len(labels) > 1:
        return Finding("contradictory", records[0].path, f"{where}, with the labels {', '.join(map(str, labels))}")
    return Finding("repeated", records[0].path, where)


def _spans(result: Check) -> list[Finding]:
    """Rows of a pretraining list that name frames that their video lacks."""
    findings = []
    for record in result.records:
        if isinstance(record, formats.PretrainVideo) and not result.probes[record.path].kind:
            try:
                record.span(result.probes[record.path].frames)
            except VideoError as error:
                findings.append(Finding("frames", record.path, error.cause))
    return findings


def _labels(path: Path, records) -> list[Finding]:
    present = {record.label for record in _labelled(records)}
    if not present:
        return []
    listed = path.with_name("classes.txt")
    try:
        names = len(formats.read_class_names(listed)) if listed.exists() else 0
    except FormatError as error:
        return [Finding("classes", str(listed), str(error))]
    beyond = {record.path: record.label for record in _labelled(records) if 0 < names <= record.label}
    findings = [
        Finding("classes", file, f"label {label}: {listed} has {names} names, for labels 0 to {names - 1}")
        for file, label in beyond.items()
    ]
    count = max(present) + 1
    if absent := max(count, names) - len(present):
        first = min(set(range(len(present) + 1)) - present)
        of = f"{absent} of the labels 0 to {max(count, names) - 1} have no video, e.g. {first}"
        findings += [Finding("labels", str(path), of)]
    return findings


def _ranges(videos: list[Probe]) -> list[str]:
    frames, seconds = [v.frames for v in videos], [v.seconds for v in videos]
    areas = sorted({(v.width * v.height, v.width, v.height) for v in videos})
    (_, *small), (_, *large) = areas[0], areas[-1]
    readers = Counter((v.codec, v.reader) for v in videos).most_common()
    return [
        f"frames {min(frames)} to {max(frames)}, median {np.median(frames):.0f}; "
        f"seconds {min(seconds):.1f} to {max(seconds):.1f}; size {small[0]}x{small[1]} to {large[0]}x{large[1]}",
        "decoded: " + ", ".join(f"{count} {codec} by {reader}" for (codec, reader), count in readers),
    ]
