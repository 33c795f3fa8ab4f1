"""A private Slurm of one node: munge, MariaDB, slurmdbd, slurmctld and slurmd, in one folder and on free ports.

It reads and writes nothing of a Slurm that may be there, and ends only what it started. It does not know xpm-ce.
"""

import contextlib
import ctypes
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

PACKAGES = ("slurmctld", "slurmd", "slurmdbd", "slurm-client", "munge", "mariadb-server")
"""Packages of Debian 12 and Ubuntu 22.04 and later"""

PROGRAMS = (
    "munged", "mungekey", "mariadbd", "mariadb-install-db", "slurmdbd", "slurmctld", "slurmd", "sbatch", "srun",
    "squeue", "sacct", "sacctmgr", "scontrol", "scancel", "sinfo",
)  # fmt: skip

POLICY = Path("/usr/sbin/policy-rc.d")
"""Says to Debian's package scripts whether they may start services"""


class ClusterError(Exception):
    """A daemon did not start, or a command of Slurm failed."""


def program(name: str) -> str | None:
    """The path of a program, also where /usr/sbin is not on the PATH."""
    return shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"]))


def missing_programs() -> list[str]:
    return [name for name in PROGRAMS if program(name) is None]


def install() -> str:
    """Install what is missing from Debian's packages, starting no service; why that was not possible, or nothing."""
    if not missing_programs():
        return ""
    if program("apt-get") is None:
        return "there is no apt-get to install them with"
    if os.geteuid() != 0:
        return f"only root installs them: apt-get install {' '.join(PACKAGES)}"
    ours = not POLICY.exists()
    if ours:
        POLICY.write_text("#!/bin/sh\nexit 101\n")
        POLICY.chmod(0o755)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        for arguments in (["update"], ["install", "--yes", "--no-install-recommends", *PACKAGES]):
            process = subprocess.run(
                ["apt-get", "--quiet", *arguments], env=environment, capture_output=True, text=True, timeout=600
            )
            if process.returncode:
                return f"apt-get {arguments[0]} failed: {(process.stderr or process.stdout).strip().splitlines()[-1]}"
    except subprocess.TimeoutExpired:
        return "apt-get took longer than ten minutes"
    finally:
        if ours:
            POLICY.unlink()
    missing = missing_programs()
    return f"the packages do not hold {', '.join(missing)}" if missing else ""


