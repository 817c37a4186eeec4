"""Reads a checkpoint's configuration with checks: config.json, the metadata of a file, a training script's arguments.

It records which fields are read. A warning names the fields that were never read (`Fields.warn_of_the_rest`), so that a field that
would make another model is never ignored silently.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable

from ivcore.weights.accounting import WeightsError, listed

# fields that libraries add to the model's own, and fields for training only
BESIDE = """
    architectures model_type _name_or_path name_or_path transformers_version torch_dtype dtype id2label label2id problem_type
    return_dict use_cache chunk_size_feed_forward max_length top_k top_p temperature num_beams num_beam_groups num_return_sequences
    diversity_penalty repetition_penalty length_penalty min_length typical_p tie_word_embeddings _commit_hash initializer_range
    initializer_factor logit_scale_init_value init_logit_scale init_scale norm_pix_loss hidden_dropout_prob
    attention_probs_dropout_prob attention_dropout dropout patch_dropout pad_token_id bos_token_id _attn_implementation
    attn_implementation _attn_implementation_autoset cls_dropout mlp_dropout drop_path_rate backbone_drop_path_rate head_drop batch
    mask_ratio
""".split()


class Fields:
    """The fields of one configuration. Errors: WeightsError that names the field, its value and the allowed values."""

    def __init__(self, values, what: str, under: str = ""):
        self.what, self.under, self.asked, self.tables = what, under, set(BESIDE), {}
        if not isinstance(values, dict):
            name = f"config: {under.rstrip('.')}" if under else "config"
            raise WeightsError(f"{what}: {name}: {_short(values)}, must be a table of fields")
        self.values = {str(name): value for name, value in values.items()}

    def get(self, *names: str):
        """The value of the first of these names that is given, or None."""
        return self._first(names)[1]

    def count(self, *names: str, most: int = 4096) -> int | None:
        """A whole number from 1 to `most`, also from a list of equal ones (height and width)."""
        name, given = self._first(names)
        value = _same(given)
        whole = isinstance(value, (int, float)) and not isinstance(value, bool) and 1 <= value <= most
        if value is not None and not (whole and value == int(value)):
            self.refuse(name, given, f"a whole number from 1 to {most}")
        return None if value is None else int(value)

    def counts(self, name: str, below: int, of: int | None = None) -> list[int] | None:
        """A list of `of` (None: any number of) different whole numbers from 0 to below - 1, in ascending order."""
        value = self.get(name)
        if value is None:
            return None
        value = list(value) if isinstance(value, (list, tuple, range)) else value
        sound = isinstance(value, list) and all(type(one) is int and 0 <= one < below for one in value)
        if not sound or value != sorted(set(value)) or (of is not None and len(value) != of):
            many = "" if of is None else f"{of} "
            self.refuse(name, value, f"a list of {many}rising numbers from 0 to {below - 1}")
        return value

    def number(self, *names: str, least: float, most: float) -> float | None:
        name, value = self._first(names)
        sound = isinstance(value, (int, float)) and not isinstance(value, bool) and least <= value <= most
        if value is not None and not sound:
            self.refuse(name, value, f"a number from {least} to {most}")
        return value

    def flag(self, *names: str) -> bool | None:
        name, value = self._first(names)
        if value is not None and not isinstance(value, bool):
            self.refuse(name, value, "true or false")
        return value

    def choice(self, name: str, *allowed) -> object | None:
        """One of the values `allowed`. Other values are refused, because no model here implements them."""
        value = self.get(name)
        if value is not None and not any(type(one) is type(value) and one == value for one in allowed):
            self.refuse(name, value, " or ".join(str(one) for one in allowed))
        return value

    def part(self, name: str) -> Fields:
        """A table in the table; empty if it is not given."""
        if name not in self.tables:
            value = self.get(name)
            self.tables[name] = Fields({} if value is None else value, self.what, f"{self.under}{name}.")
        return self.tables[name]

    def agree(self, actual, *names: str) -> None:
        """Refuses values under these names that differ from `actual`, the tensors' value."""
        for name in names:
            value = self.get(name)
            if value is not None and _same(value) != actual:
                self.refuse(name, value, f"{actual}, as the tensors have it")

    def without(self, *features: str) -> None:
        """Refuses features that no model here has, if they are on."""
        for name in features:
            if self.get(name):
                self.refuse(name, self.values[name], "off: no model here has it")

    def refuse(self, name: str, value, allowed: str):
        raise WeightsError(f"{self.what}: config: {self.under}{name}: {_short(value)}, must be {allowed}")

    def warn_of_the_rest(self, source: str) -> None:
        """Warns of fields that are on and were never read."""
        rest = list(self._rest())
        if rest:
            warnings.warn(
                f"{source}: fields of its config that are not known here were ignored: {listed(rest)}", stacklevel=4
            )

    def _rest(self) -> Iterable[str]:
        for name, value in self.values.items():
            if name not in self.asked and value not in (None, False, 0, "", [], {}) and not name.startswith("output_"):
                yield f"{self.under}{name}"
        for part in self.tables.values():
            yield from part._rest()

    def _first(self, names: tuple[str, ...]):
        self.asked.update(names)
        given = (name for name in names if self.values.get(name) is not None)
        name = next(given, names[0])
        return name, self.values.get(name)


def _same(value):
    """The value of a list of equal values, such as height and width; other values unchanged."""
    several = isinstance(value, (list, tuple)) and value and all(one == value[0] for one in value)
    return value[0] if several else value


def _short(value) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
