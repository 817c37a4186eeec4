"""Estimates of a step on N devices, against arithmetic by hand."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivcore.errors import ParameterError
from ivcore.scaling import CARDS, ENGINES, GIB, RESERVED, SLACK, StepCosts, estimate, largest_micro_batch

STEP = StepCosts(
    parameters=1000, trained=800, largest_block=100, operations=6_000_000, clip_bytes=5_000, step_bytes=700
)
A100 = CARDS["a100-80"]


def asked(engine, gpus=4, **how):
    return estimate(STEP, A100, **{"gpus": gpus, "engine": engine, "batch": 64, "precision": "bf16"} | how)


@pytest.mark.parametrize(
    "engine, weights, gradients, moments, gathered",
    [
        ("ddp", 4000, 3200, 6400, 0),
        ("fsdp", 1000, 800, 1600, 400),
        ("zero1", 2000, 1600, 2400, 0),
        ("zero2", 2000, 400, 2400, 0),
        ("zero3", 500, 400, 2400, 400),
    ],
)
def test_what_each_engine_holds_on_four_devices_in_bf16(engine, weights, gradients, moments, gathered):
    found = asked(engine)
    assert (found.weights, found.gradients, found.moments, found.gathered) == (weights, gradients, moments, gathered)
    assert found.activations == 700 + 16 * 5_000
    total = weights + gradients + moments + SLACK * (80_700 + gathered) + RESERVED
    assert found.memory == pytest.approx(total)


def test_plain_on_several_devices_is_ddp():
    plain = asked("plain")
    assert dataclasses.replace(plain, engine="ddp") == asked("ddp") and plain.engine == "plain"


def test_time_is_operations_over_the_rate_and_messages_that_nothing_hides():
    found = asked("ddp", mfu=0.5)
    assert found.computing == pytest.approx(16 * 6e6 / (312e12 * 0.5))
    sent = 2 * 3 / 4 * 4 * 800 / (300e9 * 0.8)
    assert found.waiting == 0.0 and sent < found.computing  # all hidden
    assert asked("ddp", gpus=64, batch=64).waiting > 0  # between machines, with one clip each
    assert found.clips == pytest.approx(64 / found.seconds)


def test_pieces_that_run_again_cost_their_share():
    assert asked("ddp", micro_batch=8, again=0.25).computing == pytest.approx(1.25 * asked("ddp").computing)
    assert asked("ddp", again=0.25).computing == asked("ddp").computing


def test_offloaded_moments_are_not_on_the_device():
    assert asked("zero2", offload=True).moments == 0.0 < asked("zero2").moments


@given(st.sampled_from(ENGINES[1:]), st.integers(1, 64), st.integers(64, 5_000), st.integers(1, 2_000))
def test_the_largest_micro_batch_fits_and_is_a_part_in_equal_pieces(engine, gpus, batch, megabytes):
    step = dataclasses.replace(STEP, clip_bytes=megabytes * 2**20)
    how = {"gpus": gpus, "engine": engine, "batch": batch, "precision": "bf16"}
    largest, part = largest_micro_batch(step, A100, **how), -(-batch // gpus)
    assert 1 <= largest <= part
    assert estimate(step, A100, micro_batch=largest, **how).fits(A100)
    if largest < part:
        pieces = -(-part // largest)
        assert not estimate(step, A100, micro_batch=-(-part // (pieces - 1)), **how).fits(A100)


def test_what_fits_nowhere_is_said():
    step = dataclasses.replace(STEP, clip_bytes=90 * GIB)
    assert largest_micro_batch(step, A100, gpus=1, engine="plain", batch=4, precision="bf16") == 0


@pytest.mark.parametrize(
    "changes, said",
    [
        ({"engine": "magic"}, "engine = magic"),
        ({"precision": "fp8"}, "precision = fp8"),
        ({"gpus": 0}, "gpus = 0"),
        ({"gpus": 65}, "gpus = 65"),
    ],
)
def test_what_cannot_be_is_refused(changes, said):
    with pytest.raises(ParameterError, match=said):
        asked(**{"engine": "ddp"} | changes)
