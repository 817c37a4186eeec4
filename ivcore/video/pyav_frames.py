"""Decodes frames with PyAV: seeks to the previous keyframe and decodes up to the requested frame.

Each packet gets the number of its frame as its time stamp, which identifies the decoded frame. After a seek the first packet is
identified by its position in the file, so time stamps that a demuxer invents do not matter.
"""

import itertools

import numpy as np

from ivcore.errors import VideoError
from ivcore.video.packets import errors_with_path, open_stream
from ivcore.video.resize import orient
from ivcore.video.table import FrameTable

SOUGHT = -2  # value of `last` after a seek, before a frame is decoded


class WrongOrder(Exception):
    """Frames are decoded in another order than the table says."""


class PyAVFrames:
    """(height, width) is the upright size of what `get` returns; libav resizes if it differs from the stored size."""

    def __init__(self, path, table: FrameTable, height: int, width: int, strict: bool = False):
        from av.video.reformatter import VideoReformatter

        self.path, self.table, self.strict = path, table, strict
        self.height, self.width = (height, width) if table.matrix[0] else (width, height)
        self.reformatter = VideoReformatter()  # keeps its scaling tables; a frame's own method would make new ones
        if table.packets is not None:
            self._keys()
        self.container = None
        self._begin()

    def _keys(self) -> None:
        packets = self.table.packets
        keys = np.flatnonzero(packets.key & (packets.frame >= 0))
        self.keys = keys[np.argsort(packets.frame[keys])]  # keyframes' packets, in display order
        self.key_frames = packets.frame[self.keys]
        places, counts = np.unique(packets.place, return_counts=True)
        once = set(places[(counts == 1) & (places >= 0)].tolist())
        self.packet_at = {place: n for n, place in enumerate(packets.place.tolist()) if place in once}

    def _begin(self) -> None:
        """Opens the file and starts at the first packet."""
        self.close()
        self.container, self.stream = open_stream(self.path, self.strict)
        if self.table.packets is None:
            self.frames = enumerate(self.container.decode(self.stream))
        else:
            self.frames = self._decode(self.container.demux(self.stream), 0)
        self.last = -1  # number of the last decoded frame
        self.whole_from = 0  # frames from this number have all their references

    def close(self) -> None:
        self.frames = None
        if self.container is not None:
            self.container.close()

    def get(self, indices: np.ndarray) -> np.ndarray:
        """indices: (n,) ascending, no repeats. -> uint8 (n, height, width, 3). Raises VideoError, and WrongOrder for a wrong table."""
        out = np.empty((len(indices), self.height, self.width, 3), np.uint8)
        for row, index in zip(out, indices):
            row[:] = self._pixels(self._frame(int(index)))
        return orient(out, self.table.matrix)

    def _pixels(self, frame) -> np.ndarray:
        """The frame as RGB, resized bilinearly as in decord, on this thread."""
        size = {"width": self.width, "height": self.height}
        rgb = self.reformatter.reformat(frame, format="rgb24", interpolation="BILINEAR", threads=1, **size)
        return rgb.to_ndarray()

    def _frame(self, index: int):
        try:
            with errors_with_path(self.path):
                frame = self._counted(index) if self.table.packets is None else self._sought(index)
        except VideoError as error:
            raise VideoError(self.path, f"frame {index} does not decode ({error.cause})") from None
        if frame is None:
            raise VideoError(self.path, f"frame {index} of {len(self.table.pts)} is missing")
        return frame

    def _counted(self, index: int):
        if self.last >= index:
            self._begin()
        return self._advance(index)

    def _sought(self, index: int):
        """The frame, or None. If a seek lands too late, it tries earlier and earlier keyframes, and at last the beginning."""
        key = int(np.searchsorted(self.key_frames, index, "right")) - 1
        if -1 <= self.last < index and (key < 0 or self.key_frames[key] <= max(self.last, 0)):
            return self._advance(index)
        back = 0
        while key - back > 0:
            frame = self._advance(index) if self._seek(key - back) else None
            if frame is not None:
                return frame
            back = 2 * back + 1
        self._begin()
        return self._advance(index)

    def _seek(self, key: int) -> bool:
        """Seeks to the keyframe with this number, or an earlier packet; False if the demuxer landed elsewhere."""
        import av

        packets, target = self.table.packets, self.keys[key]
        try:
            self.container.seek(int(packets.stamp[target]), stream=self.stream, backward=True)
            demuxed = self.container.demux(self.stream)
            first = next((packet for packet in demuxed if packet.size), None)
        except av.FFmpegError:  # for example, a file without an index
            first = None
        number = self.packet_at.get(first.pos) if first is not None else None
        if number is None or number > target:
            self.last, self.frames = SOUGHT, iter(())
            return False
        self.whole_from, self.last = int(self.key_frames[key]), SOUGHT
        self.frames = self._decode(itertools.chain([first], demuxed), number)
        return True

    def _decode(self, demuxed, number: int):
        """Yields (frame number, frame) from the packet `number`. Frames before the keyframe of the seek may fail to decode."""
        import av

        packets = self.table.packets
        for packet in demuxed:
            frame_number = len(self.table.pts)
            if packet.size:
                if number >= len(packets.size) or packet.size != packets.size[number]:
                    raise WrongOrder
                frame_number = packets.frame[number]
                packet.pts, packet.dts = int(frame_number), None
                number += 1
            try:
                for frame in packet.decode():
                    yield frame.pts, frame
            except av.FFmpegError:
                if frame_number >= self.whole_from:
                    raise

    def _advance(self, index: int):
        """Decodes up to the frame `index`; None if it does not come."""
        for number, frame in self.frames:
            if number is not None and number < self.whole_from:
                continue
            due = max(self.last + 1, self.whole_from)
            if number != due:
                if self.last == SOUGHT and number is not None:
                    return None  # decoding cannot start from this keyframe
                raise WrongOrder
            if frame.is_corrupt:
                raise ValueError("damaged data")
            self.last = number
            if number == index:
                return frame
        return None
