"""What parameters say against each other is refused before anything starts, the same way by shell, preset and setup cell."""

import ast
import inspect
import os

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ivcore import masking
from ivcore.errors import ParameterError
from ivcore.run import cli, contradictions, notebook, start
from ivcore.run.spec import Spec

REFUSED = {
    "30 quick": [
        ("steps=5 epochs=1", "steps = 5 and epochs = 1.0"),
        ("steps=0", "steps = 0 and epochs = 0.0"),
        ("masked_encoder=scratch image_size=33", "image_size = 33: must be a multiple of patch_size = 8"),
        ("mixup=0.8 batch_size=1", "batch_size = 1"),
        ("cutmix=1 batch_size=17", "batch_size = 17"),
        ("micro_batch=17", "micro_batch = 17"),
        ("num_frames=7", "num_frames = 7: must be in [2, 128], a multiple of 2"),
        (
            "multimodal_encoder=11/quick",
            "multimodal_encoder = '11/quick': only one model can be fine-tuned; leave masked_encoder empty",
        ),
        ("masked_encoder=scratch keep_head=true", "keep_head = True: an encoder from scratch has no head to keep"),
        ("data=docs train_csv=metaworld", "data = 'docs': a released dataset has its own lists"),
        ("second_model=10/quick", "second_model = '10/quick': holds a masked autoencoder"),
    ],
    "10 quick": [
        ("warmup_epochs=3", "warmup_epochs = 3: must be at most the length of the training, epochs = 2"),
        ("epochs=0.5", "warmup_epochs = 1: must be at most"),
        ("min_lr=0.1", "min_lr = 0.1: must be at most the peak learning rate, lr"),
        ("patch_size=7", "image_size = 32: must be a multiple of patch_size = 7"),
        ("patch_size=64 image_size=16", "image_size = 16"),
        ("mask_ratio=0.01", "mask_ratio = 0.01: hides none of the 16 cells of a frame"),
        ("mask_kind=frame mask_ratio=0.2", "mask_ratio = 0.2: hides none of the 4 slots of time"),
    ],
    "12 quick": [
        ("class_order=kinetics710", "class_order = 'kinetics710'"),
        ("warmup_lr=0.1", "warmup_lr = 0.1: must be at most the peak learning rate, lr"),
    ],
    "11 quick": [
        ("warmup_steps=5", "warmup_steps = 5: must be at most the length of the training, steps = 4"),
        ("micro_batch=9", "micro_batch = 9"),
        ("offload=all", "engine = plain"),
        ("engine_config=a.json engine=fsdp", "engine = fsdp"),
        ("train_shards=http://host/a.tar", "shard_samples = 0"),
        ("image_shards=http://host/a.tar images=false", "must be empty with images = False"),
        ("train_shards=pipe:ls shard_samples=9", "train_shards: shards pipe:ls: pipe: runs a command"),
        ("image_shards=a{0..9999999}.tar", "image_shards: shards a{0..9999999}.tar: the braces name 10,000,000"),
        ("image_shards=nowhere.tar", "image_shards: shards nowhere.tar: no such file"),
        (
            "clip_weights=a/b multimodal_encoder=11/tiny",
            "clip_weights = 'a/b': multimodal_encoder = '11/tiny' already has both",
        ),
        ("contrastive_weight=0 captioning_weight=0", "there is nothing to learn"),
        ("contrastive_weight=0 caption_decoder=none", "there is nothing to learn"),
        ("caption_width=100", "caption_width = 100"),
    ],
    "20 quick": [("mask_ratios=[0.001]", "mask_ratios = [0.001]"), ("encoder_width=100", "a multiple of 32")],
    "21 quick": [
        ("depths=[1]", "depths = [1]: must have one item for each of widths"),
        ("data_sizes=[61]", "data_sizes = [61]: must be at most num_clips = 60"),
        ("widths=[32,63]", "widths = 63: must be in [32, 4096], a multiple of 32"),
        ("mask_ratio=0.05", "mask_ratio = 0.05"),
        ("mixtures=[shapes,birds]", "mixtures = 'birds': must be shapes, metaworld"),
    ],
    "36 quick": [
        ("start_model=11/quick", "start_model = '11/quick': is for WiSE-FT without fine-tuning"),
        ("data=docs release=zero_shot", "steps = 4: there are only test videos"),
        (
            "data=docs release=zero_shot steps=0 warmup_steps=0",
            "wordings = ['names', 'published', 'captions']: there are only",
        ),
        ("sentences=[jump]", "sentences = ['jump']: must be two or more"),
        ("multimodal_encoder=10/quick", "multimodal_encoder = '10/quick': holds a masked autoencoder"),
    ],
    "37 quick": [
        ("multimodal_encoder=10/quick", "multimodal_encoder = '10/quick': holds a masked autoencoder"),
        ("data=metaworl", "or write metaworld for the generated set"),
        ("release=msrvt", "release = 'msrvt': must be one of msrvtt"),
    ],
    "02 quick": [("mask_ratio=0.1", "hides none of the 8 slots"), ("mask_ratios=[0.1]", "mask_ratios = [0.1]")],
    "03 quick": [("mask_ratio=0.01", "mask_ratio"), ("image_size=60", "image_size = 60")],
    "04 quick": [("image_size=30", "a multiple of 8"), ("num_frames=3", "a multiple of 2")],
    "13 quick": [("masked_frames=3", "masked_frames = 3"), ("warmup_epochs=3", "warmup_epochs = 3")],
}
CASES = [(run, given, says) for run, cases in REFUSED.items() for given, says in cases]


