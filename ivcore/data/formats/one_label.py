"""Checks across the rows of a labelled list: every label has a name, and a video does not have two labels."""

from dataclasses import replace
from pathlib import Path

from ivcore.data.formats.trimmed import TimedVideo, read_class_names


class OneLabel:
    """Judges the rows of one list for `LineFormat.read`: returns what is wrong with a record, or "".

    names: number of labels that have a name, 0 if there are no names. listed: the file with the names, for the message. once: a video may
    occur only once, as in a test list; otherwise it may be repeated with the same label. Segments of a longer video may have several labels.
    """

    def __init__(self, names: int = 0, listed="", *, once: bool = False):
        self.names, self.listed, self.once = names, listed, once
        self.earlier: dict = {}  # video -> (label, line) of its first row

    @classmethod
    def beside(cls, path) -> "OneLabel":
        """With the names of the classes.txt beside a list, if there is one."""
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
