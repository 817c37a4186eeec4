"""Parses the parameters cell (tagged `parameters`) of a notebook, which is its configuration.

Each line is an annotated literal whose comment describes it and may end in a constraint (see ivcore.run.constraints):

    # -- optimisation                            the heading of the group that follows
    lr: float = 0.008  # peak learning rate; in (0, 1]

Annotations are those of papermill: int, float, bool, str, list, dict, list[int], dict[str, float], and `| None`. An int
is accepted for a float; nothing else is converted silently.
"""

import ast
import io
import math
import tokenize
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import UnionType
from typing import get_args, get_origin

from ivcore import paths
from ivcore.errors import ParameterError, shown
from ivcore.run import constraints

TYPES = {"int": int, "float": float, "bool": bool, "str": str, "list": list, "dict": dict, "None": type(None)}
OWNED_BY_RUNNER = ("run_dir",)  # the folder of a run does not affect its result
FREE = (
    "num_workers",
    "in_memory",
    "device",
    "checkpoint_seconds",
    "engine",
    "engine_config",
    "offload",
    "micro_batch",
)  # how a run is computed does not either: it may continue with other values
_HEADING = "# -- "


class Misfit(ValueError):
    """The annotation does not allow a value."""


@dataclass(frozen=True)
class Parameter:
    """One line of the cell. type: the annotation as written. group: the heading above it, or ""."""

    name: str
    type: str
    default: object
    description: str = ""
    constraint: constraints.Constraint | None = None
    group: str = ""

    @property
    def kind(self) -> str:
        """Kind of its constraint (see constraints.Constraint), "" without one."""
        return self.constraint.kind if self.constraint else ""

    @property
    def names_file(self) -> bool:
        """True if it names a file or folder of the user."""
        return self.kind in ("file", "folder")

    def fit(self, value):
        """The value in the parameter's type. ParameterError names value and type if they do not match."""
        try:
            return fit(value, _annotated(self.type))
        except Misfit:
            raise ParameterError(self._misfit(value)) from None

    def from_text(self, text: str):
        """Parses a value from the command line by the annotation: `1e-4`, `true`, `[1, 2]`, `none` or text."""
        for value in _readings(text.strip()):
            try:
                return self.placed(fit(value, _annotated(self.type)), typed=True)
            except Misfit:
                continue
        raise ParameterError(self._misfit(text))

    def placed(self, value, typed: bool):
        """The value; for a file, folder or encoder the path in the form of `paths.placed`."""
        if not (self.names_file or self.kind == "encoder") or not isinstance(value, str):
            return value
        try:
            if not value or self.constraint.names_set(value):
                return value
            return paths.placed(value, typed)
        except ParameterError as error:
            raise ParameterError(f"{self.name} = {error}") from None

    def _misfit(self, value) -> str:
        hint = _hint(value) if self.type.startswith("float") else ""
        return f"{self.name} = {shown(value)}: expected {self.type} ({self.description}){hint}"


def given(words: Sequence[str]) -> dict[str, str]:
    """Words `NAME=VALUE` of -p -> {name: value as typed}. ParameterError for another word or a repeated name."""
    pairs = [text.partition("=") for text in words]
    for name, equals, value in pairs:
        if not equals or not name.strip():
            raise ParameterError(f"-p {name}{equals}{value}: expected NAME=VALUE")
    for name, count in Counter(name.strip() for name, _, _ in pairs).items():
        if count > 1:
            raise ParameterError(f"-p {name}: given {count} times, give one value")
    return {name.strip(): value for name, _, value in pairs}


def parse(text: str, where: str) -> dict[str, Parameter]:
    """The parameters of a cell by name, in order. ParameterError names a malformed line."""
    where = f"{where}, parameters cell"
    try:
        body = ast.parse(text).body
        tokens = list(tokenize.generate_tokens(io.StringIO(text).readline))
    except (SyntaxError, tokenize.TokenError) as error:
        raise ParameterError(f"{where}: {error}") from None
    comments = {token.start[0]: token.string for token in tokens if token.type == tokenize.COMMENT}
    lines = enumerate(text.splitlines(), 1)
    headings = {number: line.removeprefix(_HEADING) for number, line in lines if line.startswith(_HEADING)}
    parameters: dict[str, Parameter] = {}
    for node in body:
        parameter = _parameter(node, comments, headings, where)
        if parameter.name in parameters:
            raise ParameterError(f"{where}, line {node.lineno}: {parameter.name} stands there twice")
        parameters[parameter.name] = parameter
    return parameters


