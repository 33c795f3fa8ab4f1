"""What several rings of tests share: running the command in a fresh process, and one workspace that is made once."""

import importlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock

from xpm_ce.workspace import Workspace

ROOT = Path(__file__).parent.parent
STUDIES = Path(__file__).parent / "studies"
FIRST_RUN = "first_run.txt"


@pytest.fixture(scope="session")
def home(tmp_path_factory) -> Path:
    """An empty home: nothing of the user's is read, and a test can see that nothing was written there."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="session", autouse=True)
def interruptions():
    """What tests interrupt is interrupted, also where they were started in the background, which ignores Ctrl-C."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def locks(tmp_path_factory):
    """Slots and devices of the tests' own: they neither wait for a real run on this machine nor hold it up."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XPM_CE_LOCKS", str(tmp_path_factory.mktemp("locks")))
        yield os.environ["XPM_CE_LOCKS"]


@pytest.fixture(scope="session")
def run_command(home, locks, tmp_path_factory) -> Callable[..., subprocess.CompletedProcess]:
    """Run a command of this environment in a fresh process, since experimaestro's scheduler is one per process."""
    fonts = tmp_path_factory.mktemp("fonts")

    def run(*arguments: object, cwd: Path | None = None, timeout: float = 300, **environment: str):
        command = [str(argument) for argument in arguments]
        command[0] = str(Path(sys.executable).with_name(command[0]))
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("XPM", "COV"))}
        return subprocess.run(
            command, cwd=cwd or ROOT, timeout=timeout, capture_output=True, text=True,
            # matplotlib, which other libraries import too, keeps a list of fonts in the home of every user
            env={**kept, "HOME": str(home), "MPLCONFIGDIR": str(fonts), "XPM_CE_LOCKS": locks, **environment},
        )  # fmt: skip

    return run


@pytest.fixture(scope="session")
def tiny_workspace(tmp_path_factory, run_command) -> Path:
    """The workspace of `studies/tiny.yaml` after one run. Read it; to change it, take `workspace_copy`.

    Of several processes that run tests side by side one runs the study, and each has a copy.
    """
    own = tmp_path_factory.mktemp("tiny")
    if "PYTEST_XDIST_WORKER" not in os.environ:
        return run_tiny(own, run_command)
    shared = tmp_path_factory.getbasetemp().parent / "tiny"
    with FileLock(shared.with_suffix(".lock")):
        if not (shared / FIRST_RUN).exists():
            run_tiny(shared, run_command)
    shutil.copytree(shared, own, symlinks=True, dirs_exist_ok=True)
    return own / "workspace"


def run_tiny(folder: Path, run_command) -> Path:
    """Run the tiny study in a folder, with what the run printed beside its workspace."""
    process = run_command("xpm-ce", "run", STUDIES / "tiny.yaml", "--workdir", folder / "workspace")
    assert process.returncode == 0, process.stdout + process.stderr
    (folder / FIRST_RUN).write_text(process.stdout)
    return folder / "workspace"


@pytest.fixture
def first_run(tiny_workspace) -> str:
    """What the first run of the tiny study printed."""
    return (tiny_workspace.parent / FIRST_RUN).read_text()


@pytest.fixture
def workspace_copy(tiny_workspace, tmp_path) -> Path:
    """A copy of the tiny workspace; a workspace may move, so its jobs are still done there."""
    copy = tmp_path / "workspace"
    shutil.copytree(tiny_workspace, copy, symlinks=True)
    return copy


@pytest.fixture(scope="session")
def result_files():
    """The module that draws result files, from the benchmarks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "benchmarks"))
        yield importlib.import_module("result_files")


@pytest.fixture(scope="session")
def drawn(result_files, tmp_path_factory) -> Workspace:
    """Drawn results: eight learners on three sets. The last two, one seed of the best and an untrained, are absent.

    Read it; to change it, copy its workspace.
    """
    workspace = Workspace(tmp_path_factory.mktemp("drawn"))
    result_files.write_study(workspace, "study", result_files.SMALL, absent=2)
    return workspace


@pytest.fixture
def one_thread():
    """Threads that share a core with another test are many times slower."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
