"""Makes a torchvision wheel built for CUDA importable beside a CPU-only torch; `import ivcore` installs it.

Such a wheel's compiled operators cannot load, and `import torchvision` then fails ("operator torchvision::nms does not exist") where it
describes operators that nobody defined. It is enough to define those two schemas first: everything that torchvision, timm and open_clip
write in Python then works (models, transforms, roi_align), and after `allow_nms` their detectors do, too. Where the compiled operators load,
nothing is done. The work waits for the first import of torchvision, so that `import ivcore` stays light.
"""

import importlib.util
import sys
from pathlib import Path

SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)


class _BeforeTorchvision:
    """An import hook that acts once, when torchvision is about to be imported, and leaves the import to others."""

    library = None  # holds the definitions: they vanish with it

    @classmethod
    def find_spec(cls, name: str, path=None, target=None):
        if name == "torchvision":
            sys.meta_path.remove(cls)
            cls.library = _define_schemas()


def _define_schemas():
    """The library that holds the definitions, or None where they are not needed."""
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
    """Which boxes (N, 4) remain, the best first, after each has removed those that overlap it by more than the threshold."""
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
    """Lets torchvision's `nms`, which its detectors call, run where its compiled operators cannot load: by the function here."""
    from torchvision.ops import boxes

    if _BeforeTorchvision.library is not None:
        boxes._assert_has_ops = lambda: None


def install() -> None:
    """Act before the first import of torchvision; where that has happened, do nothing."""
    if "torchvision" not in sys.modules and _BeforeTorchvision not in sys.meta_path:
        sys.meta_path.insert(0, _BeforeTorchvision)
