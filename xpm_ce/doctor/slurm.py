"""Slurm: whether it answers, keeps accounts, and has the partitions of launchers.yaml with what is said of them.

This module does not know the local machine.
"""

import subprocess
from collections.abc import Iterator
from typing import NamedTuple

from xpm_ce.doctor.finding import Finding, doubtful, fine, wrong
from xpm_ce.errors import ConfigurationError
from xpm_ce.launch.accounts import ask, assert_accounts, why_not
from xpm_ce.launch.machines import Launchers, Partition
from xpm_ce.launch.placement import spelled


class Known(NamedTuple):
    """A partition as sinfo shows it; None where it has no limit."""

    time: int | None
    cores: int
    memory_gib: float
    up: bool


def slurm(launchers: Launchers) -> Iterator[Finding]:
    """Every partition of launchers.yaml."""
    for partition in launchers.partitions.values():
        yield from _partition(partition, where=f"{launchers.file}: slurm.{partition.name}")


def _partition(partition: Partition, *, where: str) -> Iterator[Finding]:
    about = f"slurm.{partition.name}"
    for program in ("sbatch", "squeue", "scancel", "sinfo"):
        if not (partition.binaries / program).exists():
            remedy = "Set `binaries:` of the partition to the folder of Slurm's commands, or run this on a login node."
            yield wrong(about, f"there is no {partition.binaries / program}", remedy)
            return
    try:
        assert_accounts(partition.binaries, where=where)
        yield fine(about, "sacct answers")
    except ConfigurationError as error:
        yield wrong(about, error.what, error.remedy)
    named = f"--partition={partition.partition}"
    try:
        told = ask(partition.binaries, "sinfo", "--noheader", named, "--format=%l|%c|%m|%a")
    except (OSError, subprocess.SubprocessError) as error:
        yield wrong(about, f"sinfo does not answer: {why_not(error)}", "Is slurmctld up? Try `sinfo`.")
        return
    rows = [_known(line) for line in told.splitlines() if line.count("|") == 3]
    if not rows:
        yield wrong(about, f"Slurm has no partition {partition.partition}", "Set `partition:` to one that sinfo shows.")
        return
    yield from _compared(partition, rows, about=about)


def _known(line: str) -> Known:
    time, cores, memory, state = (each.strip() for each in line.split("|"))
    return Known(seconds(time), int(cores.rstrip("+") or 0), float(memory.rstrip("+") or 0) / 1024, state == "up")


def seconds(text: str) -> int | None:
    """Slurm's D-HH:MM:SS, HH:MM:SS or MM:SS as seconds; None for `infinite`."""
    days, _, rest = text.rpartition("-")
    try:
        parts = [int(part) for part in rest.split(":")]
    except ValueError:
        return None
    total = 0
    for part in parts:
        total = total * 60 + part
    return int(days or 0) * 86400 + total


def _compared(partition: Partition, rows: list[Known], *, about: str) -> Iterator[Finding]:
    """What launchers.yaml promises beside the best that sinfo shows."""
    longest = max((row.time if row.time is not None else 10**12 for row in rows), default=0)
    most_cores, most_memory = max(row.cores for row in rows), max(row.memory_gib for row in rows)
    too_much = []
    if partition.time is not None and partition.time > longest:
        too_much.append(f"time {spelled(partition.time)} of {spelled(longest)}")
    if partition.cores is not None and partition.cores > most_cores:
        too_much.append(f"cores {partition.cores} of {most_cores}")
    if partition.memory_gib is not None and partition.memory_gib > most_memory:
        too_much.append(f"memory_gib {partition.memory_gib:g} of {most_memory:.1f}")
    if too_much:
        yield wrong(about, f"launchers.yaml has more than Slurm gives: {', '.join(too_much)}", "Lower them.")
    elif not any(row.up for row in rows):
        yield doubtful(about, f"the partition {partition.partition} is down", "Jobs wait until it is up.")
    else:
        limit = "no time limit" if longest >= 10**12 else f"up to {spelled(longest)}"
        yield fine(about, f"partition {partition.partition}: {limit}, {most_cores} cores, {most_memory:.0f} GiB a node")
