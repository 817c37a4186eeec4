"""Reads the frame table of any file that libav can demux: walks over its packets and decodes only the first frame.

If time stamps do not give the display order (see `_why_count`), the video is decoded once and its frames are counted.
"""

import contextlib
import errno
import struct
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np

from ivcore.errors import VideoError
from ivcore.video import mp4
from ivcore.video.pictures import Pictures
from ivcore.video.table import LARGEST_AREA, UPRIGHT, FrameTable, PacketTable, refuse_size

# Video containers. Other formats that libav knows are lists of files, streams from elsewhere, or raw data that it could only guess.
DEMUXERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,m4v,flv,asf,ogg,nut,gif,apng,rm,ivf,h264,hevc,vvc,obu,av1,"
    "mjpeg,vc1,mxf,dv,swf,dirac,yuv4mpegpipe,wtv,ffm,roq,smk,nsv,gxf,film_cpk,flic,cavsvideo,h263"
)
# Anticlockwise degrees -> display matrix.
QUARTER_TURNS = {0: UPRIGHT, 90: (0, -1, 1, 0), 180: (-1, 0, 0, -1), 270: (0, 1, -1, 0)}
# Measured: these codecs give one frame for each packet, in the order of the time stamps. For others, frames are counted.
ONE_FRAME_A_PACKET = [
    "h264",
    "hevc",
    "av1",
    "vp9",
    "vp8",
    "mpeg4",
    "mpeg1video",
    "mpeg2video",
    "mjpeg",
    "prores",
    "theora",
    "flv1",
    "wmv1",
    "wmv2",
    "msmpeg4v2",
    "msmpeg4v3",
    "h263",
    "huffyuv",
    "ffv1",
    "utvideo",
    "rawvideo",
    "gif",
    "png",
    "qtrle",
    "cinepak",
    "dvvideo",
    "svq1",
    "asv1",
    "msvideo1",
]
NO_STAMP = -(1 << 63)
# libav and PyAV raise these for damaged data; IndexError if a stream appears later in the file.
DEMUX_ERRORS = (ValueError, OSError, LookupError, ArithmeticError, AssertionError, RuntimeError, MemoryError)


def open_stream(path, strict: bool = False):
    """Returns (container, its video stream) that decode on one thread and mark damaged frames. The caller closes the container.

    Raises VideoError for a file that is not a video, or has no video stream or no decoder.
    """
    import av

    try:
        container = av.open(str(path), metadata_errors="ignore", options={"format_whitelist": DEMUXERS})
    except (av.FFmpegError, *DEMUX_ERRORS) as error:
        text = cause(error)
        if getattr(error, "errno", None) == errno.EINVAL:  # a container outside of DEMUXERS
            text = "a playlist, a picture or another format that is not read as video"
        raise VideoError(path, f"not a video ({text})") from None
    stream = container.streams.best("video")
    if stream is None or stream.codec_context is None:
        container.close()
        raise VideoError(path, "no video stream" if stream is None else "no decoder for its video")
    stream.thread_type = "NONE"
    stream.codec_context.thread_count = 1
    stream.codec_context.options = {
        "err_detect": "bitstream+buffer+explode" if strict else "bitstream+buffer",
        "max_pixels": str(LARGEST_AREA),
    }
    return container, stream


def cause(error) -> str:
    """libav's text for an error, without the path that PyAV appends."""
    text = getattr(error, "strerror", None) or (str(error) if isinstance(error, ValueError) else "")
    return text or f"{type(error).__name__}: {error}"


@contextlib.contextmanager
def errors_with_path(path):
    """Turns every decoding error inside into a VideoError that names the file."""
    import av

    try:
        yield
    except (av.FFmpegError, struct.error, *DEMUX_ERRORS) as error:
        raise VideoError(path, cause(error)) from None


