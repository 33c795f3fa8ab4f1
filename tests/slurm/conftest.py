"""A real Slurm for the tests of this folder, and `xpm-ce run` at work on it.

`make test-slurm` starts it; without XPM_CE_TEST_SLURM these tests are skipped.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from cluster import Cluster, install, missing_programs
from slow_run import HERE, STEPS, TINY, Run

VARIABLE = "XPM_CE_TEST_SLURM"
"""`installed`: use the packages that are there; `install`: install them first, as root; otherwise no test runs here"""


def pytest_terminal_summary(terminalreporter) -> None:
    """Say which Slurm this was."""
    for line in getattr(terminalreporter.config, "slurm", ()):
        terminalreporter.write_line(line)


@pytest.fixture(scope="session", autouse=True)
def installed() -> None:
    """Skip the tests of this folder where there is no Slurm to start; before anything else is made for them."""
    wanted = os.environ.get(VARIABLE)
    if not wanted:
        pytest.skip("needs a Slurm of its own: make test-slurm")
    obstacle = install() if wanted == "install" else ""
    if obstacle or missing_programs():
        pytest.skip(f"{', '.join(missing_programs())} not installed: {obstacle or 'make test-slurm installs them'}")


@pytest.fixture(scope="session")
def cluster(pytestconfig) -> Iterator[Cluster]:
    """A running Slurm of one node."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that a terminated session ends it, too
    started = time.monotonic()
    with Cluster() as cluster:
        pytestconfig.slurm = [
            f"{cluster.run('sinfo', '--version').strip()}, {cluster.processors} processors ({processor()}), "
            f"up in {time.monotonic() - started:.0f} s",
        ]
        yield cluster
        counts = [f"{cluster.states.count(state)} {state}" for state in sorted(set(cluster.states))]
        pytestconfig.slurm.append(f"executions of jobs: {', '.join(counts) or 'none'}")


def processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return "unknown processor"


@pytest.fixture
def idle(cluster) -> Cluster:
    """The cluster with an empty queue and a node that takes jobs, whatever the test before left."""
    cluster.reset()
    return cluster


@pytest.fixture(scope="session")
def launchers(tmp_path_factory) -> Callable[..., Path]:
    """Make a launchers file that sends every job to Slurm; learners to a partition and with a limit of their own.

    `more` are requirements of other kinds.
    """
    folder = tmp_path_factory.mktemp("launchers")

    def write(*, learn: str = "main", time: str = "10m", **more: object) -> Path:
        partition = {"memory_gib": 2, "cores": 1, "interval": 1, "time": "3h"}
        content = {
            "local": {"parallel_jobs": 0},
            "slurm": {"main": partition, "spare": partition},
            "requirements": {"all": {"on": "main", "time": "10m"}, "learn": {"on": learn, "time": time}, **more},
        }
        file = folder / f"{len(list(folder.iterdir()))}.yaml"
        file.write_text(json.dumps(content))
        return file

    return write


@pytest.fixture(scope="session")
def slow_study(tmp_path_factory) -> Path:
    """The tiny study with one learner whose steps wait as long as XPM_CE_TEST_PAUSE says."""
    folder = tmp_path_factory.mktemp("slow")
    shutil.copy(HERE / "slow.py", folder)
    study = yaml.safe_load(TINY.read_text())
    study["id"], study["extensions"] = "slow", ["./slow.py"]
    study["learner"]["steps"], study["learner"]["checkpoint_interval"] = STEPS, 5
    study["grid"]["learner.loss"] = ["slow"]
    file = folder / "slow.yaml"
    file.write_text(yaml.safe_dump(study, sort_keys=False))
    return file


@pytest.fixture
def start(idle, home, slow_study) -> Iterator[Callable[..., Run]]:
    """Start `xpm-ce run` of the slow study on the cluster; killed at the end of the test where it still runs."""
    started: list[subprocess.Popen] = []

    def run(workspace: Path, launchers: Path, *, pause: float) -> Run:
        log = workspace.parent / f"run-{len(started)}.log"
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("XPM", "COV"))}
        environment = {**kept, **idle.environment, "HOME": str(home), "XPM_CE_TEST_PAUSE": str(pause)}
        command = [str(Path(sys.executable).with_name("xpm-ce")), "run", str(slow_study), "--workdir", str(workspace)]
        with open(log, "wb") as stream:
            process = subprocess.Popen(
                [*command, "--launchers", str(launchers)], stdin=subprocess.DEVNULL, stdout=stream,
                stderr=subprocess.STDOUT, env=environment, start_new_session=True,
            )  # fmt: skip
        started.append(process)
        return Run(process, workspace, log)

    yield run
    for process in started:
        if process.poll() is None:
            process.kill()
            process.wait()


@pytest.fixture(scope="session")
def undisturbed(cluster, tiny_workspace, slow_study, run_command, tmp_path_factory) -> Path:
    """A workspace in which the slow study ran on this machine, without Slurm and without a pause."""
    workspace = tmp_path_factory.mktemp("undisturbed") / "workspace"
    shutil.copytree(tiny_workspace, workspace, symlinks=True)
    process = run_command("xpm-ce", "run", slow_study, "--workdir", workspace)
    assert process.returncode == 0, process.stdout + process.stderr
    return workspace
