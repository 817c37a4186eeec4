"""Constraints of parameters: the part of a comment `# description; constraint` after the last `;`.

in [0, 1)          an interval, `inf` for no bound, `2**63` as in Python; applies to each item of a list
in […], a multiple of 2
one of a, b, c     a choice; applies to each item of a list
one or more …      a list that may not be empty: `one or more in (0, 1]`, `one or more of a, b, c`
device             auto, cpu, or an accelerator that torch can use here
file KIND          an annotation file that the reader KIND of ivcore.data.formats accepts; "" for none
shards             tar shards as ivcore.data.shards.names reads them; "" for none
folder             a folder that exists; "" for none
generated set      the name of a generated set, see ivcore.data.set_names
… or generated set after `file KIND` or `folder`: such a name is allowed too
encoder            a run ("10/tiny", "10/tiny:seed=1"), a run folder, a checkpoint, a published name, "scratch" or ""
encoder of A, B    an encoder of one of these kinds, see ivcore.run.encoder_kinds
"""

import os
import re
from dataclasses import dataclass

from ivcore import paths
from ivcore.data import formats, set_names
from ivcore.data.shards import names as shard_names
from ivcore.errors import ParameterError, UserError, shown
from ivcore.run import encoder_kinds, environment
from ivcore.run.notebook import nearest

_INTERVAL = re.compile(r"in ([\[(])\s*(\S+)\s*,\s*(\S+?)\s*([\])])(?:, a multiple of ([1-9][0-9]*))?")
_BEGINNINGS = ("in [", "in (", "one of ", "one or more ", "file ", "folder or ")
SET = "generated set"
_PLACE = re.compile(rf"(?:file (\w+)|folder)(?: or ({SET}))?")
_DEVICE = re.compile(r"(auto|cpu|((cuda|xpu)(:[0-9]{1,3})?|mps))?")


@dataclass(frozen=True)
class Constraint:
    """kind: interval, choice, file, folder, device, shards, encoder or generated set. detail: bounds, choices or
    reader. text: as written."""

    kind: str
    detail: tuple
    text: str
    nonempty: bool = False  # a list must have an item

    def names_set(self, value) -> bool:
        """True for the name of a generated set, if allowed. ParameterError for a hybrid of unknown sources."""
        return self.text.endswith(SET) and isinstance(value, str) and set_names.names_set(value)

    def normalised(self, value):
        """Normalises names of generated sets (`set_names.normalised`), also in a list; keeps other values."""
        if isinstance(value, list):
            return [self.normalised(each) for each in value]
        return set_names.normalised(value) if self.names_set(value) else value


def parse(comment: str) -> tuple[str, Constraint | None]:
    """Splits "description; constraint". ValueError for text that begins like a constraint but is none."""
    description, _, last = comment.rpartition(";")
    text = last.strip()
    if text.startswith("encoder of "):
        return description.strip(), Constraint("encoder", _kinds(text), text)
    if text in ("folder", "encoder", "device", "shards", SET):
        return description.strip(), Constraint(text, (), text)
    if not text.startswith(_BEGINNINGS):
        return comment.strip(), None
    return description.strip(), _parse_worded(text)


def _parse_worded(text: str) -> Constraint:
    each = _of_one(text)
    nonempty = each != text
    if match := _INTERVAL.fullmatch(each):
        opening, low, high, closing, factor = match.groups()
        bounds = opening, _bound(low), _bound(high), closing
        return Constraint("interval", (*bounds, int(factor or 0)), text, nonempty)
    if each.startswith("one of "):
        choices = tuple(word.strip() for word in each.removeprefix("one of ").split(","))
        return Constraint("choice", choices, text, nonempty)
    if match := _PLACE.fullmatch(text):
        return Constraint(text.split()[0], tuple(filter(None, match.groups()[:1])), text)
    raise ValueError(
        f"has constraint {text!r}: expected in [LOW, HIGH], one of A, B, one or more …, file KIND, folder, generated set, shards, device or encoder"
    )


def _kinds(text: str) -> tuple[str, ...]:
    kinds = tuple(word.strip() for word in text.removeprefix("encoder of ").split(","))
    if wrong := [word for word in kinds if word not in encoder_kinds.KINDS]:
        raise ValueError(f"has constraint {text!r}: {wrong[0]!r} is not one of {', '.join(encoder_kinds.KINDS)}")
    return kinds


