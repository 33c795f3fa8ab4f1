"""A sequence classifier with one output: loaded from a folder, or drawn under a seed.

Weights that a folder lacks are those of a head, or the folder is refused: an encoder with a random layer would score
without complaint. This module does not know how pairs are encoded.
"""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer
from transformers.utils import logging as transformers_logging

from xpm_ce.errors import DataError, XpmCeError
from xpm_ce.scorers import lightning_ir
from xpm_ce.scorers.families import FAMILIES, Family, family
from xpm_ce.scorers.folders import CONFIG, loaded_files
from xpm_ce.tokens.casing import tokenizer_of

if TYPE_CHECKING:
    from xpm_ce.scorers.architecture import Architecture

TOKEN_TYPES = "token_type_ids"
"""Name under which tokenizers and models of transformers know token types"""


class Loaded(NamedTuple):
    """A model, its tokenizer and what is known about them."""

    model: Any
    """A transformers sequence classifier with one output, on the CPU in fp32"""

    tokenizer: Any
    """A transformers tokenizer"""

    family: Family
    """The facts of the model's family"""

    new_weights: list[str]
    """Names of the weights that were drawn, not loaded; sorted"""

    @property
    def head_is_new(self) -> bool:
        """Whether any weight of the head was drawn."""
        return any(name.startswith(self.family.head) for name in self.new_weights)


def load_folder(folder: Path, *, head_seed: int, lower_case: bool | None = None) -> Loaded:
    """Model and tokenizer of a transformers folder; missing weights of the head are drawn under `head_seed`.

    `lower_case` overrules what the tokenizer's files say of it. DataError where the folder has another number of
    outputs than one, is incomplete or damaged, or lacks weights outside of the head.
    """
    config = _config(folder)
    if config["model_type"] in lightning_ir.MODEL_TYPES:
        return _of_lightning_ir(folder, config, lower_case=lower_case)
    row = family(config["model_type"], where=str(folder))
    loaded_files(folder)  # transformers makes an empty tokenizer of a folder that has none
    with drawing(head_seed), quiet_transformers(), _reading(folder, "weights"):
        model, report = AutoModelForSequenceClassification.from_pretrained(
            folder,
            num_labels=1,
            dtype=torch.float32,
            local_files_only=True,
            ignore_mismatched_sizes=True,
            output_loading_info=True,
        )
    with quiet_transformers(), _reading(folder, "tokenizer"):
        tokenizer = tokenizer_of(folder, lower_case=lower_case)
    mismatched = sorted(str(each[0] if isinstance(each, tuple) else each) for each in report["mismatched_keys"])
    if not all(name.startswith(row.head) for name in mismatched):
        raise DataError(
            f"{len(mismatched)} weights have another shape than {CONFIG} says, the first is {mismatched[0]}",
            where=str(folder),
            remedy="The files of this folder do not belong together: save model and configuration again.",
        )
    if mismatched:
        raise DataError(
            f"these weights have another shape than a model with one output has: {', '.join(mismatched)}",
            where=str(folder),
            remedy="Give an encoder without a head, or a cross-encoder with num_labels 1.",
        )
    missing = sorted(report["missing_keys"])
    foreign = [name for name in missing if not name.startswith(row.head)]
    if foreign:
        raise DataError(
            f"{len(foreign)} weights outside of the head are missing, the first is {foreign[0]}",
            where=str(folder),
            remedy="Load and save the model again with its own library: the names of its weights do not fit.",
        )
    return Loaded(model, tokenizer, row, missing)


def draw_weights(architecture: "Architecture", *, head_seed: int) -> Loaded:
    """A new model: the encoder drawn under the architecture's seed, the head under `head_seed`."""
    with quiet_transformers():
        tokenizer = AutoTokenizer.from_pretrained(architecture.tokenizer.path, local_files_only=True)
    row = architecture.row
    reserved = tokenizer.pad_token_id + 1 if row.reserved_positions else 0
    config = AutoConfig.for_model(
        row.model_type,
        num_labels=1,
        max_position_embeddings=architecture.max_positions + reserved,
        pad_token_id=tokenizer.pad_token_id,
        cls_token_id=tokenizer.cls_token_id,
        sep_token_id=tokenizer.sep_token_id,
        bos_token_id=tokenizer.cls_token_id,
        eos_token_id=tokenizer.sep_token_id,
        **architecture.settings(vocabulary=len(tokenizer)),
    )
    with drawing(architecture.seed):
        model = AutoModelForSequenceClassification.from_config(config, dtype=torch.float32)
    with drawing(head_seed):
        heads = AutoModelForSequenceClassification.from_config(config, dtype=torch.float32).state_dict()
    of_head = {name: weights for name, weights in heads.items() if name.startswith(row.head)}
    model.load_state_dict(of_head, strict=False)
    return Loaded(model, tokenizer, row, sorted(name for name, _ in model.named_parameters()))


@contextlib.contextmanager
def drawing(seed: int) -> Iterator[None]:
    """Draw on the CPU under a seed; the global random state is as before afterwards."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def _of_lightning_ir(folder: Path, config: dict[str, Any], *, lower_case: bool | None) -> Loaded:
    tokenizer = tokenizer_of(folder, lower_case=lower_case)
    if TOKEN_TYPES not in tokenizer.model_input_names:  # its class is lightning-ir's, which transformers does not know
        tokenizer.model_input_names = [*tokenizer.model_input_names, TOKEN_TYPES]
    return Loaded(lightning_ir.linear_electra(folder, config), tokenizer, FAMILIES[lightning_ir.ENCODER], [])


@contextlib.contextmanager
def _reading(folder: Path, what: str) -> Iterator[None]:
    """DataError where files cannot be read: libraries raise what they like, a bare Exception included."""
    try:
        yield
    except (XpmCeError, MemoryError):
        raise
    except Exception as error:
        told = (str(error).splitlines() or [""])[0]
        raise DataError(
            f"the {what} of this model cannot be read ({type(error).__name__}: {told})",
            where=str(folder),
            remedy="A file is damaged or incomplete: copy or download the folder again.",
        ) from error


def _config(folder: Path) -> dict[str, Any]:
    """config.json, which names a model_type."""
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        return {**config, "model_type": config["model_type"]}
    except (OSError, ValueError, KeyError) as error:
        raise DataError(
            f"no transformers model is here: {CONFIG} cannot be read, or names no model_type",
            where=str(folder),
            remedy="Give the folder that save_pretrained() wrote.",
        ) from error


@contextlib.contextmanager
def quiet_transformers() -> Iterator[None]:
    """No bars and no tables of missing weights in a job's log: what is missing is recorded by the job."""
    verbosity, bars = transformers_logging.get_verbosity(), transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(verbosity)
        if bars:
            transformers_logging.enable_progress_bar()
