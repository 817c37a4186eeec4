"""Errors a user can mend: one line each, saying what is wrong, where, and what was expected.

The command line prints them without a traceback and exits with status 2; anything else is a bug and keeps its traceback.
"""

import reprlib

_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 160
_SHORT.maxlist = _SHORT.maxdict = 6
_SHORT.maxlevel = 3


def shown(value) -> str:
    """`repr` for a message: what is long is cut, whatever it is."""
    try:
        return _SHORT.repr(value)
    except ValueError:  # Python writes no whole number of more than 4300 digits
        return f"a whole number of {value.bit_length()} bits"


def one_line(text) -> str:
    """Blanks and line ends become single blanks; what a terminal would obey and not show is written as its code."""
    text = " ".join(str(text).split())
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def counted(number: int, noun: str, plural: str = "") -> str:
    """ "1 file", "2 files"; plural: where it is not the noun with an s."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"


class UserError(Exception):
    """Base of every error caused by input rather than by the program. Its text is one line that can be printed."""

    def __str__(self) -> str:
        return one_line(super().__str__())

    def _render_traceback_(self) -> list[str]:
        """What IPython shows in a cell in place of a traceback; also the mark by which `iv run` knows such an error."""
        return [f"{type(self).__name__}: {self}"]


class ParameterError(UserError):
    """A parameter with an unknown name, a wrong type or a value outside what is allowed."""


class FormatError(UserError):
    """An annotation file that does not read. `line` counts from 1; None where the whole file is meant."""

    def __init__(self, path, line, expected):
        self.path, self.line, self.expected = str(path), line, one_line(expected)
        where = f"{self.path}:{line}" if line is not None else self.path
        super().__init__(f"{where}: {self.expected}")

    def __reduce__(self):  # workers send errors by pickle, which would otherwise pass the message as `path`
        return type(self), (self.path, self.line, self.expected)


class VideoError(UserError):
    """A file that cannot be read as video, or not the frames that were asked for."""

    def __init__(self, path, cause):
        self.path, self.cause = str(path), one_line(cause)
        super().__init__(f"{self.path}: {self.cause}")

    def __reduce__(self):
        return type(self), (self.path, self.cause)
