"""Import this before timm or torchvision: it makes a torchvision wheel built for CUDA importable beside a CPU-only torch.

Such a wheel's compiled operators cannot load, and `import torchvision` then dies ("operator torchvision::nms does not exist") on
describing operators that nobody defined. Defining those two schemas first is enough: everything torchvision writes in Python works (its models,
transforms, roi_align). Where the compiled operators load, nothing is done. `nms` itself stays unavailable with the shim.

    from ivcore import torchvision_ops  # noqa: F401
"""

import importlib.util
import sys
from pathlib import Path

import torch

SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)


def _compiled_ops_load() -> bool:
    folder = Path(importlib.util.find_spec("torchvision").submodule_search_locations[0])
    for library in folder.glob("_C*"):
        try:
            torch.ops.load_library(str(library))
            return True
        except OSError:
            pass
    return False


def _define_schemas() -> torch.library.Library | None:
    """The library that holds the definitions (they vanish with it), or None where they are not needed."""
    if (
        "torchvision" in sys.modules
        or importlib.util.find_spec("torchvision") is None
        or _compiled_ops_load()
    ):
        return None
    library = torch.library.Library("torchvision", "FRAGMENT")
    for schema in SCHEMAS:
        library.define(schema)
    return library


library = _define_schemas()
