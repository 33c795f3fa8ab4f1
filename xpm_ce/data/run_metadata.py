"""What made a run, in a sidecar beside it, in the vocabulary of ir-metadata.org: who, where, with what, what for.

A sidecar and not lines in the run: readers of runs stop at lines that begin with #. This module does not know how
documents were ranked; it says what the job's own params.json says.
"""

import getpass
import os
import platform
import shlex
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import yaml

from xpm_ce import atomic
from xpm_ce.errors import DataError
from xpm_ce.identity import short, source_fingerprint
from xpm_ce.jobs import environment
from xpm_ce.parameters import Given, read_parameters

SCHEMA_VERSION = 0.1
"""Of ir-metadata.org (Breuer, Keller, Schaer, SIGIR 2022), whose names these are"""
COMPONENTS = ("tag", "actor", "platform", "implementation", "research goal", "data", "method")
ACTOR_VARIABLE = "XPM_CE_ACTOR"
"""Environment variable with the name of who runs the experiment; by default the login name"""
SUFFIX = ".ir-metadata.yaml"

_INPUTS = ("queries", "store", "tokens", "index", "run", "model", "finished", "first_stage")
"""Fields that stand elsewhere in the description"""
_SAID = ("type", "task", "protocol", "goal")
"""What the description says in another place"""


def metadata_path(run: Path) -> Path:
    """Where the sidecar of a run stands: run.ir-metadata.yaml beside run.gz."""
    return run.with_name(run.name.removesuffix(".gz") + SUFFIX)


def write_metadata(
    run: Path, *, tag: str, module: str, score_ties: str, goal: str = "", test_collection: str = "", device: str = ""
) -> None:
    """Write the sidecar of a run that a job leaves in its folder; `module` is that of the job's task.

    `score_ties` says what ordered equal scores, `goal` what the run was made for, `test_collection` is a label,
    `device` the name of what computed where that was no processor.
    """
    given = read_parameters(run.parent)
    stages = _stages(given) if given is not None else []
    if stages:
        stages[-1] = {**stages[-1], "name": tag}
    described: dict[str, Any] = {
        "schema version": SCHEMA_VERSION,
        "tag": tag,
        "actor": {"name": os.environ.get(ACTOR_VARIABLE) or _login(), "role": "experimenter"},
        "platform": _platform(device),
        "implementation": {
            "executable": {"cmd": shlex.join(sys.orig_argv)},
            "source": {
                "lang": ["python"],
                "package": f"xpm-ce=={metadata.version('xpm-ce')}",
                "module": module,
                "fingerprint": source_fingerprint(module),
            },
        },
        "research goal": {
            **({"description": goal} if goal else {}),
            "evaluation": {"baseline": [stage["name"] for stage in stages[:-1]]},
        },
        "data": _data(given, test_collection),
        "method": {"automatic": True, "score ties": score_ties, "retrieval": stages},
    }
    with atomic.writing(metadata_path(run)) as stream:
        yaml.safe_dump(described, stream, sort_keys=False, allow_unicode=True, width=120)


def read_metadata(run: Path) -> dict[str, Any] | None:
    """The sidecar of a run; None where it has none, DataError where it is not one."""
    path = metadata_path(run)
    try:
        described = yaml.safe_load(path.read_bytes())
    except FileNotFoundError:
        return None
    except yaml.YAMLError as error:
        raise DataError(f"this is no YAML ({error})", where=str(path), remedy="Delete it: it is not needed.") from error
    absent = [name for name in COMPONENTS if not isinstance(described, dict) or name not in described]
    if absent:
        raise DataError(
            f"this is no ir-metadata: {', '.join(absent)} missing", where=str(path), remedy="Delete it, or mend it."
        )
    return described


def _stages(given: Given) -> list[dict[str, Any]]:
    """The stages of the pipeline, first to last, each with what it re-ranks."""
    before = given.fields.get("run")
    earlier = _stages(before) if isinstance(before, Given) else []
    identity = given.task or given.identity
    inputs = tuple(value for name, value in given.fields.items() if name in _INPUTS and isinstance(value, Given))
    described = given.described(levels=2, without=inputs)
    stage: dict[str, Any] = {
        "name": f"{given.type} {short(identity)}",
        "method": given.type,
        "identity": identity,
        **({"reranks": earlier[-1]["name"]} if earlier else {}),
        "params": {name: value for name, value in described.items() if name not in (*_INPUTS, *_SAID)},
    }
    for name in ("index", "model"):
        part = given.fields.get(name)
        if isinstance(part, Given):
            elsewhere = (part.fields.get(held) for held in ("tokens", "queries", "training_set", "validation", "store"))
            stage[name] = part.described(levels=3, without=tuple(x for x in elsewhere if isinstance(x, Given)))
    return [*earlier, stage]


def _data(given: Given | None, label: str) -> dict[str, Any]:
    """The test collection and, where the model was trained here, what on."""
    collection: dict[str, Any] = {"name": label} if label else {}
    queries, store = (given.fields.get(name) if given else None for name in ("queries", "store"))
    index = given.fields.get("index") if given else None
    if store is None and isinstance(index, Given):
        store = index.fields.get("store")
    if isinstance(queries, Given):
        collection["topics"] = queries.described(levels=2)
        if queries.type.startswith("IrDatasets"):
            collection["ir_datasets"] = f"https://ir-datasets.com/{queries.fields['id'].partition('/')[0]}.html"
    if isinstance(store, Given):
        collection["source"] = store.described(levels=2)
    model = given.fields.get("model") if given else None
    trained_on = model.fields.get("training_set") if isinstance(model, Given) else None
    training = [{"name": trained_on.type, **trained_on.described(levels=2)}] if isinstance(trained_on, Given) else []
    return {"test collection": collection, **({"training data": training} if training else {})}


def _platform(device: str) -> dict[str, Any]:
    recorded = environment()
    try:
        distribution = platform.freedesktop_os_release().get("PRETTY_NAME", platform.system())
    except OSError:
        distribution = platform.platform()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "hardware": {
            "cpu": {
                "model": recorded["processor"],
                "architecture": platform.machine(),
                "operation mode": platform.architecture()[0].replace("bit", "-bit"),
                "number of cores": os.cpu_count(),
                "threads": recorded["threads"],
            },
            **({"gpu": {"architecture": device}} if device else {}),
            "ram": f"{round(memory / 2**30)} GB",
        },
        "operating system": {"kernel": f"{platform.system()} {platform.release()}", "distribution": distribution},
        "software": {
            "libraries": {
                "python": [
                    f"python=={recorded['python']}",
                    *(f"{name}=={version}" for name, version in recorded["packages"].items() if name != "xpm-ce"),
                ]
            },
            "retrieval toolkit": [f"xpm-ce=={recorded['packages'].get('xpm-ce', '')}"],
        },
    }


def _login() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"
