"""UniFormerV2 (arXiv 2211.09552): a CLIP ViT extended to video, the video encoder of the multimodal branch (paper 3.1.2, 3.2).

Local blocks mix neighbouring frames before attention and before the MLP; in late layers, global blocks let one query token attend to all
space-time tokens; the result is fused with the frames' class tokens. New parts start as zeros, so that at initialisation the
feature is half the time-mean of CLIP's class token. Parameters have the published names (without `backbone.`). Normalised clips
are float (B, 3, T, H, W); inside, tokens are (B, T, 1+hw, D), class token first.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import rearrange
from timm.layers import DropPath
from torch import Tensor, nn

from ivcore.encoders.checkpointing import checkpoint_block, checkpoint_selectively
from ivcore.encoders.clip import Attention, FeedForward, QuickGELU, act_as
from ivcore.encoders.depthwise import depthwise_conv3d
from ivcore.encoders.intermediates import Record, add_to, start_record, with_record
from ivcore.encoders.normalisation import HALF, normalise
from ivcore.encoders.positions import resize_beside_class
from ivcore.errors import ParameterError

# parts that CLIP lacks, apart from the local aggregators
NEW = tuple(f"transformer.{part}" for part in ("temporal_cls_token", "balance", "dpe.", "dec.", "proj."))


class LocalMHRA(nn.Module):
    """Local temporal relation aggregator: BatchNorm, 1x1x1 down, depthwise over 3 frames, 1x1x1 up (initially zero).

    The parameters are a Conv3d's, as published; the computation uses matrix products and shifts of channels-last tokens.
    """

    def __init__(self, width: int, reduction: float = 1.5, kernel: int = 3):
        super().__init__()
        inner = int(width // reduction)
        self.pos_embed = nn.Sequential(
            nn.BatchNorm1d(width),  # over all tokens: the same result as BatchNorm3d on (B, C, T, h, w)
            nn.Conv3d(width, inner, 1),
            nn.Conv3d(inner, inner, (kernel, 1, 1), padding=(kernel // 2, 0, 0), groups=inner),
            nn.Conv3d(inner, width, 1),
        )
        nn.init.zeros_(self.pos_embed[3].weight)
        nn.init.zeros_(self.pos_embed[3].bias)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, hw, D) -> (B, T, hw, D)."""
        norm, down, temporal, up = self.pos_embed
        y = norm(x.flatten(0, 2)).view(x.shape)
        y = F.linear(y, down.weight.flatten(1), down.bias)
        y = _over_time(y, temporal.weight.flatten(1), temporal.bias)
        return F.linear(y, up.weight.flatten(1), up.bias)


