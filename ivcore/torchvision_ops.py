"""Let torchvision (hence timm) import where its compiled operators cannot load, as with a CPU-only torch.

torchvision's wheels link CUDA; beside a CPU build of torch the library does not load, and the import then dies on two operators
that do not exist. Declaring their schemas first is enough: everything torchvision and timm write in Python works. Where
the compiled library loads, this module does nothing. Import it before timm or torchvision: `from ivcore import torchvision_ops`.
Without the compiled library `torchvision.ops.nms` and `torchvision.io` stay unusable.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import torch

_SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)
_library = None  # the declarations live as long as this object


def _compiled_operators_load(package: Path) -> bool:
    for file in package.glob("_C*.so"):
        try:
            torch.ops.load_library(str(file))
            return True
        except OSError:
            continue
    return False


def declare() -> bool:
    """Declare the missing operators when needed; True when it was needed."""
    global _library
    if _library is not None or "torchvision" in sys.modules:
        return _library is not None
    spec = importlib.util.find_spec("torchvision")
    if spec is None or _compiled_operators_load(Path(spec.submodule_search_locations[0])):
        return False
    _library = torch.library.Library("torchvision", "FRAGMENT")
    for schema in _SCHEMAS:
        _library.define(schema)
    return True


declare()
