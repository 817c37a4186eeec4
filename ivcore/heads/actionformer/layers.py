"""The layers of ActionFormer: convolutions, norms and attention over time that know which places are padding.

Sequences are float (B, C, T) with a mask bool (B, 1, T), True where a place is real. Parameters carry the published names.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from timm.layers import DropPath
from torch import Tensor, nn

FAR = -1e9  # added to the scores of what attention may not see; finite, so that a row that sees nothing stays a number


class MaskedConv(nn.Module):
    """A convolution over time whose output is 0 at padding: (B, C, T), (B, 1, T) -> (B, C', T / stride), (B, 1, T / stride)."""

    def __init__(self, width: int, out: int, kernel: int = 3, stride: int = 1, groups: int = 1, bias: bool = True):
        super().__init__()
        self.conv = nn.Conv1d(width, out, kernel, stride, kernel // 2, groups=groups, bias=bias)
        if bias:
            nn.init.zeros_(self.conv.bias)

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        mask = mask[..., :: self.conv.stride[0]]
        return self.conv(x) * mask, mask


class ChannelNorm(nn.Module):
    """LayerNorm over the channels of (B, C, T)."""

    def __init__(self, width: int):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1, width, 1))
        self.bias = nn.Parameter(torch.zeros(1, width, 1))

    def forward(self, x: Tensor) -> Tensor:
        return F.layer_norm(x.mT, x.shape[1:2], self.weight.flatten(), self.bias.flatten(), 1e-5).mT


def norm(width: int, used: bool = True) -> nn.Module:
    return ChannelNorm(width) if used else nn.Identity()


class Attention(nn.Module):
    """Multi-head attention after a depthwise convolution of queries, keys and values, which also strides.

    window: places that a place sees, itself in their middle; 1 or less for all. Then `relative` learns a bias for each offset.
    """

    def __init__(self, width: int, heads: int, stride: int, window: int, relative: bool = False):
        super().__init__()
        self.heads, self.half = heads, window // 2 if window > 1 else None
        kernel = stride + 1 if stride > 1 else 3
        for name in ("query", "key", "value"):
            setattr(self, f"{name}_conv", MaskedConv(width, width, kernel, stride, groups=width, bias=False))
            setattr(self, f"{name}_norm", ChannelNorm(width))
            setattr(self, name, nn.Conv1d(width, width, 1))
        self.proj = nn.Conv1d(width, width, 1)
        if relative and self.half is not None:
            self.rel_pe = nn.Parameter(torch.empty(1, 1, heads, 2 * self.half + 1))
            nn.init.trunc_normal_(self.rel_pe, std=(2 / width) ** 0.5)

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        q, k, v = (self._part(name, x, mask) for name in ("query", "key", "value"))
        mask = mask[..., :: self.query_conv.conv.stride[0]]
        seen = self._all(q, k, v, mask) if self.half is None else self._near(q, k, v, mask)
        return self.proj(seen.mT.flatten(1, 2) * mask) * mask, mask

    def _part(self, name: str, x: Tensor, mask: Tensor) -> Tensor:
        """(B, C, T) -> (B, heads, T', C / heads)."""
        x, _ = getattr(self, f"{name}_conv")(x, mask)
        x = getattr(self, name)(getattr(self, f"{name}_norm")(x))
        return x.unflatten(1, (self.heads, -1)).mT

    def _all(self, q, k, v, mask: Tensor) -> Tensor:
        return F.scaled_dot_product_attention(q, k, v, attn_mask=(FAR * ~mask).to(q.dtype)[:, None])

    def _near(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
        """Blocks of 2 * half places each see their own keys and half a block on either side, so memory grows with T alone."""
        length, places = max(2 * self.half, 1), q.shape[2]
        blocks = -(-places // length)
        extra = blocks * length - places
        q = F.pad(q, (0, 0, 0, extra)).unflatten(2, (blocks, length)).transpose(1, 2).flatten(0, 1)
        k, v = (self._blocks(part, extra).permute(0, 2, 1, 4, 3).flatten(0, 1) for part in (k, v))
        real = self._blocks(mask[:, None].mT, extra).transpose(1, 2).flatten(0, 1)  # (B * blocks, 1, 1, keys)
        bias = self._band(length, q.device) + FAR * ~real
        seen = F.scaled_dot_product_attention(q, k, v, attn_mask=bias.to(q.dtype))
        return seen.unflatten(0, (-1, blocks)).transpose(1, 2).flatten(2, 3)[:, :, :places]

    def _blocks(self, x: Tensor, extra: int) -> Tensor:
        """(B, h, T, d) -> the keys of each block: (B, h, blocks, d, 4 * half)."""
        length = max(2 * self.half, 1)
        return F.pad(x, (0, 0, self.half, self.half + extra)).unfold(2, length + 2 * self.half, length)

    def _band(self, length: int, device) -> Tensor:
        """Bias of the scores between a block's queries and keys: (1, 1 or heads, length, length + 2 * half)."""
        offset = torch.arange(length + 2 * self.half, device=device) - torch.arange(length, device=device)[:, None]
        outside = (offset < 0) | (offset > 2 * self.half)
        band = FAR * outside[None, None]
        if not hasattr(self, "rel_pe"):
            return band
        return band + self.rel_pe[0, 0][:, offset.clamp(0, 2 * self.half)][None]


class AffineDropPath(nn.Module):
    """Stochastic depth with a learnt scale of each channel, small at first."""

    def __init__(self, width: int, rate: float):
        super().__init__()
        self.scale = nn.Parameter(torch.full((1, width, 1), 1e-4))
        self.drop = DropPath(rate)

    def forward(self, x: Tensor) -> Tensor:
        return self.drop(self.scale * x)


class Block(nn.Module):
    """Attention and MLP, each on a norm and beside a skip; with a stride the skip is a maximum over neighbours."""

    def __init__(
        self, width: int, heads: int, stride: int, window: int, *, drop_path: float, dropout: float, relative: bool
    ):
        super().__init__()
        self.ln1, self.ln2 = ChannelNorm(width), ChannelNorm(width)
        self.attn = Attention(width, heads, stride, window, relative)
        self.pool_skip = nn.MaxPool1d(stride + 1, stride, (stride + 1) // 2) if stride > 1 else nn.Identity()
        wide, back = nn.Conv1d(width, 4 * width, 1), nn.Conv1d(4 * width, width, 1)
        self.mlp = nn.Sequential(wide, nn.GELU(), nn.Dropout(dropout), back, nn.Dropout(dropout))
        paths = [AffineDropPath(width, drop_path) if drop_path > 0 else nn.Identity() for _ in range(2)]
        self.drop_path_attn, self.drop_path_mlp = paths

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        y, mask = self.attn(self.ln1(x), mask)
        x = self.pool_skip(x) * mask + self.drop_path_attn(y)
        return x + self.drop_path_mlp(self.mlp(self.ln2(x)) * mask), mask
