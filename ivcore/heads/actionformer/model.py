"""The network of ActionFormer: features of a video in, for each moment of each time scale a score of every class and the way to both ends out.

Parameters carry the published names, and the constructor's arguments those of the published configuration.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ivcore.encoders.positions import sine_cosine
from ivcore.errors import ParameterError
from ivcore.heads.actionformer.layers import AffineDropPath, Block, ChannelNorm, MaskedConv, norm

RANGES = ((0, 4), (4, 8), (8, 16), (16, 32), (32, 64), (64, 10000))


@dataclass(frozen=True)
class Moments:
    """Outputs of the network for P moments, those of the finest scale first; all numbers in steps of the features.

    points (P, 4): time, least and greatest distance to an end that it answers for, stride. logits (B, P, K); offsets (B, P, 2): distance to
    start and end in strides; mask bool (B, P). sizes: moments of each scale.
    """

    points: Tensor
    logits: Tensor
    offsets: Tensor
    mask: Tensor
    sizes: tuple[int, ...]


class Backbone(nn.Module):
    """(B, C, T), mask -> [(B, width, T / 2^l), ...] and their masks, finest first."""

    def __init__(self, channels, width, heads, arch, windows, max_seq_len, with_ln, use_abs_pe, **options):
        super().__init__()
        convs, stems, branches = arch
        widths = [channels, *[width] * convs]
        self.embd = nn.ModuleList(MaskedConv(a, b, bias=not with_ln) for a, b in itertools.pairwise(widths))
        self.embd_norm = nn.ModuleList(norm(width, with_ln) for _ in range(convs))
        self.stem = nn.ModuleList(Block(width, heads, 1, windows[0], **options) for _ in range(stems))
        self.branch = nn.ModuleList(Block(width, heads, 2, windows[1 + i], **options) for i in range(branches))
        table = sine_cosine(max_seq_len, width).mT / width**0.5 if use_abs_pe else None
        self.register_buffer("pos_embd", table, persistent=False)

    def forward(self, x: Tensor, mask: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        for conv, normed in zip(self.embd, self.embd_norm):
            x, _ = conv(x, mask)
            x = F.relu(normed(x))
        if self.pos_embd is not None:
            x = x + self._positions(x.shape[2]) * mask
        for block in self.stem:
            x, mask = block(x, mask)
        levels, masks = [x], [mask]
        for block in self.branch:
            x, mask = block(x, mask)
            levels.append(x)
            masks.append(mask)
        return levels, masks

    def _positions(self, places: int) -> Tensor:
        if places <= self.pos_embd.shape[2]:
            return self.pos_embd[:, :, :places]
        return F.interpolate(self.pos_embd, places, mode="linear", align_corners=False)


class IdentityNeck(nn.Module):
    """Every scale for itself, with a norm."""

    def __init__(self, levels: int, width: int, out: int, with_ln: bool):
        super().__init__()
        if width != out:
            raise ParameterError(f"fpn_dim={out}: must be embd_dim={width} where fpn_type is identity")
        self.fpn_norms = nn.ModuleList(norm(out, with_ln) for _ in range(levels))

    def forward(self, levels: list[Tensor], masks: list[Tensor]) -> list[Tensor]:
        del masks
        return [normed(x) for normed, x in zip(self.fpn_norms, levels)]


class PyramidNeck(nn.Module):
    """Coarse scales are added to the finer ones (FPN)."""

    def __init__(self, levels: int, width: int, out: int, with_ln: bool):
        super().__init__()
        every = range(levels)
        self.lateral_convs = nn.ModuleList(MaskedConv(width, out, 1, bias=not with_ln) for _ in every)
        self.fpn_convs = nn.ModuleList(MaskedConv(out, out, groups=out, bias=not with_ln) for _ in every)
        self.fpn_norms = nn.ModuleList(norm(out, with_ln) for _ in every)

    def forward(self, levels: list[Tensor], masks: list[Tensor]) -> list[Tensor]:
        sides = [conv(x, mask)[0] for conv, x, mask in zip(self.lateral_convs, levels, masks)]
        for level in range(len(sides) - 1, 0, -1):
            sides[level - 1] = sides[level - 1] + F.interpolate(sides[level], scale_factor=2.0)
        return [n(conv(x, mask)[0]) for n, conv, x, mask in zip(self.fpn_norms, self.fpn_convs, sides, masks)]


NECKS = {"identity": IdentityNeck, "fpn": PyramidNeck}


class _Tower(nn.Module):
    """The convolutions before the last one of a head, the same for all scales."""

    def __init__(self, width: int, inner: int, layers: int, with_ln: bool):
        super().__init__()
        widths = [width, *[inner] * (layers - 1)]
        self.head = nn.ModuleList(MaskedConv(a, b, bias=not with_ln) for a, b in itertools.pairwise(widths))
        self.norm = nn.ModuleList(norm(inner, with_ln) for _ in range(layers - 1))

    def tower(self, x: Tensor, mask: Tensor) -> Tensor:
        for conv, normed in zip(self.head, self.norm):
            x = F.relu(normed(conv(x, mask)[0]))
        return x


class ClassHead(_Tower):
    """Logits of each class; at first all are as likely as `prior`."""

    def __init__(self, width: int, inner: int, layers: int, with_ln: bool, classes: int, prior: float):
        super().__init__(width, inner, layers, with_ln)
        self.cls_head = MaskedConv(inner if layers > 1 else width, classes)
        if prior > 0:
            nn.init.constant_(self.cls_head.conv.bias, -math.log((1 - prior) / prior))

    def forward(self, level: int, x: Tensor, mask: Tensor) -> Tensor:
        del level
        return self.cls_head(self.tower(x, mask), mask)[0]


class Scale(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(1.0))


class OffsetHead(_Tower):
    """Distances to start and end, 0 or more, with a learnt scale for each level."""

    def __init__(self, width: int, inner: int, layers: int, with_ln: bool, levels: int):
        super().__init__(width, inner, layers, with_ln)
        self.scale = nn.ModuleList(Scale() for _ in range(levels))
        self.offset_head = MaskedConv(inner if layers > 1 else width, 2)

    def forward(self, level: int, x: Tensor, mask: Tensor) -> Tensor:
        return F.relu(self.scale[level].scale * self.offset_head(self.tower(x, mask), mask)[0])


class ActionFormer(nn.Module):
    """Features (B, T, input_dim) and a mask (B, T) -> `Moments`. ParameterError where arguments contradict each other.

    backbone_arch: convolutions before attention, blocks at full length, blocks that halve it. n_mha_win_size: one for all scales, or one for each.
    """

    def __init__(
        self, input_dim: int, num_classes: int, *, backbone_arch: Sequence[int] = (2, 2, 5), embd_dim: int = 512, n_head: int = 4,
        n_mha_win_size: int | Sequence[int] = 19, fpn_type: str = "identity", fpn_dim: int = 0, head_dim: int = 0, head_num_layers: int = 3,
        regression_range: Sequence[Sequence[float]] = RANGES, max_seq_len: int = 2304, embd_with_ln: bool = True, fpn_with_ln: bool = True,
        head_with_ln: bool = True, use_abs_pe: bool = False, use_rel_pe: bool = False, droppath: float = 0.1, dropout: float = 0.0,
        cls_prior_prob: float = 0.01, init_loss_norm: float = 100.0,
    ):  # fmt: skip
        super().__init__()
        levels = 1 + backbone_arch[2]
        windows = [n_mha_win_size] * levels if isinstance(n_mha_win_size, int) else list(n_mha_win_size)
        _check(levels, windows, regression_range, fpn_type, max_seq_len, embd_dim, n_head)
        fpn_dim, head_dim = fpn_dim or embd_dim, head_dim or embd_dim
        self.input_dim, self.num_classes, self.max_seq_len, self.windows = input_dim, num_classes, max_seq_len, windows
        self.ranges, self.heads = [list(pair) for pair in regression_range], n_head
        self.options = {"use_abs_pe": use_abs_pe, "droppath": droppath, "dropout": dropout}
        blocks = {"drop_path": droppath, "dropout": dropout, "relative": use_rel_pe}
        self.backbone = Backbone(input_dim, embd_dim, n_head, backbone_arch, windows, max_seq_len, embd_with_ln, use_abs_pe, **blocks)  # fmt: skip
        self.neck = NECKS[fpn_type](levels, embd_dim, fpn_dim, fpn_with_ln)
        self.cls_head = ClassHead(fpn_dim, head_dim, head_num_layers, head_with_ln, num_classes, cls_prior_prob)
        self.reg_head = OffsetHead(fpn_dim, head_dim, head_num_layers, head_with_ln, levels)
        self.register_buffer("loss_normalizer", torch.tensor(float(init_loss_norm)))  # moved by losses.localization

    @property
    def config(self) -> dict:
        """Settings that `weights.load` cannot infer from shapes, under published names; saved beside the weights."""
        known = {"n_head": self.heads, "n_mha_win_size": self.windows, "regression_range": self.ranges}
        return known | {"max_seq_len": self.max_seq_len, **self.options}

    def no_weight_decay(self) -> set[str]:
        """Parameters of norms, the scales of stochastic depth and relative positions, which are not one-dimensional here."""
        small = {name for name, part in self.named_modules() if isinstance(part, ChannelNorm | AffineDropPath)}
        return {name for name, _ in self.named_parameters() if name.rpartition(".")[0] in small or name.endswith("rel_pe")}  # fmt: skip

    def padded_length(self, places: int) -> int:
        """The length that a sequence is padded to: max_seq_len, or for a longer one the next that all scales and windows divide."""
        if places <= self.max_seq_len:
            return self.max_seq_len
        strides = (2**level * max(2 * (window // 2), 1) for level, window in enumerate(self.windows))
        unit = max(strides)
        return -(-places // unit) * unit

    def pad(self, features: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Sequences (T_i, C) -> (B, T, C) and the mask bool (B, T) of what is real."""
        lengths = torch.tensor([len(sequence) for sequence in features])
        longest = self.padded_length(int(lengths.max()))
        batch = torch.stack([F.pad(sequence.float(), (0, 0, 0, longest - len(sequence))) for sequence in features])
        return batch, torch.arange(longest) < lengths[:, None]

    def forward(self, features: Tensor, mask: Tensor) -> Moments:
        levels, masks = self.backbone(features.mT, mask[:, None])
        levels = self.neck(levels, masks)
        logits = [self.cls_head(level, x, m).mT for level, (x, m) in enumerate(zip(levels, masks))]
        offsets = [self.reg_head(level, x, m).mT for level, (x, m) in enumerate(zip(levels, masks))]
        sizes = tuple(x.shape[2] for x in levels)
        mask = torch.cat(masks, 2)[:, 0]
        return Moments(self.points(sizes, mask.device), torch.cat(logits, 1), torch.cat(offsets, 1), mask, sizes)

    def points(self, sizes: Sequence[int], device=None) -> Tensor:
        """The moments of every scale: (P, 4), see `Moments`."""
        parts = []
        for level, (size, (low, high)) in enumerate(zip(sizes, self.ranges)):
            time = torch.arange(size, device=device) * 2.0**level
            rest = torch.tensor([low, high, 2.0**level], device=device).expand(size, 3)
            parts.append(torch.cat((time[:, None], rest), 1))
        return torch.cat(parts)


def _check(levels: int, windows: list, ranges, neck: str, longest: int, width: int, heads: int) -> None:
    for name, value in (("n_mha_win_size", windows), ("regression_range", ranges)):
        if len(value) != levels:
            raise ParameterError(f"{name}: has {len(value)} entries, must have one for each of the {levels} scales")
    if neck not in NECKS:
        raise ParameterError(f"fpn_type={neck!r}: must be one of {', '.join(NECKS)}")
    if longest % 2 ** (levels - 1):
        raise ParameterError(f"max_seq_len={longest}: must be a multiple of {2 ** (levels - 1)}, the coarsest stride")
    if width % heads:
        raise ParameterError(f"embd_dim={width}: must be a multiple of n_head={heads}")
