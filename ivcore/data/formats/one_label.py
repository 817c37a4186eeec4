"""What no row of a labelled list shows by itself: its label has a name, and no other row of the list has the same video."""

from dataclasses import replace
from pathlib import Path

from ivcore.data.formats.trimmed import TimedVideo, read_class_names


class OneLabel:
    """Judges the rows of one list for `LineFormat.read`: the fault of a record, or "".

    names: how many labels have a name, 0 where nothing names any. listed: the file that names them, for the message. once: whether a video
    may come only once, as in a list to test on; else it may be repeated with the same label. Stretches of a longer video are videos of their
    own here, and may have several labels.
    """

    def __init__(self, names: int = 0, listed="", *, once: bool = False):
        self.names, self.listed, self.once = names, listed, once
        self.earlier: dict = {}  # video -> (label, line) of its first row

    @classmethod
    def beside(cls, path) -> "OneLabel":
        """With the names of the classes.txt beside a list, where there is one."""
        listed = Path(path).with_name("classes.txt")
        return cls(len(read_class_names(listed)) if listed.is_file() else 0, listed)

    def __call__(self, number: int, record) -> str:
        if 0 < self.names <= record.label:
            return f"label {record.label}: {self.listed} has {self.names} names, for labels 0 to {self.names - 1}"
        if isinstance(record, TimedVideo):
            return ""
        label, line = self.earlier.setdefault(replace(record, label=0), (record.label, number))
        if label != record.label:
            return f"label {record.label}, but line {line} has label {label} for the same video"
        return f"the same video as in line {line}" if self.once and line != number else ""