def _over_time(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Depthwise convolution over dim 1 of (B, T, S, C) with weight (C, k), zero padded."""
    frames, reach = x.shape[1], weight.shape[1] // 2
    padded = F.pad(x, (0, 0, 0, 0, reach, reach))
    out = torch.addcmul(bias, padded[:, :frames], weight[:, 0])
    for tap in range(1, weight.shape[1]):
        out = torch.addcmul(out, padded[:, tap : tap + frames], weight[:, tap])
    return out


class LocalBlock(nn.Module):
    """CLIP block with local aggregators on the patch tokens; class tokens skip them."""

    def __init__(
        self, width, heads, *, local=True, double=True, reduction=1.5, kernel=3, drop_path=0.0, quick_gelu=True
    ):
        super().__init__()
        self.lmhra1 = LocalMHRA(width, reduction, kernel) if local else None
        self.lmhra2 = LocalMHRA(width, reduction, kernel) if local and double else None
        self.attn = Attention(width, heads)
        self.ln_1 = nn.LayerNorm(width)
        self.mlp = FeedForward(width, 4 * width, quick_gelu=quick_gelu)
        self.ln_2 = nn.LayerNorm(width)
        # drops the branch for a whole clip
        self.drop_path = DropPath(drop_path) if drop_path else nn.Identity()
        self.activation_checkpointing = "nothing"

    def forward(self, x: Tensor, record: Record = None) -> Tensor:
        """(B, T, 1+hw, D) -> (B, T, 1+hw, D)."""
        x = self._local(self.lmhra1, x)
        projected = checkpoint_selectively(self, lambda y: self.attn.project(self.ln_1(y).flatten(0, 1)), x)
        attended = self.attn.mix(projected, record).view(x.shape)
        x = self._local(self.lmhra2, x + self.drop_path(attended))
        hidden = checkpoint_selectively(self, lambda y: self.mlp.c_fc(self.ln_2(y)), x)
        return x + self.drop_path(checkpoint_selectively(self, self.mlp.finish, hidden))

    def _local(self, aggregate: LocalMHRA | None, x: Tensor) -> Tensor:
        if aggregate is None:
            return x
        classes, patches = x[:, :, :1], x[:, :, 1:]
        return torch.cat((classes, patches + self.drop_path(aggregate(patches))), dim=2)


class CrossAttention(nn.Module):
    """One query token attends to many, with torch.nn.MultiheadAttention's parameters.

    With a single query, keys and values need not be projected: the query is multiplied by the key weights, the tokens are averaged in each
    head, and only the averages are multiplied by the value weights. The result is the same with D/heads times less work; the key bias is
    equal for all tokens and cancels.
    """

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.in_proj_weight = nn.Parameter(nn.init.xavier_uniform_(torch.empty(3 * width, width)))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * width))
        self.out_proj = nn.Linear(width, width)
        nn.init.zeros_(self.out_proj.weight)
        nn.init.zeros_(self.out_proj.bias)

    def forward(self, query: Tensor, tokens: Tensor, record: Record = None) -> Tensor:
        """query (B, D), tokens (B, M, D) -> (B, D)."""
        by_head = rearrange(self.in_proj_weight, "(three h d) c -> three h d c", three=3, h=self.heads)
        bias_q, _, bias_v = self.in_proj_bias.chunk(3)
        q = F.linear(query, self.in_proj_weight.chunk(3)[0], bias_q)
        q = rearrange(q, "b (h d) -> b h d", h=self.heads) * by_head.shape[2] ** -0.5
        carried = torch.einsum("b h d, h d c -> b h c", q, by_head[1])
        weights = (carried @ tokens.transpose(1, 2)).softmax(-1)
        add_to(record, "global_attention", weights)
        values = torch.einsum("b h c, h d c -> b h d", weights @ tokens, by_head[2])
        return self.out_proj(values.flatten(1) + bias_v)


class GlobalBlock(nn.Module):
    """The query token attends to all space-time tokens of a layer, then passes an MLP. Both branches are initially zero."""

    def __init__(self, width: int, heads: int, mlp_factor: float = 4.0, dropout: float = 0.5):
        super().__init__()
        self.attn = CrossAttention(width, heads)
        self.ln_1 = nn.LayerNorm(width)
        self.mlp = FeedForward(width, round(mlp_factor * width), dropout)
        self.ln_2 = nn.LayerNorm(width)
        self.ln_3 = nn.LayerNorm(width)
        nn.init.xavier_uniform_(self.mlp.c_fc.weight)
        nn.init.zeros_(self.mlp.c_proj.weight)
        nn.init.zeros_(self.mlp.c_proj.bias)

    def forward(self, query: Tensor, tokens: Tensor, record: Record = None) -> Tensor:
        """query (B, D), tokens (B, T, 1+hw, D) -> (B, D)."""
        query = query + self.attn(self.ln_1(query), self.ln_3(tokens).flatten(1, 2), record)
        return query + self.mlp(self.ln_2(query))


class Stages(nn.Module):
    """All blocks, and the fusion of the query token with the class tokens; a separate module because of the published names."""

    def __init__(
        self, width, layers, heads, global_layers, *, global_heads, mlp_factor, mlp_dropout, frozen, drop_path, **local
    ):
        super().__init__()
        rates = [drop_path * i / max(layers - 1, 1) for i in range(layers)]
        self.global_layers = tuple(global_layers)
        self.resblocks = nn.ModuleList(LocalBlock(width, heads, drop_path=rate, **local) for rate in rates)
        self.temporal_cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.dpe = nn.ModuleList(nn.Conv3d(width, width, 3, padding=1, groups=width) for _ in global_layers)
        self.dec = nn.ModuleList(GlobalBlock(width, global_heads, mlp_factor, mlp_dropout) for _ in global_layers)
        self.balance = None if frozen else nn.Parameter(torch.zeros(width))
        for embedding in self.dpe:
            nn.init.zeros_(embedding.bias)

    def forward(self, x: Tensor, grid: tuple[int, int], record: Record) -> tuple[Tensor, Tensor]:
        """(B, T, 1+hw, D) -> (fused feature (B, D), tokens of the last block)."""
        query = self.temporal_cls_token[0].expand(len(x), -1)
        for i, block in enumerate(self.resblocks):
            x = checkpoint_block(block, block, x, record)
            add_to(record, "tokens", x)
            query = self.update_query(query, i, x, grid, record)
        return self.fuse(query, mean_class(x)), x

    def init_from_scratch(self, generator: torch.Generator | None = None) -> None:
        """Initialises the global parts with random weights instead of zeros, for training without CLIP's weights: then there is nothing to
        preserve, and zeros only slow down. Position embeddings start large, so that the zero padding, which marks the first and last
        frame, has an effect at once.
        """
        nn.init.normal_(self.temporal_cls_token, std=0.1, generator=generator)
        for embedding, block in zip(self.dpe, self.dec):
            for up in (block.attn.out_proj, block.mlp.c_proj):
                nn.init.normal_(up.weight, std=up.in_features**-0.5, generator=generator)
            nn.init.uniform_(embedding.weight, -1.0, 1.0, generator=generator)

    def update_query(
        self, query: Tensor, layer: int, x: Tensor, grid: tuple[int, int], record: Record = None
    ) -> Tensor:
        """The query token (B, D) after a layer with tokens x (B, T, 1+hw, D); unchanged if the layer has no global block."""
        if layer not in self.global_layers:
            return query
        j = self.global_layers.index(layer)
        query = self.dec[j](query, self._with_positions(x, self.dpe[j], grid), record)
        add_to(record, "query_token", query)
        return query

    def _with_positions(self, x: Tensor, embedding: nn.Conv3d, grid: tuple[int, int]) -> Tensor:
        """Adds the dynamic position embedding: a depthwise 3x3x3 convolution of the patch tokens."""
        classes, patches = x[:, :, :1], x[:, :, 1:]
        return torch.cat((classes, patches + depthwise_conv3d(patches, grid[0], embedding)), dim=2)

    def fuse(self, query: Tensor, classes: Tensor) -> Tensor:
        """Query token (B, D), class tokens averaged over time (B, D) -> feature (B, D)."""
        if self.balance is None:
            return query
        weight = self.balance.sigmoid()
        return (1 - weight) * query + weight * classes


def mean_class(x: Tensor) -> Tensor:
    """The class tokens of all frames, averaged over time: (B, T, 1+hw, D) -> (B, D)."""
    return x[:, :, 0].mean(1)


class UniFormerV2(nn.Module):
    """`m(video)` gives logits (B, num_classes), or the feature if num_classes is 0; `m.features(video)` the fused feature (B, D).

    global_layers: indices of the layers with a global block (published: the last four for Kinetics; for Something-Something 8 of 12 or 16
    of 24, with local blocks). temporal_downsample: the stem merges pairs of frames. frozen: no class-token fusion.
    """

    intermediates = (
        "patch_tokens",
        "tokens",
        "attention",
        "query_token",
        "global_attention",
        "video_tokens",
        "features",
    )

    def __init__(self, width=768, layers=12, heads=12, patch=16, image=224, num_classes=400, global_layers=None, *,
                 local=False, double_local=True, reduction=1.5, kernel=3, temporal_downsample=False, frozen=False, drop_path=0.0,
                 global_heads=None, mlp_factor=4.0, mlp_dropout=0.5, head_drop=0.5, quick_gelu=True):  # fmt: skip
        super().__init__()
        self.image, self.patch, self.num_classes = image, patch, num_classes
        global_layers = tuple(range(layers - 4, layers)) if global_layers is None else tuple(global_layers)
        if not all(0 <= i < layers for i in global_layers):
            raise ParameterError(f"global_layers: {global_layers} are not all in 0..{layers - 1}")
        scale, taps = width**-0.5, 3 if temporal_downsample else 1
        self.conv1 = nn.Conv3d(3, width, (taps, patch, patch), (2 if temporal_downsample else 1, patch, patch),
                               padding=(taps // 2, 0, 0), bias=False)  # fmt: skip
        self.class_embedding = nn.Parameter(scale * torch.randn(width))
        self.positional_embedding = nn.Parameter(scale * torch.randn((image // patch) ** 2 + 1, width))
        self.ln_pre = nn.LayerNorm(width)
        self.transformer = Stages(width, layers, heads, global_layers, global_heads=global_heads or heads, mlp_factor=mlp_factor,
                                  mlp_dropout=mlp_dropout, frozen=frozen, drop_path=drop_path, local=local, double=double_local,
                                  reduction=reduction, kernel=kernel, quick_gelu=quick_gelu)  # fmt: skip
        if num_classes:
            self.transformer.proj = nn.Sequential(
                nn.LayerNorm(width), nn.Dropout(head_drop), nn.Linear(width, num_classes)
            )

    def prepare(self, clips: Tensor) -> Tensor:
        """uint8 (B, T, H, W, 3) -> float (B, 3, T, H, W) with mean .45 and deviation .225."""
        return normalise(clips, HALF, self.conv1.weight.dtype)

    def forward(self, video: Tensor, return_intermediates: tuple[str, ...] = ()):
        """(B, 3, T, H, W) -> logits (B, num_classes)."""
        record = start_record(return_intermediates, self.intermediates)
        features, _ = self.encode(video, record)
        add_to(record, "features", features)
        return with_record(self.classify(features), record)

    def features(self, video: Tensor) -> Tensor:
        """(B, 3, T, H, W) -> the head's input (B, D)."""
        return self.encode(video)[0]

    def encode(self, video: Tensor, record: Record = None) -> tuple[Tensor, Tensor]:
        """(B, 3, T, H, W) -> (fused feature (B, D), tokens of the last block (B, T', 1+hw, D))."""
        features, tokens = self.transformer(self.embed(video, record), self.grid, record)
        add_to(record, "video_tokens", tokens.flatten(1, 2))
        return features, tokens

    @property
    def framewise(self) -> bool:
        """Whether every block sees one frame at a time, as without local blocks; then only the query token combines frames."""
        return self.conv1.kernel_size[0] == 1 and all(block.lmhra1 is None for block in self.blocks)

    def frame_tokens(self, video: Tensor) -> Tensor:
        """(B, 3, T, H, W) -> (B, T, G, 1+hw, D), the input of `gather`: the tokens after each layer with a global block, and after the last.

        If the model is `framewise`, a frame has the same tokens in every clip, so overlapping windows can share them.
        """
        x, kept = self.embed(video), []
        for i, block in enumerate(self.blocks):
            x = block(x)
            kept += [x] if i in self._read_later else []
        return torch.stack(kept, dim=2)

    def gather(self, tokens: Tensor) -> Tensor:
        """`frame_tokens` of the frames of a clip (B, T, G, 1+hw, D) -> the clip's feature (B, D), equal to that of `features`."""
        query = self.first_query(len(tokens))
        for place, layer in enumerate(self._read_later):
            query = self.update_query(query, layer, tokens[:, :, place])
        return self.fuse(query, mean_class(tokens[:, :, -1]))

    @property
    def _read_later(self) -> list[int]:
        return sorted({*self.global_layers, len(self.blocks) - 1})

    def resize_positions(self, frames: int, height: int, width: int | None = None) -> UniFormerV2:
        """Changes the expected frame size; interpolates the position table, as released. Returns self.

        `frames` is ignored: the table is for one frame, so any clip length works. ParameterError for frames that are not square or not a
        multiple of the patch.
        """
        if (width or height) != height or height < self.patch or height % self.patch:
            raise ParameterError(f"frame {(height, width or height)}: not a square of patches of {self.patch} pixels")
        table = resize_beside_class(self.positional_embedding.detach(), height // self.patch)
        self.positional_embedding = nn.Parameter(table, self.positional_embedding.requires_grad)
        self.image = height
        return self

    @property
    def grid(self) -> tuple[int, int]:
        """The numbers of patch tokens of a frame along (h, w)."""
        return self.image // self.patch, self.image // self.patch

    @property
    def width(self) -> int:
        return len(self.class_embedding)

    @property
    def heads(self) -> int:
        return self.blocks[0].attn.heads

    @property
    def blocks(self) -> nn.ModuleList:
        return self.transformer.resblocks

    @property
    def global_layers(self) -> tuple[int, ...]:
        """The indices of the layers with a global block."""
        return self.transformer.global_layers

    @property
    def query_token(self) -> nn.Parameter:
        """The learnt query token (1, 1, D)."""
        return self.transformer.temporal_cls_token

    @property
    def head(self) -> nn.Sequential | None:
        """The classification layer (norm, dropout, linear), or None without classes."""
        return self.transformer.proj if self.num_classes else None

    def set_head_dropout(self, rate: float) -> None:
        self.head[1].p = rate

    def first_query(self, clips: int) -> Tensor:
        """The learnt query token, repeated for each clip (B, D)."""
        return self.query_token[0].expand(clips, -1)

    def update_query(self, query: Tensor, layer: int, tokens: Tensor) -> Tensor:
        """The query token (B, D) after a layer with tokens (B, T, 1+hw, D)."""
        return self.transformer.update_query(query, layer, tokens, self.grid)

    def fuse(self, query: Tensor, classes: Tensor) -> Tensor:
        """Query token (B, D), class tokens averaged over time (B, D) -> feature (B, D)."""
        return self.transformer.fuse(query, classes)

    def classify(self, features: Tensor) -> Tensor:
        """(B, D) -> logits (B, num_classes), or the features unchanged without classes."""
        return self.head(features) if self.num_classes else features

    def embed(self, video: Tensor, record: Record = None) -> Tensor:
        """(B, 3, T, H, W) -> the first block's input (B, T', 1+hw, D), the class token of each frame first."""
        x = self._patches(video)
        add_to(record, "patch_tokens", x)
        classes = self.class_embedding.to(x.dtype).expand(*x.shape[:2], 1, -1)
        return self.ln_pre(torch.cat((classes, x), dim=2) + self.positional_embedding)

    def _patches(self, video: Tensor) -> Tensor:
        if video.dim() != 5 or video.shape[1] != 3 or video.shape[-2:] != (self.image, self.image):
            raise ParameterError(f"video: expected (B, 3, T, {self.image}, {self.image}), got {tuple(video.shape)}")
        return rearrange(self.conv1(video), "b d t h w -> b t (h w) d")

    @property
    def config(self) -> dict:
        """The settings that `weights.load` cannot infer from shapes, under published names; saved with the weights."""
        heads = {"heads": self.transformer.resblocks[0].attn.heads}
        if not isinstance(self.transformer.resblocks[0].mlp.gelu, QuickGELU):
            heads["quick_gelu"] = False
        if self.transformer.dec:
            heads["n_head"] = self.transformer.dec[0].attn.heads
        return heads | {"return_list": list(self.transformer.global_layers)}

    def no_weight_decay(self) -> set[str]:
        """timm's convention: names without weight decay (apart from one-dimensional parameters)."""
        return {"positional_embedding", "class_embedding", "transformer.temporal_cls_token"}

    def group_matcher(self, coarse: bool = False) -> dict:
        """timm's convention for layer-wise learning rates: the stem, each block, and the new global parts as the last layer."""
        stem = r"^conv1|^class_embedding|^positional_embedding|^ln_pre"
        return {"stem": stem, "blocks": [(r"^transformer\.resblocks\.(\d+)", None)]}

    def load_clip(self, visual: nn.Module) -> UniFormerV2:
        """Loads a CLIP image encoder: its kernel goes to the centre frame of the stem, its positions are interpolated if the frame size differs,
        new parts are not changed. Returns self. ParameterError if the shapes differ."""
        ours = {k: v for k, v in self.state_dict().items() if not k.startswith(NEW) and ".lmhra" not in k}
        theirs = {k: v for k, v in visual.state_dict().items() if not k.startswith(("ln_post.", "proj"))}
        if "positional_embedding" in theirs:
            theirs["positional_embedding"] = resize_beside_class(theirs["positional_embedding"], self.grid[0])
        shape = {k: v[:, :, 0].shape if k == "conv1.weight" else v.shape for k, v in ours.items()}
        wrong = sorted(ours.keys() ^ theirs.keys()) + [k for k in ours.keys() & theirs if shape[k] != theirs[k].shape]
        if wrong:
            raise ParameterError(f"CLIP image encoder: does not match this model: {', '.join(wrong[:6])}")
        centre = torch.zeros_like(self.conv1.weight)
        centre[:, :, centre.shape[2] // 2] = theirs["conv1.weight"]
        self.load_state_dict(theirs | {"conv1.weight": centre}, strict=False)
        act_as(self.transformer.resblocks, visual.transformer.resblocks)
        return self
