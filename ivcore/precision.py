"""Precision of a forward pass, the same in training and in evaluation."""

import torch


def autocast(device: torch.device, precision: str):
    """Context of a forward pass in "fp32", "bf16" or "fp16"; weights keep their type.

    On a GPU with "bf16" or "fp16", remaining float32 products use TF32, which is finer than either; with "fp32" they do
    not. This setting lasts until the next call, because the backward pass runs after the context.
    """
    if device.type == "cuda":
        torch.set_float32_matmul_precision("highest" if precision == "fp32" else "high")
    dtype = torch.float16 if precision == "fp16" else torch.bfloat16
    return torch.autocast(device.type, dtype, enabled=precision != "fp32")
