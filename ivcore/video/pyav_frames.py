"""Frames through PyAV: seek to the keyframe before, decode up to the time stamp asked for."""

import numpy as np

from ivcore.errors import VideoError
from ivcore.video.packets import cause, open_stream
from ivcore.video.resize import orient
from ivcore.video.table import FrameTable


class PyAVFrames:
    """(height, width) is the upright size of what `get` returns; libav resizes where it differs from the stored size."""

    def __init__(self, path, table: FrameTable, height: int, width: int):
        from av.video.reformatter import VideoReformatter

        self.path, self.table = path, table
        self.height, self.width = (height, width) if table.matrix[0] else (width, height)
        self.container, self.stream = open_stream(path)
        self.reformatter = (
            VideoReformatter()
        )  # keeps its scaling tables, which a frame's own method builds anew
        self.frames, self.last = None, None  # the running decoder and the pts it gave last
        self.whole_from = 0  # frames shown from this pts on have all their references

    def close(self) -> None:
        self.frames = None
        self.container.close()

    def get(self, indices: np.ndarray) -> np.ndarray:
        """indices: (n,) rising, no repeats. -> uint8 (n, height, width, 3). Raises VideoError."""
        out = np.empty((len(indices), self.height, self.width, 3), np.uint8)
        for row, index in zip(out, indices):
            row[:] = self._pixels(self._frame(int(index)))
        return orient(out, self.table.matrix)

    def _pixels(self, frame) -> np.ndarray:
        """Bilinear, as decord does, on this thread."""
        size = {"width": self.width, "height": self.height}
        rgb = self.reformatter.reformat(frame, format="rgb24", interpolation="BILINEAR", threads=1, **size)
        return rgb.to_ndarray()

    def _frame(self, index: int):
        import av

        try:
            frame = self._counted(index) if self.table.counted else self._sought(int(self.table.pts[index]))
        except (av.FFmpegError, OSError, ValueError) as error:
            raise VideoError(self.path, f"frame {index} does not decode ({cause(error)})") from None
        if frame is None:
            raise VideoError(self.path, f"frame {index} of {len(self.table.pts)} is missing")
        return frame

    def _counted(self, index: int):
        if self.frames is None or self.last >= index:
            self.container.close()
            self.container, self.stream = open_stream(self.path)
            self.frames, self.last = self.container.decode(self.stream), -1
        for frame in self.frames:
            self._refuse_damage(frame)
            self.last += 1
            if self.last == index:
                return frame
        return None

    def _sought(self, pts: int):
        """The frame shown at pts, or None. A seek that lands too late is repeated from ever earlier keyframes."""
        keys = self.table.keys
        key = int(np.searchsorted(keys, pts, "right")) - 1
        if self.last is not None and self.last < pts and (key < 0 or keys[key] <= self.last):
            return self._advance(pts)
        back = 0
        while True:
            self._seek(key - back)
            frame = self._advance(pts)
            if frame is not None or back > key:
                return frame
            back = 2 * back + 1

    def _seek(self, key: int) -> None:
        """To the keyframe of that number, or to the very beginning for one below 0."""
        if key < 0:
            self.container.seek(0)
            self.whole_from = int(self.table.pts[0])
        else:
            self.whole_from = int(self.table.keys[key])
            self.container.seek(self.whole_from, stream=self.stream, backward=True)
        self.frames, self.last = self._decode(), None

    def _decode(self):
        """Frames from here on. What belongs before the keyframe sought lacks its references and may fail."""
        import av

        for packet in self.container.demux(self.stream):
            try:
                yield from packet.decode()
            except av.FFmpegError:
                if packet.pts is None or packet.pts >= self.whole_from:
                    raise

    def _advance(self, pts: int):
        for frame in self.frames:
            if frame.pts is None or (self.last is not None and frame.pts <= self.last):
                continue
            self.last = frame.pts
            if self.last > pts:
                return None
            if self.last >= self.whole_from:
                self._refuse_damage(frame)
            if self.last == pts:
                return frame
        self.last = None
        return None

    def _refuse_damage(self, frame) -> None:
        if frame.is_corrupt:
            raise ValueError("damaged data")
