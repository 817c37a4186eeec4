"""The frame table of any file libav can demux: a walk over its packets, without decoding more than the first frame."""

import struct
from fractions import Fraction
from pathlib import Path

import numpy as np

from ivcore.errors import VideoError
from ivcore.video import mp4
from ivcore.video.table import UPRIGHT, FrameTable, doubt

QUARTER_TURNS = {
    0: UPRIGHT,
    90: (0, -1, 1, 0),
    180: (-1, 0, 0, -1),
    270: (0, 1, -1, 0),
}  # anticlockwise degrees


def open_stream(path):
    """-> (container, its video stream), decoding on one thread and marking damaged frames. The caller closes the container."""
    import av

    try:
        container = av.open(str(path), metadata_errors="ignore")
    except (av.FFmpegError, OSError, ValueError) as error:
        raise VideoError(path, f"not a video ({cause(error)})") from None
    stream = container.streams.best("video")
    if stream is None or stream.codec_context is None:
        container.close()
        raise VideoError(path, "no video stream" if stream is None else "no decoder for its video")
    stream.thread_type = "NONE"
    stream.codec_context.thread_count = 1
    stream.codec_context.options = {"err_detect": "bitstream+buffer"}
    return container, stream


def cause(error) -> str:
    """libav's words for an error, without the path that PyAV appends."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def read_table(path) -> FrameTable:
    """Raises VideoError for a file that is no video, has no frames or lost its end."""
    import av

    _check_end(path)
    container, stream = open_stream(path)
    with container:
        try:
            return _walk(path, container, stream)
        except (av.FFmpegError, ValueError, OSError) as error:
            raise VideoError(path, cause(error)) from None


def _walk(path, container, stream) -> FrameTable:
    packets, frame = [], None
    for packet in container.demux(stream):
        if packet.size and not packet.is_discard:
            packets.append((packet.pts, packet.is_keyframe))
        if frame is None:
            frame = next(iter(packet.decode()), None)
    if frame is None:
        raise VideoError(path, "no frame decodes" if packets else "no frames")
    matrix = mp4.display_matrix(path) if mp4.is_mp4(path) else QUARTER_TURNS.get(frame.rotation % 360)
    rate = Fraction(stream.average_rate or stream.guessed_rate or 25)
    about = (stream.codec_context.codec.canonical_name, frame.width, frame.height, rate, matrix or UPRIGHT)
    pts = [p for p, _ in packets]
    if None in pts or len(set(pts)) < len(pts):
        return _count(path, about)
    pts, key = np.array(pts, np.int64), np.array([k for _, k in packets])
    key[0] |= not key.any()
    why = doubt(container.format.name, about[0], pts, key, about[-1])
    return FrameTable(np.sort(pts), np.sort(pts[key]), stream.time_base, *about, doubt=why, walked=True)


def _count(path, about) -> FrameTable:
    """For streams without usable time stamps (raw ones, some .avi): decode once and count."""
    container, stream = open_stream(path)
    with container:
        count = sum(1 for _ in container.decode(stream))
    pts, rate = np.arange(count, dtype=np.int64), about[3]
    return FrameTable(
        pts, pts[:1], 1 / rate, *about, doubt="no usable time stamps", walked=True, counted=True
    )


def _check_end(path) -> None:
    """A container that says where it ends must reach that far; libav reads what is there and says nothing."""
    size = Path(path).stat().st_size
    with open(path, "rb") as file:
        end = _declared_end(file.read(4096))
    if end is not None and end > size:
        raise VideoError(path, f"cut short: it should have {end} bytes and has {size}")


def _declared_end(head: bytes) -> int | None:
    if head[:4] == b"RIFF" and head[8:11] == b"AVI":
        return struct.unpack_from("<I", head, 4)[0] + 8
    if head[:4] != b"\x1a\x45\xdf\xa3":
        return None
    length, start = _ebml_number(head, 4)
    start += length or 0
    if head[start : start + 4] != b"\x18\x53\x80\x67":  # the segment: everything after the header
        return None
    length, start = _ebml_number(head, start + 4)
    return None if length is None else start + length


def _ebml_number(data: bytes, at: int) -> tuple[int | None, int]:
    """A Matroska length and where it stops; None for "unknown", which live recordings write."""
    width = 9 - data[at].bit_length() if data[at] else 9
    value = int.from_bytes(data[at : at + width], "big") & ((1 << 7 * width) - 1)
    return (None if value == (1 << 7 * width) - 1 else value), at + width
