"""Interactive explorers of each model: figures and clips for `ivcore.show.explore`, defined beside their controls.

    explore(**explorers.attention(encoder, examples))

Every function returns the keywords of `explore`. Examples are `data.examples.Example`s. Forward passes are cached for
each clip, so only the first look at a clip waits for the model.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
import torch
import torch.nn.functional as F

from ivcore import masking
from ivcore.cma import Coordinated
from ivcore.data.examples import Example
from ivcore.data.video_answers import VideoModel
from ivcore.encoders.uniformerv2 import UniFormerV2
from ivcore.encoders.videomae import MaskedAutoencoder, MaskedVideoEncoder
from ivcore.metrics.rollout import rollout
from ivcore.show.attention import attention_strip, framed, overlay
from ivcore.show.class_probabilities import opinions
from ivcore.show.clips import clip_grid
from ivcore.show.controls import Clips, Patch
from ivcore.show.reconstructions import reconstruction_strip
from ivcore.stages import masked
from ivcore.stages.attention_maps import attention_maps
from ivcore.stages.cross_model import modules_of, prepared
from ivcore.stages.embed import embed_texts
from ivcore.stages.turned_gates import turned

OPENINGS = [0.0, 0.25, 0.5, 0.75, 1.0]
BEAMS = 4


def reconstruction(model: MaskedAutoencoder, examples: Sequence[Example], normalised: bool = True) -> dict:
    """Reconstructions by the autoencoder, with controls for the mask and its ratio."""
    length, side, grid = model.size.frames, model.size.image, model.encoder.grid

    @cache
    def frames(clip):
        return torch.from_numpy(clip.dense(length, side))

    @cache
    def rows(clip, ratio, kind, seed):
        mask = masking.MASKS[kind](1, grid, ratio, torch.Generator().manual_seed(seed))
        return [row[0].numpy() for row in masked.reconstruct(model, frames(clip)[None], mask, normalised)]

    def draw(clip, ratio=0.75, kind="tube", mask=0):
        return reconstruction_strip(
            frames(clip).numpy(), {f"{kind}, {ratio:.0%} hidden": rows(clip, ratio, kind, mask)}
        )

    def play(clip, ratio, kind, mask):
        return dict(zip(("clip", "visible part", "reconstruction"), (frames(clip).numpy(), *rows(clip, ratio, kind, mask))))  # fmt: skip

    return {
        "draw": draw, "play": play, "clip": Clips(examples), "ratio": [0.25, 0.5, 0.75, 0.9], "kind": ["tube", "random", "frame"],
        "mask": range(6), "alt": "A clip, what is left of it under a mask, and the reconstruction",
    }  # fmt: skip


def attention(encoder: MaskedVideoEncoder, examples: Sequence[Example]) -> dict:
    """Attention of one token of the masked encoder, in one block or through all, in one head or averaged over heads."""
    (length, side, _), (slots, rows, columns) = encoder.clip, encoder.grid

    @cache
    def frames(clip):
        return clip.dense(length, side)

    @cache
    @torch.inference_mode()
    def looks(clip):
        video = encoder.prepare(_on(encoder, frames(clip)))
        return [layer[0].cpu() for layer in encoder(video, return_intermediates=("attention",))[1]["attention"]]

    def chosen(clip, block, head, slot, place):
        layers = [layer.mean(0) if head == "mean" else layer[int(head) - 1] for layer in looks(clip)]
        matrix = rollout(layers) if block == "all (rollout)" else layers[int(block) - 1]
        return matrix[np.ravel_multi_index((slot, *place), encoder.grid)].reshape(encoder.grid)

    def draw(clip, block="all (rollout)", head="mean", slot=slots // 2, place=(rows // 2, columns // 2)):
        weights = chosen(clip, block, head, slot, place)
        return attention_strip(frames(clip), {f"block {block}, head {head}": weights}, (slot, *place))

    def play(clip, block, head, slot, place):
        return {"clip": frames(clip), "attention": overlay(frames(clip), chosen(clip, block, head, slot, place))}

    return {
        "draw": draw, "play": play, "clip": Clips(examples), "block": [*map(str, range(1, len(encoder.blocks) + 1)), "all (rollout)"],
        "head": ["mean", *map(str, range(1, encoder.heads + 1))], "slot": range(slots),
        "place": Patch(rows, columns, lambda clip, slot, **_: frames(clip)[slot * length // slots]),
        "alt": "A clip with one token framed, and below it the attention of that token: the brighter a place, the more",
    }  # fmt: skip


def query(visual: UniFormerV2, examples: Sequence[Example], count: int) -> dict:
    """Attention of UniFormerV2's query token in its global blocks, over `count` frames."""
    height, width = visual.grid

    @cache
    def frames(clip):
        return clip.sparse(count, visual.image)

    @cache
    def looks(clip):
        return query_of(visual, frames(clip))

    def chosen(clip, block, head):
        layer = looks(clip)[block - 1]
        return layer.mean(0) if head == "mean" else layer[int(head) - 1]

    def maps(weights):
        return weights[:, 1:].unflatten(1, (height, width))

    def draw(clip, block=1, head="mean"):
        weights = chosen(clip, block, head)
        shares = ", ".join(f"{share:.0%}" for share in weights.sum(1).tolist())
        title = f"attention to each frame: {shares}; of this to class tokens {weights[:, 0].sum():.0%}"
        return attention_strip(frames(clip), {f"global block {block}, head {head}": maps(weights)}, title=title)

    def play(clip, block, head):
        return {"clip": frames(clip), "query's attention": overlay(frames(clip), maps(chosen(clip, block, head)))}

    heads = visual.transformer.dec[0].attn.heads if len(visual.global_layers) else 1
    return {
        "draw": draw, "play": play, "clip": Clips(examples), "block": range(1, len(visual.global_layers) + 1),
        "head": ["mean", *map(str, range(1, heads + 1))],
        "begin": {"block": len(visual.global_layers)},
        "alt": "The frames of a clip, and below them the attention of the query token: the brighter a place, the more",
    }  # fmt: skip


