"""Makes a torchvision wheel built for CUDA importable with a CPU-only torch; `import ivcore` installs it.

The compiled operators of such a wheel cannot load. `import torchvision` then fails ("operator torchvision::nms does not
exist") because it describes operators that are not defined. Defining those two schemas first is enough: all Python code
of torchvision, timm and open_clip works (models, transforms, roi_align), and after `allow_nms` their detectors too. If
the compiled operators load, nothing is done. The shim acts at the first import of torchvision, so that `import ivcore`
stays light.
"""

import importlib.util
import sys
from pathlib import Path

SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)


class _BeforeTorchvision:
    """Import hook that defines the schemas just before torchvision is imported, and leaves the import to others."""

    library = None  # keeps the definitions alive

    @classmethod
    def find_spec(cls, name: str, path=None, target=None):
        if name == "torchvision":
            sys.meta_path.remove(cls)
            cls.library = _define_schemas()


def _define_schemas():
    """Defines the schemas and returns the library that holds them; None if they are not needed."""
    found = importlib.util.find_spec("torchvision")
    if found is None or _compiled_ops_load(Path(found.submodule_search_locations[0])):
        return None
    import torch

    library = torch.library.Library("torchvision", "FRAGMENT")
    for schema in SCHEMAS:
        library.define(schema)
    library.impl("nms", _nms, "CompositeExplicitAutograd")
    return library


def _nms(boxes, scores, iou_threshold: float):
    """Non-maximum suppression: boxes (N, 4), scores (N,) -> indices of the kept boxes, best first."""
    import torch

    order = scores.argsort(descending=True, stable=True)
    boxes, kept = boxes[order], []
    area = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    free = torch.ones(len(boxes), dtype=torch.bool, device=boxes.device)
    for place in range(len(boxes)):
        if free[place]:
            kept.append(place)
            sides = torch.minimum(boxes[place, 2:], boxes[:, 2:]) - torch.maximum(boxes[place, :2], boxes[:, :2])
            shared = sides.clamp(min=0).prod(1)
            free &= ~(shared > iou_threshold * (area + area[place] - shared))
    return order[torch.tensor(kept, dtype=torch.long, device=boxes.device)]


def _compiled_ops_load(folder: Path) -> bool:
    import torch

    for library in folder.glob("_C*"):
        try:
            torch.ops.load_library(str(library))
            return True
        except OSError:
            pass
    return False


def allow_nms() -> None:
    """Lets torchvision's detectors use the `nms` of this file if the compiled operators cannot load."""
    from torchvision.ops import boxes

    if _BeforeTorchvision.library is not None:
        boxes._assert_has_ops = lambda: None


def install() -> None:
    """Installs the import hook, unless torchvision is imported already."""
    if "torchvision" not in sys.modules and _BeforeTorchvision not in sys.meta_path:
        sys.meta_path.insert(0, _BeforeTorchvision)