@pytest.mark.parametrize("run, given, says", CASES, ids=[f"{run} {given}" for run, given, _ in CASES])
def test_a_contradiction_is_one_line_and_leaves_no_folder(run, given, says, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("IVCORE_OUTPUTS", str(tmp_path / "outputs"))
    overrides = [word for each in given.split() for word in ("-p", each)]
    for more in ([], ["--dry"]):
        assert cli.main(["run", *run.split(), *overrides, *more]) == 2
        out, err = capsys.readouterr()
        assert says in err and len(err.splitlines()) == 1 and not out
    number, preset = run.split()
    (tmp_path / "own.yaml").write_text("\n".join(each.replace("=", ": ") for each in given.split()))
    if not given.startswith("steps"):  # a preset file is the whole difference to the defaults, where steps are given
        values = Spec.of(number).load(preset) | Spec.of(number).load(str(tmp_path / "own.yaml"))
        cells = Spec.of(number).defaults | values
        with pytest.raises(ParameterError):
            start(notebook.find(number).stem, cells)
    assert not os.path.exists(tmp_path / "outputs")


@pytest.mark.parametrize(
    "overrides, length",
    [
        ({"epochs": "10"}, (0, 10.0)),
        ({"steps": "7"}, (7, 0.0)),
        ({"epochs": "10", "steps": "0"}, (0, 10.0)),
        ({}, (6, 0.0)),
    ],
)
def test_the_users_word_about_the_length_counts(overrides, length):
    """The preset `quick` of 30 gives steps."""
    values = Spec.of("30").resolve("quick", overrides | {"masked_encoder": "scratch"})
    assert (values["steps"], values["epochs"]) == length


def test_the_presets_word_about_the_length_counts_over_the_cells(tmp_path):
    (tmp_path / "own.yaml").write_text("epochs: 3.0\nmasked_encoder: scratch")
    values = Spec.of("30").resolve(str(tmp_path / "own.yaml"))
    assert (values["steps"], values["epochs"]) == (0, 3.0)
    assert Spec.of("30").resolve(str(tmp_path / "own.yaml"), {"steps": 40})["epochs"] == 0


@pytest.mark.parametrize(
    ("given", "left"),
    [
        ({"epochs": 3.0}, {"steps": 0, "epochs": 3.0, "warmup_steps": 0, "warmup_epochs": pytest.approx(0.3)}),
        ({"epochs": 3.0, "warmup_epochs": 1.0}, {"steps": 0, "warmup_steps": 0, "warmup_epochs": 1.0}),
        ({"steps": 600}, {"steps": 600, "epochs": 0, "warmup_steps": 30, "warmup_epochs": 0}),
        ({"steps": 600, "warmup_steps": 7}, {"warmup_steps": 7, "warmup_epochs": 0}),
    ],
)
def test_a_warm_up_follows_the_kind_of_the_length(given, left):
    values = Spec.of("30").resolve("tiny", {"masked_encoder": "scratch"} | given)
    assert {name: values[name] for name in left} == left


@given(
    kind=st.sampled_from(["tube", "random", "frame"]),
    ratio=st.floats(0, 1, exclude_min=True, exclude_max=True),
    grid=st.tuples(*[st.integers(1, 8)] * 2),
)
@settings(max_examples=60)
def test_what_a_mask_hides_is_what_masking_hides(kind, ratio, grid):
    slots, side = grid
    places = {"tube": slots, "random": 1, "frame": side**2}[kind]
    mask = masking.MASKS[kind](1, (slots, side, side), ratio, torch.Generator().manual_seed(0))
    assert contradictions.hidden(kind, ratio, 2 * slots, 4 * side, 4) * places == int(mask.sum())


@pytest.mark.parametrize("path", notebook.every(), ids=lambda path: path.stem)
def test_the_cells_as_they_are_hold_together(path):
    contradictions.check(Spec.of(path).cell)


def test_no_rule_is_about_names_that_are_gone():
    cells = [set(Spec.of(path).parameters) for path in notebook.every()]
    for rule in contradictions.RULES:
        wanted = contradictions.needed(rule)
        assert any(wanted <= names for names in cells), f"{rule.__name__} fits no notebook any more"


@pytest.mark.parametrize("rule", contradictions.RULES, ids=lambda rule: rule.__name__)
def test_a_rule_reads_all_that_it_takes(rule):
    (function,) = ast.parse(inspect.getsource(rule)).body
    read = {node.id for node in ast.walk(function) if isinstance(node, ast.Name)}
    assert {*inspect.signature(rule).parameters} <= read


def test_lists_that_are_one_list_and_label_sets_that_do_not_read_are_refused_before_anything(
    tmp_path, capsys, monkeypatch
):
    monkeypatch.setenv("IVCORE_OUTPUTS", str(tmp_path / "outputs"))
    (tmp_path / "a.csv").write_text("a.mp4 0\nb.mp4 1\n")
    (tmp_path / "copy.csv").write_text("a.mp4 0\nb.mp4 1\n")
    (tmp_path / "sets/one").mkdir(parents=True)
    (tmp_path / "sets/one/train.csv").write_text("a.mp4 0\nb.mp4\n")
    (tmp_path / "sets/one/classes.txt").write_text("x\ny\n")
    (tmp_path / "none").mkdir()
    for words, says in {
        ("30", f"train_csv={tmp_path}/a.csv", f"test_csv={tmp_path}/copy.csv"): "has the same list as train_csv",
        ("12", f"label_sets={tmp_path}/none"): "there is no <set>/train.csv in it",
        ("12", f"label_sets={tmp_path}/sets"): "train.csv:2: expected `path label`",
    }.items():
        number, *given = words
        assert cli.main(["run", number, "quick", *(arg for each in given for arg in ("-p", each))]) == 2
        assert says in capsys.readouterr().err
    assert not (tmp_path / "outputs").exists()
