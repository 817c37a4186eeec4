"""When a training run is scored on its validation videos."""

from types import SimpleNamespace

from ivcore.stages.validation import every_second_epoch


def test_every_second_epoch_and_the_last_are_scored():
    recipe = SimpleNamespace(total_steps=lambda an_epoch: 2 * an_epoch + 2)  # ends in the third epoch
    on_epoch = every_second_epoch(lambda model: {"of": model}, recipe, range(4))
    assert [on_epoch(epoch, "m") for epoch in (1, 2, 3)] == [{}, {"of": "m"}, {"of": "m"}]
