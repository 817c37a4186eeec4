"""The house: arrows between modules point downwards only, and there is no circle. Imports inside functions count too."""

import ast
from pathlib import Path

IVCORE = Path(__file__).parents[1] / "ivcore"
GROUND = {
    "errors",
    "paths",
    "progress",
    "files",
    "lock",
    "distributed",
    "rng",
    "signals",
    "precision",
    "distributed_evaluation",
    "torchvision_shim",
    "git_lfs",
    "cores",
}
IDEAS = {"masking", "tubelets", "cma", "ensemble", "encoders", "losses", "heads", "metrics", "costs", "scaling"}
# A layer may import itself and what stands above it in this list.
LAYERS = [GROUND, IDEAS, {"video"}, {"weights"}, {"data"}, {"show"}, {"train"}, {"run", "command"}, {"stages"}]


def modules() -> dict[str, Path]:
    files = {
        ".".join(("ivcore", *path.relative_to(IVCORE).with_suffix("").parts)): path for path in IVCORE.rglob("*.py")
    }
    return {name.removesuffix(".__init__"): path for name, path in files.items()}


def imported(tree: ast.AST, known: dict[str, Path]) -> set[str]:
    """The modules that a module names; a package only where nothing below it is meant."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            below = {f"{node.module}.{alias.name}" for alias in node.names}
            names |= below & known.keys() or {node.module}
    return names & known.keys()


def arrows() -> set[tuple[str, str]]:
    known = modules()
    return {(name, other) for name, path in known.items() for other in imported(ast.parse(path.read_text()), known)}


def layer(name: str) -> int:
    top = name.split(".")[1] if "." in name else None
    return next((i for i, names in enumerate(LAYERS) if top in names), -1)


def test_every_module_has_a_layer():
    assert not [name for name in modules() if name != "ivcore" and layer(name) < 0]


def test_arrows_point_downwards():
    assert not {(a, b) for a, b in arrows() if layer(b) > layer(a) >= 0}


def circles() -> list[set[str]]:
    """Strongly connected groups of modules, by Tarjan."""
    ways: dict[str, list[str]] = {}
    for a, b in arrows():
        ways.setdefault(a, []).append(b)
    index, low, stack, groups = {}, {}, [], []

    def visit(node):
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in ways.get(node, ()):
            if other not in index:
                visit(other)
            if other in stack:
                low[node] = min(low[node], low[other])
        if low[node] == index[node]:
            at = stack.index(node)
            groups.append(set(stack[at:]))
            del stack[at:]

    for node in modules():
        if node not in index:
            visit(node)
    return [group for group in groups if len(group) > 1]


def test_there_is_no_circle():
    assert not circles()
