"""Frames to an H.264 .mp4 (or .avi) whose pixels do not depend on the order of the frames.

Every frame is coded by itself (GOP of 1) at one constant quantiser. With predicted frames or rate control the coding error
would grow or shrink along the clip, and a single frame would tell its place in time; for order-sensitive actions that is half of
the answer. Here a clip played backwards decodes to exactly the same frames backwards. The price is small at 64 pixels (about
12 KB for 16 frames), and every frame can be decoded without the ones before it.
"""

from fractions import Fraction
from pathlib import Path

import numpy as np

from ivcore.files import write_atomic

_X264 = {"preset": "veryfast", "qp": "18", "g": "1", "threads": "1"}  # one thread: the same bytes every time


def write_video(path, frames: np.ndarray, fps: float) -> None:
    """Writes uint8 (T, H, W, 3), H and W even, as yuv420p; the whole file appears at once, or not at all."""
    kind = "avi" if Path(path).suffix == ".avi" else "mp4"
    write_atomic(path, lambda scratch: _encode(scratch, kind, frames, Fraction(fps).limit_denominator(1001)))


def _encode(path: Path, kind: str, frames: np.ndarray, rate: Fraction) -> None:
    import av

    with av.open(str(path), "w", format=kind) as container:
        stream = container.add_stream("libx264", rate=rate, options=_X264)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        stream.codec_context.thread_count = 1
        for index, pixels in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
            frame.pts, frame.time_base = index, 1 / rate
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
