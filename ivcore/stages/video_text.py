"""Video-language pretraining as a stage: training pairs, the model, and its evaluation (paper 3.1.2, 4.2.1)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from ivcore import distributed_evaluation
from ivcore.data.batches import Batches, InMemory, fitting
from ivcore.data.captions.clip_spec import ClipSpec
from ivcore.data.captions.sets import CaptionedSet, training_clips
from ivcore.data.memory import load
from ivcore.data.shards.stream import Shards
from ivcore.data.videos import VideoSet
from ivcore.encoders import build, generate, sizes
from ivcore.encoders.checkpointing import set_activation_checkpointing
from ivcore.encoders.tokenizer import Tokenizer
from ivcore.encoders.video_text import VideoTextModel
from ivcore.heads.zero_shot import class_embeddings
from ivcore.metrics import captioning, retrieval
from ivcore.precision import autocast
from ivcore.stages.embed import embed_clips, embed_texts
from ivcore.video.augment import centre_crop

FROZEN = {"nothing": (), "text": ("text",), "vision": ("visual",)}


def pair_batches(
    videos: CaptionedSet, tokenizer: Tokenizer, batch_size: int, spec: ClipSpec, *, seed: int, shards: str = "", shard_samples: int = 0,
    name: str = "shards", what: str = "batch_size", num_workers: int = 0, **how,
) -> Batches | Shards:  # fmt: skip
    """Batches of clips with a caption each, from tar shards if given, otherwise from `videos`.

    what: the parameter to name if a set has fewer clips than a batch. name: of the shards' log in run_dir. how:
    in_memory, reversals, max_bad, run_dir and strict of `captions.sets.training_clips`.
    """
    if shards:
        options = {"epoch_samples": shard_samples, "num_workers": num_workers, "run_dir": how["run_dir"], "name": name}
        return Shards(shards, tokenizer, batch_size, spec, seed=seed, **options)
    source = training_clips(videos, tokenizer, spec, seed=seed, **how)
    return Batches(source, fitting(batch_size, len(source), what), seed, num_workers=num_workers)


def feeding(params: Mapping, run_dir) -> dict:
    """How a notebook with these parameters reads training clips: keywords for `pair_batches`."""
    same = {name: params[name] for name in ("in_memory", "max_bad", "num_workers")}
    return same | {"strict": params["strict_decoding"], "run_dir": run_dir}


def turned_pairs(batch: dict, count: int) -> list[int]:
    """Rows of up to `count` pairs in a batch, each a clip followed by the same clip reversed; if there is none, the
    first rows.
    """
    size = len(batch["text"])
    index = list(batch.get("index", range(size)))  # shards do not number their clips
    pairs = [(j, i) for i in range(size) for j in range(i) if index[i] == index[j]][:count]
    return [row for pair in pairs for row in pair] or list(range(min(3, size)))


def sample_counts(*streams) -> dict[str, int]:
    """For metrics.json: numbers of samples read from tar shards and left out; {} without shards. Prints a summary."""
    sharded = [stream for stream in streams if isinstance(stream, Shards)]
    for stream in sharded:
        print(dict(stream.counts))
    read, left_out = (stream.counts["read"] for stream in sharded), (stream.left_out for stream in sharded)
    return {"samples_read": sum(read), "samples_left_out": sum(left_out)} if sharded else {}


def build_model(
    size: sizes.VideoTextSize, clip=None, *, seed: int, decoder: str = "plain", decoder_width: int | None = None, decoder_layers: int = 6,
    frozen: str = "nothing", activation_checkpointing: str = "nothing", **options,
) -> VideoTextModel:  # fmt: skip
    """A multimodal model of this size, from CLIP's weights or from scratch; the same weights for the same seed.

    decoder: "plain", "published" or "none", see `encoders.build.caption_decoder`. frozen: "nothing", "text" or
    "vision". options: caption_query and dropout.
    """
    torch.manual_seed(seed)
    captioner = build.caption_decoder(decoder, size, decoder_width, decoder_layers)
    model = build.video_text_model(size, clip, captioner, **options)
    set_activation_checkpointing(model, activation_checkpointing)
    return model.freeze(*FROZEN[frozen])


def go_on_with(
    model: VideoTextModel, frozen: str = "nothing", activation_checkpointing: str = "nothing"
) -> VideoTextModel:
    """Prepares a trained model for further training, as `build_model` does for a new one; returns the same object."""
    set_activation_checkpointing(model, activation_checkpointing)
    return model.freeze(*FROZEN[frozen])


def similarities(
    model, clips, videos: CaptionedSet, tokenizer, shuffled: int | None = None, precision: str = "fp32"
) -> Tensor:
    """Cosine of every clip (rows) with each video's sentence (columns). clips: those of `videos`, in their order.

    shuffled: a seed to shuffle the frames of each clip.
    """
    texts = embed_texts(model, videos.queries, tokenizer, precision=precision)
    return embed_clips(model, clips, shuffled=shuffled, precision=precision) @ texts.T


def order_accuracy(
    model, clips, videos: CaptionedSet, tokenizer, shuffled: int | None = None, precision: str = "fp32"
) -> float | None:
    """Share of the clips that are nearer to their sentence than to the sentence for the reversed clip.

    None if no such sentence is known.
    """
    rows = [i for i, texts in enumerate(videos.backwards) if texts]
    if not rows:
        return None
    own = embed_texts(model, [videos.queries[i] for i in rows], tokenizer, precision=precision)
    other = embed_texts(model, [videos.backwards[i][0] for i in rows], tokenizer, precision=precision)
    embedded = embed_clips(model, clips, shuffled=shuffled, precision=precision)[rows]
    return retrieval.order_accuracy((embedded * own).sum(1), (embedded * other).sum(1))


def zero_shot(
    model, videos: VideoSet, tokenizer, *, num_frames: int, size: int, precision: str = "fp32", **reading
) -> dict[str, float]:
    """zero_shot_top1 among the classes that occur, and zero_shot_generalised_top1 among all of `videos.classes`, by the
    class names alone.

    Also zero_shot_videos, zero_shot_scored and zero_shot_chance. reading: run_dir and strict.
    """
    decoded = load(videos.records, size, num_frames, max_bad=1.0, **reading)
    labels = torch.from_numpy(decoded.label)
    squares = np.stack([centre_crop(video, size) for video in decoded.video])
    embedded = embed_clips(model, InMemory(video=squares), precision=precision)
    cosine = embedded @ class_embeddings(model, videos.classes, tokenizer, ["{}"])[0].cpu().T
    occurring = labels.unique()
    among = occurring[cosine[:, occurring].argmax(1)] == labels
    return {
        "zero_shot_videos": len(videos) + videos.missing,
        "zero_shot_scored": len(labels),
        "zero_shot_top1": among.float().mean().item(),
        "zero_shot_chance": 1 / len(occurring),
        "zero_shot_generalised_top1": (cosine.argmax(1) == labels).float().mean().item(),
    }


@torch.inference_mode()
def write_captions(model, clips: Tensor, tokenizer, at_once: int = 64, precision: str = "fp32") -> list[str]:
    """Greedy captions, word by word, for each of the clips uint8 (N, T, H, W, 3); ranks share the work, see
    `ivcore.distributed_evaluation`.
    """
    model.eval()
    device, parts = next(model.parameters()).device, clips.split(at_once)

    def written(part: Tensor) -> list[str]:
        with autocast(device, precision):
            ids = generate.greedy(model, model.prepare(part.to(device)), tokenizer)
        return [tokenizer.caption(row) for row in ids]

    mine = (parts[number] for number in distributed_evaluation.own(len(parts)))
    return [text for texts in distributed_evaluation.in_turns(written, mine, len(parts)) for text in texts]


def caption_scores(
    model, clips: Tensor, captions, tokenizer, precision: str = "fp32"
) -> tuple[list[str], dict[str, dict[str, float]]]:
    """The written sentences for clips uint8 (N, T, H, W, 3), and the scores against `captions` of these and of two
    controls.

    "the clip": the written sentences. The controls know the language but not the clip: "a grey clip" is the sentence
    for a grey clip, "another clip" uses the sentences of the other half.
    """
    written, half = write_captions(model, clips, tokenizer, precision=precision), len(clips) // 2
    grey = write_captions(model, torch.full_like(clips[:1], 127), tokenizer, precision=precision) * len(clips)
    kinds = {"the clip": written, "a grey clip": grey, "another clip": written[half:] + written[:half]}
    references = [[respelt(text, tokenizer) for text in texts] for texts in captions]
    return written, {kind: captioning.captioning(texts, references) for kind, texts in kinds.items()}


def respelt(text: str, tokenizer) -> str:
    """A sentence encoded and decoded by the tokenizer, so that both sides of a comparison have the same spacing."""
    return tokenizer.caption(tokenizer.encode(text))
