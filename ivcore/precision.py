"""At which precision a forward pass runs, the same in training and in evaluation."""

import torch


def autocast(device: torch.device, precision: str):
    """Context of a forward pass: "fp32", or "bf16" or "fp16" with the weights as they are.

    On a GPU, products that stay in float32 beside half precision are rounded to TF32, which is finer than either half; with "fp32" they are not. It
    holds until the next call, since a backward pass comes after its forward pass.
    """
    if device.type == "cuda":
        torch.set_float32_matmul_precision("highest" if precision == "fp32" else "high")
    dtype = torch.float16 if precision == "fp16" else torch.bfloat16
    return torch.autocast(device.type, dtype, enabled=precision != "fp32")
