"""Zero-shot recognition as a stage: the videos, the class sentences, the scores of clips, and fine-tuning for WiSE-FT
(paper 4.3.3).
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import SimpleNamespace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ivcore import weights
from ivcore.data import video_files
from ivcore.data.batches import Batches
from ivcore.data.captions import class_sentences
from ivcore.data.embedded import is_generated
from ivcore.data.video_answers import VideoModel
from ivcore.data.videos import VideoSet, video_splits
from ivcore.data.views import Views, over_views
from ivcore.encoders.clip import Clip
from ivcore.encoders.tokenizer import Tokenizer
from ivcore.encoders.video_text import VideoTextModel
from ivcore.errors import ParameterError, VideoError
from ivcore.heads.zero_shot import TEMPLATES, class_logits, in_templates, joined, sentence_embeddings
from ivcore.metrics.recognition import merge_views, right
from ivcore.run import Run
from ivcore.stages import clips
from ivcore.stages.classify import frame_sampler, order_frames
from ivcore.train import save_weights
from ivcore.weights.averaging import average
from ivcore.weights.usage import Usage


def sets(
    lists: Mapping[str, str], root: str = "", *, data: str = "", release: str = "kinetics", learns: bool, chooses: bool, **how
) -> dict[str, VideoSet]:  # fmt: skip
    """ "train", "val", "test" -> the videos of the splits that are needed. lists: split -> CSV; the other arguments as
    in `data.videos.video_splits`.

    learns, chooses: whether there is training, and whether val is used for a choice. If neither, a released dataset or
    a test list is enough.
    """
    if data:
        needed = {"train": learns or chooses, "val": chooses, "test": True}
    else:
        alone = lists["test"] and not lists["train"]
        needed = {"train": not alone, "val": not alone or lists["val"], "test": True}
    asked = {name: lists[name] for name, wanted in needed.items() if wanted}
    return dict(zip(asked, video_splits(asked, root, data=data, release=release, **how)))


def load(run: Run) -> VideoModel:
    """The model that the run starts from, averaged with `second_model` if given, and its usage.

    ParameterError if it stores no vocabulary.
    """
    found = VideoModel.load(str(run.upstream("multimodal_encoder")), run.device, "multimodal_encoder")
    if found.usage.tokenizer is None:
        raise ParameterError(f"multimodal_encoder = {run.params['multimodal_encoder']!r}: does not say which words it knows")  # fmt: skip
    if second := run.upstream("second_model"):
        found.model.load_state_dict(average([found.model.state_dict(), _like(found.model, weights.load(second))]))
    return found


def begun_from(model: nn.Module, place) -> dict[str, Tensor]:
    """State of `model` with the weights of `place`, the model that it was trained from. CLIP has no temporal parts;
    these keep the weights of `model`.
    """
    start = weights.load(place)
    if not isinstance(start, Clip) or isinstance(model, Clip):
        return _like(model, start)
    return copy.deepcopy(model).cpu().load_clip(start).state_dict()


def _like(model: nn.Module, other: nn.Module) -> dict[str, Tensor]:
    """The tensors of `other` that `model` has; missing ones, such as a caption decoder, come from `model`."""
    own, given = model.state_dict(), other.state_dict()
    return {name: given.get(name, value).cpu() for name, value in own.items()}


def wordings(
    asked: Sequence[str], videos: VideoSet, tokenizer: Tokenizer, *, taught: VideoSet | None, class_words: str, source: str | None, num_clips: int
) -> dict[str, list[list[str]]]:  # fmt: skip
    """name -> P lists of a sentence for each class: "names" alone, the 16 "published" templates, or "captions".

    Captions come from the file `class_words`, or from the captions of the training videos `taught` of the generated set
    `source` (None for the user's own videos); without either they are left out, and a message says so. Prints the share
    of words missing in the vocabulary. ParameterError if nothing is left.
    """
    made: dict[str, Callable] = {
        "names": lambda: [list(videos.classes)],
        "published": lambda: in_templates(videos.classes),
        "captions": lambda: _said(videos, taught, class_words, source, num_clips),
    }
    found = {name: made[name]() for name in dict.fromkeys(asked)}
    if "captions" in found and not found["captions"]:
        del found["captions"]
        print("captions: left out; class_words can name a file with sentences for these classes")
    if not found:
        raise ParameterError(
            f"wordings = {list(asked)}: needs class_words, a file that says what the classes are called"
        )
    for name, sentences in found.items():
        words = [word for row in sentences for text in row for word in text.split()]
        unknown = {word for text in dict.fromkeys(words) for word in tokenizer.unknown(text)}
        share = sum(word in unknown for word in words) / len(words)
        print(
            f"{name}: {len(sentences)} a class, such as {sentences[0][0]!r}; {share:.0%} of the words are not in the vocabulary"
        )
    return found


def _said(videos, taught, class_words, source, num_clips) -> list[list[str]]:
    if class_words:
        return class_sentences.listed(class_words, videos.classes)
    if source is None or taught is None:
        return []
    return class_sentences.of_captions(taught, source or "shapes", train=num_clips)


def generated_source(train_csv: str, data: str, test_csv: str) -> str | None:
    """The name of the videos' generated set, "" for the moving shapes; None for the user's own videos."""
    own = data or not is_generated(train_csv) or (test_csv and not train_csv)
    return None if own else train_csv


def embed(
    model: nn.Module, views: Views, frame_order: str = "ordered", *, seed: int = 0, num_workers: int = 0, precision: str = "fp32"
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Unit-length embeddings (n, V, E) of every view of the readable videos, shown in `frame_order`, and their labels
    (n,); on the CPU.
    """

    def function(video):
        return F.normalize(model.encode_video(order_frames(video, frame_order)).float(), dim=-1)

    return over_views(function, model, views, 256, num_workers, precision, seed=seed)


def scores(features: Tensor, texts: Tensor, model: nn.Module) -> Tensor:
    """features (n, V, E) of views, texts (P, K, E) from `heads.zero_shot.joined` -> probabilities (n, K), merged over
    views.
    """
    scale = model.logit_scale.detach().exp().cpu()
    return merge_views(class_logits(features.flatten(0, 1), texts.cpu(), scale).unflatten(0, features.shape[:2]))


def texts_of(model: nn.Module, wordings: Mapping[str, Sequence[Sequence[str]]], tokenizer) -> dict[str, Tensor]:
    """name -> (P, K, E), unit length, on the CPU."""
    model.eval()
    return {name: sentence_embeddings(model, some, tokenizer).cpu() for name, some in wordings.items()}


def half_of(classes: Sequence[str]) -> list[int]:
    """The labels of every second pair: the classes used in fine-tuning. Actions that differ in direction are often
    neighbours.
    """
    return [label for label in range(len(classes)) if label % 4 < 2]


def learner(model: nn.Module) -> nn.Module:
    """A copy in which only the video side is trained; the texts, and so the classifier, are frozen."""
    copied = copy.deepcopy(model)
    for name, parameter in copied.named_parameters():
        parameter.requires_grad_(name.startswith("visual"))
    return copied


def naming_loss(texts: Tensor, labels: Sequence[int]) -> Callable:
    """loss(model, batch, generator) for `train`: cross-entropy among the classes with these labels; their texts (P, K,
    E) are the classifier.
    """
    place = torch.full((texts.shape[1],), -1)
    place[list(labels)] = torch.arange(len(labels))

    def loss(model: VideoTextModel, batch, generator):
        features = F.normalize(model.encode_video(model.prepare(batch["video"])), dim=-1)
        told = texts[:, list(labels)].to(features.device)
        logits = class_logits(features, told, model.logit_scale.exp())
        return F.cross_entropy(logits, place.to(features.device)[batch["label"]]), {}

    return loss


def one_clip(video: str, model: VideoModel) -> Tensor:
    """The clip uint8 (T, H, W, 3) that the model sees of a video: a file, or the first video of a folder or list.
    UserError if there is none.
    """
    record = SimpleNamespace(path=video_files.find(video)[0], label=0)
    item = Views([record], **model.usage.views() | {"num_clips": 1, "num_crops": 1})[0]
    if isinstance(item, VideoError):
        raise item
    return torch.from_numpy(item["views"][0])


@torch.inference_mode()
def answer(clip: Tensor, ways: Sequence[Sequence[str]], model: VideoModel, join: str = "probabilities") -> list[float]:
    """Probabilities of K answers for a clip uint8 (T, H, W, 3). ways: P lists of K sentences, joined as in
    `heads.zero_shot.joined`.
    """
    texts = joined(sentence_embeddings(model.model, ways, model.tokenizer()), join)
    features = F.normalize(model.features(clip[None].to(texts.device)), dim=-1)
    return class_logits(features, texts, model.model.logit_scale.exp())[0].softmax(-1).tolist()


def each_template(model: nn.Module, classes: Sequence[str], tokenizer) -> dict[str, Tensor]:
    """The class texts in each published template alone (1, K, E), and in all of them, joined in either way."""
    texts = texts_of(model, {"all": in_templates(classes)}, tokenizer)["all"]
    alone = {template: text[None] for template, text in zip(TEMPLATES, texts)}
    return alone | {
        f"all {len(TEMPLATES)}, mean of {way}": joined(texts, way) for way in ("probabilities", "embeddings")
    }


def lesson(
    model: nn.Module, train_set: VideoSet, batch_size: int, seed: int, *, labels: Sequence[int], classifier: Tensor, num_labels: int, usage: Usage, **how
) -> tuple[nn.Module, Callable, Batches]:  # fmt: skip
    """The parts of one fine-tuning: a `learner`, its `naming_loss`, and batches of `num_labels` random clips (0: all)
    of the classes `labels`.

    Frames are sampled as in the model's usage. how: further arguments of `clips.training_batches`.
    """
    of_labels = replace(train_set, records=[record for record in train_set.records if record.label in labels])
    drawn = of_labels.sample(num_labels, seed).records
    sampler = frame_sampler(usage.frame_sampling, usage.num_frames)
    shape = {
        "num_frames": usage.num_frames,
        "stride": usage.sampling_rate,
        "seconds": usage.clip_seconds,
        "size": usage.image_size,
    }
    batches = clips.training_batches(drawn, batch_size, seed, sampler=sampler, **shape, **how)
    return learner(model), naming_loss(classifier, labels), batches


def state_of(model: nn.Module) -> dict[str, Tensor]:
    """A copy of the model's weights, on the CPU."""
    return {name: value.detach().cpu().clone() for name, value in model.state_dict().items()}


def top1_of_parts(scores: Tensor, labels: Tensor, told: Sequence[int]) -> dict[str, float]:
    """Top-1 on "all classes", on videos of the "told" classes and of the "others"; parts without videos are left out."""
    hits, of_told = right(scores, labels), torch.isin(labels, torch.tensor(list(told)))
    parts = {"all classes": hits, "told": hits[of_told], "others": hits[~of_told]}
    return {name: part.mean().item() for name, part in parts.items() if len(part)}


def best_alpha(curve: Mapping[float, Mapping[str, float]], alphas: Sequence[float]) -> float:
    """The alpha with the highest top-1 on all classes, the first on a tie; a single alpha is returned as it is. curve:
    alpha -> `top1_of_parts`.
    """
    return alphas[0] if len(alphas) == 1 else max(alphas, key=lambda alpha: curve[alpha]["all classes"])


def save(run: Run, model: VideoModel) -> None:
    """Saves the model and its usage to the run's checkpoints/model.safetensors, for `iv classify --labels`."""
    config = model.model.config | model.usage.saved(model.model)
    save_weights(model.model, run.checkpoints / "model.safetensors", config)
