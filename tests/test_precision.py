"""What a forward pass is computed in, and what becomes of products that stay in float32."""

import warnings

import pytest
import torch

from ivcore.precision import autocast


@pytest.mark.parametrize(
    ("precision", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16), ("fp16", torch.float16)]
)
def test_products_are_in_the_precision_of_training(precision, dtype):
    x = torch.ones(2, 2)
    with autocast(torch.device("cpu"), precision):
        assert (x @ x).dtype == dtype


@pytest.mark.parametrize(("precision", "products"), [("bf16", "high"), ("fp16", "high"), ("fp32", "highest")])
def test_tf32_is_for_gpus_and_beside_half_precision_alone(precision, products):
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("medium")
        autocast(torch.device("cpu"), precision)
        assert torch.get_float32_matmul_precision() == "medium"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # no GPU here
            autocast(torch.device("cuda"), precision)
        assert torch.get_float32_matmul_precision() == products
    finally:
        torch.set_float32_matmul_precision(before)
