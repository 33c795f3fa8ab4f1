"""All that `xpm-ce doctor` looks at, from the file to the data; one thing that is wrong does not hide the next.

This module does not know how anything is mended: each finding says so itself.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

from xpm_ce.data.doctor import FINE, checked
from xpm_ce.data.need import NeededHere
from xpm_ce.doctor.file_systems import locks, on_network, room, writable
from xpm_ce.doctor.finding import Finding, doubtful, fine, wrong
from xpm_ce.doctor.machine import machine
from xpm_ce.doctor.slurm import slurm
from xpm_ce.doctor.software import network, software
from xpm_ce.errors import XpmCeError
from xpm_ce.launch.file import read_launchers
from xpm_ce.launch.machines import Launchers
from xpm_ce.workspace import Workspace


def examined(workspace: Workspace, launchers: Path | None) -> Iterator[Finding]:
    """Software, launchers.yaml, the machines that it describes, and the workspace."""
    yield from software()
    yield from network()
    try:
        described = read_launchers(launchers)
    except XpmCeError as error:
        yield wrong("launchers", f"{error.where}: {error.what}", error.remedy)
        described = Launchers()
    else:
        partitions = f", Slurm: {', '.join(described.partitions)}" if described.partitions else ""
        yield fine("launchers", f"{launchers or 'no file, so the defaults'}: {described.local.slots} slots{partitions}")
    yield from machine(described)
    yield from slurm(described)
    yield from of_workspace(workspace, in_slurm=bool(described.partitions))


def of_workspace(workspace: Workspace, *, in_slurm: bool) -> Iterator[Finding]:
    """Rights, room and locks of a workspace, which is not made."""
    unwritable = list(writable(workspace.path, about="workspace"))
    yield from unwritable
    yield room(workspace.path, about="workspace")
    if unwritable or not workspace.path.is_dir():
        return
    yield locks(workspace.path, about="workspace")
    if on_network(workspace.path):
        remedy = "Run one `xpm-ce run` at a time on it, unless its locks are known to hold between machines."
        yield doubtful("workspace", "other machines may write it, too", remedy)
    elif in_slurm:
        remedy = "Give a workspace that the nodes see, too, with --workdir or $XPM_CE_WORKDIR."
        yield doubtful("workspace", "it is on a file system of this machine, and jobs run on others", remedy)


def data(needed: Iterable[NeededHere]) -> Iterator[Finding]:
    """What a study needs from elsewhere, compared with the disk at a glance."""
    for each in checked(needed, quick=True):
        about, what = "data", f"{each.need.name} ({each.need.kind}): {each.found}"
        yield fine(about, what) if each.verdict in FINE else wrong(about, what, each.remedy)
