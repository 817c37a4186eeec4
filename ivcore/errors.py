"""Errors that a user can fix. Each message is one line: what is wrong, where, and what was expected.

The command line prints them without a traceback and exits with status 2. Any other exception is a bug and keeps its
traceback.
"""

import reprlib

_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 160
_SHORT.maxlist = _SHORT.maxdict = 6
_SHORT.maxlevel = 3


def shown(value) -> str:
    """`repr` of a value, shortened for a message."""
    try:
        return _SHORT.repr(value)
    except ValueError:  # Python refuses to print integers of more than 4300 digits
        return f"a whole number of {value.bit_length()} bits"


def one_line(text) -> str:
    """Text on one line: white space becomes single blanks, control characters become escape codes."""
    text = " ".join(str(text).split())
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def counted(number: int, noun: str, plural: str = "") -> str:
    """ "1 file", "2 files". plural: given if it is not noun + s."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"


class UserError(Exception):
    """Base of all errors caused by input, not by the program. The message is one printable line."""

    def __str__(self) -> str:
        return one_line(super().__str__())

    def _render_traceback_(self) -> list[str]:
        """The lines that IPython shows instead of a traceback. `iv run` recognises a UserError by this format."""
        return [f"{type(self).__name__}: {self}"]


class ParameterError(UserError):
    """A parameter with an unknown name, a wrong type or a value that is not allowed."""


class FormatError(UserError):
    """An annotation file that cannot be parsed. `line` counts from 1; None means the whole file."""

    def __init__(self, path, line, expected):
        self.path, self.line, self.expected = str(path), line, one_line(expected)
        where = f"{self.path}:{line}" if line is not None else self.path
        super().__init__(f"{where}: {self.expected}")

    def __reduce__(self):  # by default, pickle would pass the message as `path`; workers send errors by pickle
        return type(self), (self.path, self.line, self.expected)


class VideoError(UserError):
    """A file that is not a readable video, or from which the requested frames cannot be read."""

    def __init__(self, path, cause):
        self.path, self.cause = str(path), one_line(cause)
        super().__init__(f"{self.path}: {self.cause}")

    def __reduce__(self):
        return type(self), (self.path, self.cause)
