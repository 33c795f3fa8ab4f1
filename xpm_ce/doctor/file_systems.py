"""File systems: what kind a folder lies on, how much room there is, and whether locks count there.

This module does not know what the folders are for.
"""

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from xpm_ce.doctor.finding import Finding, doubtful, fine, wrong

NETWORK = ("nfs", "cifs", "smb", "lustre", "gpfs", "beegfs", "ceph", "glusterfs", "afs", "9p", "fuse.")
"""Beginnings of the kinds of file systems that other machines write, too"""
LOW, TOO_LOW = 20.0, 1.0
"""GiB below which room is doubtful, and below which it is wrong; a resume state of BERT-base takes 1.3"""
TRY = """
import fcntl, sys
try:
    fcntl.flock(open(sys.argv[1], "rb"), fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError:
    sys.exit(7)
"""
"""What another process does with a file that is locked"""
REFUSED = 7


def kind_of(folder: Path) -> str:
    """The kind of file system that a folder lies on, by the longest mount point above it."""
    place, best, kind = existing(folder), "", "unknown"
    try:
        mounts = Path("/proc/self/mounts").read_text().splitlines()
    except OSError:
        return kind
    for line in mounts:
        _, point, of, *_ = line.split(" ")
        point = point.replace("\\040", " ")
        if len(point) >= len(best) and (place == Path(point) or Path(point) in place.parents):
            best, kind = point, of
    return kind


def existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that exists."""
    folder = folder.absolute()
    while not folder.exists():
        folder = folder.parent
    return folder.resolve()


def on_network(folder: Path) -> bool:
    """Whether other machines may write there, too."""
    return kind_of(folder).startswith(NETWORK)


def room(folder: Path, *, about: str) -> Finding:
    """Free space below a folder."""
    free = shutil.disk_usage(existing(folder)).free / 2**30
    what = f"{free:.0f} GiB free in {folder} ({kind_of(folder)})" if free >= 10 else f"{free:.1f} GiB free in {folder}"
    remedy = "Free space, or give another folder: each learner keeps at least one checkpoint."
    if free < TOO_LOW:
        return wrong(about, what, remedy)
    return doubtful(about, what, remedy) if free < LOW else fine(about, what)


def writable(folder: Path, *, about: str) -> Iterator[Finding]:
    """Where a folder, or what would hold it, cannot be written."""
    if not os.access(existing(folder), os.W_OK):
        yield wrong(about, f"{existing(folder)} cannot be written", "Change its rights, or give another folder.")


def locks(folder: Path, *, about: str) -> Finding:
    """Whether another process is kept from what this one has locked in a folder, which is made if need be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".lock-{os.getpid()}"
        with open(probe, "w") as held:
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                other = subprocess.run([sys.executable, "-S", "-c", TRY, str(probe)], timeout=60)
            finally:
                probe.unlink()
    except OSError as error:
        return wrong(about, f"files in {folder} cannot be locked ({error.strerror})", "Give a local file system.")
    if other.returncode != REFUSED:
        return wrong(about, f"locks in {folder} keep nobody out", "Mount it with locks, or give a local file system.")
    return fine(about, f"files are locked in {folder} ({kind_of(folder)})")
