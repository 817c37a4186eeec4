"""At which precision a forward pass runs, the same in training and in evaluation."""

import torch


def autocast(device: torch.device, precision: str):
    """Context of a forward pass: "fp32", or "bf16" with the weights as they are."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")
