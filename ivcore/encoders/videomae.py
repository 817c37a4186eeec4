"""The masked video encoder of InternVideo: VideoMAE's joint space-time ViT, its light decoder, and its classifier (paper 3.1.1).

Parameters have the published names, so a published state dict loads unchanged. Normalised clips are float (B, 3, T, H, W);
tokens are (B, N, D), time-major, then row-major; masks bool (B, N), True = masked.
"""

from __future__ import annotations

from dataclasses import replace

import torch
import torch.nn.functional as F
from einops import rearrange
from timm.layers import DropPath, Mlp
from torch import Tensor, nn

from ivcore.encoders.attention import attend
from ivcore.encoders.checkpointing import checkpoint_block, checkpoint_selectively
from ivcore.encoders.intermediates import Record, add_to, start_record, with_record
from ivcore.encoders.normalisation import IMAGENET, normalise
from ivcore.encoders.positions import resize, sine_cosine
from ivcore.encoders.sizes import Size, size
from ivcore.errors import ParameterError
from ivcore.masking import split
from ivcore.tubelets import gather


class Attention(nn.Module):
    """Self-attention with separate biases for queries and values; a key bias would cancel in the softmax."""

    def __init__(self, width: int, heads: int, bias: bool = True):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.q_bias = nn.Parameter(torch.zeros(width)) if bias else None
        self.v_bias = nn.Parameter(torch.zeros(width)) if bias else None
        self.proj = nn.Linear(width, width)

    def project(self, x: Tensor, last: int | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """(B, N, D) -> queries, keys, values (B, N, D); with `last`, only the queries of the last `last` tokens."""
        bias = None
        if self.q_bias is not None:
            bias = torch.cat((self.q_bias, torch.zeros_like(self.q_bias), self.v_bias))
        if last is None or last == x.shape[1]:
            return F.linear(x, self.qkv.weight, bias).chunk(3, dim=-1)
        width = x.shape[-1]
        query = F.linear(x[:, -last:], self.qkv.weight[:width], self.q_bias)
        rest = F.linear(x, self.qkv.weight[width:], None if bias is None else bias[width:])
        return query, *rest.chunk(2, dim=-1)

    def mix(self, projected: tuple[Tensor, Tensor, Tensor], record: Record = None) -> Tensor:
        """Queries, keys, values (B, N, D) -> the output of each query (B, N, D)."""
        q, k, v = (rearrange(y, "b n (h d) -> b h n d", h=self.heads) for y in projected)
        return self.proj(attend(q, k, v, record=record))


class Block(nn.Module):
    """Pre-norm transformer block; gamma_1 and gamma_2 (layer scale) exist only if init_values > 0."""

    def __init__(self, width, heads, mlp_ratio=4.0, qkv_bias=True, drop=0.0, drop_path=0.0, init_values=0.0, eps=1e-6):
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=eps)
        self.attn = Attention(width, heads, qkv_bias)
        self.norm2 = nn.LayerNorm(width, eps=eps)
        # + 1e-6: 48/11 * 1408 must give 6144 despite rounding
        self.mlp = Mlp(width, int(width * mlp_ratio + 1e-6), drop=(0.0, drop))
        self.drop_path = DropPath(drop_path) if drop_path else nn.Identity()
        self.activation_checkpointing = "nothing"
        scales = init_values is not None and init_values > 0
        self.gamma_1 = nn.Parameter(torch.full((width,), float(init_values))) if scales else None
        self.gamma_2 = nn.Parameter(torch.full((width,), float(init_values))) if scales else None

    def forward(self, x: Tensor, last: int | None = None, record: Record = None) -> Tensor:
        """(B, N, D) -> (B, N, D), or (B, last, D)."""
        kept = x if last is None else x[:, -last:]
        projected = checkpoint_selectively(self, lambda y: self.attn.project(self.norm1(y), last), x)
        x = kept + self._branch(self.attn.mix(projected, record), self.gamma_1)
        return x + self._branch(self._feed_forward(x), self.gamma_2)

    def _feed_forward(self, x: Tensor) -> Tensor:
        hidden = checkpoint_selectively(self, lambda y: self.mlp.fc1(self.norm2(y)), x)
        return self.mlp.drop2(checkpoint_selectively(self, lambda y: self.mlp.fc2(self.mlp.act(y)), hidden))

    def _branch(self, y: Tensor, gamma: Tensor | None) -> Tensor:
        return self.drop_path(y if gamma is None else gamma * y)


