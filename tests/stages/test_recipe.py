"""A recipe from a notebook's parameters: 0 switches off, rates are scaled where the notebook says so, and steps win over epochs."""

from types import SimpleNamespace

from ivcore.stages.recipe import recipe_of


class Twenty(SimpleNamespace):
    batch_size = 64

    def __len__(self):
        return 20


PARAMS = {"lr": 0.004, "min_lr": 0.0, "scale_lr": True, "clip_grad": 0.0, "micro_batch": 128, "epochs": 3.0, "mask_ratio": 0.9, "seed": 7}  # fmt: skip


def test_parameters_become_a_recipe():
    recipe = recipe_of(PARAMS, Twenty(), betas=(0.9, 0.95))
    assert recipe.lr == 0.004 * 64 / 256 and recipe.clip_grad is None and recipe.seed == 7
    assert recipe.micro_batch == recipe.batch_size == 64 and recipe.betas == (0.9, 0.95)
    assert (recipe.steps, recipe.epochs, recipe.log_every) == (None, 3.0, 6)


def test_steps_win_and_numbers_given_here_win_over_parameters():
    recipe = recipe_of(PARAMS | {"steps": 300, "scale_lr": False}, Twenty(), clip_grad=1.0, log_every=3)
    assert (recipe.steps, recipe.epochs, recipe.lr) == (300, None, 0.004)
    assert (recipe.clip_grad, recipe.log_every) == (1.0, 3)
    assert recipe_of(PARAMS | {"steps": 0}, Twenty()).epochs == 3.0
