"""What a job was given: its params.json as configurations with named fields.

Reads files only: no class is imported, and this module knows none by name.
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from xpm_ce.workspace import read_json

PARAMETERS = "params.json"
NOT_VALUES = {"listing"}
"""Fields of every task that say where, not what"""


@dataclasses.dataclass(eq=False)
class Given:
    """One configuration as a job got it. Where it is the output of a task, it stands for that task.

    `fields` holds plain values, other configurations, lists and mappings of them. Paths are left out: what lies there
    is identified by the task that wrote it or by a hash beside the path.
    """

    type: str
    """Name of its class; of the task's class where it is a task's output"""

    identity: str
    """Its own identity: equal ones are the same in all that can change a result"""

    task: str
    """Identity of the task that it is, or whose output it is; empty for others"""

    fields: dict[str, Any]
    """Values by name; an output has those of its task and its own"""

    def described(self, *, levels: int = 3, without: tuple["Given", ...] = ()) -> dict[str, Any]:
        """As plain data: type, identity of the task, values; deeper ones than `levels` by type and identity only.

        Configurations with the identity of one in `without` are left out wherever they are met.
        """
        hidden = {each.identity for each in without}
        description: dict[str, Any] = {"type": self.type, **({"task": self.task} if self.task else {})}
        if levels > 0:
            for name, value in self.fields.items():
                if not (isinstance(value, Given) and value.identity in hidden):
                    description[name] = _plain(value, levels - 1, without)
        return description


def read_objects(folder: Path) -> list[dict[str, Any]]:
    """The objects of a job's params.json, the job itself last; none where the file is not there.

    A task, and what a task gave, names the task under `task`. experimaestro 2.7 marks the job itself while its file is
    written, sometimes too late; here it is always marked.
    """
    written = read_json(folder / PARAMETERS)
    if written is None:
        return []
    objects = written["objects"]
    return [*objects[:-1], *({**job, "task": job["id"]} for job in objects[-1:])]


def read_parameters(folder: Path) -> Given | None:
    """What the job in a folder was given; None where its params.json is not there."""
    written = read_objects(folder)
    if not written:
        return None
    objects = {each["id"]: each for each in written}
    made: dict[int, Given] = {}

    def configuration(number: int) -> Given:
        if number not in made:
            entry = objects[number]
            source = entry.get("task", number)
            maker = configuration(source) if source != number else None
            # The entry is known before its fields are read, since a task's output may be met within it.
            made[number] = given = Given(
                type=maker.type if maker else entry["type"],
                identity=entry["identifier"],
                task=objects[source]["identifier"] if "task" in entry else "",
                fields=dict(maker.fields) if maker else {},
            )
            for name, value in entry.get("fields", {}).items():
                if name not in NOT_VALUES and not is_path(value):
                    given.fields[name] = decoded(value)
        return made[number]

    def decoded(value: Any) -> Any:
        if isinstance(value, list):
            return [decoded(each) for each in value]
        if not isinstance(value, Mapping):
            return value
        kind = value.get("type")
        if kind == "python":
            return configuration(value["value"])
        if kind == "enum":
            return value["value"]
        return {str(name): decoded(each) for name, each in value.items()}

    return configuration(written[-1]["id"])


def is_path(value: Any) -> bool:
    """Whether a value of a params.json stands for a path."""
    return isinstance(value, Mapping) and str(value.get("type", "")).startswith("path")


def _plain(value: Any, levels: int, without: tuple[Given, ...]) -> Any:
    if isinstance(value, Given):
        return value.described(levels=levels, without=without)
    if isinstance(value, list):
        return [_plain(each, levels, without) for each in value]
    if isinstance(value, Mapping):
        return {name: _plain(each, levels, without) for name, each in value.items()}
    return value
