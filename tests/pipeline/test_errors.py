"""Bad input, bad machines: one clear message, the right exit code, no traceback, nothing half written."""

import os
import resource
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from studies import TINY, folder_study, plan_of, small_collection, study

from xpm_ce.workspace import JobFolder

pytestmark = pytest.mark.pipeline

DOORS = {"ours": ("xpm-ce", "run"), "experimaestro's": ("experimaestro", "run-experiment")}


def assert_clean(process: subprocess.CompletedProcess, workspace: Path, *, code: int, message: str) -> None:
    printed = process.stdout + process.stderr
    assert process.returncode == code, printed
    assert message in printed
    assert printed.count(message) == 1, printed
    assert "Traceback" not in printed
    assert not list(workspace.rglob("*.tmp"))


@pytest.fixture(params=list(DOORS))
def door(request):
    return DOORS[request.param]


def test_a_misspelt_key_is_refused_with_its_line_under_both_doors(door, run_command, tmp_path):
    file = tmp_path / "study.yaml"
    file.write_text(TINY.read_text().replace("warmup_steps: 2", "warmup_step: 2"))
    process = run_command(*door, file, "--workdir", tmp_path / "ws")
    line = file.read_text().splitlines().index("  warmup_step: 2") + 1
    message = f"study.yaml:{line}: unknown key learner.warmup_step\n  Did you mean learner.warmup_steps?"
    assert_clean(process, tmp_path, code=2, message=message)


def test_a_missing_file_is_refused(run_command, tmp_path):
    process = run_command("xpm-ce", "run", tmp_path / "absent.yaml", "--workdir", tmp_path / "ws")
    assert_clean(process, tmp_path, code=2, message="cannot read ")
    process = run_command("xpm-ce", "run", folder_study(tmp_path, tmp_path / "nowhere"), "--workdir", tmp_path / "ws")
    assert_clean(process, tmp_path, code=2, message="there is no such folder")


def test_a_loss_without_its_supervision_is_refused_before_anything_runs(door, run_command, tmp_path):
    file = study(tmp_path, training_set={"type": "mined"})
    process = run_command(*door, file, "--workdir", tmp_path / "ws")
    message = "loss margin_mse needs teacher scores, but the training set carries labels"
    assert_clean(process, tmp_path, code=2, message=message)
    assert "bce, hinge, infonce" in process.stderr
    assert not (tmp_path / "ws" / "jobs").exists()


def test_an_empty_corpus_fails_its_job_with_one_message(door, run_command, tmp_path):
    folder = small_collection(tmp_path / "data", documents=[])
    process = run_command(*door, folder_study(tmp_path, folder), "--workdir", tmp_path / "ws")
    assert process.stdout.count("FAILED") == 1
    assert "FAILED xpm_ce.data.store_documents" in process.stdout
    assert_clean(process, tmp_path, code=1, message="1 jobs failed, ")


def test_duplicate_ids_are_refused_with_their_place(run_command, tmp_path):
    twice = [{"_id": "d1", "text": "one"}, {"_id": "d2", "text": "two"}, {"_id": "d1", "text": "three"}]
    folder = small_collection(tmp_path / "documents", documents=twice)
    process = run_command("xpm-ce", "run", folder_study(tmp_path, folder), "--workdir", tmp_path / "ws")
    assert process.returncode == 1
    assert "document d1 stands twice, as number 1 and 3 of the collection" in process.stdout

    folder = small_collection(tmp_path / "queries")
    with open(folder / "queries.jsonl", "a") as stream:
        stream.write('{"_id": "q1", "text": "again"}\n')
    process = run_command("xpm-ce", "run", folder_study(tmp_path, folder), "--workdir", tmp_path / "ws")
    assert_clean(process, tmp_path, code=2, message="queries.jsonl:9")


def test_a_workspace_that_cannot_be_written_is_refused():
    """Root may write anywhere, so the command runs in a process that gives its rights up first."""
    place = Path(tempfile.mkdtemp())
    place.chmod(0o555)
    code = (
        "import os, sys\nimport xpm_ce.experiment, xpm_ce.cli.run, xpm_ce.graph.rendering\n"
        "from xpm_ce.cli.main import main\n"
        "if os.getuid() == 0:\n    os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        f"sys.argv = ['xpm-ce', 'run', {str(TINY)!r}, '--workdir', {str(place / 'ws')!r}]\nmain()\n"
    )
    try:
        process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
        assert_clean(process, place, code=2, message="the workspace cannot be written (Permission denied)")
    finally:
        place.chmod(0o755)
        shutil.rmtree(place)


def with_small_files(limit: int):
    """What a full disk does to a process and those that it starts: writing more than `limit` bytes to a file fails."""

    def set_limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    return set_limit


def test_a_full_disk_while_planning_is_one_message(home, tmp_path):
    command = [Path(sys.executable).with_name("xpm-ce"), "plan", TINY, "--workdir", tmp_path / "ws"]
    process = subprocess.run(command, capture_output=True, text=True, timeout=60, preexec_fn=with_small_files(1000))
    assert_clean(process, tmp_path, code=1, message="the disk is full or a size limit was met")
    assert not list((tmp_path / "ws").rglob("plan.json"))


def test_a_full_disk_in_a_job_is_one_message_and_the_next_run_completes(home, run_command, tmp_path):
    # All that the run itself writes fits in 40 000 bytes; the teacher's run of the generated collection does not.
    collection = {"type": "generated", "documents": 240, "train_queries": 40, "teacher_others": 240}
    file = study(tmp_path, collection=collection)
    command = [Path(sys.executable).with_name("xpm-ce"), "run", file, "--workdir", tmp_path / "ws"]
    process = subprocess.run(
        command, capture_output=True, text=True, timeout=120, preexec_fn=with_small_files(40_000),
        env={**os.environ, "HOME": str(home)},
    )  # fmt: skip
    assert_clean(process, tmp_path, code=1, message="the disk is full or a size limit was met")
    (failed,) = [job for job in plan_of(tmp_path / "ws", file=file).jobs if JobFolder(job.folder).failure]
    assert not (failed.folder / "collection").exists()


def test_failures_are_told_once_and_a_mended_cause_runs_again_after_many_failures(
    workspace_copy, run_command, tmp_path
):
    """experimaestro gives a resumable task up for ever after three failures; ours runs again when it is mended."""
    extension = tmp_path / "broken.py"
    extension.write_text(
        "import os\nfrom xpm_ce.losses.bce import Bce\n\n\nclass Broken(Bce):\n    __xpmid__ = 'tests.broken'\n"
        "    NAME = 'broken'\n\n    def __call__(self, scores, supervision, mask):\n"
        "        if os.environ.get('BREAK'):\n            raise RuntimeError('it broke')\n"
        "        return super().__call__(scores, supervision, mask)\n"
    )
    file = study(tmp_path, extensions=["broken.py"], grid={"learner.loss": ["broken"], "learner.seed": [1]})
    for _ in range(4):
        process = run_command("xpm-ce", "run", file, "--workdir", workspace_copy, BREAK="1")
        assert process.returncode == 1
        assert process.stdout.count("RuntimeError: it broke") == 1, process.stdout
        assert "1 failed, 2 blocked" in process.stdout
        assert "broken.py:11 in __call__" in process.stdout
    process = run_command("xpm-ce", "run", file, "--workdir", workspace_copy)
    assert process.returncode == 0, process.stdout + process.stderr
    assert "3 jobs run" in process.stdout
