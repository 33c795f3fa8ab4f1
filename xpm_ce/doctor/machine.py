"""The local machine: what it has beside what launchers.yaml says of it. This module does not know Slurm."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from xpm_ce.doctor.file_systems import locks, on_network
from xpm_ce.doctor.finding import Finding, doubtful, fine, wrong
from xpm_ce.engine.precision import HARDWARE, supported
from xpm_ce.engine.precision import capabilities as measured
from xpm_ce.jobs import processor
from xpm_ce.launch.admission import GATE, holders
from xpm_ce.launch.machines import CAPABILITIES, Launchers, LocalMachine
from xpm_ce.launch.site import lock_folder


class Card(NamedTuple):
    """A GPU as nvidia-smi shows it."""

    name: str
    memory_gib: float


def machine(launchers: Launchers) -> Iterator[Finding]:
    """Processor, memory, precisions, GPUs and locks of this machine."""
    local = launchers.local
    yield from cores(local)
    yield from memory(local)
    yield from precisions(local)
    yield from gpus(local)
    yield from slots(launchers)


def cores(local: LocalMachine) -> Iterator[Finding]:
    here = len(os.sched_getaffinity(0))
    if local.cores > here:
        remedy = f"Set local.cores to {here} or less: threads that share a core are 10 times slower."
        yield doubtful("processor", f"launchers.yaml has {local.cores} cores, this process may use {here}", remedy)
    else:
        yield fine("processor", f"{processor()}, {here} cores; jobs use {local.cores}")


def memory_of_machine() -> float | None:
    """Memory in GiB, of the machine or of the control group that this process lies in; None where nobody says."""
    found = []
    for line in _lines(Path("/proc/meminfo")):
        if line.startswith("MemTotal"):
            found.append(int(line.split()[1]) / 2**20)
    for limit in (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes")):
        found += [int(line) / 2**30 for line in _lines(limit) if line.isdigit()]
    return min(found) if found else None


def memory(local: LocalMachine) -> Iterator[Finding]:
    has = memory_of_machine()
    if has is None:
        return
    together = local.memory_gib if local.memory_gib is not None else local.slots * local.memory_per_job_gib
    if local.memory_gib is not None and local.memory_gib > has:
        remedy = f"Set local.memory_gib to {has:.0f} or less."
        yield wrong("memory", f"launchers.yaml has {local.memory_gib:g} GiB, the machine {has:.1f} GiB", remedy)
    elif together > has:
        remedy = "Set local.memory_gib, or lower parallel_jobs."
        yield doubtful("memory", f"{local.slots} jobs may need {together:g} GiB, the machine has {has:.1f} GiB", remedy)
    else:
        yield fine("memory", f"{has:.1f} GiB for {local.slots} jobs at once")


def precisions(local: LocalMachine) -> Iterator[Finding]:
    """Declared precisions beside those that the hardware computes."""
    devices = ("cpu", "cuda") if local.gpus.devices else ("cpu",)
    here = {name for name in CAPABILITIES if any(supported(name, device, measured()) for device in devices)}
    declared = set(local.capabilities) | set(local.gpus.capabilities or ())
    for name in sorted(declared - here):
        wanted = sorted({flag for (of, _), flags in HARDWARE.items() if of == name for flag in flags})
        remedy = f"Remove it from capabilities: it needs {' or '.join(wanted)}, and jobs refuse what is emulated."
        yield wrong("precisions", f"launchers.yaml declares {name}, which this machine does not compute", remedy)
    if declared <= here:
        spare = f"; not declared: {', '.join(sorted(here - declared))}" if here - declared else ""
        yield fine("precisions", f"{', '.join(sorted(declared))}{spare}")


def cards() -> list[Card]:
    """The GPUs that nvidia-smi shows."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    asked = [program, "--query-gpu=name,memory.total", "--format=csv,noheader,nounits"]
    try:
        told = subprocess.run(asked, capture_output=True, text=True, timeout=30, check=True).stdout
        rows = [line.rsplit(",", 1) for line in told.splitlines() if line.strip()]
        return [Card(name.strip(), int(memory) / 1024) for name, memory in rows]
    except (OSError, subprocess.SubprocessError, ValueError):
        return []


def gpus(local: LocalMachine) -> Iterator[Finding]:
    found, given = cards(), local.gpus
    if not given.devices:
        if found:
            remedy = "Set local.gpus if jobs may use them."
            yield doubtful("GPUs", f"{len(found)} are here, none is given to jobs", remedy)
        else:
            yield fine("GPUs", "none")
        return
    if len(given.devices) > len(found):
        remedy = "Set local.gpus to what nvidia-smi shows, or mend the driver."
        yield wrong("GPUs", f"{len(given.devices)} are given to jobs, nvidia-smi shows {len(found)}", remedy)
        return
    smallest = min(card.memory_gib for card in found)
    if given.memory_gib is not None and given.memory_gib > smallest + 1:
        remedy = f"Set local.gpus.memory_gib to {smallest:.0f}."
        yield wrong("GPUs", f"launchers.yaml has {given.memory_gib:g} GiB, one has {smallest:.0f} GiB", remedy)
    else:
        names = ", ".join(sorted({card.name for card in found}))
        yield fine("GPUs", f"{', '.join(given.devices)} ({names})")


def slots(launchers: Launchers) -> Iterator[Finding]:
    """Where slots are locked, and who has them."""
    folder = lock_folder(launchers)
    found = locks(folder, about="slots")
    yield found
    if found.remedy:
        return
    if on_network(folder):
        remedy = "It is right as long as the server locks; local.lock_folder can name a local one."
        yield doubtful("slots", f"{folder} is on a network file system", remedy)
    held = [f"{name} by process {who}" for name, who in holders(folder).items() if not name.startswith(GATE)]
    of = f"{launchers.local.slots} slots and {len(launchers.local.gpus.devices)} GPUs"
    yield fine("slots", f"{of}; held now: {', '.join(held) or 'none'}")


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []
