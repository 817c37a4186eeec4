"""A set evaluated and its features kept by one, two and three ranks (gloo, CPU): `python evaluating_ranks.py FOLDER`; each writes FOLDER/RANK-of-WORLD.pt.

One process imports torch, renders the videos and forks all ranks.
"""

import os
import sys
from functools import partial
from pathlib import Path

import numpy as np
import torch
from rank_processes import free_port, run_together

from ivcore import distributed
from ivcore.cma import Coordinated
from ivcore.data.batches import InMemory
from ivcore.data.memory import DecodedVideo
from ivcore.data.navigation.episodes import World
from ivcore.data.navigation.simulator import PlanSimulator
from ivcore.data.views import Views, merged_scores, over_views
from ivcore.encoders.caption_decoder import PlainCaptionDecoder
from ivcore.encoders.clip import TextEncoder
from ivcore.encoders.tokenizer import Tokenizer
from ivcore.encoders.uniformerv2 import UniFormerV2
from ivcore.encoders.video_text import VideoTextModel
from ivcore.encoders.videomae import VideoClassifier
from ivcore.stages import cross_model, embed, navigation, video_text
from ivcore.stages.classify import order_frames

VIDEOS, CLIPS, CROPS, CLASSES, SIZE, FRAMES = 101, 3, 2, 5, 16, 4
UNREADABLE = (0, 41, 42, 100)
WORLDS = (1, 2, 3)


def videos() -> list[DecodedVideo]:
    pixels = np.random.default_rng(0).integers(0, 256, (VIDEOS, 10, SIZE, SIZE + 8, 3), np.uint8)
    return [DecodedVideo(f"{i}.mp4", None if i in UNREADABLE else pixels[i], i % CLASSES, cause="cut off") for i in range(VIDEOS)]  # fmt: skip


def classifier() -> VideoClassifier:
    torch.manual_seed(0)
    model = VideoClassifier("tiny", CLASSES, width=16, depth=2, heads=2, image=SIZE, frames=FRAMES)
    torch.nn.init.normal_(model.head.weight)
    return model


def coordinated() -> Coordinated:
    other = UniFormerV2(16, 2, 2, 8, SIZE, CLASSES, (0, 1))
    return Coordinated(classifier(), other, frames=2, stages=2, gate=0.1, head_drop=0.0, dropout=0.0)


def video_text_model(tokenizer: Tokenizer) -> VideoTextModel:
    torch.manual_seed(1)
    words = tokenizer.vocabulary
    text, decoder = TextEncoder(12, 8, 2, 2, 10, words), PlainCaptionDecoder(8, 16, 8, 1, 2, words)
    model = VideoTextModel(UniFormerV2(16, 2, 2, 8, SIZE, 0, (0, 1)), text, 12, decoder)
    for parameter in model.parameters():
        parameter.data = parameter.data + 0.1 * torch.randn_like(parameter)
    return model


def everything(folder: Path) -> dict:
    shape = {"num_frames": FRAMES, "stride": 1, "size": SIZE}
    views = Views(videos(), **shape, num_clips=CLIPS, num_crops=CROPS, run_dir=folder)
    model, seen, found = classifier(), [], {}

    def counting(video):
        seen.extend(video.flatten(1).double().sum(1).tolist())
        return model(video)

    shuffling = lambda video: model(order_frames(video, "shuffled"))  # noqa: E731
    torch.manual_seed(distributed.rank())  # whatever has been drawn on a rank before
    found["scores"] = merged_scores(counting, model, views)
    found["seen"], found["scored"], found["coverage"] = seen, views.scored, views.coverage("test")
    found["small batches"] = over_views(model, model, views, batch_size=6)
    found["shuffled"] = over_views(shuffling, model, views, seed=7)
    found["bf16"] = merged_scores(model, model, views, precision="bf16")
    found["workers"] = merged_scores(model, model, views, 1)
    few = Views(videos()[1:2], **shape)
    found["one video"] = over_views(model, model, few)

    both, pairs = coordinated().eval(), Views(videos(), **shape, num_segments=2)
    cached = cross_model.cache_features(both, pairs)
    found["cached"] = cached.columns
    found["predicted"] = cross_model.predictions(both, cached)

    tokenizer = Tokenizer.for_texts(["a red square turns", "a blue ring falls"], 10)
    language, drawn = video_text_model(tokenizer), torch.Generator().manual_seed(2)
    clips = torch.randint(0, 256, (VIDEOS, 4, SIZE, SIZE, 3), dtype=torch.uint8, generator=drawn)
    found["embedded"] = embed.embed_clips(language, InMemory(video=clips), batch_size=8, shuffled=3)
    found["texts"] = embed.embed_texts(language, ["a red ring", "a blue square"] * 25, tokenizer, 4)
    found["written"] = video_text.write_captions(language, clips[:21], tokenizer, at_once=4)

    walkers = [PlanSimulator(None) for _ in range(2)]
    walks = navigation.walk(
        walkers, World(train=5).episodes("train")[:7], navigation.at_random(6), most_steps=8, seed=3
    )
    found["walked"] = [(np.array(each.path).tolist(), each.decided, each.stopped) for each in walks]
    return found


def start(folder: Path, rank: int, world: int, port: int) -> None:
    place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": world, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    os.environ |= {name: str(value) for name, value in place.items()}
    torch.set_num_threads(1)
    results = everything(folder / f"{world}")
    torch.save(results, folder / f"{rank}-of-{world}.pt")


if __name__ == "__main__":
    bodies = []
    for world in WORLDS:
        port = free_port()
        bodies += [partial(start, Path(sys.argv[1]), rank, world, port) for rank in range(world)]
    sys.exit(run_together(bodies))
