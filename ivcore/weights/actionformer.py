"""ActionFormer checkpoints; their tensors have the same names as the modules here.

`config` gives settings that shapes do not give, with the names of the published configuration (flat): n_head, n_mha_win_size,
regression_range, max_seq_len, use_abs_pe. The defaults are those of the THUMOS14 configuration.
"""

from __future__ import annotations

import torch

from ivcore.encoders.positions import sine_cosine
from ivcore.heads.actionformer.model import RANGES, ActionFormer
from ivcore.weights.accounting import State, anywhere, assemble, count, has, need
from ivcore.weights.clip import divisor
from ivcore.weights.fields import Fields

WHAT = "ActionFormer checkpoint"


def is_actionformer(state: State) -> bool:
    return has(state, "cls_head.cls_head.", "reg_head.offset_head.")


def actionformer(state: State, config: Fields) -> ActionFormer:
    arch = [count(state, rf"backbone\.{part}\.(\d+)\.", WHAT) for part in ("embd", "stem", "branch")]
    first = need(state, "backbone.embd.0.conv.weight", WHAT, dims=3)
    logits = need(state, "cls_head.cls_head.conv.weight", WHAT, dims=3)
    norms = need(state, "backbone.branch.0.ln1.weight", WHAT, dims=3) if arch[2] else first
    width = norms.shape[1] if arch[2] else first.shape[0]
    levels, layers = 1 + arch[2], 1 + count(state, r"cls_head\.head\.(\d+)\.", WHAT)
    fpn = has(state, "neck.lateral_convs.")
    neck = need(state, "neck.lateral_convs.0.conv.weight", WHAT, dims=3).shape[0] if fpn else width
    for value, name in ((first.shape[1], "input_dim"), (logits.shape[0], "num_classes"), (width, "embd_dim")):
        config.agree(value, name)
    config.get("backbone_type", "fpn_start_level", "scale_factor", "train_cfg", "test_cfg", "fpn_dim", "head_dim")
    scaled = anywhere(state, "drop_path_attn.scale")
    with torch.device("meta"):
        model = ActionFormer(
            first.shape[1], logits.shape[0], backbone_arch=arch, embd_dim=width,
            n_head=divisor(config, width, WHAT, "n_head", 4),
            n_mha_win_size=_windows(config), fpn_type="fpn" if fpn else "identity", fpn_dim=neck,
            head_dim=logits.shape[1], head_num_layers=layers,
            regression_range=config.get("regression_range") or RANGES[:levels],
            max_seq_len=config.count("max_seq_len", most=1 << 20) or 2304,
            embd_with_ln=has(state, "backbone.embd_norm."), fpn_with_ln=has(state, "neck.fpn_norms."),
            head_with_ln=has(state, "cls_head.norm."), use_abs_pe=bool(config.flag("use_abs_pe")),
            use_rel_pe=anywhere(state, ".rel_pe"), droppath=(config.number("droppath", least=0, most=1) or 0.1) if scaled else 0.0,
            dropout=config.number("dropout", least=0, most=1) or 0.0, cls_prior_prob=0,
        )  # fmt: skip
    if model.backbone.pos_embd is not None:  # the table is not in the file: computed here, on the CPU
        model.backbone.pos_embd = sine_cosine(model.max_seq_len, width).mT / width**0.5
    return assemble(model, {"loss_normalizer": torch.tensor(100.0), **state}, WHAT)


def _windows(config: Fields) -> int | list[int]:
    """n_mha_win_size: a whole number, or a list with one for each scale; default 19. WeightsError for others."""
    given = config.get("n_mha_win_size")
    given = 19 if given is None else given
    several = given if isinstance(given, (list, tuple)) else [given]
    if not all(type(one) is int for one in several):
        config.refuse("n_mha_win_size", given, "a whole number, or one for each scale")
    return given if isinstance(given, int) else list(given)