def _of_one(text: str) -> str:
    """ "one or more in [0, 1]" -> "in [0, 1]", "one or more of a, b" -> "one of a, b"."""
    return text.removeprefix("one or more ").replace("of ", "one of ", text.startswith("one or more of "))


def _bound(text: str) -> float:
    base, power, exponent = text.partition("**")
    return int(base) ** int(exponent) if power else float(text)


def check(name: str, value, constraint: Constraint | None) -> None:
    """ParameterError with the parameter, its value and what is allowed, if it breaks the constraint. None is allowed.

    Encoders are checked by `ivcore.run.spec`, which knows the other notebooks.
    """
    if constraint is None or value is None or constraint.kind == "encoder":
        return
    if constraint.nonempty and value == []:
        raise ParameterError(f"{name} = []: must be {constraint.text}")
    for item in value if isinstance(value, list) else [value]:
        _CHECKS[constraint.kind](name, item, constraint)


def _check_interval(name, value, constraint):
    opening, low, high, closing, factor = constraint.detail
    above = value > low or (opening == "[" and value == low)
    below = value < high or (closing == "]" and value == high)
    if not (above and below) or (factor and value % factor):
        raise ParameterError(f"{name} = {shown(value)}: must be {_of_one(constraint.text)}")


def _check_choice(name, value, constraint):
    if str(value) not in constraint.detail:
        hint = nearest(value, constraint.detail, list_all=False)
        raise ParameterError(f"{name} = {shown(value)}: must be {_of_one(constraint.text)}{hint}")


def _check_device(name, value, constraint):
    match = _DEVICE.fullmatch(value)
    if not match:
        raise ParameterError(f"{name} = {shown(value)}: must be auto, cpu, cuda, cuda:N, xpu, xpu:N or mps")
    if match[2]:  # the check imports torch, which takes seconds
        environment.pick_device(value)


def _check_file(name, value, constraint):
    if not value or _is_set(name, value, constraint):
        return
    path = _existing(name, value, os.path.isfile, "file", constraint)
    try:
        formats.check(constraint.detail[0], path)
    except UserError as error:
        raise ParameterError(f"{name}: {error}") from None
    except OSError as error:
        raise ParameterError(f"{name} = {shown(value)}: cannot be read ({error.strerror})") from None


def _check_folder(name, value, constraint):
    if value and not _is_set(name, value, constraint):
        _existing(name, value, os.path.isdir, "folder", constraint)


def _is_set(name, value, constraint) -> bool:
    try:
        return constraint.names_set(value)
    except ParameterError as error:
        raise ParameterError(f"{name} = {error}") from None


def _check_set(name, value, constraint):
    if value != set_names.SHAPES and not _is_set(name, value, constraint):
        raise ParameterError(f"{name} = {shown(value)}: must be {set_names.SHAPES}, {set_names.ALLOWED}")


def _existing(name, value, right, what: str, constraint) -> str:
    """The existing path that the value names. ParameterError if it is missing or of another kind."""
    try:
        path = paths.resolve(value)
        looked = " or ".join(dict.fromkeys(map(str, paths.candidates(value))))
    except ParameterError as error:
        raise ParameterError(f"{name} = {error}") from None
    if right(path):
        return str(path)
    if os.path.exists(path):
        kind = "folder" if os.path.isdir(path) else "file" if os.path.isfile(path) else "device or pipe"
        raise ParameterError(f"{name} = {shown(value)}: {path} is a {kind}, must be a {what}")
    meant = constraint.text.endswith(SET) and set_names.meant(value)
    also = f"; or write {meant} for the generated set" if meant else ""
    raise ParameterError(f"{name} = {shown(value)}: there is no such {what}, looked for {looked}{also}")


def _check_shards(name, value, constraint):
    try:
        value and shard_names.expand(value)
    except UserError as error:
        raise ParameterError(f"{name}: {error}") from None


_CHECKS = {
    "interval": _check_interval,
    "choice": _check_choice,
    "device": _check_device,
    "file": _check_file,
    "folder": _check_folder,
    "shards": _check_shards,
    SET: _check_set,
}
