"""Layout of a box's logits for the next interaction (Ego4D): its noun or "nothing", the verb, and the seconds until
contact.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Interaction:
    """Numbers of nouns and of verbs. Logits (M, outputs) are nouns, nothing, verbs, time. Targets (M, nouns + verbs +
    1) are nouns and verbs as 0 and 1, all 0 if the box is not touched, and seconds.
    """

    nouns: int
    verbs: int

    @property
    def outputs(self) -> int:
        return self.nouns + 1 + self.verbs + 1

    def parts(self, logits: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Splits logits: nouns and nothing (M, nouns + 1), verbs (M, verbs), seconds (M,) >= 0."""
        noun, verb, time = logits.float().split([self.nouns + 1, self.verbs, 1], 1)
        return noun, verb, F.softplus(time[:, 0])

    def loss(self, logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Losses of noun, verb and time, each summed over boxes; the last two only over touched boxes."""
        noun, verb, seconds = self.parts(logits)
        real_noun, real_verb, real_seconds = targets.float().split([self.nouns, self.verbs, 1], 1)
        touched = real_noun.sum(1) > 0
        wanted = torch.where(touched, real_noun.argmax(1), self.nouns)
        return (
            F.cross_entropy(noun, wanted, reduction="sum"),
            F.cross_entropy(verb[touched], real_verb[touched].argmax(1), reduction="sum"),
            F.smooth_l1_loss(seconds[touched], real_seconds[touched, 0], reduction="sum", beta=0.25),
        )

    def best(self, logits: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """For each box: likeliest noun, likeliest verb, seconds, probability of that noun, and probability that the box
        is touched.
        """
        noun, verb, seconds = self.parts(logits)
        chances = noun.softmax(1)
        chance, which = chances[:, : self.nouns].max(1)
        return which, verb.argmax(1), seconds, chance, 1 - chances[:, self.nouns]


def interaction_loss(
    model, batch: dict, generator=None, *, layout: Interaction, verb_weight: float = 1.0, time_weight: float = 1.0
):
    """Loss of a batch as in `losses.boxes.box_loss`, with targets as labels -> (scalar, {noun_loss, verb_loss,
    time_loss}), summed over boxes, averaged over clips.
    """
    del generator
    there = batch["there"]
    logits = model(model.prepare(batch["video"]), batch["boxes"], there)
    noun, verb, time = (each / len(there) for each in layout.loss(logits, batch["labels"][there]))
    return noun + verb_weight * verb + time_weight * time, {
        "noun_loss": noun.detach(),
        "verb_loss": verb.detach(),
        "time_loss": time.detach(),
    }
