"""Rules that find contradicting parameters of a notebook before a run starts.

A rule is a function whose arguments are the parameters that it reads. It applies to every notebook that has them
(arguments with a default may be missing) and those that `needs` names, and returns an error message of one line, or
None. ivcore.run.constraints checks single parameters.
"""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable
from functools import cache

from ivcore import paths
from ivcore.data.labels.union import read_sets, unite
from ivcore.data.set_names import names_set
from ivcore.encoders.sizes import video_text_size
from ivcore.errors import ParameterError, UserError

SCRATCH = (None, "", "scratch")
TUBELET = 2  # frames


def check(values: dict) -> None:
    """ParameterError with the message of the first broken rule."""
    for rule in RULES:
        if not needed(rule) <= values.keys():
            continue
        if wrong := rule(**{name: values[name] for name in _asked(rule) if name in values}):
            raise ParameterError(wrong)


def needed(rule) -> set[str]:
    """Parameters that a notebook must have for the rule to apply."""
    return {name for name, each in _asked(rule).items() if each.default is each.empty} | _NEEDS.get(rule, set())


_NEEDS: dict[Callable, set[str]] = {}


def needs(*names: str) -> Callable[[Callable], Callable]:
    """Limits a rule to notebooks that also have these parameters, which it does not read."""

    def limited(rule: Callable) -> Callable:
        _NEEDS[rule] = {*names}
        return rule

    return limited


@cache
def _asked(rule) -> dict[str, inspect.Parameter]:
    return dict(inspect.signature(rule).parameters)


def override(values: dict, layer: dict) -> dict:
    """Overrides values by those of a later layer (a preset, a user).

    Giving steps unsets epochs, and the reverse; the same for their warm-ups. If steps replace epochs (or the reverse),
    a warm-up that is not given keeps its share of the length.
    """
    merged = values | layer
    for kind, other in (("steps", "epochs"), ("epochs", "steps")):
        for name, rival in ((kind, other), (f"warmup_{kind}", f"warmup_{other}")):
            if layer.get(name) and rival in values and rival not in layer:
                merged[rival] = type(values[rival])(0)
        warm_ups = {f"warmup_{kind}", f"warmup_{other}"}
        if layer.get(kind) and values.get(other) and warm_ups <= values.keys() - layer.keys():
            share = values[f"warmup_{other}"] / values[other]
            merged[f"warmup_{kind}"] = round(share * layer[kind]) if kind == "steps" else share * layer[kind]
            merged[f"warmup_{other}"] = type(values[f"warmup_{other}"])(0)
    return merged


def one_length(steps, epochs):
    """If a notebook has steps and epochs, exactly one must be set."""
    if bool(steps) == bool(epochs):
        which = "give one of them, and 0 for the other"
        return f"steps = {steps} and epochs = {epochs}: {which}"


def warm_up_as_the_length(steps, epochs, warmup_steps, warmup_epochs):
    """If a notebook has all four, length and warm-up must use the same unit."""
    if steps and warmup_epochs:
        return f"warmup_epochs = {warmup_epochs:g}: must be 0 if the length is given by steps = {steps}; give warmup_steps instead"
    if epochs and warmup_steps:
        return f"warmup_steps = {warmup_steps}: must be 0 if the length is given by epochs = {epochs:g}; give warmup_epochs instead"


def warm_up_of_epochs(warmup_epochs, epochs):
    if epochs and warmup_epochs > epochs:
        return f"warmup_epochs = {warmup_epochs:g}: must be at most the length of the training, epochs = {epochs:g}"


def warm_up_of_steps(warmup_steps, steps):
    if steps and warmup_steps > steps:
        return f"warmup_steps = {warmup_steps}: must be at most the length of the training, steps = {steps}"


def ends_below_peak(lr, min_lr, warmup_lr=0.0):
    for end, rate in (("min_lr", min_lr), ("warmup_lr", warmup_lr)):
        if rate > lr:
            return f"{end} = {rate:g}: must be at most the peak learning rate, lr = {lr:g}"


def pieces_of_a_batch(micro_batch, batch_size):
    if micro_batch > batch_size:
        return f"micro_batch = {micro_batch}: must be at most the whole batch, batch_size = {batch_size}"


def offloaded(engine, offload):
    allowed = {
        "plain": ("nothing",),
        "ddp": ("nothing",),
        "zero1": ("nothing", "optimizer"),
        "zero2": ("nothing", "optimizer"),
    }
    if offload not in allowed.get(engine, (offload,)):
        return f"offload = {offload}: must be {' or '.join(allowed[engine])} with engine = {engine}"


def configured(engine, engine_config):
    if engine_config and not engine.startswith("zero"):
        return f"engine_config = {engine_config}: must be empty with engine = {engine}; it configures DeepSpeed (zero1, zero2, zero3)"


def scaled_precision(precision, device):
    if precision == "fp16" and device == "cpu":
        return "precision = fp16: must be bf16 or fp32 on a CPU, where fp16 is slow and overflows"


