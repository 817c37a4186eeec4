"""Values of a parameters cell: do they fit the annotation, and how is text from the command line read.

The annotations are those a papermill parameter can have: int, float, bool, str, list, dict, list[int],
dict[str, float], and `| None`. An int is accepted where a float is wanted; nothing else is converted silently.
"""

import ast
import math

SIMPLE = {
    "int": int,
    "float": float,
    "bool": bool,
    "str": str,
    "list": list,
    "dict": dict,
    "None": type(None),
}


class Misfit(ValueError):
    """A value that the annotation does not allow."""


def parse_annotation(text: str) -> ast.expr:
    """The annotation as a tree; ValueError when it is not one of those above."""
    tree = ast.parse(text, mode="eval").body
    _require_known(tree, text)
    return tree


def _require_known(node: ast.expr, text: str) -> None:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        parts = [node.left, node.right]
    elif isinstance(node, ast.Subscript) and ast.unparse(node.value) in ("list", "dict"):
        parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    elif ast.unparse(node) in SIMPLE:
        parts = []
    else:
        raise ValueError(
            f"has annotation {text!r}: expected int, float, bool, str, list, dict, list[...] or `| None`"
        )
    for part in parts:
        _require_known(part, text)


def fit(value, annotation: ast.expr):
    """The value as the annotation has it (an int becomes a float where one is wanted); Misfit otherwise."""
    if isinstance(annotation, ast.BinOp):
        return _fit_any(value, annotation)
    if isinstance(annotation, ast.Subscript):
        return _fit_container(value, annotation)
    wanted = SIMPLE[ast.unparse(annotation)]
    if wanted is float and type(value) is int:
        return _as_float(value)
    if type(value) is not wanted:
        raise Misfit
    if wanted is float and math.isnan(value):
        raise Misfit
    return value


def _as_float(value: int) -> float:
    try:
        return float(value)
    except OverflowError:
        raise Misfit from None


def _fit_any(value, annotation: ast.BinOp):
    for side in (annotation.left, annotation.right):
        try:
            return fit(value, side)
        except Misfit:
            continue
    raise Misfit


def _fit_container(value, annotation: ast.Subscript):
    inner = annotation.slice
    if ast.unparse(annotation.value) == "list":
        if not isinstance(value, list):
            raise Misfit
        return [fit(item, inner) for item in value]
    if not isinstance(value, dict) or not isinstance(inner, ast.Tuple):
        raise Misfit
    key, item = inner.elts
    return {fit(k, key): fit(v, item) for k, v in value.items()}


def from_text(text: str, annotation: ast.expr):
    """A value typed on the command line: `1e-4`, `true`, `[1, 2]`, `none` or text, whichever the annotation has."""
    for value in _readings(text.strip()):
        try:
            return fit(value, annotation)
        except Misfit:
            continue
    raise Misfit


def _readings(text: str):
    """What the text may mean, the narrowest first and text itself last ("0.5" stays text for a str)."""
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
    """A list or dict in YAML's spelling, which is also Python's and JSON's; nothing where it is neither."""
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    try:
        yield OmegaConf.to_container(OmegaConf.create(f"value: {text}"))["value"]
    except (OmegaConfBaseException, YAMLError, ValueError, RecursionError):
        return