class TubeletEmbedding(nn.Module):
    """Tubelets -> tokens. The weights are a Conv3d's, as published; the computation is a matrix product, so that it reads only
    the requested tubelets."""

    def __init__(self, width: int, patch: int, tubelet: int):
        super().__init__()
        self.cell = (tubelet, patch, patch)
        self.proj = nn.Conv3d(3, width, kernel_size=self.cell, stride=self.cell)

    def forward(self, video: Tensor, tokens: Tensor | None = None) -> Tensor:
        """(B, 3, T, H, W) and token indices (B, n), or None for all tokens -> (B, n, D)."""
        return F.linear(gather(video, self.cell, tokens), self.proj.weight.flatten(1), self.proj.bias)


def _blocks(width, depth, heads, *, drop_path=0.0, **options) -> nn.ModuleList:
    rates = [drop_path * i / max(depth - 1, 1) for i in range(depth)]
    return nn.ModuleList(Block(width, heads, drop_path=rate, **options) for rate in rates)


def _init_linear(draw):
    def init(module: nn.Module) -> None:
        if isinstance(module, nn.Linear):
            draw(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)

    return init


class MaskedVideoEncoder(nn.Module):
    """ViT over cube embeddings with joint space-time attention; it never reads masked tubelets.

    `encoder(video, mask)` gives the normalised visible tokens (B, N-M, D), `encoder(video)` all tokens. Sizes: encoders.sizes.
    """

    intermediates = ("patch_tokens", "tokens", "attention")  # tokens and attention: one a block

    def __init__(self, name: str | Size = "tiny", *, qkv_bias=True, init_values=0.0, drop=0.0, drop_path=0.0,
                 learnable_positions=False, final_norm=True, eps=1e-6, **overrides):  # fmt: skip
        super().__init__()
        self.size = s = size(name, **overrides)
        self.grid = s.grid
        options = {"qkv_bias": qkv_bias, "init_values": init_values, "eps": eps}
        # the arguments to make another model of this kind
        self.options = options | {"learnable_positions": learnable_positions}
        self.patch_embed = TubeletEmbedding(s.width, s.patch, s.tubelet)
        table = sine_cosine(s.tokens, s.width)
        if learnable_positions:  # published models detach this table; here it is trained
            self.pos_embed = nn.Parameter(nn.init.trunc_normal_(torch.zeros_like(table), std=0.02))
        else:
            self.register_buffer("pos_embed", table, persistent=False)
        self.blocks = _blocks(
            s.width, s.depth, s.heads, drop_path=drop_path, mlp_ratio=s.mlp_ratio, drop=drop, **options
        )
        self.norm = nn.LayerNorm(s.width, eps=eps) if final_norm else nn.Identity()
        self.apply(_init_linear(nn.init.xavier_uniform_))

    def prepare(self, clips: Tensor) -> Tensor:
        """uint8 (B, T, H, W, 3) -> float (B, 3, T, H, W) with ImageNet statistics."""
        return normalise(clips, IMAGENET, self.patch_embed.proj.weight.dtype)

    def forward(self, video: Tensor, mask: Tensor | None = None, return_intermediates: tuple[str, ...] = ()):
        """(B, 3, T, H, W), mask (B, N) -> normalised visible tokens (B, N-M, D)."""
        record = start_record(return_intermediates, self.intermediates)
        visible = None if mask is None else split(mask)[0]
        return with_record(self.encode(video, visible, record), record)

    def encode(self, video: Tensor, visible: Tensor | None = None, record: Record = None) -> Tensor:
        """As `forward`, but with the indices (B, n) of the tokens to encode instead of a mask."""
        return self.norm(self.run_blocks(self.embed(video, visible, record), record=record))

    def embed(self, video: Tensor, visible: Tensor | None = None, record: Record = None) -> Tensor:
        """(B, 3, T, H, W) -> the first block's input (B, n, D): tubelets as tokens, with positions. ParameterError for another clip shape."""
        self._check(video)
        x = self.patch_embed(video, visible)
        add_to(record, "patch_tokens", x)
        positions = self.pos_embed if visible is None else self.pos_embed[0, visible.to(video.device)]
        return x + positions.to(x.dtype)

    def run_blocks(self, x: Tensor, first: int = 0, stop: int | None = None, record: Record = None) -> Tensor:
        """Runs tokens (B, n, D) through the blocks from `first` up to but not including `stop` (None: to the end)."""
        for block in self.blocks[first:stop]:
            x = checkpoint_block(block, block, x, None, record)
            add_to(record, "tokens", x)
        return x

    @property
    def width(self) -> int:
        return self.size.width

    @property
    def heads(self) -> int:
        return self.size.heads

    @property
    def clip(self) -> tuple[int, int, int]:
        """(T, H, W) of the expected clips."""
        t, h, w = (n * p for n, p in zip(self.grid, self.patch_embed.cell, strict=True))
        return t, h, w

    def _check(self, video: Tensor) -> None:
        if video.dim() != 5 or video.shape[1] != 3 or tuple(video.shape[2:]) != self.clip:
            t, h, w = self.clip
            raise ParameterError(
                f"video: expected (B, 3, {t}, {h}, {w}), got {tuple(video.shape)}; resize_positions() changes what is expected"
            )

    def resize_positions(self, frames: int, height: int, width: int | None = None) -> MaskedVideoEncoder:
        """Changes the expected clip length and size; interpolates the position table, as in the released fine-tuning. Returns self.

        A fixed table is always interpolated from that of the pretraining clips, so that intermediate sizes do not matter; a learnt table
        from its current values. ParameterError for clips that are not a multiple of the tubelet.
        """
        pixels = (frames, height, width or height)
        if any(n % p or n < p for n, p in zip(pixels, self.patch_embed.cell, strict=True)):
            raise ParameterError(f"clip {pixels}: not a multiple of the tubelet {self.patch_embed.cell}")
        grid = tuple(n // p for n, p in zip(pixels, self.patch_embed.cell, strict=True))
        if isinstance(self.pos_embed, nn.Parameter):
            table = resize(self.pos_embed.detach().float(), self.grid, grid).to(self.pos_embed)
            table = nn.Parameter(table, requires_grad=self.pos_embed.requires_grad)
        else:
            table = resize(sine_cosine(self.size.tokens, self.size.width), self.size.grid, grid).to(self.pos_embed)
        self.pos_embed, self.grid = table, grid
        return self

    @property
    def config(self) -> dict:
        """The settings that `weights.load` cannot infer from shapes, under published names; saved with the weights."""
        config = {"num_heads": self.size.heads, "all_frames": self.size.frames, "img_size": self.size.image}
        return config | _beside(self)

    def no_weight_decay(self) -> set[str]:
        """timm's convention: names without weight decay (apart from one-dimensional parameters)."""
        return {"pos_embed", "cls_token", "mask_token"}

    def group_matcher(self, coarse: bool = False) -> dict:
        """timm's convention for layer-wise learning rates: the embedding, each block, and the rest as the last layer."""
        return {"stem": r"^patch_embed|^pos_embed", "blocks": [(r"^blocks\.(\d+)", None)]}


def _beside(encoder: MaskedVideoEncoder) -> dict:
    """Fields of a config that are written only if they differ from the published ones."""
    resized = {} if encoder.grid == encoder.size.grid else {"resized_to": list(encoder.clip)}
    eps = encoder.options["eps"]
    return resized if eps == 1e-6 else resized | {"norm_eps": eps}


class Decoder(nn.Module):
    """A few narrow blocks and a linear map to pixels."""

    def __init__(self, size: Size, **options):
        super().__init__()
        width = size.decoder_width
        self.blocks = _blocks(width, size.decoder_depth, size.decoder_heads, **options)
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.head = nn.Linear(width, size.tubelet_values)

    def forward(self, x: Tensor, hidden: int, record: Record = None) -> Tensor:
        """(B, N, D), the last `hidden` tokens masked -> (B, hidden, P)."""
        for i, block in enumerate(self.blocks):
            # nothing reads the visible tokens after the last block, so that block does not compute them
            x = checkpoint_block(block, block, x, hidden if i == len(self.blocks) - 1 else None, record)
            add_to(record, "tokens", x)
        return self.head(self.norm(x[:, -hidden:]))


class MaskedAutoencoder(nn.Module):
    """Masked video modelling: encodes the visible tubelets and predicts the pixels of the masked ones (paper 3.1.1).

    `m(video, mask)` gives predictions (B, M, P) for the M masked tokens in token order, P = tubelet*patch*patch*3 values
    in the order (p0 p1 p2 c). The loss is in losses.reconstruction.
    """

    intermediates = (*MaskedVideoEncoder.intermediates, "visible_tokens", "decoder_tokens", "decoder_attention")

    def __init__(self, name: str | Size = "tiny", *, qkv_bias=True, init_values=0.0, drop_path=0.0,
                 learnable_positions=False, final_norm=True, eps=1e-6, **overrides):  # fmt: skip
        super().__init__()
        self.size = s = size(name, **overrides)
        options = {"qkv_bias": qkv_bias, "init_values": init_values, "drop_path": drop_path, "eps": eps}
        self.encoder = MaskedVideoEncoder(s, learnable_positions=learnable_positions, final_norm=final_norm, **options)
        self.encoder_to_decoder = nn.Linear(s.width, s.decoder_width, bias=False)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, s.decoder_width))
        self.register_buffer("decoder_positions", sine_cosine(s.tokens, s.decoder_width), persistent=False)
        self.decoder = Decoder(s, mlp_ratio=s.mlp_ratio, **options)
        nn.init.trunc_normal_(self.mask_token, std=0.02)
        self.decoder.apply(_init_linear(nn.init.xavier_uniform_))
        nn.init.xavier_uniform_(self.encoder_to_decoder.weight)

    def prepare(self, clips: Tensor) -> Tensor:
        """uint8 (B, T, H, W, 3) -> float (B, 3, T, H, W) with ImageNet statistics."""
        return self.encoder.prepare(clips)

    @property
    def config(self) -> dict:
        """The settings that `weights.load` cannot infer from shapes, under published names; saved with the weights."""
        s = self.size
        heads = {"encoder_num_heads": s.heads, "decoder_num_heads": s.decoder_heads}
        return heads | {"num_frames": s.frames, "img_size": s.image} | _beside(self.encoder)

    def resize_positions(self, frames: int, height: int, width: int | None = None) -> MaskedAutoencoder:
        """As the encoder's, also for the decoder's table. Returns self."""
        s, grid = self.size, self.encoder.resize_positions(frames, height, width).grid
        table = resize(sine_cosine(s.tokens, s.decoder_width), s.grid, grid)
        self.decoder_positions = table.to(self.decoder_positions)
        return self

    def forward(self, video: Tensor, mask: Tensor, return_intermediates: tuple[str, ...] = ()):
        """(B, 3, T, H, W), mask (B, N) -> predictions (B, M, P) of the masked tubelets."""
        record = start_record(return_intermediates, self.intermediates)
        visible, hidden = (part.to(video.device) for part in split(mask))
        return with_record(self.predict(video, visible, hidden, record), record)

    def predict(self, video: Tensor, visible: Tensor, hidden: Tensor, record: Record = None) -> Tensor:
        """As `forward`, but with the token indices (B, N-M) and (B, M) of masking.split instead of a mask: shapes then do not depend on
        data, as torch.compile requires."""
        x = self.encoder.encode(video, visible, record)
        add_to(record, "visible_tokens", x)
        narrow = self._with_mask_tokens(self.encoder_to_decoder(x), visible, hidden)
        inner = None
        if record is not None:  # inside the decoder, intermediates have the encoder's names
            inner = {name: record[f"decoder_{name}"] for name in ("tokens", "attention") if f"decoder_{name}" in record}
        return self.decoder(narrow, hidden.shape[1], inner)

    def _with_mask_tokens(self, x: Tensor, visible: Tensor, hidden: Tensor) -> Tensor:
        """Visible tokens first, then one mask token for each masked position, all with position embeddings."""
        table = self.decoder_positions[0].to(x.dtype)
        return torch.cat((x + table[visible], self.mask_token.to(x.dtype) + table[hidden]), dim=1)

    def no_weight_decay(self) -> set[str]:
        """timm's convention: names without weight decay (apart from one-dimensional parameters)."""
        return {"mask_token", "encoder.pos_embed"}


