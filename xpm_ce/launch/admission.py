"""A job's own wait for slots and devices, counted across all processes of one user on one machine.

A slot and a device are a file each, and whoever holds its flock has it. The job's process holds it itself, so that it
is given back when the process ends in whatever way, and kept when the scheduler ends first. Jobs come in the order in
which they ask. This module knows neither experimaestro nor torch: in a job it runs before both.
"""

import contextlib
import errno
import fcntl
import logging
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from xpm_ce.errors import MachineError

POLL = 0.1
"""Seconds between two looks at the files, by the one job that is first in the queue"""
VARIABLE = "XPM_CE_LOCKS"
"""Names another folder for the locks of this machine; launchers.yaml goes before"""
GATE = "queue"
NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)
"""What a file system that cannot lock answers"""

logger = logging.getLogger(__name__)


class Share(NamedTuple):
    """What a job takes of a machine: so many of its slots, and so many of its devices."""

    folder: str
    """Folder of the locks"""
    slots: int
    """Slots that the job takes"""
    of: int
    """Slots of the machine"""
    gpus: int = 0
    """Devices that the job takes"""
    devices: tuple[str, ...] = ()
    """Devices of the machine, by their names in CUDA_VISIBLE_DEVICES"""


def default_folder() -> Path:
    """Folder of this user's locks on this machine, whatever the workspace: $XPM_CE_LOCKS, else below /tmp.

    Not $TMPDIR, which differs from session to session. What cleans /tmp leaves locked files alone (tmpfiles.d(5)).
    """
    return Path(os.environ.get(VARIABLE) or f"/tmp/xpm-ce-{os.getuid()}")


def assert_lockable(folder: Path) -> None:
    """MachineError where files in a folder, which is made if need be, cannot be locked."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if folder.lstat().st_uid != os.getuid():  # in /tmp anybody may make a folder of this name
            raise PermissionError(errno.EPERM, "it belongs to another user")
        held = _opened(folder / "probe")
        try:
            _try(held)
        finally:
            os.close(held)
    except OSError as error:
        reason = "its file system does not lock files" if error.errno in NO_LOCKS else error.strerror
        raise MachineError(
            f"slots cannot be counted here ({reason})",
            where=str(folder),
            remedy="Give local.lock_folder in launchers.yaml a folder of a local file system.",
        ) from error


def admit(share: Share) -> tuple[str, ...]:
    """Wait until this process has its share, until it ends; names of the devices, which CUDA_VISIBLE_DEVICES gets too.

    A device comes before slots, and who has slots waits for nothing, so that no two jobs wait for each other. Where the
    machine has devices, a job without one sees none.
    """
    folder = Path(share.folder)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    given = _take(folder, [f"device-{name}" for name in share.devices], share.gpus, what="devices")
    slots = _take(folder, [f"slot-{number}" for number in range(share.of)], share.slots, what="slots")
    devices = tuple(name.removeprefix("device-") for name in given)
    if share.devices:
        os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(devices)
    logger.info("has %s", ", ".join(given + slots))
    return devices


def holders(folder: Path) -> dict[str, str]:
    """Slot or device -> what its holder wrote about itself, of those that are held now."""
    found = {}
    for path in sorted(folder.glob("*-*")):
        with contextlib.suppress(OSError), open(path, "rb") as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                found[path.name] = stream.read().decode(errors="replace").strip()
    return found


def _take(folder: Path, names: Sequence[str], count: int, *, what: str) -> list[str]:
    """Lock `count` of these files, all or none, behind those who asked earlier; names of the locked ones."""
    if count == 0:
        return []
    if count > len(names):
        raise MachineError(f"{count} {what} are asked for, but there are {len(names)}")
    gate = _opened(folder / f"{GATE}-{what}")
    told = False
    try:
        if not _try(gate):
            told = _tell(what)
            fcntl.flock(gate, fcntl.LOCK_EX)  # the kernel serves in the order of asking
        while True:
            taken = _locked(folder, names, count)
            if taken:
                return taken
            told = told or _tell(what)
            time.sleep(POLL)
    finally:
        os.close(gate)


def _tell(what: str) -> bool:
    logger.info("waiting for %s of this machine, which other jobs have", what)
    return True


def _locked(folder: Path, names: Sequence[str], count: int) -> list[str]:
    """`count` of these files, locked until this process ends; none where fewer are free."""
    taken: dict[str, int] = {}
    for name in names:
        held = _opened(folder / name)
        if _try(held) and _is_still(folder / name, held):
            taken[name] = held
        else:
            os.close(held)
        if len(taken) == count:
            for each in taken.values():
                _sign(each)
            return list(taken)
    for held in taken.values():
        os.close(held)
    return []


def _opened(path: Path) -> int:
    """A descriptor that no command started by this process inherits."""
    return os.open(path, os.O_RDWR | os.O_CREAT, 0o600)


def _try(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except BlockingIOError:
        return False


def _is_still(path: Path, descriptor: int) -> bool:
    """Whether a locked file is the one that others would open: somebody may have emptied the folder."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _sign(descriptor: int) -> None:
    """Say in a locked file who has it, for people who look."""
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()} {sys.argv[0]}\n".encode(), 0)
