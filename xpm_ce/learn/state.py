"""The state of an unfinished training, in a folder that is complete or absent.

    state.pt      weights and optimiser, as torch saves them
    state.json    {"schema": 1, "counts": {...}}, the counts with the number of steps done

Data order and dropout are functions of the step, so that no random state has to be kept. This module does not know how
a step is computed.
"""

import json
import logging
import shutil
from pathlib import Path
from typing import Any

import torch
from torch import nn

from xpm_ce import atomic
from xpm_ce.learn.counts import Counts
from xpm_ce.learn.optimisation import Optimisation

logger = logging.getLogger(__name__)

SCHEMA = 1
TENSORS, COUNTS = "state.pt", "state.json"


def save_state(folder: Path, model: nn.Module, optimisation: Optimisation, counts: Counts) -> None:
    """Replace the saved state."""
    with atomic.writing_folder(folder) as temporary:
        torch.save({"model": model.state_dict(), "optimiser": optimisation.state()}, temporary / TENSORS)
        atomic.write_json(temporary / COUNTS, {"schema": SCHEMA, "counts": counts._asdict()})


def restore_state(folder: Path, model: nn.Module, optimisation: Optimisation) -> Counts:
    """Go on from the saved state; from the beginning where there is none, or none that can be read.

    Beginning again costs time only: the same steps give the same weights.
    """
    state = _read(folder)
    if state is None:
        return Counts()
    tensors, counts = state
    model.load_state_dict(tensors["model"])
    optimisation.restore(tensors["optimiser"])
    return counts


def remove_state(folder: Path) -> None:
    """Remove the saved state, which nobody needs any more."""
    shutil.rmtree(folder, ignore_errors=True)


def _read(folder: Path) -> tuple[dict[str, Any], Counts] | None:
    if not folder.exists():
        return None
    try:
        description = json.loads((folder / COUNTS).read_text(encoding="utf-8"))
        if description["schema"] != SCHEMA:
            raise ValueError(f"schema {description['schema']}")
        tensors = torch.load(folder / TENSORS, map_location="cpu", weights_only=True)
        return tensors, Counts(**description["counts"])
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, EOFError) as error:
        logger.warning("the state in %s cannot be read (%s): beginning again", folder, error)
        return None
