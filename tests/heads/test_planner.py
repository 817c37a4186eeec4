"""The planner: what it may choose, what it listens to, and what it remembers."""

import pytest
import torch

from ivcore.heads.planner import Planner


def batch(views=4, steps=3, rows=2):
    torch.manual_seed(0)
    made = {"ids": torch.tensor([[5, 6, 7, 0], [5, 8, 0, 0]])[:rows]}
    for name, width in (("rgb", 6), ("depth", 3), ("video", 5), ("place", 4)):
        made[name], made[f"past_{name}"] = torch.randn(rows, views, width), torch.randn(rows, steps, width)
    made["place"][..., 3] = 1
    made["past"] = torch.ones(rows, steps, dtype=torch.bool)
    return made


def planner(**changes):
    torch.manual_seed(1)
    return Planner(12, 8, 6, 3, **{"width": 16, "heads": 2, "most_steps": 5} | changes).eval()


def test_closed_views_are_never_chosen_and_stopping_always_may_be():
    given = batch()
    given["place"][0, 2, 3] = 0
    scores = planner(video=5)(given)
    assert scores.shape == (2, 5) and scores[0, 2] == -torch.inf
    assert scores.isfinite().sum() == 9 and scores[:, -1].isfinite().all()


@pytest.mark.parametrize("words_look", [True, False])
def test_it_listens_and_remembers_the_order_of_its_steps(words_look):
    m, given = planner(words_look=words_look), batch()
    before = m(given)
    other = given | {"ids": given["ids"].flip(0)}
    assert (m(other) - before).abs().max() > 1e-4
    turned = given | {name: value.flip(1) for name, value in given.items() if name.startswith("past_")}
    assert (m(turned) - before).abs().max() > 1e-5


def test_a_planner_ignores_parts_that_it_lacks():
    given = batch()
    other = given | {"past_rgb": given["past_rgb"] + 1, "video": given["video"] + 1}
    torch.testing.assert_close(planner(history=False)(other), planner(history=False)(given))
    assert (planner(video=5)(given | {"video": given["video"] + 1}) - planner(video=5)(given)).abs().max() > 1e-4


@pytest.mark.parametrize("words_look", [True, False])
def test_padding_changes_nothing(words_look):
    m, given = planner(video=5, words_look=words_look), batch()
    given["past"][:, 2] = False
    shorter = {name: value[:, :2] if name.startswith("past") else value for name, value in given.items()}
    torch.testing.assert_close(m(shorter), m(given))
    longer = given | {"ids": torch.nn.functional.pad(given["ids"], (0, 3))}
    torch.testing.assert_close(m(longer), m(given))


def test_its_configuration_builds_it_again():
    m = planner(video=5, words_look=True)
    again = Planner(**m.config).eval()
    again.load_state_dict(m.state_dict())
    torch.testing.assert_close(again(batch()), m(batch()))


def test_published_sizes():
    with torch.device("meta"):
        m = Planner(49408, 77, 512, 2048, 1024, width=768, heads=12, text_layers=9, cross_layers=4, ffn_ratio=4)
    assert (m.image.in_features, m.image.out_features) == (1536, 768)
