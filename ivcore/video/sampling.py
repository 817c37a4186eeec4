"""Chooses the frames of a clip: functions from a frame count to indices, in plain numpy.

All indices are int64, in [0, num_video_frames - 1] and never decrease (`dense_and_segment` joins two such rows). A short video is
never an error: a dense clip that would pass the end repeats the last frame, and segments share frames if there are more segments
than frames. rng: a numpy Generator for the random training view; None gives the deterministic test view. ParameterError for a count
that is not a whole number from 1.
"""

import numpy as np

from ivcore.errors import ParameterError


def _check(**counts) -> None:
    for name, value in counts.items():
        if int(value) != value or value < 1:
            raise ParameterError(f"{name}={value!r}: must be a whole number, at least 1")


def span(num_frames: int, stride: int) -> int:
    """The number of video frames from the first to the last frame of a dense clip, both included."""
    return (num_frames - 1) * stride + 1


def stride_of(num_video_frames: int, fps: float, num_frames: int, seconds: float) -> int:
    """The stride of a dense clip that spans `seconds` of a video of `fps` frames per second, or most of a shorter video. At least 1; the clip fits
    into any video of at least `num_frames` frames."""
    _check(num_video_frames=num_video_frames, num_frames=num_frames)
    return max(1, min(round(seconds * fps / num_frames), num_video_frames // num_frames))


def dense(num_video_frames: int, num_frames: int, stride: int, rng=None) -> np.ndarray:
    """`num_frames` frames, `stride` apart (VideoMAE on Kinetics: 16 x 4). -> (num_frames,)

    The start is uniform over all starts where the clip fits, or centred ((n - span) // 2) without `rng`.
    In a video shorter than the span the clip starts at 0 and repeats the last frame.
    """
    _check(num_video_frames=num_video_frames, num_frames=num_frames, stride=stride)
    room = max(num_video_frames - span(num_frames, stride), 0)
    start = room // 2 if rng is None else rng.integers(0, room + 1)
    return _clip_at(start, num_video_frames, num_frames, stride)


def views(num_video_frames: int, num_frames: int, stride: int, num_clips: int) -> list[np.ndarray]:
    """`num_clips` dense clips for multi-view testing, evenly spread: the first starts at 0, the last ends at the last frame.

    Starts are floor(i * (n - span) / (num_clips - 1)); a single clip is centred. All clips of a video shorter than the span are
    equal. -> list of (num_frames,)
    """
    _check(num_video_frames=num_video_frames, num_frames=num_frames, stride=stride, num_clips=num_clips)
    if num_clips == 1:
        return [dense(num_video_frames, num_frames, stride)]
    room = max(num_video_frames - span(num_frames, stride), 0)
    starts = [room * i // (num_clips - 1) for i in range(num_clips)]
    return [_clip_at(start, num_video_frames, num_frames, stride) for start in starts]


def around(num_video_frames: int, centre: int, num_frames: int, stride: int) -> np.ndarray:
    """`num_frames` frames, `stride` apart, with the frame `centre` in the middle, as the first of the second half. -> (num_frames,)

    The published clips of AVA (16 x 4) are one frame later and leave out the keyframe. Past the ends of the video, its first or last
    frame is repeated.
    """
    _check(num_video_frames=num_video_frames, num_frames=num_frames, stride=stride)
    places = centre + (np.arange(num_frames, dtype=np.int64) - num_frames // 2) * stride
    return np.clip(places, 0, num_video_frames - 1)


def until(num_video_frames: int, last: int, num_frames: int, stride: int) -> np.ndarray:
    """`num_frames` frames, `stride` apart, that end with the frame `last`: what can be seen before an event. -> (num_frames,)

    Before the start of the video its first frame is repeated.
    """
    _check(num_video_frames=num_video_frames, num_frames=num_frames, stride=stride)
    places = last + (np.arange(num_frames, dtype=np.int64) - num_frames + 1) * stride
    return np.clip(places, 0, num_video_frames - 1)


def mirrored(num_video_frames: int, num_frames: int) -> np.ndarray:
    """`num_frames` evenly spaced frames from the first to the last, symmetric about the middle. -> (num_frames,)

    A reversed video gives exactly the same frames in reverse. With indices rounded to one side, the frames would differ slightly, and
    their choice alone would tell an action from its reversal.
    """
    _check(num_video_frames=num_video_frames, num_frames=num_frames)
    if num_frames == 1:
        return np.array([(num_video_frames - 1) // 2])
    last, gaps = num_video_frames - 1, num_frames - 1
    front = (2 * last * np.arange((num_frames + 1) // 2) + gaps) // (2 * gaps)  # i * last / gaps, halves up
    return np.concatenate([front, last - front[: num_frames // 2][::-1]])


def segment(num_video_frames: int, num_frames: int, rng=None) -> np.ndarray:
    """One frame from each of `num_frames` equal segments (TSN; UniFormerV2, and every encoder on Something-Something).

    Segment s has the frames floor(s n / k) ... floor((s + 1) n / k) - 1: one is drawn uniformly with `rng`, else the middle one,
    (first + last) // 2, is taken. If n < k some segments are empty; they take the frame floor(s n / k). -> (num_frames,)
    """
    _check(num_video_frames=num_video_frames, num_frames=num_frames)
    first, size = _segments(num_video_frames, num_frames)
    return first + ((size - 1) // 2 if rng is None else rng.integers(0, size))


def segment_shared(num_video_frames: int, num_frames: int, rng=None) -> np.ndarray:
    """As `segment`, but at the same random position in each segment, so that frames are evenly spaced and speed is visible. -> (num_frames,)"""
    _check(num_video_frames=num_video_frames, num_frames=num_frames)
    first, size = _segments(num_video_frames, num_frames)
    return first + ((size - 1) // 2 if rng is None else np.minimum(rng.integers(0, size.min()), size - 1))


def dense_and_segment(num_video_frames: int, rng=None, *, num_dense: int, stride: int, num_segments: int) -> np.ndarray:
    """`dense` frames for one encoder, then `segment` frames of the same video for another; drawn in this order with `rng`.

    Indices never decrease within each of the two. -> (num_dense + num_segments,)
    """
    first = dense(num_video_frames, num_dense, stride, rng)
    return np.concatenate([first, segment(num_video_frames, num_segments, rng)])


def segment_views(num_video_frames: int, num_frames: int, num_clips: int) -> list[np.ndarray]:
    """`num_clips` segment-based clips for multi-view testing (UniFormerV2: 4 x 3 crops; Something-Something: 2 x 3).

    Clip c takes the frame at the share (2c + 1) / (2 num_clips) of each segment; a single clip equals `segment`.
    -> list of (num_frames,)
    """
    _check(num_video_frames=num_video_frames, num_frames=num_frames, num_clips=num_clips)
    first, size = _segments(num_video_frames, num_frames)
    return [first + (size - 1) * (2 * c + 1) // (2 * num_clips) for c in range(num_clips)]


def dense_and_segment_views(
    num_video_frames: int, num_clips: int, *, num_dense: int, stride: int, num_segments: int
) -> list[np.ndarray]:
    """`num_clips` pairs for multi-view testing of two encoders together: clip c of `views`, then clip c of `segment_views`.

    A single clip equals `dense_and_segment`. -> list of (num_dense + num_segments,)
    """
    dense_clips = views(num_video_frames, num_dense, stride, num_clips)
    segment_clips = segment_views(num_video_frames, num_segments, num_clips)
    return [np.concatenate(pair) for pair in zip(dense_clips, segment_clips, strict=True)]


def linspace(num_video_frames: int, num_frames: int) -> np.ndarray:
    """Evenly spaced frames with both ends, rounded down, as for the video-text encoder's eight frames.

    Exactly np.linspace(0, n - 1, k).astype(int), as published; a single frame is frame 0. -> (num_frames,)
    """
    _check(num_video_frames=num_video_frames, num_frames=num_frames)
    return np.linspace(0, num_video_frames - 1, num_frames).astype(np.int64)


def _clip_at(start: int, num_video_frames: int, num_frames: int, stride: int) -> np.ndarray:
    return np.minimum(start + np.arange(num_frames, dtype=np.int64) * stride, num_video_frames - 1)


def _segments(num_video_frames: int, num_frames: int) -> tuple[np.ndarray, np.ndarray]:
    edges = np.arange(num_frames + 1, dtype=np.int64) * num_video_frames // num_frames
    return edges[:-1], np.maximum(np.diff(edges), 1)
