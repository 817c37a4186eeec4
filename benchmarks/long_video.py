"""Features of a long video in windows that overlap: every frame decoded once, beside decoding each window by itself.

Both read the same file and give the same encoder the same windows of 16 frames, one every 4 frames. Each side runs in a process of its own, so that its
peak memory is its own; once more on half of the video, to see what grows with the length.

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

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
import clip_zoo as zoo
import numpy as np
import torch

from ivcore.data import sliding
from ivcore.data.formats import LabelledVideo
from ivcore.data.video_answers import VideoModel
from ivcore.encoders.videomae import MaskedAutoencoder
from ivcore.video import augment
from ivcore.video.frame_folder import open_video
from ivcore.weights.usage import Usage

FPS = 25


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--height", type=int, default=240, help="of the file; 4:3")
    parser.add_argument("--gop", type=int, default=60, help="frames from one key frame of the file to the next")
    parser.add_argument("--image", type=int, default=32, help="what the encoder sees")
    parser.add_argument("--side", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        return side(*options.side, options.image)
    with tempfile.TemporaryDirectory() as folder:
        size = (options.height, options.height * 4 // 3 // 2 * 2)
        for name, share in (("whole", 1), ("half", 0.5)):
            zoo.write(Path(folder, f"{name}.mp4"), frames=round(options.minutes * 60 * FPS * share), size=size, options={"preset": "veryfast", "g": str(options.gop)})  # fmt: skip
        rows = {(s, v): measured(s, Path(folder, f"{v}.mp4"), options) for s, v in (("ours", "whole"), ("ours", "half"), ("each", "whole"))}  # fmt: skip
        ours, each = (np.load(Path(folder, f"whole.mp4.{name}.npy")) for name in ("ours", "each"))
    for (name, video), row in rows.items():
        print(f"{name:5} {video:6} {row['cpu']:7.1f} processor seconds, {row['seconds']:7.1f} s, peak {row['peak']:.0f} MiB")  # fmt: skip
    faster = rows["each", "whole"]["cpu"] / rows["ours", "whole"]["cpu"]
    print(f"{len(ours)} windows; {faster:.2f} times as fast; largest difference {np.abs(ours - each).max():.1e} of {np.abs(each).max():.2f}")  # fmt: skip


def measured(name: str, file: Path, options) -> dict:
    command = [sys.executable, __file__, "--side", name, str(file), "--image", str(options.image)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])


@torch.inference_mode()
def side(name: str, file: str, image: int) -> None:
    torch.manual_seed(0)
    model = VideoModel(MaskedAutoencoder("tiny", frames=16, image=image, patch=8).eval(), Usage(image, 16), "random")
    moving = sliding.Sliding(16, 4)
    began, used = time.perf_counter(), time.process_time()
    if name == "ours":
        ((_, answer),) = sliding.answers(model.features, model, [LabelledVideo(file, 0)], moving)
        values = answer.values[:, 0]
    else:
        values = torch.cat([model.features(window) for window in each_window(file, moving, image)])
    row = {"seconds": time.perf_counter() - began, "cpu": time.process_time() - used}
    np.save(f"{file}.{name}.npy", values.numpy())
    print(json.dumps(row | {"peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))


def each_window(file: str, moving: sliding.Sliding, image: int):
    with open_video(file, image) as video:
        count = moving.count(len(video))
        for number in range(count):
            frames = video.read(np.arange(moving.num_frames) + number * moving.stride)
            yield torch.from_numpy(augment.centre_crop(frames, image))[None]


if __name__ == "__main__":
    main()