def partners_to_mix(mixup, cutmix, batch_size):
    if (mixup or cutmix) and batch_size % 2:
        return f"batch_size = {batch_size}: must be even, because mixup and cutmix mix clips in pairs"


def whole_patches(image_size, patch_size, masked_encoder="", clip_weights=None):
    made_here = masked_encoder in SCRATCH or clip_weights == ""
    if made_here and image_size % patch_size:
        return f"image_size = {image_size}: must be a multiple of patch_size = {patch_size}"


def hidden(kind: str, ratio: float, num_frames: int, image_size: int, patch_size: int) -> int:
    """Number of tokens, cells or slots that a mask of ivcore.masking hides in a clip."""
    return int(ratio * _places(kind, num_frames, image_size, patch_size))


def _places(kind, num_frames, image_size, patch_size) -> int:
    slots, cells = num_frames // TUBELET, (image_size // patch_size) ** 2
    return {"tube": cells, "random": slots * cells, "frame": slots}[kind]


def something_hidden(
    mask_ratio, num_frames, image_size, patch_size, mask_kind="tube", mask_ratios=None, masked_encoder=""
):
    """A notebook with both `mask_ratios` and `mask_ratio` shows all three kinds."""
    clip = num_frames, image_size, patch_size
    for kind in (mask_kind,) if mask_ratios is None else ("tube", "random", "frame"):
        if masked_encoder in SCRATCH and not hidden(kind, mask_ratio, *clip):
            places = _places(kind, *clip)
            what = {"tube": "cells of a frame", "random": "tokens", "frame": "slots of time"}[kind]
            return f"mask_ratio = {mask_ratio:g}: hides none of the {places} {what} (mask {kind}, num_frames = {num_frames}, image_size = {image_size}, patch_size = {patch_size}); give a larger ratio"


def some_ratio_hides(mask_ratios, num_frames, image_size, patch_size, mask_kinds=("frame",)):
    if not any(hidden(kind, ratio, num_frames, image_size, patch_size) for kind in mask_kinds for ratio in mask_ratios):
        return f"mask_ratios = {mask_ratios}: none of them hides anything in {num_frames} frames of {image_size} pixels (patch_size = {patch_size}); give a larger ratio"


def a_depth_for_each_width(widths, depths):
    if len(widths) != len(depths):
        return f"depths = {depths}: must have one item for each of widths = {widths}"


def enough_generated_clips(data_sizes, num_clips, train_csv):
    if not train_csv and max(data_sizes) > num_clips:
        return f"data_sizes = {data_sizes}: must be at most num_clips = {num_clips}, the number of rendered clips"


def global_blocks_in_layers(global_layers, model_size, clip_weights):
    layers = video_text_size(model_size).layers
    if clip_weights in SCRATCH and global_layers > layers:
        return f"global_layers = {global_layers}: must be at most {layers}, the layers of model_size = {model_size!r}"


def an_epoch_of_shards(train_shards, shard_samples, batch_size):
    if train_shards and shard_samples < batch_size:
        return f"shard_samples = {shard_samples}: must be at least batch_size = {batch_size}; with train_shards it is the number of samples in an epoch"


def one_source_of_images(image_shards, image_captions, images):
    if image_shards and image_captions:
        return f"image_shards = {image_shards!r} and image_captions = {image_captions!r}: give one of them"
    if image_shards and not images:
        return f"image_shards = {image_shards!r}: must be empty with images = False"


def names_of_kinetics(class_order, label_sets):
    if class_order == "kinetics710" and (not label_sets or names_set(label_sets)):
        return f"class_order = {class_order!r}: needs label sets of Kinetics, but label_sets = {label_sets!r} is a generated set"


def votes_over_all_classes(voting_thresh, multiclass_nms):
    if voting_thresh and multiclass_nms:
        return (
            f"voting_thresh = {voting_thresh:g}: must be 0 with multiclass_nms = True, since segments then do not vote"
        )


def something_to_learn(contrastive_weight, captioning_weight, caption_decoder):
    if not contrastive_weight and (not captioning_weight or caption_decoder == "none"):
        return f"contrastive_weight = 0, captioning_weight = {captioning_weight:g}, caption_decoder = {caption_decoder!r}: there is nothing to learn; give contrastive_weight above 0, or a decoder and captioning_weight above 0"


def lists_of_their_own(train_csv, val_csv="", test_csv=""):
    lists = {"train_csv": train_csv, "val_csv": val_csv, "test_csv": test_csv}
    own = {name: paths.resolve(value) for name, value in lists.items() if value and not names_set(value)}
    for (one, first), (other, second) in itertools.combinations(own.items(), 2):
        if {*first.read_bytes().split()} == {*second.read_bytes().split()}:
            return f"{other} = {lists[other]!r}: has the same list as {one}; training, validation and test need different videos"


@needs("release")
def a_release_or_lists(data, train_csv="", val_csv="", test_csv=""):
    if data and (train_csv or val_csv or test_csv):
        return f"data = {data!r}: a released dataset has its own lists; leave train_csv, val_csv and test_csv empty"