def _parameter(node: ast.stmt, comments: dict[int, str], headings: dict[int, str], where: str) -> Parameter:
    where = f"{where}, line {node.lineno}"
    if not (isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None):
        raise ParameterError(f"{where}: expected `name: type = literal  # description; constraint`")
    name, annotation, value = node.target.id, ast.unparse(node.annotation), ast.unparse(node.value)
    lines = range(node.lineno, node.end_lineno + 1)  # a formatter may have wrapped a long line in brackets
    comment = next((comments[line] for line in lines if line in comments), "")
    above = [text for line, text in headings.items() if line < node.lineno]
    try:
        description, constraint = constraints.parse(comment.lstrip("# "))
        default = fit(_literal(node.value), _annotated(annotation))
    except Misfit:
        raise ParameterError(f"{where}: {name} = {value} is not {annotation}") from None
    except ValueError as error:
        raise ParameterError(f"{where}: {name} {error}") from None
    return Parameter(name, annotation, default, description, constraint, above[-1] if above else "")


def _literal(node: ast.expr):
    try:
        return ast.literal_eval(node)
    except ValueError:
        raise ValueError(f"= {ast.unparse(node)} is not a literal") from None


@lru_cache
def _annotated(text: str):
    """ "list[int] | None" -> type. ValueError if it is not one of those above."""
    allowed = ast.Name, ast.Constant, ast.BinOp, ast.BitOr, ast.Subscript, ast.Tuple, ast.Load, ast.Expression
    tree = ast.parse(text, mode="eval")
    words = [node for node in ast.walk(tree) if isinstance(node, ast.Name | ast.Constant)]
    if all(isinstance(node, allowed) for node in ast.walk(tree)) and {*map(ast.unparse, words)} <= {*TYPES}:
        try:
            return eval(compile(tree, "annotation", "eval"), {"__builtins__": {}}, TYPES)
        except TypeError:
            pass
    raise ValueError(f"has annotation {text!r}: expected int, float, bool, str, list, dict, list[...] or `| None`")


def fit(value, kind):
    """Converts the value to the type (only int to float). Misfit if it has another type."""
    inner = get_args(kind)
    if isinstance(kind, UnionType):
        return _fit_any(value, inner)
    if get_origin(kind) is list and isinstance(value, list):
        return [fit(item, inner[0]) for item in value]
    if get_origin(kind) is dict and isinstance(value, dict) and len(inner) == 2:
        return {fit(k, inner[0]): fit(v, inner[1]) for k, v in value.items()}
    if kind is float and type(value) is int:
        return _as_float(value)
    if inner or type(value) is not kind or value != value:  # refuses nan
        raise Misfit
    return value


def _as_float(value: int) -> float:
    try:
        return float(value)
    except OverflowError:
        raise Misfit from None


def _fit_any(value, kinds):
    for kind in kinds:
        try:
            return fit(value, kind)
        except Misfit:
            continue
    raise Misfit


def _readings(text: str):
    """Possible values of the text, the narrowest type first, the text itself last ("0.5" stays text for a str)."""
    if text.lower() in ("none", "null"):
        yield None
    if text.lower() in ("true", "false"):
        yield text.lower() == "true"
    for number in (int, float):
        try:
            yield number(text)
        except ValueError:
            continue
    if text.startswith(("[", "{")):
        yield from _flow(text)
    if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
        yield text[1:-1]
    yield text


def _flow(text: str):
    """Yields a list or dict written in YAML (which covers Python and JSON); nothing for other text."""
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    try:
        yield OmegaConf.to_container(OmegaConf.create(f"value: {text}"))["value"]
    except (OmegaConfBaseException, YAMLError, ValueError, RecursionError):
        return


def _hint(value) -> str:
    """Suggests a spelling for text that is nearly a number."""
    try:
        if math.isnan(float(value)):
            return ", which nan is not"
    except (TypeError, ValueError, OverflowError):
        return ""
    return " (write 1.0e-4, not 1e-4, in a file that papermill reads)" if isinstance(value, str) else ""


def of_result(values: dict) -> dict:
    """The parameters that a result depends on, without the run's folder and how it is computed."""
    return {name: value for name, value in values.items() if name not in (*OWNED_BY_RUNNER, *FREE)}