@torch.inference_mode()
def query_of(visual: UniFormerV2, frames: np.ndarray) -> list[torch.Tensor]:
    """Attention of the query token to the tokens of uint8 (T, H, W, 3), in each global block: (heads, T, 1 + h * w),
    each frame's class token first.
    """
    height, width = visual.grid
    _, found = visual(visual.prepare(_on(visual, frames)), return_intermediates=("global_attention",))
    return [layer[0].cpu().unflatten(1, (-1, 1 + height * width)) for layer in found["global_attention"]]


def gates(model: Coordinated, examples: Sequence[Example], classes: Sequence[str]) -> dict:
    """A slider for each module's gates, from closed to as trained; shows the predictions of the encoders and their
    fusion, and each module's attention.
    """
    length, side, _ = model.masked.clip
    names, (_, rows, columns) = list(modules_of(model)), model.masked.grid

    @cache
    def frames(clip):
        return clip.dense(length, side), clip.sparse(model.frames, side)

    def pair(clip):
        return torch.from_numpy(np.concatenate(frames(clip)))[None]

    @cache
    @torch.inference_mode()
    def encoded(clip):
        return model.encode_frozen(prepared(model, pair(clip)))

    @cache
    @torch.inference_mode()
    def said(clip, openings):
        with turned(model, dict(zip(names, openings))):
            scores = model.fuse(encoded(clip))
        parts = {"masked encoder": scores.masked, "multimodal encoder": scores.multimodal, "together": scores.fused}
        return {name: part[0].softmax(-1).tolist() for name, part in parts.items()}

    @cache
    def looks(clip):
        return attention_maps(model, pair(clip))

    def draw(clip, place=(rows // 2, columns // 2), **openings):
        now, trained = said(clip, tuple(openings.values())), said(clip, (1.0,) * len(names))
        title = f"predictions for {clip.name}; black marks: all gates as trained"
        return opinions(now, classes, trained, title=title)

    def play(clip, place, **_):
        (dense, sparse), (forward, back) = frames(clip), looks(clip)
        slot = model.masked.grid[0] // 2
        token = int(np.ravel_multi_index((slot, *place), model.masked.grid))
        films = {"clip": framed(dense, (slot, *place), model.masked.grid)}
        films |= {f"attention of {name}": overlay(sparse, each[token]) for name, each in forward.items()}
        return films | ({} if back is None else {"query's attention to the masked encoder": overlay(dense, back)})

    return {
        "draw": draw, "play": play, "clip": Clips(examples), **{name: OPENINGS for name in names}, "begin": dict.fromkeys(names, 1.0),
        "place": Patch(rows, columns, lambda clip, **_: frames(clip)[0][length // 2]),
        "alt": "Bars of the likeliest classes of the masked encoder, the multimodal encoder and both together",
    }  # fmt: skip


def words(model: VideoModel, examples: Sequence[Example], sentence: str, most: int = 4) -> dict:
    """Search clips by a sentence, and captions that the model writes about a clip."""
    used, tokenizer = model.usage, model.tokenizer()
    ids, _ = model.captions(BEAMS)
    asked = dict.fromkeys(examples)  # includes the reader's own clip, once chosen

    @cache
    def frames(clip):
        return clip.sparse(used.num_frames, used.image_size)

    @cache
    @torch.inference_mode()
    def vector(clip):
        return F.normalize(model.features(_on(model.model, frames(clip))), dim=-1)[0].cpu()

    @cache
    @torch.inference_mode()
    def says(clip):
        return tokenizer.caption(ids(_on(model.model, frames(clip)))[0])

    @cache
    def told(text):
        return embed_texts(model.model, [text], tokenizer)[0]

    def draw(clip, sentence=sentence):
        asked.setdefault(clip)
        cosines = {each: float(vector(each) @ told(sentence)) for each in asked}
        found = sorted(cosines, key=lambda each: -cosines[each])
        shown = [clip, *found[:most]]
        lines = [f"{clip.name}: rank {found.index(clip) + 1} of {len(found)}", *(f"{n}. {cosines[each]:.2f}  {each.name}" for n, each in enumerate(found[:most], 1))]  # fmt: skip
        unknown = tokenizer.unknown(sentence)
        note = f"\nwords not in the vocabulary: {', '.join(unknown)}" if unknown else ""
        return clip_grid(
            map(frames, shown), lines, title=f"caption of {clip.name}: {says(clip)}\n{sentence} finds:{note}"
        )

    def play(clip, sentence):
        return {"clip": frames(clip)}

    return {
        "draw": draw, "play": play, "clip": Clips(examples), "sentence": sentence,
        "alt": "The chosen clip with the model's caption, and below it the clips that best match a sentence, best first",
    }  # fmt: skip


def fusion(pair: Sequence, examples: Sequence[Example], classes: Sequence[str], frames: tuple[int, int], curve: Sequence[tuple[float, float]]) -> dict:  # fmt: skip
    """A weight of the multimodal encoder in the mean of both predictions: the fused prediction for a clip, and
    validation accuracy at each weight.

    pair: the masked and the multimodal classifier. frames: of each. curve: (weight, top-1 on validation); the reader
    chooses among these weights.
    """
    worth = dict(curve)

    @cache
    def seen(clip):
        return clip.dense(frames[0], pair[0].clip[1]), clip.sparse(frames[1], pair[1].image)

    @cache
    @torch.inference_mode()
    def said(clip):
        return [model(model.prepare(_on(model, part)))[0].softmax(-1).cpu() for model, part in zip(pair, seen(clip))]

    def draw(clip, share=0.5):
        masked_says, multimodal_says = said(clip)
        mixed = (1 - share) * masked_says + share * multimodal_says
        models = {
            "masked encoder": masked_says,
            "multimodal encoder": multimodal_says,
            f"{1 - share:.0%} and {share:.0%}": mixed,
        }
        return opinions(models, classes, title=f"{clip.name}; validation top-1 with this share {worth[share]:.3f}")

    return {
        "draw": draw, "play": lambda clip, share: {"clip": seen(clip)[0]}, "clip": Clips(examples), "share": list(worth),
        "alt": "Bars of the likeliest classes for both encoders and for the mean of their predictions",
    }  # fmt: skip


def _on(model: torch.nn.Module, frames: np.ndarray) -> torch.Tensor:
    """One clip as a batch on the model's device."""
    return torch.from_numpy(frames)[None].to(next(model.parameters()).device)
