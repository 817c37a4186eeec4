"""Finds out from a packet's bytes, without decoding, whether a stream has pictures that are shown before an earlier decoded one.

A container may list frames in decoding order instead of display order: .avi has only that, and a stream copied from it keeps this
order in .mkv, .mp4 or .mov. The two orders differ only for streams with B pictures.
"""

NO_VOP = 19  # bytes; a packet up to this size may be the placeholder after two pictures in one packet


class Pictures:
    """Takes the packets of a stream one by one. reordered: whether it has B pictures, None if bytes do not tell. plain: one picture a packet."""

    def __init__(self, codec: str, extradata: bytes | None):
        self.codec, self.plain = codec, True
        self.reordered = False if codec in _BY_CODEC else None
        # mp4, Matroska and flv have a length of one to four bytes before each unit of H.264; other containers have a start code
        self.length = (extradata[4] & 3) + 1 if extradata and len(extradata) > 4 and extradata[0] == 1 else 0

    def add(self, data: bytes) -> None:
        if self.reordered is not None:
            _BY_CODEC[self.codec](self, data)

    def _h264(self, data: bytes) -> None:
        for unit in _by_length(data, self.length) if self.length else _after(data, b"\0\0\1"):
            if unit and unit[0] & 31 in (1, 2, 5):
                bits = Bits(unit[1:9])
                bits.number()  # the slice's position; its type follows (ISO 14496-10, 7.3.3)
                self.reordered |= bits.number() % 5 == 1

    def _mpeg4(self, data: bytes) -> None:
        pictures = [unit for unit in _after(data, b"\0\0\1\xb6", keep=1) if unit]
        self.plain &= len(pictures) == 1 and len(data) > NO_VOP
        self.reordered |= any(unit[0] >> 6 == 2 for unit in pictures)

    def _mpeg2(self, data: bytes) -> None:
        self.reordered |= any(len(unit) > 1 and unit[1] >> 3 & 7 == 3 for unit in _after(data, b"\0\0\1\0", 2))

    def _vp8(self, data: bytes) -> None:
        self.plain &= bool(data[0] & 16)  # the alternate reference frame is never shown


_BY_CODEC = {
    "h264": Pictures._h264,
    "mpeg4": Pictures._mpeg4,
    "mpeg1video": Pictures._mpeg2,
    "mpeg2video": Pictures._mpeg2,
    "vp8": Pictures._vp8,
}


def _after(data: bytes, code: bytes, keep: int = 9):
    """Yields the first `keep` bytes after each start code."""
    at = data.find(code)
    while at >= 0:
        start = at + len(code)
        yield data[start : start + keep]
        at = data.find(code, start)


def _by_length(data: bytes, width: int):
    at = 0
    while at + width < len(data):
        length = int.from_bytes(data[at : at + width], "big")
        yield data[at + width : at + width + min(length, 9)]
        at += width + length


class Bits:
    """Reads bits and Exp-Golomb numbers (ISO 14496-10, 9.1) from the front; past the end there are zeros."""

    def __init__(self, data: bytes):
        self.bits = "".join(f"{byte:08b}" for byte in data)

    def take(self, count: int) -> int:
        taken, self.bits = self.bits[:count], self.bits[count:]
        return int(taken or "0", 2)

    def number(self) -> int:
        zeros = len(self.bits) - len(self.bits.lstrip("0"))
        return self.take(2 * zeros + 1) - 1
