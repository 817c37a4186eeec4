"""Features of a long video in overlapping windows: decoding every frame once, compared with decoding each window by
itself.

Both read the same file and prepare the same windows of 16 frames, one every 4 frames, with and without the encoder.
Each side runs in its own process, so that its peak memory is its own. Ours also runs on half of the video, to see what
grows with the length. The other side reads only a sample of windows, in short series all over the video, and its time
is scaled to all windows.

    python benchmarks/long_video.py --minutes 10
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import long_film
import numpy as np
import torch

from ivcore.data import sliding
from ivcore.data.formats import LabelledVideo
from ivcore.data.video_answers import VideoModel
from ivcore.encoders.videomae import MaskedAutoencoder
from ivcore.video import augment
from ivcore.video.frame_folder import open_video
from ivcore.weights.usage import Usage

MOVING = sliding.Sliding(16, 4)


def main() -> None:
    parser = long_film.arguments(__doc__, minutes=10, sample=200)
    parser.add_argument("--image", type=int, default=32, help="what the encoder sees")
    parser.add_argument("--bare", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.side:
        return side(*options.side, options)
    with tempfile.TemporaryDirectory() as folder:
        long_film.write(options, folder, "veryfast", whole=1, half=0.5)
        kinds = [("ours", "half", False), *((s, "whole", bare) for bare in (False, True) for s in ("ours", "each"))]
        rows = {kind: measured(*kind, folder, options) for kind in kinds}
        ours, each = (np.load(Path(folder, f"whole.mp4.{name}.npz")) for name in ("ours", "each"))
    for (name, video, bare), row in rows.items():
        what = "decoded and cropped" if bare else "with the encoder"
        print(f"{name:4} {video:5} {what:20} {row['cpu']:7.1f} processor seconds, peak {row['peak']:.0f} MiB")
    for bare in (False, True):
        faster = rows["each", "whole", bare]["cpu"] / rows["ours", "whole", bare]["cpu"]
        print(f"{faster:.2f} times as fast {'without' if bare else 'with'} the encoder")
    apart = np.abs(ours["values"][each["numbers"]] - each["values"]).max()
    print(f"{len(ours['values'])} windows, {len(each['values'])} of them by themselves; largest difference {apart:.1e} of {np.abs(each['values']).max():.2f}")  # fmt: skip


def measured(name: str, video: str, bare: bool, folder: str, options) -> dict:
    command = [sys.executable, __file__, "--side", name, f"{folder}/{video}.mp4", "--image", str(options.image), "--sample", str(options.sample)]  # fmt: skip
    done = subprocess.run(command + ["--bare"] * bare, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


@torch.inference_mode()
def side(name: str, file: str, options) -> None:
    torch.manual_seed(0)
    network = MaskedAutoencoder("tiny", frames=16, image=options.image, patch=8).eval()
    model = VideoModel(network, Usage(options.image, 16), "random")
    function = (lambda clips: clips.float().mean((1, 2, 3))) if options.bare else model.features
    function(torch.zeros(1, 16, options.image, options.image, 3, dtype=torch.uint8))
    used, scale = time.process_time(), 1.0
    if name == "ours":
        ((_, answer),) = sliding.answers(function, model, [LabelledVideo(file, 0)], MOVING)
        values, numbers = answer.values[:, 0], np.arange(len(answer.values))
    else:
        with open_video(file) as video:
            count = MOVING.count(len(video))
        numbers, scale = long_film.sampled(count, options.sample, in_a_row=10)
        values = torch.cat([function(window) for window in each_window(file, numbers, options.image)])
    row = {"cpu": (time.process_time() - used) * scale}
    if not options.bare:
        np.savez(f"{file}.{name}.npz", values=values.numpy(), numbers=numbers)
    print(json.dumps(row | {"peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))


def each_window(file: str, numbers: np.ndarray, image: int):
    with open_video(file, image) as video:
        for number in numbers:
            frames = video.read(np.arange(MOVING.num_frames) + number * MOVING.stride)
            yield torch.from_numpy(augment.centre_crop(frames, image))[None]


if __name__ == "__main__":
    main()
