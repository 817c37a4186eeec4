"""Which frames make a clip: index functions on a frame count, in plain numpy.

Common to all of them: indices are int64, lie in [0, num_video_frames - 1] and never decrease (`dense_and_segment` joins two such
rows). A video that is too short is never an error: a dense clip that would run past the end repeats the last frame, and segments
share frames if there are more segments than frames. `rng` is a numpy Generator for the random training view; None gives the one
deterministic test view.
"""

import numpy as np

from ivcore.errors import ParameterError


def _check(**counts) -> None:
    for name, value in counts.items():
        if int(value) != value or value < 1:
            raise ParameterError(f"{name}={value!r}: must be a whole number, at least 1")


def span(num_frames: int, stride: int) -> int:
    """Video frames from the first to the last frame of a dense clip, both included."""
    return (num_frames - 1) * stride + 1


def dense(num_video_frames: int, num_frames: int, stride: int, rng=None) -> np.ndarray:
    """`num_frames` consecutive frames, every `stride`-th (VideoMAE on Kinetics: 16 x 4).

    The start is uniform over every start from which the clip fits, or centred ((n - span) // 2) without `rng`.
    A video shorter than the span starts at 0 and repeats its last frame. -> (num_frames,)
    """
    _check(num_video_frames=num_video_frames, num_frames=num_frames, stride=stride)
    room = max(num_video_frames - span(num_frames, stride), 0)
    start = room // 2 if rng is None else rng.integers(0, room + 1)
    return _clip_at(start, num_video_frames, num_frames, stride)


def views(num_video_frames: int, num_frames: int, stride: int, num_clips: int) -> list[np.ndarray]:
    """`num_clips` dense clips for multi-view testing, spread evenly: the first starts at 0, the last ends on the last frame.

    Starts are floor(i * (n - span) / (num_clips - 1)); one clip alone is the centred one. All clips of a video shorter than the
    span are the same. -> list of (num_frames,)
    """
    _check(num_video_frames=num_video_frames, num_frames=num_frames, stride=stride, num_clips=num_clips)
    if num_clips == 1:
        return [dense(num_video_frames, num_frames, stride)]
    room = max(num_video_frames - span(num_frames, stride), 0)
    starts = [room * i // (num_clips - 1) for i in range(num_clips)]
    return [_clip_at(start, num_video_frames, num_frames, stride) for start in starts]


def around(num_video_frames: int, centre: int, num_frames: int, stride: int) -> np.ndarray:
    """`num_frames` frames, every `stride`-th, with the frame `centre` in the middle, first of the second half. The published clips of AVA (16 x 4) lie a frame
    later and leave the keyframe itself out.

    Past either end of the video its first or last frame is repeated. -> (num_frames,)
    """
    _check(num_video_frames=num_video_frames, num_frames=num_frames, stride=stride)
    places = centre + (np.arange(num_frames, dtype=np.int64) - num_frames // 2) * stride
    return np.clip(places, 0, num_video_frames - 1)


def until(num_video_frames: int, last: int, num_frames: int, stride: int) -> np.ndarray:
    """`num_frames` frames, every `stride`-th, of which the frame `last` is the last: what can be known before something happens. Before the video
    begins its first frame is repeated. -> (num_frames,)
    """
    _check(num_video_frames=num_video_frames, num_frames=num_frames, stride=stride)
    places = last + (np.arange(num_frames, dtype=np.int64) - num_frames + 1) * stride
    return np.clip(places, 0, num_video_frames - 1)


def mirrored(num_video_frames: int, num_frames: int) -> np.ndarray:
    """`num_frames` evenly spaced frames from the first to the last, mirrored about the middle.

    A clip played backwards gives exactly the same frames backwards. Indices rounded to one side would give slightly different frames,
    and the choice of frames alone would tell an action from its reversal. -> (num_frames,)
    """
    _check(num_video_frames=num_video_frames, num_frames=num_frames)
    if num_frames == 1:
        return np.array([(num_video_frames - 1) // 2])
    last, gaps = num_video_frames - 1, num_frames - 1
    front = (2 * last * np.arange((num_frames + 1) // 2) + gaps) // (2 * gaps)  # i * last / gaps, halves up
    return np.concatenate([front, last - front[: num_frames // 2][::-1]])


def segment(num_video_frames: int, num_frames: int, rng=None) -> np.ndarray:
    """One frame from each of `num_frames` equal segments (TSN; UniFormerV2, and every encoder on Something-Something).

    Segment s holds the frames floor(s n / k) ... floor((s + 1) n / k) - 1: one drawn uniformly with `rng`, else the middle one,
    (first + last) // 2. If n < k some segments are empty; those take the frame floor(s n / k). -> (num_frames,)
    """
    _check(num_video_frames=num_video_frames, num_frames=num_frames)
    first, size = _segments(num_video_frames, num_frames)
    return first + ((size - 1) // 2 if rng is None else rng.integers(0, size))


def segment_shared(num_video_frames: int, num_frames: int, rng=None) -> np.ndarray:
    """As `segment`, but at the same random place of every segment: frames evenly apart, so that speed shows. -> (num_frames,)"""
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

    Clip c takes the frame at the share (2c + 1) / (2 num_clips) of every segment; one clip alone equals `segment`.
    -> list of (num_frames,)
    """
    _check(num_video_frames=num_video_frames, num_frames=num_frames, num_clips=num_clips)
    first, size = _segments(num_video_frames, num_frames)
    return [first + (size - 1) * (2 * c + 1) // (2 * num_clips) for c in range(num_clips)]


def dense_and_segment_views(
    num_video_frames: int, num_clips: int, *, num_dense: int, stride: int, num_segments: int
) -> list[np.ndarray]:
    """`num_clips` pairs for multi-view testing of two encoders together: clip c of `views`, then clip c of `segment_views`.

    Both go through the video from its beginning to its end. One clip alone equals `dense_and_segment`. -> list of
    (num_dense + num_segments,)
    """
    dense_clips = views(num_video_frames, num_dense, stride, num_clips)
    segment_clips = segment_views(num_video_frames, num_segments, num_clips)
    return [np.concatenate(pair) for pair in zip(dense_clips, segment_clips, strict=True)]


def linspace(num_video_frames: int, num_frames: int) -> np.ndarray:
    """Evenly spaced frames with both ends, rounded down: the video-text encoder's eight frames.

    Exactly np.linspace(0, n - 1, k).astype(int), as published; a single frame is frame 0. -> (num_frames,)
    """
    _check(num_video_frames=num_video_frames, num_frames=num_frames)
    return np.linspace(0, num_video_frames - 1, num_frames).astype(np.int64)


def _clip_at(start: int, num_video_frames: int, num_frames: int, stride: int) -> np.ndarray:
    return np.minimum(start + np.arange(num_frames, dtype=np.int64) * stride, num_video_frames - 1)


def _segments(num_video_frames: int, num_frames: int) -> tuple[np.ndarray, np.ndarray]:
    edges = np.arange(num_frames + 1, dtype=np.int64) * num_video_frames // num_frames
    return edges[:-1], np.maximum(np.diff(edges), 1)