@needs("second_model")
def one_encoder_to_tune(masked_encoder, multimodal_encoder, coordinated_model=""):
    given = {"masked_encoder": masked_encoder, "multimodal_encoder": multimodal_encoder, "coordinated_model": coordinated_model}  # fmt: skip
    first, *others = [name for name, value in given.items() if value not in SCRATCH] or [""]
    if others:
        return f"{others[0]} = {given[others[0]]!r}: only one model can be fine-tuned; leave {first} empty"


def one_start_of_both_towers(clip_weights, multimodal_encoder):
    if clip_weights not in SCRATCH and multimodal_encoder not in SCRATCH:
        return f"clip_weights = {clip_weights!r}: multimodal_encoder = {multimodal_encoder!r} already has both towers; leave one of the two empty"


def a_joined_model_to_tune(coordinated_model, multimodal_frames, frame_sampling, frame_order, keep_head):
    if coordinated_model in SCRATCH:
        return f"multimodal_frames = {multimodal_frames}: must be 0 without a coordinated_model" if multimodal_frames else None  # fmt: skip
    if not multimodal_frames:
        return "multimodal_frames = 0: must be at least 1 with a coordinated_model"
    for name, value, must in (("frame_sampling", frame_sampling, "dense"), ("frame_order", frame_order, "ordered"), ("keep_head", keep_head, False)):  # fmt: skip
        if value != must:
            return f"{name} = {value!r}: must be {must!r} with a coordinated_model"


@needs("second_model")
def a_head_to_keep(keep_head, masked_encoder, multimodal_encoder):
    if keep_head and masked_encoder in SCRATCH and multimodal_encoder in SCRATCH:
        return "keep_head = True: an encoder from scratch has no head to keep"


def one_way_to_fine_tune(start_model, steps):
    if start_model not in SCRATCH and steps:
        return f"start_model = {start_model!r}: is for WiSE-FT without fine-tuning; give steps = 0, or leave it empty"


@needs("wordings")
def videos_to_fine_tune_on(steps, data, release, train_csv, test_csv):
    if steps and ((test_csv and not train_csv) or (data and release == "zero_shot")):
        return f"steps = {steps}: there are only test videos; give steps = 0 or train_csv"


def choices_on_validation(wordings, joins, alphas, start_model, data, release, train_csv, val_csv, test_csv):
    only_tested = (data and release == "zero_shot") or (test_csv and not train_csv and not val_csv)
    several = {"wordings": wordings, "joins": joins, "alphas": alphas if start_model not in SCRATCH else []}
    for name, values in several.items() if only_tested else ():
        if len(values) > 1:
            return f"{name} = {values}: there are only test videos; give one value, or val_csv to choose on"


@needs("release")
def a_release_or_captions(data, test_captions, val_captions, captions=""):
    given = {"captions": captions, "val_captions": val_captions, "test_captions": test_captions}
    if data and (name := next((name for name, value in given.items() if value), None)):
        return f"data = {data!r}: has its own captions; leave {name} empty"
    if val_captions and not (test_captions or captions):
        return f"val_captions = {val_captions!r}: needs a list of test videos too; give test_captions"


def choices_of_a_search(frame_counts, alphas, start_model, test_captions, val_captions, captions=""):
    several = {"frame_counts": frame_counts, "alphas": alphas if start_model not in SCRATCH else []}
    for name, values in several.items() if test_captions and not (val_captions or captions) else ():
        if len(values) > 1:
            return f"{name} = {values}: there are only test videos; give one value, or val_captions to choose on"


def sentences_to_choose_from(sentences):
    if sentences and (len({*sentences}) < max(2, len(sentences)) or not all(text.strip() for text in sentences)):
        return f"sentences = {sentences}: must be two or more different sentences, none of them empty"


def label_sets_that_read(label_sets, video_root=""):
    if not label_sets or names_set(label_sets):
        return None
    try:
        _, sets = read_sets(paths.resolve(label_sets), paths.resolve(video_root) if video_root else None)
        unite(sets, video_id=str)
    except UserError as error:
        return f"label_sets: {error}"


RULES = (
    lists_of_their_own,
    a_release_or_lists,
    one_encoder_to_tune,
    one_start_of_both_towers,
    a_joined_model_to_tune,
    a_head_to_keep,
    one_way_to_fine_tune,
    videos_to_fine_tune_on,
    choices_on_validation,
    a_release_or_captions,
    choices_of_a_search,
    sentences_to_choose_from,
    label_sets_that_read,
    one_length,
    warm_up_as_the_length,
    warm_up_of_epochs,
    warm_up_of_steps,
    ends_below_peak,
    pieces_of_a_batch,
    offloaded,
    configured,
    scaled_precision,
    partners_to_mix,
    whole_patches,
    something_hidden,
    some_ratio_hides,
    a_depth_for_each_width,
    enough_generated_clips,
    global_blocks_in_layers,
    an_epoch_of_shards,
    one_source_of_images,
    names_of_kinetics,
    something_to_learn,
    votes_over_all_classes,
)
