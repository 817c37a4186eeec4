"""What a parameter's comment allows: the part after the last `;` of `# description; constraint`.

in [0, 1)          an interval, `inf` for no bound; of a list, each item
one of a, b, c     a choice
file KIND          an annotation file that the reader KIND of ivcore.data.formats accepts; "" for none
folder             a folder that exists; "" for none
… or WORD          after `file KIND` or `folder`: the word itself too, as the name of a generated set
encoder            a run ("10/tiny"), a run folder, a checkpoint, a published name, "scratch" or ""
"""

import re
from dataclasses import dataclass

from ivcore import paths
from ivcore.errors import ParameterError, UserError

_INTERVAL = re.compile(r"in ([\[(])\s*(\S+)\s*,\s*(\S+?)\s*([\])])")
_BEGINNINGS = ("in [", "in (", "one of ", "file ", "folder or ")
_PLACE = re.compile(r"(?:file (\w+)|folder)(?: or (\w+))?")


@dataclass(frozen=True)
class Constraint:
    """`kind` is interval, choice, file, folder or encoder; `detail` its bounds, choices, reader or words; `text` as written."""

    kind: str
    detail: tuple
    text: str


def parse(comment: str) -> tuple[str, Constraint | None]:
    """Splits "description; constraint"; ValueError for something that begins like a constraint and is none."""
    description, _, last = comment.rpartition(";")
    text = last.strip()
    if text in ("folder", "encoder"):
        return description.strip(), Constraint(text, (), text)
    if not text.startswith(_BEGINNINGS):
        return comment.strip(), None
    return description.strip(), _parse_worded(text)


def _parse_worded(text: str) -> Constraint:
    if match := _INTERVAL.fullmatch(text):
        opening, low, high, closing = match.groups()
        return Constraint("interval", (opening, float(low), float(high), closing), text)
    if text.startswith("one of "):
        return Constraint("choice", tuple(word.strip() for word in text[7:].split(",")), text)
    if match := _PLACE.fullmatch(text):
        return Constraint(text.split()[0], tuple(filter(None, match.groups())), text)
    raise ValueError(
        f"has constraint {text!r}: expected in [LOW, HIGH], one of A, B, file KIND, folder or encoder"
    )


def check(name: str, value, constraint: Constraint | None) -> None:
    """ParameterError naming the parameter, its value and what is allowed. None is always allowed: it means unset."""
    if constraint is None or value is None:
        return
    for item in value if isinstance(value, list) else [value]:
        _CHECKS[constraint.kind](name, item, constraint)


def _check_interval(name, value, constraint):
    opening, low, high, closing = constraint.detail
    above = value > low or (opening == "[" and value == low)
    below = value < high or (closing == "]" and value == high)
    if not (above and below):
        raise ParameterError(f"{name} = {value!r}: must be {constraint.text}")


def _check_choice(name, value, constraint):
    if str(value) not in constraint.detail:
        from ivcore.notebook import nearest

        hint = nearest(value, constraint.detail)
        hint = hint if hint.startswith("; did") else ""
        raise ParameterError(f"{name} = {value!r}: must be {constraint.text}{hint}")


def _check_file(name, value, constraint):
    if not value or value in constraint.detail[1:]:
        return
    path = paths.resolve(value)
    if not path.is_file():
        raise ParameterError(
            f"{name} = {value!r}: there is no such file ({path}){_words(constraint.detail[1:])}"
        )
    from ivcore.data import formats

    try:
        formats.check(constraint.detail[0], path)
    except UserError as error:
        raise ParameterError(f"{name}: {error}") from None


def _check_folder(name, value, constraint):
    if value and value not in constraint.detail and not paths.resolve(value).is_dir():
        words = _words(constraint.detail)
        raise ParameterError(f"{name} = {value!r}: there is no such folder ({paths.resolve(value)}){words}")


def _words(words: tuple[str, ...]) -> str:
    return f", and it is not {words[0]!r}" if words else ""


def _check_encoder(name, value, constraint):
    from ivcore import upstream

    upstream.check(name, value)


_CHECKS = {
    "interval": _check_interval,
    "choice": _check_choice,
    "file": _check_file,
    "folder": _check_folder,
    "encoder": _check_encoder,
}