class VideoClassifier(MaskedVideoEncoder):
    """The same ViT for fine-tuning: mean over tokens -> fc_norm -> dropout -> head (paper 3.2).

    `m(video)` gives logits (B, num_classes), `m.features(video)` the normalised mean (B, D). mean_pool=False: the feature is the
    first token after `norm`. init_scale: factor of the new head's weights, so that fine-tuning starts from nearly uniform scores.
    """

    intermediates = (*MaskedVideoEncoder.intermediates, "features")

    def __init__(self, name: str | Size = "tiny", num_classes: int = 400, *, mean_pool=True, head_drop=0.0,
                 init_scale=0.001, **options):  # fmt: skip
        super().__init__(name, final_norm=not mean_pool, **options)
        self.num_classes = num_classes
        self.fc_norm = nn.LayerNorm(self.size.width, eps=1e-6) if mean_pool else None
        self.head_drop = nn.Dropout(head_drop)
        self.head = nn.Linear(self.size.width, num_classes) if num_classes else nn.Identity()
        self.apply(_init_linear(lambda weight: nn.init.trunc_normal_(weight, std=0.02)))
        if num_classes:
            self.head.weight.data.mul_(init_scale)

    def forward(self, video: Tensor, return_intermediates: tuple[str, ...] = ()):
        """(B, 3, T, H, W) -> logits (B, num_classes)."""
        record = start_record(return_intermediates, self.intermediates)
        features = self.pool(self.encode(video, record=record))
        add_to(record, "features", features)
        return with_record(self.classify(features), record)

    def features(self, video: Tensor) -> Tensor:
        """(B, 3, T, H, W) -> the head's input (B, D)."""
        return self.pool(self.encode(video))

    def tokens(self, video: Tensor) -> Tensor:
        """(B, 3, T, H, W) -> all tokens of the last block (B, N, D)."""
        return self.encode(video)

    def classify(self, features: Tensor) -> Tensor:
        """(B, D) -> logits (B, num_classes)."""
        return self.head(self.head_drop(features))

    def set_head_dropout(self, rate: float) -> None:
        self.head_drop.p = rate

    def pool(self, x: Tensor) -> Tensor:
        """Encoded tokens (B, N, D) -> the head's input (B, D)."""
        return x[:, 0] if self.fc_norm is None else self.fc_norm(x.mean(1))

    def load_encoder(self, encoder: MaskedVideoEncoder) -> VideoClassifier:
        """Loads the weights of a pretrained encoder without its last norm, as published; fc_norm and head stay new. Returns self.

        Loads its positions, too, and interpolates them if this classifier expects other clips. From another VideoClassifier (supervised
        post-pretraining, published weights) it also loads fc_norm; only the head is new. ParameterError if the shapes differ.
        """
        expected = self.clip
        if self.patch_embed.cell == encoder.patch_embed.cell:
            self._place_as(encoder)
        ours, theirs = self.state_dict(), encoder.state_dict()
        fresh = (
            ("norm.", "head.") if "fc_norm.weight" in ours.keys() & theirs.keys() else ("norm.", "head.", "fc_norm.")
        )
        theirs = {key: value for key, value in theirs.items() if not key.startswith(fresh)}
        needed = {key for key in ours if not key.startswith(fresh)}
        wrong = sorted(needed.symmetric_difference(theirs))
        wrong += [key for key in needed & theirs.keys() if ours[key].shape != theirs[key].shape]
        if wrong:
            shown = f"{', '.join(wrong[:6])}{' …' if len(wrong) > 6 else ''}"
            raise ParameterError(f"encoder: these parameters do not match the classifier's: {shown}")
        self.load_state_dict(theirs, strict=False)
        return self.resize_positions(*expected)

    def _place_as(self, encoder: MaskedVideoEncoder) -> None:
        """Takes over the clip shape that `encoder` was made for, and the one that it expects now."""
        self.size = replace(self.size, frames=encoder.size.frames, image=encoder.size.image)
        if isinstance(self.pos_embed, nn.Parameter):
            self.pos_embed = nn.Parameter(torch.empty_like(encoder.pos_embed))
        self.grid = encoder.grid
