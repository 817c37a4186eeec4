"""The presets at published scale against the numbers of the paper and its code, row by row: tests/published_recipes.yaml."""

import inspect
import re
import tempfile
from fnmatch import fnmatch
from pathlib import Path

import pytest
import torch
import yaml

from ivcore import paths
from ivcore.data.untrimmed import TrainingSequences
from ivcore.encoders import build
from ivcore.encoders.sizes import SIZES, video_text_size
from ivcore.encoders.uniformerv2 import UniFormerV2
from ivcore.encoders.videomae import MaskedAutoencoder, VideoClassifier
from ivcore.heads.actionformer import ActionFormer, Decoding
from ivcore.losses.localization import localization_loss
from ivcore.run import notebook
from ivcore.run.spec import Spec
from ivcore.train.optim import lr_at, optimizer_of
from ivcore.train.recipe import Recipe, linear_lr

TABLE = yaml.safe_load((Path(__file__).parent / "published_recipes.yaml").read_text())
KINDS = (
    "paper",
    "k710_*",
    "k[467]00*",
    "ssv?",
    "activitynet",
    "hacs",
    "hmdb51",
    "internvideo_?",
    "ava*",
    "ucf101_*",
    "thumos14",
    "*13",
    "hacs_segments",
    "fineaction",
    "ms*",
    "lsmdc",
    "didemo",
    "vatex",
    "tgif_frame",
)
SILENT = TABLE.pop("silent")
BLOCKS = ("derived", "unpublished", "configuration")
by_preset = pytest.mark.parametrize("preset", TABLE)
by_configuration = pytest.mark.parametrize("preset", [n for n, rows in TABLE.items() if "configuration" in rows])
by_training = pytest.mark.parametrize("preset", [name for name, rows in TABLE.items() if "peak_lr" in rows["derived"]])


def wanted(row: dict):
    """The value that a row says the preset has."""
    return row["value"] if "value" in row else row["here"] if "here" in row else row[row["follows"]]


def silent(preset: str) -> set[str]:
    """Parameters that the block of a preset need not name."""
    return {name for key, why in SILENT.items() if fnmatch(preset, key) for names in why.values() for name in names}


def resolved(preset: str) -> dict:
    """All parameters of a preset; files, folders and encoders are the user's own, and unchecked."""
    number, name = preset.split()
    given, known = Spec.of(number).load(name), Spec.of(number).parameters
    kinds = {n: p.constraint.kind for n, p in known.items() if p.constraint}
    here = {n: "" for n, kind in kinds.items() if kind in ("file", "shards")}
    here |= {n: "owner/published" for n, kind in kinds.items() if kind == "encoder" and given.get(n)}
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "train.csv").write_text("a.mp4 0\n")  # where label sets are looked for
        Path(folder, "classes.txt").write_text("run\n")
        here |= {n: folder for n in given if kinds.get(n) == "folder"}
        values, *_ = Spec.of(number).expand(name, here)  # of a sweep the first run
    return values | {n: given[n] for n in here if n in given}


def schedule(preset: str, values: dict) -> dict:
    """The ends and the peak of the learning rate, and shares and counts of epochs, as the notebooks compute them."""
    lr = values["lr"]
    ends = {"peak_lr": lr, "last_lr": values.get("min_lr", 0.0), "first_lr": values.get("warmup_lr", 0.0)}
    if values.get("scale_lr"):
        ends = {name: linear_lr(rate, values["batch_size"]) for name, rate in ends.items()}
    if drops := values.get("lr_drops"):
        ends["last_lr"] = ends["peak_lr"] * 0.1 ** len(drops)
    if not (values.get("warmup_steps") or values.get("warmup_epochs")):
        ends["first_lr"] = ends["peak_lr"]
    length = values.get("epochs") or values["steps"]
    share = (values.get("warmup_epochs") or values.get("warmup_steps", 0)) / length
    return ends | {"warmup_share": share, "effective_epochs": length * values.get("repeats", 1)}


def model_of(preset: str, values: dict):
    """The model of a preset at its own size, without memory; None for one that is made of two."""
    with torch.device("meta"):
        if preset.startswith("10"):
            return MaskedAutoencoder(values["encoder_size"], decoder_depth=values["decoder_depth"])
        if preset.startswith("11"):
            size = video_text_size("large", global_layers=values["global_layers"])
            kind, width, layers = (values[f"caption_{name}"] for name in ("decoder", "width", "layers"))
            decoder = build.caption_decoder(kind, size, width, layers)
            return build.video_text_model(size, None, decoder)
        if preset.endswith("multimodal") or values.get("multimodal_encoder"):
            return UniFormerV2(1024, 24, 16, 14, num_classes=710)
        return None if preset.startswith("13") else VideoClassifier("huge", 710)


def first_step(beta2: float) -> float:
    """How far the optimiser moves a weight whose gradient is 1, as a share of the learning rate: 1 where it corrects its moments' bias."""
    weight = torch.nn.Linear(1, 1, bias=False)
    optimizer = optimizer_of(weight, Recipe(batch_size=1, lr=1.0, steps=1, weight_decay=0.0, betas=(0.9, beta2)))
    before, weight.weight.grad = weight.weight.item(), torch.ones(1, 1)
    optimizer.step()
    return before - weight.weight.item()


