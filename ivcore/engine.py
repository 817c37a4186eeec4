"""The operations of a training step that depend on how many processes and devices share it; here one process, one device.

The loop in ivcore.train asks an engine for nothing but `backward`, `step`, `state`, `load` and `autocast`; another kind of engine
(sharded optimiser, several ranks) is put in by passing its class to `train(engine=…)`.
"""

import torch
from torch import nn

from ivcore.optim import adamw, set_lr
from ivcore.recipe import Recipe


class Plain:
    """AdamW on the model's own parameters, gradient clipping by norm, updates that a non-finite gradient cannot reach."""

    def __init__(self, model: nn.Module, recipe: Recipe):
        self.clip, self.precision = recipe.clip_grad, recipe.precision
        self.optimizer = adamw(model, recipe)
        self.parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
        self.device = self.parameters[0].device
        self.bad = torch.zeros((), device=self.device)  # 1 from the first number on that is not finite
        self.losses = 0.0  # sum over the pieces of this step

    def autocast(self):
        """Context of the forward pass."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16")

    def backward(self, loss: torch.Tensor) -> None:
        self.losses = self.losses + loss.detach()
        loss.backward()

    def step(self, lr: float) -> torch.Tensor:
        """One update. Returns the gradient norm before clipping, on the device; where it or a loss is not finite, this update and
        all later ones leave weights and optimiser state as they are, so that nobody has to wait for the device to find out."""
        gradients = [p.grad for p in self.parameters if p.grad is not None]
        norm = nn.utils.get_total_norm(gradients)
        finite = (norm + self.losses).isfinite()
        self.bad = torch.where(finite, self.bad, 1.0)
        if self.clip is not None:
            nn.utils.clip_grads_with_norm_(self.parameters, self.clip, norm)
        set_lr(self.optimizer, lr)
        self.optimizer.found_inf = self.bad  # read by the fused kernel, as torch's GradScaler does
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.losses = 0.0
        return norm

    def state(self) -> dict:
        return {"optimizer": self.optimizer.state_dict()}

    def load(self, state: dict) -> None:
        self.optimizer.load_state_dict(state["optimizer"])
