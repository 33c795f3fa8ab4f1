"""The parts of a collection that a job was given, opened again from its params.json: queries, judgements.

Only configurations of this package's `data` are made, whatever the file names; paths below the workspace are found
where the workspace lies now. This module does not know what the job did.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from xpm_ce.data.parts import Qrels, Queries
from xpm_ce.errors import DataError
from xpm_ce.parameters import PARAMETERS, read_objects
from xpm_ce.workspace import Workspace

OURS = "xpm_ce.data."
KEPT = ("id", "module", "type", "typename", "identifier")
"""Of an entry of params.json, besides its fields: a task, or a file to import code from, is left out"""


def recorded_queries(workspace: Workspace, folder: Path) -> Queries:
    """The queries that the job in a folder was given; DataError where it has none, or they cannot be made again."""
    found = _recorded(workspace, folder, "queries")
    if not isinstance(found, Queries):
        raise _cannot(folder, "queries", "they are no queries")
    return found


def recorded_qrels(workspace: Workspace, folder: Path) -> Qrels:
    """The judgements that the job in a folder was given; DataError where it has none, or they cannot be made again."""
    found = _recorded(workspace, folder, "qrels")
    if not isinstance(found, Qrels):
        raise _cannot(folder, "qrels", "they are no judgements")
    return found


def _recorded(workspace: Workspace, folder: Path, name: str) -> Any:
    try:
        written = read_objects(folder)
        objects = {each["id"]: each for each in written}
        wanted = written[-1]["fields"][name]["value"]
        needed = _needed(wanted, objects)
        definitions = [_definition(objects[each], workspace) for each in needed]
    except (KeyError, TypeError, ValueError, IndexError, RecursionError) as error:
        raise _cannot(folder, name, repr(error)) from error
    from experimaestro.core.objects import ConfigInformation

    try:
        return ConfigInformation.fromParameters(definitions, as_instance=True, partial_loading=True)
    except Exception as error:
        raise _cannot(folder, name, repr(error)) from error


def _needed(wanted: Any, objects: Mapping[Any, Any]) -> list[Any]:
    """What a configuration consists of, itself last."""
    found: dict[Any, None] = {}

    def visit(identity: Any) -> None:
        for value in objects[identity]["fields"].values():
            for below in _references(value):
                if below not in found:
                    visit(below)
        found[identity] = None

    visit(wanted)
    return list(found)


def _references(value: Any) -> list[Any]:
    if isinstance(value, Mapping):
        if value.get("type") == "python":
            return [value["value"]]
        return [below for each in value.values() for below in _references(each)]
    return [below for each in value for below in _references(each)] if isinstance(value, list) else []


def _definition(entry: Mapping[str, Any], workspace: Workspace) -> dict[str, Any]:
    """An entry with nothing in it that would import code from elsewhere."""
    if not entry["module"].startswith(OURS):
        raise ValueError(f"{entry['module']} is none of {OURS}*")
    fields = {name: _value(value, workspace) for name, value in entry["fields"].items()}
    return {**{key: entry[key] for key in KEPT if key in entry}, "fields": fields}


def _value(value: Any, workspace: Workspace) -> Any:
    if isinstance(value, list):
        return [_value(each, workspace) for each in value]
    if not isinstance(value, Mapping) or value.get("type") == "python":
        return value
    if value.get("type") == "path":
        base = {"workspace": workspace.path, None: Path("/")}[value.get("base")]
        return {"type": "path", "value": str(base / value["value"])}
    if "type" in value:
        raise ValueError(f"a value of type {value['type']}")
    return {name: _value(each, workspace) for name, each in value.items()}


def _cannot(folder: Path, name: str, why: str) -> DataError:
    return DataError(
        f"the {name} of this job cannot be opened again ({why})",
        where=str(folder / PARAMETERS),
        remedy="Run its experiment again with this version.",
    )
