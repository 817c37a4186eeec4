"""Video files for the tests, written through PyAV: every frame carries its own number, so that accuracy is checked exactly."""

import os
from contextlib import contextmanager
from fractions import Fraction

import av
import numpy as np

os.environ.setdefault("SVT_LOG", "0")  # the AV1 encoder otherwise talks
BITS = 12  # numbers below 4096, drawn as a grid of 3 x 4 cells over the whole frame


def draw(number: int, height: int, width: int) -> np.ndarray:
    """A frame that shows `number`: bright and dark cells, with a moving slope so that frames differ beyond the code."""
    rows = np.arange(height) * 3 // height
    columns = np.arange(width) * 4 // width
    bit = (number >> (rows[:, None] * 4 + columns[None])) & 1
    slope = (np.arange(width)[None] * 2 + number * 5) % 32
    grey = np.where(bit, 190, 50) + slope
    return np.stack([grey, grey * 3 // 4 + 20, 255 - grey], axis=2).astype(np.uint8)


def film(number: int, frames=20, height=32, width=32) -> np.ndarray:
    """Plain frames whose red tells the frame and whose other channels tell the clip."""
    colours = np.array([(12 * frame, 20 * number, 20 * number) for frame in range(frames)], np.uint8)
    return np.broadcast_to(colours[:, None, None], (frames, height, width, 3))


def number(frame: np.ndarray) -> int:
    """The number shown by a decoded frame (H, W, 3)."""
    height, width = frame.shape[:2]
    code = 0
    for bit in range(BITS):
        row, column = divmod(bit, 4)
        cell = frame[
            (4 * row + 1) * height // 12 : (4 * row + 3) * height // 12 + 1,
            (4 * column + 1) * width // 16 : (4 * column + 3) * width // 16 + 1,
            0,
        ]
        code |= int(cell.mean() > 135) << bit
    return code


def numbers(frames) -> list[int]:
    return [number(frame) for frame in frames]


def write(
    path, codec="libx264", frames=30, size=(48, 64), fps=30, pix_fmt="yuv420p", ticks=None, rotation=0, options=None
):
    """One video file of numbered frames. size: (height, width). ticks: display time of each frame in 1/1000 s (variable rate)."""
    height, width = size
    with as_urgent_as_before(), av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=Fraction(fps), options=quick(codec) | (options or {}))
        stream.width, stream.height, stream.pix_fmt = width, height, pix_fmt
        if rotation:
            stream.set_display_rotation(rotation)
        if ticks is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        for i in range(frames):
            frame = av.VideoFrame.from_ndarray(draw(i, height, width), format="rgb24")
            if ticks is not None:
                frame.pts, frame.time_base = int(ticks[i]), Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@contextmanager
def as_urgent_as_before():
    """SVT-AV1 makes the thread that calls it real-time where it may (as root), and all that this starts later: nothing else would get to run."""
    before = (
        (os.sched_getscheduler(0), os.sched_getparam(0)) if hasattr(os, "sched_getscheduler") else None
    )  # not on macOS
    try:
        yield
    finally:
        if before:
            os.sched_setscheduler(0, *before)


def quick(codec: str) -> dict:
    """The fastest settings of an encoder; its log lines off."""
    return {
        "libx264": {"preset": "ultrafast", "bf": "0", "g": "12"},
        "libx265": {
            "preset": "ultrafast",
            "x265-params": "log-level=none:open-gop=0:keyint=12:pools=none:frame-threads=1",
        },
        "libvpx-vp9": {"deadline": "realtime", "cpu-used": "8", "g": "12"},
        "libvpx": {"deadline": "realtime", "cpu-used": "8", "g": "12"},
        "libsvtav1": {"preset": "13", "svtav1-params": "lp=1", "g": "12"},
        "mpeg4": {"g": "12", "q": "3"},
    }.get(codec, {})


def open_gop(path, codec="libx264", frames=60, size=(48, 64)):
    """Keyframes every 10 frames whose preceding B-frames are decoded after them."""
    if codec == "libx265":
        params = "log-level=none:open-gop=1:keyint=10:min-keyint=10:bframes=3:b-adapt=0:scenecut=0:pools=none:frame-threads=1"
        options = {"preset": "ultrafast", "x265-params": params}
    else:
        options = {
            "preset": "veryfast",
            "bf": "3",
            "g": "10",
            "x264-params": "open-gop=1:b-adapt=0:scenecut=0:keyint=10:min-keyint=10",
        }
    return write(path, codec, frames, size, options=options)


def cut(source, path, first: int):
    """Like `ffmpeg -ss TIME -c copy`: starts at the keyframe before frame `first`, hidden by an edit list up to it."""
    with av.open(str(source)) as reader, av.open(str(path), "w", options={"avoid_negative_ts": "disabled"}) as writer:
        stream = reader.streams.video[0]
        packets = [p for p in reader.demux(stream) if p.size]
        shown = sorted(p.pts for p in packets)[first]
        start = max(i for i, p in enumerate(packets) if p.is_keyframe and p.pts <= shown)
        copy = writer.add_stream_from_template(stream)
        for packet in packets[start:]:
            packet.pts, packet.dts = packet.pts - shown, packet.dts - shown
            packet.stream = copy
            writer.mux(packet)
    return path


def remux(source, path, options=None):
    """The same packets in another container, or laid out otherwise."""
    with av.open(str(source)) as reader, av.open(str(path), "w", options=options or {}) as writer:
        stream = reader.streams.video[0]
        copy = writer.add_stream_from_template(stream)
        for packet in reader.demux(stream):
            if packet.size:
                packet.stream = copy
                writer.mux(packet)
    return path


def audio_only(path):
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=44100)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 44100), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 44100
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def remux_audio(source, path):
    with av.open(str(source)) as reader, av.open(str(path), "w") as writer:
        copy = writer.add_stream_from_template(reader.streams.audio[0])
        for packet in reader.demux(audio=0):
            if packet.size:
                packet.stream = copy
                writer.mux(packet)
    return path


def truncate(source, path, share: float):
    data = source.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    return path


def flip_bits(source, path, flips: int, seed: int, area=(0.2, 0.8)):
    """Flip single bits within a share of the file."""
    rng = np.random.default_rng(seed)
    data = bytearray(source.read_bytes())
    for at in rng.integers(int(area[0] * len(data)), int(area[1] * len(data)), flips):
        data[at] ^= 1 << int(rng.integers(8))
    path.write_bytes(data)
    return path


def sequential(path) -> np.ndarray:
    """Every frame from first to last, by plain decoding: the oracle. uint8 (n, H, W, 3), as stored"""
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def flagged(path) -> list[bool]:
    """Which frames the decoder itself marks as damaged, decoding from the start; cut short where it gives up."""
    marks = []
    with av.open(str(path)) as container:
        container.streams.video[0].thread_type = "NONE"
        try:
            marks.extend(frame.is_corrupt for frame in container.decode(video=0))
        except av.FFmpegError:
            return marks
    return marks
