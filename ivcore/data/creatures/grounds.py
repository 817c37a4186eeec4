"""The backgrounds: still pictures with four times the area of a frame, so that a camera can pan over them."""

from dataclasses import dataclass

import numpy as np

GROUNDS = (
    "plain",
    "shaded",
    "cloudy",
    "striped",
    "checkered",
    "spotted",
    "tiled",
    "flat",
    "hilly",
    "cluttered",
    "rough",
)


@dataclass(frozen=True)
class Ground:
    kind: str
    colours: np.ndarray  # (2, 3): RGB in [0, 1]
    seed: int


def noise(rng, n: int, cells: int) -> np.ndarray:
    """Smooth noise, float32 (n, n) in [0, 1], with `cells` random values on a side."""
    grid = rng.random((cells + 1, cells + 1), np.float32)
    at = np.linspace(0, cells - 1e-3, n, dtype=np.float32)
    low = at.astype(int)
    part = at - low
    part = part * part * (3 - 2 * part)
    rows = grid[low] + part[:, None] * (grid[low + 1] - grid[low])
    return rows[:, low] + part * (rows[:, low + 1] - rows[:, low])


def _soft(values, edge):
    return np.clip(0.5 + values * edge, 0, 1)


def _mix(rng, kind: str, n: int) -> np.ndarray:
    """The share of the second colour at every place, (n, n)."""
    y, x = np.mgrid[0:n, 0:n].astype(np.float32) * (2 / n)  # in frame widths
    angle = rng.uniform(0, 2 * np.pi)
    u, v = np.cos(angle) * x + np.sin(angle) * y, np.cos(angle) * y - np.sin(angle) * x
    match kind:
        case "plain":
            return np.zeros((n, n), np.float32)
        case "shaded":
            return (u - u.min()) / np.ptp(u)
        case "cloudy":
            scales = rng.choice([4, 7, 12, 20, 34], 2, replace=False)
            return 0.6 * noise(rng, n, scales[0]) + 0.4 * noise(rng, n, scales[1])
        case "striped":
            wave = np.sin(2 * np.pi * u * rng.uniform(1.5, 9) + rng.uniform(0, 6))
            return _soft(wave, rng.choice([0.5, 4]))
        case "checkered":
            pitch = np.pi * rng.uniform(2, 8)
            return _soft(np.sin(pitch * u) * np.sin(pitch * v), rng.choice([0.5, 6]))
        case "spotted":
            return _soft(noise(rng, n, int(rng.integers(8, 34))) - rng.uniform(0.45, 0.7), 8)
        case "tiled":
            pitch, width = rng.uniform(3, 9), rng.uniform(0.03, 0.1)
            line = np.minimum(np.abs(u * pitch % 1 - 0.5), np.abs(v * pitch % 1 - 0.5))
            return _soft(line - width, n / 2 / pitch) if rng.random() < 0.5 else 1 - _soft(line - width, n / 2 / pitch)
        case "flat":  # a floor
            return _soft(y - rng.uniform(0.9, 1.35), n / 2) * (0.6 + 0.4 * noise(rng, n, 24))
        case "hilly":
            hills = 0.5 * noise(rng, n, int(rng.integers(3, 9)))[:1] + 0.1 * noise(rng, n, 40)[:1]
            return _soft(y - rng.uniform(0.7, 1.1) - hills, n / 2)
        case "cluttered":
            return 0.4 * noise(rng, n, 5)
    grass = rng.random((n, n), np.float32)
    return 0.5 * noise(rng, n, 9) + 0.5 * (0.5 * grass + 0.25 * np.roll(grass, 1, 0) + 0.25 * np.roll(grass, 2, 0))


def _clutter(rng, image: np.ndarray, count: int) -> None:
    """Draws discs, boxes and bars that stand still."""
    n = len(image)
    for _ in range(count):
        x, y, a, b = *rng.uniform(0, n, 2), *rng.uniform(0.02, 0.12, 2) * n
        left, top = max(int(x - a - b), 0), max(int(y - a - b), 0)
        box = image[top : int(y + a + b) + 1, left : int(x + a + b) + 1]
        if not box.size:
            continue
        v, u = np.mgrid[0 : box.shape[0], 0 : box.shape[1]]
        u, v, turn = u + left - x, v + top - y, rng.uniform(0, 3)
        u, v = np.cos(turn) * u + np.sin(turn) * v, np.cos(turn) * v - np.sin(turn) * u
        inside = a - np.hypot(u, v) if rng.random() < 0.4 else np.minimum(a - np.abs(u), b * 0.4 - np.abs(v))
        alpha = np.clip(inside + 0.5, 0, 1)[..., None] * rng.uniform(0.4, 1)
        box += alpha * (rng.random(3) - box)


def draw_ground(rng) -> Ground:
    """Draws a kind, two colours of any contrast, and a seed for the picture."""
    first = np.clip(rng.uniform(0.05, 0.95) + rng.uniform(-0.22, 0.22, 3), 0, 1)
    other = first + rng.uniform(0.1, 0.6) * rng.choice([-1, 1]) * rng.uniform(0.3, 1, 3)
    return Ground(str(rng.choice(GROUNDS)), np.clip([first, other], 0, 1), int(rng.integers(2**31)))


def picture(ground: Ground, size: int) -> np.ndarray:
    """The ground, float32 (2 size, 2 size, 3); frames of `size` pixels show its middle."""
    n, rng = 2 * size, np.random.default_rng(ground.seed)
    first, other = ground.colours.astype(np.float32)
    image = first + _mix(rng, ground.kind, n)[..., None].astype(np.float32) * (other - first)
    if ground.kind == "cluttered":
        _clutter(rng, image, int(rng.integers(12, 40)))
    elif rng.random() < 0.2:
        _clutter(rng, image, int(rng.integers(3, 12)))
    if rng.random() < 0.3:
        image += rng.uniform(0.01, 0.06) * rng.standard_normal((n, n, 1), np.float32)
    return image
