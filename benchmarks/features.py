"""What `iv features` adds to decoding: 1,000 short clips from files to vectors, beside the decoder alone on the same frames of the same files.

The decoder alone is decord, one process, one thread: open, `get_batch` at the size that the model sees, nothing kept. `iv features` is the
command as a user types it, in a process of its own: Python and torch start, the model is loaded, workers decode, vectors are written. Both read
all files once before. Processor seconds count all processes.

    python benchmarks/features.py --clips 1000 --workers 1
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
import clip_zoo as zoo
import torch

from ivcore.encoders.videomae import MaskedAutoencoder
from ivcore.train import save_weights
from ivcore.video import sampling
from ivcore.video.reader import VideoReader
from ivcore.weights.usage import Usage

KINDS = 20  # different files; the others are copies under other names


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=1000)
    parser.add_argument("--frames", type=int, default=64, help="of each file")
    parser.add_argument("--height", type=int, default=240, help="of each file; 4:3")
    parser.add_argument("--image", type=int, default=64, help="what the model sees, 16 frames every 4th")
    parser.add_argument("--encoder", default="tiny", help="of the masked autoencoder, random weights")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, help="write the rows as JSON")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place, model = Path(folder) / "clips", Path(folder) / "model.safetensors"
        write_clips(place, options)
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


def write_model(file: Path, options) -> None:
    torch.manual_seed(0)
    model = MaskedAutoencoder(options.encoder, frames=16, image=options.image, patch=8)
    save_weights(model, file, model.config | Usage(options.image, 16, "dense", 4).saved(model))


def measure(place: Path, model: Path, out: Path, options) -> dict:
    """One row: seconds and processor seconds of both, in turn."""
    began, used = time.perf_counter(), time.process_time()
    decode_all(place, options.image)
    row = {"decoder": time.perf_counter() - began, "decoder_cpu": time.process_time() - used}
    command = [sys.executable, "-m", "ivcore.run.cli", "features", place, "--model", model, "--out", out]
    began, used = time.perf_counter(), children()
    subprocess.run([*map(str, command), "--workers", str(options.workers)], check=True, stdout=subprocess.DEVNULL)
    row |= {"features": time.perf_counter() - began, "features_cpu": children() - used}
    began, used = time.perf_counter(), children()  # the same again: nothing is left to do but to start and to join
    subprocess.run([*map(str, command), "--workers", str(options.workers)], check=True, stdout=subprocess.DEVNULL)
    return row | {"nothing": time.perf_counter() - began, "nothing_cpu": children() - used}


def decode_all(place: Path, image: int) -> None:
    import decord

    for file in sorted(os.listdir(place)):
        path = place / file
        with VideoReader(path, image) as video:
            height, width, length = video.height, video.width, len(video)
        indices = sampling.dense(length, 16, 4)
        decord.VideoReader(str(path), width=width, height=height, num_threads=1).get_batch(indices).asnumpy()


def children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def show(rows: list[dict], options) -> None:
    middle = {name: sorted(row[name] for row in rows)[len(rows) // 2] for name in rows[0]}
    print(
        f"{options.clips} clips of {options.frames} frames, {options.height} lines; 16 frames of {options.image} pixels; medians of {len(rows)}"
    )
    for name, said in (
        ("decoder", "decoder alone"),
        ("features", "iv features"),
        ("nothing", "iv features, all there"),
    ):
        print(f"{said:24} {middle[name]:7.1f} s   {middle[f'{name}_cpu']:7.1f} processor seconds")
    print(
        f"decoder / features: {middle['decoder'] / middle['features']:.2f} in time, {middle['decoder_cpu'] / middle['features_cpu']:.2f} in processor time"
    )
    rest = {kind: middle[f"features{kind}"] - middle[f"nothing{kind}"] for kind in ("", "_cpu")}
    print(
        f"beyond starting and joining: {middle['decoder'] / rest['']:.2f} in time, {middle['decoder_cpu'] / rest['_cpu']:.2f} in processor time"
    )


if __name__ == "__main__":
    main()
