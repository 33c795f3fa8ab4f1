"""States: two generations, damage detected file by file, and kill -9 at any moment ends at the same weights."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from learners import (
    Interrupted,
    assert_same_weights,
    curve,
    interrupt_at,
    learner,
    make_world,
    validation,
)

from xpm_ce.learn.loop import train
from xpm_ce.learn.state import DamagedStateError, States, read_state

pytestmark = pytest.mark.usefixtures("one_thread")

PARAMETERS = {"dropout": 0.1, "checkpoint_interval": 2}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return make_world(tmp_path_factory.mktemp("world"))


@pytest.fixture
def whole(world):
    """A learner that nothing happened to."""
    task = learner(world, world / "whole", validation=validation(world), **PARAMETERS)
    train(task)  # the first time only: a finished one is left as it is
    return task


@pytest.fixture
def interrupted(world, tmp_path):
    """A learner that was interrupted after step 7: states after 4 and 6 steps are there."""
    task = learner(world, tmp_path / "job", validation=validation(world), **PARAMETERS)
    with pytest.raises(Interrupted):
        train(task, after_step=interrupt_at(7))
    return task


def first_steps(task) -> list[int]:
    """From where each execution began."""
    return [each["from_step"] for each in json.loads(task.ledger.read_text())["executions"]]


def test_two_states_are_kept(interrupted):
    assert sorted(folder.name for folder in interrupted.resume.iterdir()) == ["step-00000004", "step-00000006"]
    assert read_state(interrupted.resume / "step-00000006").position.counts.steps == 6


def flip(file: Path) -> None:
    """Change one bit in the middle of a file."""
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.unlink()  # the best checkpoint shares its file with the state
    file.write_bytes(content)


FILES = ("state.pt", "state.json", "checksums.json", "best/model.safetensors", "best/config.json")


@pytest.mark.parametrize("damage", [flip, Path.unlink, lambda file: file.write_bytes(b"")], ids=["bit", "gone", "cut"])
@pytest.mark.parametrize("file", FILES)
def test_a_damaged_state_is_reported_kept_aside_and_the_one_before_it_used(
    file, damage, interrupted, whole, tmp_path, caplog
):
    damage(interrupted.resume / "step-00000006" / file)
    kept = []
    train(interrupted, after_step=lambda done: kept.append((interrupted.resume / "damaged-1").is_dir()))
    assert file.rpartition("/")[2] in caplog.text
    assert "going on from the state before it" in caplog.text
    assert len(kept) == 4
    assert all(kept)
    assert first_steps(interrupted) == [0, 4]
    assert_same_weights(whole, interrupted)
    assert not interrupted.resume.exists()


def test_a_training_whose_states_are_all_damaged_begins_again(interrupted, whole, caplog):
    for state in ("step-00000004", "step-00000006"):
        flip(interrupted.resume / state / "state.pt")
    train(interrupted)
    assert "beginning again" in caplog.text
    assert first_steps(interrupted) == [0, 0]
    assert_same_weights(whole, interrupted)
    assert [row["step"] for row in curve(interrupted)] == [str(step) for step in range(1, 9)]


def test_the_state_of_another_model_is_refused_before_anything_is_changed(interrupted):
    model = torch.nn.Linear(2, 2)
    before = model.weight.clone()
    assert States(interrupted.resume).newest(model) is None
    assert torch.equal(model.weight, before)


def test_a_state_of_another_version_is_not_read(interrupted):
    folder = interrupted.resume / "step-00000006"
    description = json.loads((folder / "state.json").read_text())
    (folder / "state.json").write_text(json.dumps({**description, "schema": 1}))
    (folder / "checksums.json").unlink()
    with pytest.raises(DamagedStateError, match=r"checksums\.json cannot be read"):
        read_state(folder)


def test_the_best_checkpoint_comes_back_with_the_state(interrupted, whole):
    """What was validated after the state is validated again; what was best before it is in the state."""
    shutil.rmtree(interrupted.best)
    train(interrupted)
    for name in ("model.safetensors", "config.json"):
        assert (interrupted.best / name).read_bytes() == (whole.best / name).read_bytes()
    assert interrupted.validations.read_text() == whole.validations.read_text()


KILLS = 10
KILLED = """
import os, random, signal, sys, time
from pathlib import Path
import torch
torch.set_num_threads(1)
sys.path.insert(0, sys.argv[1])
from learners import learner, validation
from xpm_ce.learn.loop import train
world, draw = Path(sys.argv[2]), random.Random(0)
task = learner(
    world, Path(sys.argv[3]), dropout=0.1, checkpoint_interval=1, steps=150,
    validation=validation(world, interval=5),
)
for _ in range(int(sys.argv[4])):
    reading, writing = os.pipe()
    process = os.fork()
    if not process:
        train(task, after_step=lambda done: os.write(writing, bytes([done])))
        os._exit(1)
    os.close(writing)
    for _ in range(draw.randrange(1, 6)):
        (done,) = os.read(reading, 1)
    time.sleep(draw.uniform(0, 0.05))
    os.kill(process, signal.SIGKILL)
    assert os.WTERMSIG(os.waitpid(process, 0)[1]) == signal.SIGKILL
    print(done)
"""
"""Trains in processes of its own, each killed at a random moment after a random step; prints the steps"""


def test_a_training_killed_at_ten_random_moments_ends_with_the_same_weights(world, tmp_path):
    """A state is written after each step, so that most kills fall into the writing of one."""
    parameters = {"dropout": 0.1, "steps": 150, "validation": validation(world, interval=5)}
    undisturbed = learner(world, tmp_path / "undisturbed", **parameters)
    train(undisturbed)
    arguments = [str(Path(__file__).parent), str(world), str(tmp_path / "killed"), str(KILLS)]
    output = subprocess.run(
        [sys.executable, "-c", KILLED, *arguments], env={**os.environ, "OMP_NUM_THREADS": "1"}, timeout=180,
        check=True, stdout=subprocess.PIPE, text=True,
    ).stdout  # fmt: skip
    reached = [int(line) for line in output.split()]
    assert reached == sorted(reached)
    assert len(reached) == KILLS
    assert KILLS <= reached[-1] < 150
    killed = learner(world, tmp_path / "killed", **parameters)
    assert not killed.checkpoint.exists()
    train(killed)
    assert len(first_steps(killed)) == KILLS + 1
    assert_same_weights(undisturbed, killed)
    assert (killed.best / "model.safetensors").read_bytes() == (undisturbed.best / "model.safetensors").read_bytes()
    assert killed.validations.read_text() == undisturbed.validations.read_text()
    assert [row["loss"] for row in curve(killed)] == [row["loss"] for row in curve(undisturbed)]
