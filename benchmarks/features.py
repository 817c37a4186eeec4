"""Cost of `iv features` beyond decoding and encoding: 1,000 short clips from files to vectors, against decoders and
encoder alone.

decord and PyAV alone, and our reader, each run in one process and one thread: they open a file, read the frames that
the model sees at its size, and keep nothing. The encoder alone turns uint8 clips in memory into vectors, in one thread,
in batches of `--batch`. `iv features` is the user's command in its own process: Python and torch start, the model is
loaded, workers decode, vectors are written. All files have been read before. Processor seconds count all processes;
trust these on a busy machine. `--index` measures `iv index` instead, which needs a model that reads sentences; it kills
the command once in the middle, and times answers of the finished index.

    python benchmarks/features.py --clips 1000 --workers 1
    python benchmarks/features.py --place my_videos --model 10/small --clips 1000
    python benchmarks/features.py --place my_videos --model ivcore/small-multimodal --clips 1000 --index
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
import av
import clip_zoo as zoo
import numpy as np
import torch

from ivcore.data.video_answers import VideoModel
from ivcore.data.views import Views
from ivcore.data.windows import Piece, decode
from ivcore.encoders.videomae import MaskedAutoencoder
from ivcore.run import finished_model
from ivcore.run.video_index import VideoIndex
from ivcore.train import save_weights
from ivcore.video.reader import VideoReader
from ivcore.weights.usage import Usage

KINDS = 20  # different files; the others are copies with other names
SENTENCES = ("a red square slides left", "a person walks", "a blue ring turns around", "the arm opens a door")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=1000)
    parser.add_argument(
        "--place", type=Path, help="a folder of video files in place of written ones; the first `--clips`"
    )
    parser.add_argument("--model", help="as of iv features, in place of --image and --encoder")
    parser.add_argument("--batch", type=int, default=8, help="of the encoder alone")
    parser.add_argument("--frames", type=int, default=64, help="of each file")
    parser.add_argument("--height", type=int, default=240, help="of each file; 4:3")
    parser.add_argument("--image", type=int, default=64, help="what the model sees, 16 frames every 4th")
    parser.add_argument("--encoder", default="tiny", help="of the masked autoencoder, random weights")
    parser.add_argument("--index", action="store_true", help="iv index in place of iv features; needs --model")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, help="write the rows as JSON")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place, model = Path(folder) / "clips", Path(folder) / "model.safetensors"
        if options.place:
            link_clips(options.place, place, options.clips)
        else:
            write_clips(place, options)
        if options.model:
            model = finished_model.find(options.model)
        else:
            write_model(model, options)
        rows = [measure(place, model, Path(folder) / f"out{i}", options) for i in range(options.repeats)]
    show(rows, options)
    if options.out:
        options.out.write_text(json.dumps(rows, indent=2) + "\n")


def write_clips(place: Path, options) -> None:
    place.mkdir()
    size = (options.height, options.height * 4 // 3 // 2 * 2)
    for i in range(options.clips):
        file = place / f"{i:05d}.mp4"
        if i < KINDS:
            zoo.write(file, frames=options.frames, size=size, options={"preset": "veryfast", "bf": "3", "g": "250"})
        else:
            file.write_bytes((place / f"{i % KINDS:05d}.mp4").read_bytes())


def link_clips(of: Path, place: Path, clips: int) -> None:
    place.mkdir()
    for file in sorted(each for each in of.rglob("*") if each.suffix in (".mp4", ".mov", ".mkv", ".webm"))[:clips]:
        (place / f"{len(os.listdir(place)):05d}{file.suffix}").symlink_to(file.resolve())


def write_model(file: Path, options) -> None:
    torch.manual_seed(0)
    model = MaskedAutoencoder(options.encoder, frames=16, image=options.image, patch=8)
    save_weights(model, file, model.config | Usage(options.image, 16, "dense", 4).saved(model))


def measure(place: Path, model: Path, out: Path, options) -> dict:
    """One row: seconds and processor seconds of each, in turn."""
    torch.set_num_threads(1)
    loaded, row = VideoModel.load(str(model)), {}
    used, files = loaded.usage, [str(place / name) for name in sorted(os.listdir(place))]
    wanted = [needed(file, used) for file in files]
    clips = np.concatenate([decode(Piece(file), used.views()).clips[0] for file in files])
    for name, work in (
        ("decord", lambda: [by_decord(*each) for each in wanted]),
        ("pyav", lambda: [by_pyav(*each) for each in wanted]),
        ("ours", lambda: [decode(Piece(file), used.views()) for file in files]),
        ("encoder", lambda: encode(loaded, clips, options.batch)),
    ):
        row |= timed(name, work, time.process_time)
    kind = "index" if options.index else "features"
    command = [sys.executable, "-m", "ivcore.run.cli", kind, place, "--model", model, "--workers", options.workers]
    command = [*map(str, command), "--out"]
    for name in ("features", "nothing"):  # the same again: only starting and joining are left to do
        row |= timed(name, lambda: subprocess.run([*command, out], check=True, stdout=subprocess.DEVNULL), children)
    return row | (asked(out) | killed(command, out, len(files)) if options.index else {})


def asked(out: Path) -> dict:
    """Median and slowest seconds of 200 answers of an open index."""
    index = VideoIndex.open(out, "cpu")
    seconds = sorted(index.search(SENTENCES[i % len(SENTENCES)])[2] for i in range(200))
    return {"answer": seconds[100], "slowest_answer": seconds[-1]}


def killed(command: list[str], whole: Path, clips: int) -> dict:
    """Repeats the command in another folder, kills it with SIGKILL after a third of the clips, and restarts it: number
    of clips at the kill, and the largest difference of the features. AssertionError if the rows differ.
    """
    out = whole.with_name(f"{whole.name}_killed")
    done = out / "done.jsonl"
    first = subprocess.Popen([*command, out], stdout=subprocess.DEVNULL, start_new_session=True)
    while first.poll() is None and (not done.exists() or done.read_bytes().count(b"\n") < clips / 3):
        time.sleep(0.2)
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    there = done.read_bytes().count(b"\n")
    subprocess.run([*command, out], check=True, stdout=subprocess.DEVNULL)
    names = ("index.csv", "features.npy")
    rows, values = ([(folder / name) for folder in (whole, out)] for name in names)
    assert rows[0].read_bytes() == rows[1].read_bytes(), "rows are lost or doubled"
    assert len(done.read_text().splitlines()) == clips, "something was made twice, or is missing"
    return {"killed_at": there, "largest_difference": float(np.abs(np.subtract(*map(np.load, values))).max())}


def timed(name: str, work, processor) -> dict:
    began, used = time.perf_counter(), processor()
    work()
    return {name: time.perf_counter() - began, f"{name}_cpu": processor() - used}


def needed(file: str, used: Usage) -> tuple[str, int, int, np.ndarray]:
    """(file, height, width, frame numbers) of the clip that the model sees."""
    with VideoReader(file, used.image_size) as video:
        frames = Views([], **used.views())._frames(len(video), used.sampling_rate)
        return file, video.height, video.width, np.unique(np.concatenate(frames))


def by_decord(file: str, height: int, width: int, numbers: np.ndarray) -> None:
    import decord

    decord.VideoReader(file, width=width, height=height, num_threads=1).get_batch(numbers).asnumpy()


def by_pyav(file: str, height: int, width: int, numbers: np.ndarray) -> None:
    wanted = set(numbers.tolist())
    with av.open(file) as container:
        container.streams.video[0].codec_context.thread_count = 1
        for i, frame in enumerate(container.decode(video=0)):
            if i in wanted:
                frame.reformat(width=width, height=height, format="rgb24").to_ndarray()
                wanted.remove(i)
                if not wanted:
                    break


@torch.inference_mode()
def encode(model: VideoModel, clips: np.ndarray, batch: int) -> None:
    for part in torch.from_numpy(clips).split(batch):
        model.features(part)


def children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def show(rows: list[dict], options) -> None:
    middle = {name: sorted(row[name] for row in rows)[len(rows) // 2] for name in rows[0]}
    print(f"{options.clips} clips, {options.workers} workers, medians of {len(rows)}")
    kind = "index" if options.index else "features"
    for name, said in (
        ("decord", "decord alone"),
        ("pyav", "PyAV alone"),
        ("ours", "our reader alone"),
        ("encoder", f"encoder alone, batch {options.batch}"),
        ("features", f"iv {kind}"),
        ("nothing", f"iv {kind}, all there"),
    ):
        print(f"{said:24} {middle[name]:7.1f} s   {middle[f'{name}_cpu']:7.1f} processor seconds")
    for kind, said in (("", "time"), ("_cpu", "processor time")):
        rest = middle[f"features{kind}"] - middle[f"nothing{kind}"]  # besides starting and joining
        decoder, encoder = middle[f"decord{kind}"], middle[f"encoder{kind}"]
        print(
            f"{said}: decord / features {decoder / middle[f'features{kind}']:.2f}, beyond starting {decoder / rest:.2f}; "
            f"(decord + encoder) / features {(decoder + encoder) / middle[f'features{kind}']:.2f}, beyond starting {(decoder + encoder) / rest:.2f}"
        )
    if options.index:
        print(f"an answer {1000 * middle['answer']:.1f} ms, the slowest {1000 * middle['slowest_answer']:.1f} ms")
        print(
            f"killed with {middle['killed_at']} there: then whole, largest difference {middle['largest_difference']:.1e}"
        )


if __name__ == "__main__":
    main()
