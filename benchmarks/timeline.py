"""`iv timeline` on an hour of video, compared with windows read one by one: the gain from sharing frames and from
sharing tokens.

Windows of four seconds, one every second. There are three ways, each in its own process, so that its peak memory is its
own. `pass` decodes every frame once and, if the encoder sees each frame by itself, encodes it once. `frames` decodes
every frame once and encodes every window. `each` reads and encodes each window by itself, for a sample in short series
all over the video, with its time scaled. `pass` also runs on a sixth of the video, to see what grows.

    python benchmarks/timeline.py --minutes 60 --model ivcore/small-multimodal
    python benchmarks/timeline.py --minutes 60 --model ivcore/small-masked-classifier
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import long_film
import numpy as np
import torch

from ivcore.data.one_pass import Pass
from ivcore.data.video_answers import VideoModel
from ivcore.video import augment
from ivcore.video.frame_folder import open_video


def main() -> None:
    parser = long_film.arguments(__doc__, minutes=60, sample=64)
    parser.add_argument("--model", default="ivcore/small-multimodal")
    parser.add_argument("--span", type=float, default=4.0, help="seconds of a window")
    parser.add_argument("--every", type=float, default=1.0, help="seconds from one window to the next")
    parser.add_argument("--out", type=Path, help="write the rows as JSON")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.side:
        return side(*options.side, options)
    with tempfile.TemporaryDirectory() as folder:
        long_film.write(options, folder, "ultrafast", whole=1, sixth=1 / 6)
        kinds = [("pass", "sixth"), ("pass", "whole"), ("frames", "whole"), ("each", "whole")]
        rows = [measured(*kind, folder, options) for kind in kinds]
    for row in rows:
        print(f"{row['way']:6} {row['video']:5} {row['windows']} windows, {row['cpu']:7.1f} processor seconds, peak {row['peak']:.0f} MiB")  # fmt: skip
    print(f"tokens shared: {rows[1]['shared']}; each by itself takes {rows[3]['cpu'] / rows[1]['cpu']:.2f} times as long, "
          f"only frames shared {rows[2]['cpu'] / rows[1]['cpu']:.2f} times; memory of the whole {rows[1]['peak'] / rows[0]['peak']:.3f} of that of a sixth")  # fmt: skip
    if options.out:
        options.out.write_text(json.dumps(rows, indent=2) + "\n")


def measured(way: str, video: str, folder: str, options) -> dict:
    named = {name: getattr(options, name) for name in ("model", "span", "every", "sample")}
    words = [str(word) for name, value in named.items() for word in (f"--{name}", value)]
    done = subprocess.run([sys.executable, __file__, "--side", way, f"{folder}/{video}.mp4", *words], check=True, capture_output=True, text=True)  # fmt: skip
    return {"way": way, "video": video} | json.loads(done.stdout.splitlines()[-1])


@torch.inference_mode()
def side(way: str, file: str, options) -> None:
    model = VideoModel.load(options.model)
    with open_video(file) as video:
        taken, length = Pass.of(model, video.fps, options.span, options.every), len(video)
    shared, count = taken.share, taken.count(length)
    taken = taken if way == "pass" else replace(taken, share=False)
    used, scale = time.process_time(), 1.0
    if way == "each":
        numbers, scale = long_film.sampled(count, options.sample, in_a_row=8)
        each_alone(file, numbers, taken, model)
    else:
        for _ in taken.parts(file, model, model.features):
            pass
    cpu = (time.process_time() - used) * scale
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"cpu": cpu, "peak": peak, "windows": count, "shared": shared}))


def each_alone(file: str, numbers: np.ndarray, taken: Pass, model: VideoModel) -> None:
    size = model.usage.image_size
    with open_video(file, size) as video:
        for number in numbers:
            frames = video.read((number * taken.stride + np.arange(taken.num_frames)) * taken.step)
            model.features(torch.from_numpy(augment.centre_crop(frames, size))[None])


if __name__ == "__main__":
    main()
