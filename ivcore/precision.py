"""At which precision a forward pass runs, the same in training and in evaluation."""

import torch


def autocast(device: torch.device, precision: str):
    """Context of a forward pass: "fp32", or "bf16" or "fp16" with the weights as they are."""
    dtype = torch.float16 if precision == "fp16" else torch.bfloat16
    return torch.autocast(device.type, dtype, enabled=precision != "fp32")
