"""CKA against its closed forms: invariances, itself, the published formulas written out, and batches against the whole."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ivcore.errors import ParameterError
from ivcore.metrics.cka import MinibatchCKA, cka_matrix

quick = settings(max_examples=25, database=None)


def linear_cka(x, y, unbiased=True):
    return cka_matrix([x], [y], unbiased=unbiased).item()


def features(seed, clips=30, width=8):
    return torch.randn(clips, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def rotation(width, seed=9):
    return torch.linalg.qr(features(seed, width, width))[0]


@quick
@given(st.integers(0, 2**31), st.integers(4, 40), st.integers(1, 50), st.booleans())
def test_itself_turned_scaled_and_shifted_is_1(seed, clips, width, unbiased):
    x = features(seed, clips, width)
    turned = 3.7 * x @ rotation(width) + torch.arange(width)
    assert linear_cka(x, x, unbiased) == pytest.approx(1)
    assert linear_cka(x, turned, unbiased) == pytest.approx(1, abs=1e-6)


@quick
@given(st.integers(0, 2**31), st.booleans())
def test_neither_side_cares_for_rotation_scale_or_shift(seed, unbiased):
    x, y = features(seed), features(seed + 1, width=5) + features(seed)[:, :5]
    plain = linear_cka(x, y, unbiased)
    assert linear_cka(x @ rotation(8), y, unbiased) == pytest.approx(plain)
    assert linear_cka(y - 5, 0.01 * x, unbiased) == pytest.approx(plain)  # and the two may change places
    order = torch.randperm(30, generator=torch.Generator().manual_seed(seed))
    assert linear_cka(x[order], y[order], unbiased) == pytest.approx(plain)


def test_a_stretch_of_one_direction_does_count():
    x = features(0)
    stretched = x * torch.tensor([10.0] + [1.0] * 7)
    assert linear_cka(x, stretched) < 0.9


def test_the_plain_estimator_is_the_ratio_of_norms_of_covariances():
    x, y = features(0), features(1, width=5) + features(0)[:, :5]
    x0, y0 = x - x.mean(0), y - y.mean(0)
    expected = (y0.T @ x0).norm() ** 2 / ((x0.T @ x0).norm() * (y0.T @ y0).norm())
    assert linear_cka(x, y, unbiased=False) == pytest.approx(expected.item())


def hsic(x, y):
    """Song et al. 2012, equation 5, as it is printed."""
    n = len(x)
    k, m = (g @ g.T * (1 - torch.eye(n, dtype=torch.float64)) for g in (x, y))
    one = torch.ones(n, dtype=torch.float64)
    means = (one @ k @ one) * (one @ m @ one) / ((n - 1) * (n - 2)) - 2 / (n - 2) * (one @ k @ m @ one)
    return (torch.trace(k @ m) + means) / (n * (n - 3))


def test_the_unbiased_estimator_is_the_printed_formula():
    x, y = features(0) + 2, features(1, width=5) + features(0)[:, :5]
    expected = hsic(x, y) / (hsic(x, x) * hsic(y, y)).sqrt()
    assert linear_cka(x, y) == pytest.approx(expected.item())


def test_unrelated_wide_features_look_alike_to_the_plain_estimator_only():
    plain, unbiased = [], []
    for seed in range(10):
        x, y = features(seed, 20, 500), features(100 + seed, 20, 500)
        plain.append(linear_cka(x, y, unbiased=False))
        unbiased.append(linear_cka(x, y))
    assert min(plain) > 0.9
    assert abs(sum(unbiased) / 10) < 0.05


def test_batches_estimate_the_whole():
    shared = features(0, 600, 4)
    x, y = shared @ features(1, 4, 16), shared[:, :2] @ features(2, 2, 10) + features(3, 600, 10)
    whole = linear_cka(x, y)
    assert cka_matrix([x], [y], batch=50).item() == pytest.approx(whole, abs=0.05)
    assert 0.1 < whole < 0.9
    running = MinibatchCKA()
    for start in range(0, 600, 50):
        running.update([x[start : start + 50]], [y[start : start + 50]])
    assert torch.equal(running.value(), cka_matrix([x], [y], batch=50))


def test_batches_of_different_sizes_add_up_their_unbiased_estimates():
    x, y = features(0, 16), features(1, 16, 5) + features(0, 16)[:, :5]
    running, parts = MinibatchCKA(), (slice(0, 5), slice(5, 16))
    for part in parts:
        running.update([x[part]], [y[part]])
    xy, xx, yy = (sum(hsic(a[part], b[part]) for part in parts) for a, b in ((x, y), (x, x), (y, y)))
    assert running.value().item() == pytest.approx((xy / (xx * yy).sqrt()).item())


def test_layers_against_layers_and_tokens_are_flattened():
    xs = [features(seed, 12, 6).view(12, 2, 3) for seed in range(3)]
    ys = [features(10, 12, 4), xs[1].flatten(1) * 2]
    table = cka_matrix(xs, ys)
    assert table.shape == (3, 2)
    assert table[1, 1].item() == pytest.approx(1)
    assert table[2, 0].item() == pytest.approx(linear_cka(xs[2], ys[0]))


def test_a_short_last_batch_is_left_out():
    x, y = features(0, 23), features(1, 23)
    assert torch.equal(cka_matrix([x], [y], batch=10), cka_matrix([x[:20]], [y[:20]], batch=10))


def test_features_that_do_not_vary_have_no_value():
    for unbiased in (True, False):
        assert math.isnan(linear_cka(torch.full((9, 3), 0.1), features(0, 9), unbiased))


def test_what_does_not_fit_is_refused():
    with pytest.raises(ParameterError, match="needs 4"):
        linear_cka(features(0, 3), features(1, 3))
    with pytest.raises(ParameterError, match=r"the same clips in all, got \[5, 6\]"):
        linear_cka(features(0, 5), features(1, 6))
    with pytest.raises(ParameterError, match="only the unbiased"):
        cka_matrix([features(0)], [features(1)], batch=10, unbiased=False)