def read_table(path) -> FrameTable:
    """The table of a file. Raises VideoError for a file that is not a video, has no frames or lost its end."""
    with errors_with_path(path):
        _check_end(path)
        container, stream = open_stream(path)
        with container:
            return _walk(path, container, stream)


def count_frames(path, table: FrameTable, why: str) -> FrameTable:
    """The table of the same file by decoding it once: its frames are those of the decoder, in the decoder's order. Raises VideoError.

    Times are the sorted time stamps if there is one for each frame, else computed from the container's frame rate.
    """
    with errors_with_path(path):
        container, stream = open_stream(path)
        with container:
            count = sum(1 for _ in container.decode(stream))
    if len(table.pts) == count:
        return replace(table, packets=None, counted=why)
    pts = np.arange(count, dtype=np.int64)
    return replace(table, pts=pts, time_base=1 / table.rate, packets=None, counted=why)


def _walk(path, container, stream) -> FrameTable:
    context = stream.codec_context
    codec = context.codec.canonical_name
    rows, frame, pictures = [], None, Pictures(codec, context.extradata)
    for packet in container.demux(stream):
        if packet.size:
            stamp = NO_STAMP if packet.pts is None else packet.pts
            rows.append((stamp, packet.pos or -1, packet.size, packet.is_keyframe, packet.is_discard))
            pictures.add(bytes(packet))
        if frame is None:
            refuse_size(path, context.height or 1, context.width or 1)
            frame = next(iter(packet.decode()), None)
    if frame is None:
        raise VideoError(path, "no frame decodes" if rows else "no frames")
    refuse_size(path, frame.height, frame.width)
    matrix = mp4.display_matrix(path) if mp4.is_mp4(path) else QUARTER_TURNS.get(frame.rotation % 360)
    rate = Fraction(stream.average_rate or stream.guessed_rate or 25)
    stamp, place, length, key, hidden = (np.array(column) for column in zip(*rows))
    key[0] |= not key.any()
    pts = np.unique(stamp[~hidden])
    packets = PacketTable(np.where(hidden, -1, np.searchsorted(pts, stamp)), place, length, stamp, key)
    doubt = f"{codec} in {container.format.name}"
    size = frame.width, frame.height
    table = FrameTable(pts, stream.time_base, codec, *size, rate, matrix or UPRIGHT, doubt, packets)
    if pictures.reordered is None:
        pictures.reordered = context.has_b_frames
    why = _why_count(table, pictures, container.format.name, hidden)
    return count_frames(path, table, why) if why else table


def _why_count(table: FrameTable, pictures: Pictures, container: str, hidden) -> str:
    """Why the time stamps do not give the display order, or ""."""
    stamp, key = table.packets.stamp, table.packets.key
    if table.codec not in ONE_FRAME_A_PACKET:
        return "packets of this codec may hold any number of frames"
    if not pictures.plain:
        return "packets that hold two pictures or none"
    if (stamp == NO_STAMP).any() or len(table.pts) < np.count_nonzero(~hidden):
        return "frames without a time stamp of their own"
    if not key[0] or (stamp < stamp[0]).any():
        return "frames before the first keyframe"
    if pictures.reordered and (container == "avi" or (np.diff(stamp) > 0).all()):
        return "time stamps in the order of decoding"
    return ""


def _check_end(path) -> None:
    """VideoError if the file is shorter than its container says, because libav reads such a file without an error."""
    size = Path(path).stat().st_size
    with open(path, "rb") as file:
        head = file.read(4096)
    try:
        end = _declared_end(head)
    except (IndexError, struct.error):
        raise VideoError(path, "cut short within its head") from None
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
    """(a Matroska length, the position after it); the length is None for "unknown", which live recordings have."""
    width = 9 - data[at].bit_length() if data[at] else 9
    value = int.from_bytes(data[at : at + width], "big") & ((1 << 7 * width) - 1)
    return (None if value == (1 << 7 * width) - 1 else value), at + width
