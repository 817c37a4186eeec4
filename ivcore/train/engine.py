"""What of a training step depends on how many processes and devices share it; here a whole model on every rank.

The loop asks an engine for nothing but these members, and `train(engine=…)` takes another class that has them.
"""

import torch
from torch import nn

from ivcore import distributed
from ivcore.precision import autocast
from ivcore.train.optim import optimizer_of, set_lr
from ivcore.train.recipe import Recipe


class Engine:
    """The recipe's optimiser on the model's own parameters, gradient clipping by norm, updates that a non-finite gradient cannot reach.

    On several ranks gradients are averaged before the update, once a step however many micro-batches it has; all then do the same update.
    """

    def __init__(self, model: nn.Module, recipe: Recipe):
        self.max_norm, self.precision = recipe.clip_grad, recipe.precision
        self.optimizer = optimizer_of(model, recipe)
        self.parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
        self.device = self.parameters[0].device
        self.bad = torch.zeros((), device=self.device)  # 1 from the first number on that is not finite
        self.losses = torch.zeros((), device=self.device)  # sum over the micro-batches of this step

    @property
    def asynchronous(self) -> bool:
        """Whether numbers have to be waited for. Those on the CPU are there when asked for: a bad one stops the run at once."""
        return self.device.type != "cpu"

    def autocast(self):
        """Context of the forward pass."""
        return autocast(self.device, self.precision)

    def backward(self, loss: torch.Tensor) -> None:
        self.losses = self.losses + loss.detach()
        loss.backward()

    def step(self, lr: float) -> torch.Tensor:
        """One update. Returns the gradient norm before clipping, on the device; where it or a loss is not finite, this update and
        all later ones leave weights and optimiser state as they are, so that nobody has to wait for the device to find out."""
        gradients = self._gradients()
        norm = nn.utils.get_total_norm(gradients)
        finite = (norm + self.losses).isfinite()
        self.bad = torch.where(finite, self.bad, 1.0)
        if self.max_norm is not None:
            nn.utils.clip_grads_with_norm_(self.parameters, self.max_norm, norm)
        set_lr(self.optimizer, lr)
        self.optimizer.found_inf = self.bad  # read by the fused kernel, as torch's GradScaler does
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.losses = torch.zeros_like(self.bad)
        return norm

    def _gradients(self) -> list[torch.Tensor]:
        """The gradients there are, averaged over ranks together with the losses, so that all ranks agree on what is not finite."""
        if distributed.world() > 1:
            used = distributed.all_reduce_max([p.grad is not None for p in self.parameters])
            for p, used_anywhere in zip(self.parameters, used, strict=True):
                if used_anywhere and p.grad is None:
                    p.grad = torch.zeros_like(p)
            gradients = [p.grad for p in self.parameters if p.grad is not None]
            distributed.all_reduce_mean_([self.losses, *gradients])
        return [p.grad for p in self.parameters if p.grad is not None]

    def state(self) -> dict:
        return {"optimizer": self.optimizer.state_dict()}

    def load(self, state: dict) -> None:
        self.optimizer.load_state_dict(state["optimizer"])