def fixed(preset: str, values: dict) -> dict:
    """Settings that the notebook and the models fix: the optimiser's betas and eps, which matrices do not decay, sizes, and the rate behind the warm-up."""
    source = "".join(map(notebook.source, notebook.cells(notebook.find(preset.split()[0]))))
    found = {"eps": 1e-6 if "eps=1e-6" in source else Recipe(batch_size=1, lr=1.0, steps=1).eps}
    second = {"betas=(0.9, 0.95)": 0.95, "betas=(0.9, 0.999)": 0.999, "betas=(0.9, beta2)": values.get("beta2")}
    found["betas"] = [0.9, next(value for text, value in second.items() if text in source)]
    if (model := model_of(preset, values)) is not None:
        layer_decay = values.get("layer_decay", 1.0)
        recipe = Recipe(
            batch_size=1, lr=1.0, steps=1, weight_decay=0.1, layer_decay=layer_decay if layer_decay < 1 else None
        )
        names = {id(p): name for name, p in model.named_parameters()}
        groups = optimizer_of(model, recipe).param_groups
        spared = [names[id(p)] for g in groups if not g["weight_decay"] for p in g["params"] if p.ndim > 1]
        found["undecayed_matrices"] = sorted(spared)
    if isinstance(model, UniFormerV2):
        found["mlp_dropout"] = model.transformer.dec[0].mlp.dropout.p
    found["after_warmup"] = lr_at(100, 1000, 1.0, warmup=100)
    found["bias_correction"] = first_step(values.get("beta2", 0.999)) == pytest.approx(1.0, rel=1e-3)
    return found | {"decoder_width": SIZES[values.get("encoder_size", "huge")].decoder_width}


def test_every_preset_at_published_scale_has_its_block():
    files = [path for kind in KINDS for path in paths.presets().glob(f"*/{kind}.yaml")]
    assert sorted(TABLE) == sorted(f"{path.parent.name[:2]} {path.stem}" for path in files)


@by_preset
def test_every_row_says_where_its_number_is_published(preset):
    rows = TABLE[preset]["derived"] | {n: r for n, r in TABLE[preset].items() if n not in BLOCKS}
    for name, row in rows.items():
        assert row["source"], name
        both = {"paper", "code"} & row.keys()
        assert bool(both) != ("value" in row) and (not both or row["because"]), name


@by_preset
def test_every_parameter_of_the_preset_is_in_the_table(preset):
    number, name = preset.split()
    block, given = TABLE[preset], Spec.of(number).load(name)
    listed = {*block, *block["unpublished"]} - {*BLOCKS}
    assert not given.keys() - listed, "a row in the table, or a word that nothing is published"
    assert not {*block} & {*block["unpublished"]}


@by_configuration
def test_each_key_of_the_published_configuration_is_a_parameter_or_a_default(preset):
    known, fixed = Spec.of(preset.split()[0]).parameters, {}
    for made in (ActionFormer, Decoding, localization_loss, TrainingSequences):
        fixed |= {name: each.default for name, each in inspect.signature(made).parameters.items()}
    for key, here in ((k, v) for keys in TABLE[preset]["configuration"].values() for k, v in keys.items()):
        name, value = next(iter(here.items())) if isinstance(here, dict) else (here, None)
        assert (name in known) if value is None else (name == "fixed" or fixed[name] == value), key


@by_preset
def test_no_parameter_of_the_notebook_is_passed_over(preset):
    block, known = TABLE[preset], Spec.of(preset.split()[0]).parameters
    unsaid = known.keys() - {*block, *block["unpublished"], *silent(preset)}
    assert not unsaid, "a row in the table, or under `silent` why nothing depends on it"


@pytest.mark.parametrize("key", SILENT)
def test_what_need_not_be_named_is_there(key):
    presets = [preset for preset in TABLE if fnmatch(preset, key)]
    known = {name for preset in presets for name in Spec.of(preset.split()[0]).parameters}
    assert presets and not {name for names in SILENT[key].values() for name in names} - known


@by_preset
def test_the_preset_has_the_published_numbers(preset):
    values = resolved(preset)
    rows = {name: wanted(row) for name, row in TABLE[preset].items() if name not in BLOCKS}
    differ = {name: (values.get(name), value) for name, value in rows.items() if values.get(name) != value}
    assert not differ, f"(preset, published): {differ}"


@by_training
def test_what_follows_from_them_is_published_too(preset):
    values = resolved(preset)
    found = schedule(preset, values) | fixed(preset, values)
    rows = {name: wanted(row) for name, row in TABLE[preset]["derived"].items()}
    differ = {n: (found[n], value) for n, value in rows.items() if found[n] != pytest.approx(value)}
    assert not differ, f"(here, published): {differ}"


@by_training
def test_the_learning_rate_of_every_step_lies_between_the_published_ends(preset):
    rows = {name: wanted(row) for name, row in TABLE[preset]["derived"].items()}
    first, peak, last = (rows[name] for name in ("first_lr", "peak_lr", "last_lr"))
    warmup = round(rows["warmup_share"] * 1000)
    drops = wanted(TABLE[preset].get("lr_drops", {"value": []}))
    rates = [lr_at(step, 1000, peak, 0.0 if drops else last, warmup, first, drops) for step in range(1001)]
    assert (rates[0], rates[warmup], rates[-1]) == pytest.approx((first, peak, last))


@by_preset
def test_the_head_says_that_it_was_not_run_and_what_micro_batch_is_for(preset):
    number, name = preset.split()
    text = (paths.presets() / notebook.find(number).stem / f"{name}.yaml").read_text()
    head = " ".join(line.lstrip("# ") for line in text.splitlines() if line.startswith("#"))
    assert "Not run" in head
    assert "peak_lr" not in TABLE[preset]["derived"] or re.search("`micro_batch` (limits|suits|helps)", head)