class Cluster:
    """One node with the processors of this machine, and accounting; `with Cluster() as cluster:` starts and stops it.

    Partitions: `main` (all processors, the default), `spare` (the same, but jobs of `main` send its jobs back to the
    queue). Commands and jobs find it by SLURM_CONF, which `environment` holds.
    """

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="xpm-ce-slurm-"))
        self.folder.chmod(0o755)
        self.node = socket.gethostname().partition(".")[0]
        self.processors = len(os.sched_getaffinity(0))
        self.environment = {"SLURM_CONF": str(self.folder / "slurm.conf")}
        self.states: list[str] = []
        """How the executions ended that `ended` told of"""
        self._before, self._foreign = 0, set[str]()
        self._daemons: list[tuple[str, subprocess.Popen]] = []

    def __enter__(self) -> "Cluster":
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_exception: object) -> None:
        self.stop()

    def run(self, name: str, *arguments: str, check: bool = True) -> str:
        """What a command of Slurm prints."""
        process = subprocess.run(
            [program(name) or name, *arguments], env={**os.environ, **self.environment}, capture_output=True,
            text=True, timeout=60,
        )  # fmt: skip
        if check and process.returncode:
            raise ClusterError(f"{name} {' '.join(arguments)}: {process.stderr.strip()}")
        return process.stdout

    def drain(self) -> None:
        """Let what runs end, and start nothing more."""
        self.run("scontrol", "update", f"NodeName={self.node}", "State=DRAIN", "Reason=test")

    def resume(self) -> None:
        self.run("scontrol", "update", f"NodeName={self.node}", "State=RESUME")

    def fail(self) -> None:
        """Take the node down under its jobs; it comes back by itself, as one that was started again."""
        self.run("scontrol", "update", f"NodeName={self.node}", "State=DOWN", "Reason=test")
        self._until(lambda: not any(state == "RUNNING" for _, state, _ in self.queue()), "its jobs are gone")
        self._usable()

    def stop_controller(self) -> None:
        """End slurmctld; what runs goes on."""
        ((name, process),) = [each for each in self._daemons if each[0] == "slurmctld"]
        process.terminate()
        process.wait(timeout=60)
        self._daemons.remove((name, process))

    def start_controller(self) -> None:
        """Start slurmctld, which knows the jobs that it knew."""
        self._start_daemon("slurmctld", "-D", "-i")
        self._until(lambda: self._answers("scontrol", "ping"), "slurmctld answers")

    def submit(self, *options: str) -> str:
        """The number of a job that is none of xpm-ce's."""
        job = self.run("sbatch", "--parsable", "--output=/dev/null", *options).strip()
        self._foreign.add(job)
        return job

    def reset(self) -> None:
        """Empty the queue, let the node take jobs, and begin to count."""
        self.run("scancel", "--partition=main", check=False)
        self.run("scancel", "--partition=spare", check=False)
        self._until(lambda: not self.queue(), "the queue is empty")
        self._usable()
        self._before = self._newest()

    def _usable(self) -> None:
        """Resume the node until it is idle or has jobs."""

        def usable() -> bool:
            if self.node_state in ("idle", "mixed", "allocated"):
                return True
            self.run("scontrol", "update", f"NodeName={self.node}", "State=RESUME", check=False)
            return False

        self._until(usable, "the node takes jobs")

    @property
    def node_state(self) -> str:
        return self.run("sinfo", "--noheader", "--format=%T", f"--nodes={self.node}").split()[0]

    def queue(self) -> list[tuple[str, str, str]]:
        """(job id, state, reason) of the jobs that have not ended."""
        lines = self.run("squeue", "--noheader", "--states=all", "--format=%i|%T|%r").splitlines()
        rows = [tuple(line.split("|", 2)) for line in lines]
        return [row for row in rows if row[1] in ("PENDING", "RUNNING", "COMPLETING", "SUSPENDED", "CONFIGURING")]

    def ended(self) -> list[str]:
        """The last state of each execution since the last `reset`, by the time of submission, when none goes on.

        A job that was sent back to the queue and started again is two executions; jobs of `submit` do not count.
        """
        self._until(lambda: not self.queue(), "the queue is empty")
        rows: list[list[str]] = []

        def settled() -> bool:  # accounting is some seconds behind
            told = self.run(
                "sacct", "--noheader", "--parsable2", "--allocations", "--duplicates", "--starttime=now-1days",
                "--format=JobIDRaw,State",
            )  # fmt: skip
            rows[:] = [line.split("|") for line in told.splitlines() if int(line.partition("|")[0]) > self._before]
            known = {int(job) for job, _ in rows}
            goes_on = any(state.startswith(("PENDING", "RUNNING", "COMPLETING")) for _, state in rows)
            return not goes_on and known >= set(range(self._before + 1, self._newest() + 1))

        self._until(settled, "accounting knows how all jobs ended")
        ours = [state.split()[0] for job, state in rows if job not in self._foreign]
        self.states += ours
        return ours

    def _newest(self) -> int:
        """The highest number that Slurm has given to a job."""
        (line,) = (
            line for line in self.run("scontrol", "show", "config").splitlines() if line.startswith("NEXT_JOB_ID")
        )
        return int(line.partition("=")[2]) - 1

    def stop(self) -> None:
        """Cancel every job, end every daemon, remove the folder."""
        if any(name == "slurmd" for name, _ in self._daemons):
            self.run("scancel", f"--nodelist={self.node}", check=False)
            self.run("scancel", "--state=PENDING", check=False)
            with contextlib.suppress(ClusterError):  # its daemons end all the same
                self._until(lambda: not self.queue(), "the jobs end", seconds=30)
        for _, process in reversed(self._daemons):
            process.terminate()
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._daemons.clear()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _start(self) -> None:
        ports = dict(zip(("database", "accounting", "controller", "node"), _free_ports(4), strict=True))
        password = secrets.token_hex(16)
        user = pwd.getpwuid(os.geteuid()).pw_name
        for name in ("database", "controller", "node", "munge"):
            (self.folder / name).mkdir(mode=0o755)
        self._start_munge()
        self._start_database(ports["database"], password, user)
        self._write_configuration(ports, password, user)
        self._start_daemon("slurmdbd", "-D")
        self._until(lambda: self._answers("sacctmgr", "--noheader", "list", "cluster"), "slurmdbd answers")
        self.run("sacctmgr", "--immediate", "add", "cluster", "xpmce")
        self.start_controller()
        self._start_daemon("slurmd", "-D")
        self._until(lambda: self.node_state == "idle", "the node is idle")

    def _start_munge(self) -> None:
        munge = self.folder / "munge"
        subprocess.run([program("mungekey") or "mungekey", "--create", f"--keyfile={munge / 'key'}"], check=True)
        self._start_daemon(
            "munged", "--foreground", "--force", f"--key-file={munge / 'key'}", f"--socket={munge / 'socket'}",
            f"--pid-file={munge / 'pid'}", f"--log-file={munge / 'log'}", f"--seed-file={munge / 'seed'}",
            "--num-threads=2",
        )  # fmt: skip
        self._until((munge / "socket").exists, "munged listens")

    def _start_database(self, port: int, password: str, user: str) -> None:
        database = self.folder / "database"
        (database / "init.sql").write_text(
            "create database if not exists slurm;\n"
            f"create user if not exists 'slurm'@'localhost' identified by '{password}';\n"
            f"create user if not exists 'slurm'@'127.0.0.1' identified by '{password}';\n"
            "grant all on slurm.* to 'slurm'@'localhost';\ngrant all on slurm.* to 'slurm'@'127.0.0.1';\n"
        )
        command = [program("mariadb-install-db") or "", "--no-defaults", f"--user={user}", "--skip-test-db"]
        made = subprocess.run([*command, f"--datadir={database / 'data'}"], capture_output=True, text=True)
        if made.returncode:
            raise ClusterError(f"mariadb-install-db: {made.stdout}{made.stderr}")
        self._start_daemon(
            "mariadbd", "--no-defaults", f"--user={user}", f"--datadir={database / 'data'}",
            f"--socket={database / 'socket'}", f"--pid-file={database / 'pid'}", "--bind-address=127.0.0.1",
            f"--port={port}", f"--init-file={database / 'init.sql'}", "--innodb-buffer-pool-size=32M",
            "--innodb-flush-log-at-trx-commit=0", "--innodb-log-file-size=32M",
        )  # fmt: skip
        self._until(lambda: _listens(port), "MariaDB listens")

    def _write_configuration(self, ports: dict[str, int], password: str, user: str) -> None:
        authentication = f"AuthType=auth/munge\nAuthInfo=socket={self.folder / 'munge' / 'socket'}\n"
        accounting = self.folder / "slurmdbd.conf"
        accounting.touch(mode=0o600)
        accounting.write_text(
            f"{authentication}DbdHost=localhost\nDbdAddr=127.0.0.1\nDbdPort={ports['accounting']}\nSlurmUser={user}\n"
            f"StorageType=accounting_storage/mysql\nStorageHost=127.0.0.1\nStoragePort={ports['database']}\n"
            f"StorageUser=slurm\nStoragePass={password}\nStorageLoc=slurm\n"
            f"LogFile={self.folder / 'slurmdbd.log'}\nPidFile={self.folder / 'slurmdbd.pid'}\n"
        )
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
        (self.folder / "slurm.conf").write_text(
            f"""\
ClusterName=xpmce
SlurmctldHost={self.node}(127.0.0.1)
SlurmctldPort={ports["controller"]}
SlurmdPort={ports["node"]}
SlurmUser={user}
SlurmdUser={user}
{authentication}CredType=cred/munge
StateSaveLocation={self.folder / "controller"}
SlurmdSpoolDir={self.folder / "node"}
SlurmctldPidFile={self.folder / "slurmctld.pid"}
SlurmdPidFile={self.folder / "slurmd.pid"}
SlurmctldLogFile={self.folder / "slurmctld.log"}
SlurmdLogFile={self.folder / "slurmd.log"}
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/linux
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort={ports["accounting"]}
AccountingStoragePass={self.folder / "munge" / "socket"}
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_interval=2,bf_interval=1
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
OverTimeLimit=0
KillWait=5
MinJobAge=3600
ReturnToService=2
NodeName={self.node} NodeAddr=127.0.0.1 CPUs={self.processors} RealMemory={int(0.9 * memory)} State=UNKNOWN
PartitionName=main Nodes={self.node} Default=YES MaxTime=60 PriorityTier=2 PreemptMode=OFF DefMemPerCPU=1000
PartitionName=spare Nodes={self.node} MaxTime=60 PriorityTier=1 PreemptMode=REQUEUE DefMemPerCPU=1000
"""
        )

    def _start_daemon(self, name: str, *arguments: str) -> None:
        with open(self.folder / f"{name}.out", "wb") as log:
            process = subprocess.Popen(
                [program(name) or name, *arguments], stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                env={**os.environ, **self.environment}, start_new_session=True, preexec_fn=_end_with_parent,
            )  # fmt: skip
        self._daemons.append((name, process))

    def _answers(self, name: str, *arguments: str) -> bool:
        try:
            output = self.run(name, *arguments)
        except (ClusterError, subprocess.TimeoutExpired):
            return False
        return "DOWN" not in output

    def _until(self, condition: Callable[[], object], what: str, *, seconds: float = 120) -> None:
        """Wait for a condition; ClusterError with the ends of the daemons' logs where it does not come true."""
        end = time.monotonic() + seconds
        while not condition():
            dead = [name for name, process in self._daemons if process.poll() is not None]
            if dead or time.monotonic() > end:
                logs = [*self.folder.glob("*.out"), *self.folder.glob("*.log"), *self.folder.glob("munge/log")]
                tails = "\n".join(f"== {log.name}\n{log.read_text(errors='replace')[-1500:]}" for log in sorted(logs))
                raise ClusterError(f"in vain: {what} ({', '.join(dead) or 'nothing'} ended)\n{tails}")
            time.sleep(0.2)


def _end_with_parent() -> None:
    """In a daemon before it starts: end when whoever started it ends, even by a kill."""
    set_death_signal = 1
    ctypes.CDLL(None).prctl(set_death_signal, signal.SIGTERM)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
