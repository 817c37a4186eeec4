"""Training loss of the coordinated model: "the supervision by action recognition" on the fused scores (paper 3.3).

    loss, numbers = coordination(model(clips), labels)

The paper names one supervision; it does not say how it reaches the two branches' own scores. Default: through the fused
scores alone.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def coordination(scores, labels: Tensor, branches: float = 0.0, label_smoothing: float = 0.0) -> tuple[Tensor, dict]:
    """Cross-entropy of scores.fused, plus `branches` times that of scores.masked and of scores.multimodal, all logits
    (B, K).

    labels: int (B,), or probabilities (B, K) of mixed clips. With branches > 0 each encoder must also be right by
    itself. Returns the loss and its terms by name, for the log; a term of weight 0 is logged and gets no gradient.
    """
    terms = {
        name: F.cross_entropy(logits.float(), labels, label_smoothing=label_smoothing)
        for name, logits in (("fused", scores.fused), ("masked", scores.masked), ("multimodal", scores.multimodal))
    }
    loss = terms["fused"]
    if branches:
        loss = loss + branches * (terms["masked"] + terms["multimodal"])
    return loss, {f"loss_{name}": value.detach() for name, value in terms.items()}
