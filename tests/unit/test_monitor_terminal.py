"""The monitor's state as text, and the watched status in a terminal."""

import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest
from synthetic_workspace import Synthetic

from xpm_ce.cli.status import HOME
from xpm_ce.monitor.state import ExperimentState
from xpm_ce.monitor.terminal import Screen, duration, frame, plain

COLOUR = re.compile(r"\x1b\[\d+m")


@pytest.fixture(scope="module")
def synthetic(tmp_path_factory) -> Synthetic:
    return Synthetic(tmp_path_factory.mktemp("terminal") / "workspace", jobs=400)


def read(synthetic: Synthetic) -> ExperimentState:
    state = ExperimentState(synthetic.workspace, "synthetic")
    state.refresh()
    return state


def test_the_frame_counts_what_the_state_counts_and_tells_each_cause_once(synthetic):
    state = read(synthetic)
    text = frame(state, now=time.time())
    for kind, counts in state.counts_by_kind.items():
        (line,) = [line for line in text.splitlines() if line.startswith(f"  {kind} ")]
        assert {word: int(count) for count, word in re.findall(r"(\d+) (\w+)", line)} == counts
    assert text.count("DataError: training set: the loss is <i>not finite</i> at step 17") == 1
    assert "Lower learner.learning_rate." in text


def test_what_runs_is_told_with_its_bar_and_what_is_expected(synthetic):
    with synthetic.live():
        synthetic.tell(0.5)
        text = frame(read(synthetic), now=time.time())
    assert text.count("[##########          ]   50%  learn ") == len(synthetic.running)
    assert "of about 20 min 00 s  step 30 of 60" in text
    assert re.search(r"^synthetic: 400 jobs in .*, about (\d+ h )?\d+ min.* left$", text, re.MULTILINE)


@pytest.mark.parametrize("width", [20, 40, 80])
def test_a_frame_fits_its_screen(synthetic, width):
    text = frame(read(synthetic), now=time.time(), screen=Screen(width, 12, colour=True), jobs=True)
    lines = text.splitlines()
    assert len(lines) == 12
    assert all(len(COLOUR.sub("", line)) <= width for line in lines)
    assert all(line.count("\x1b[0m") >= bool(COLOUR.search(line)) for line in lines)
    assert "more lines"[: width - 10] in COLOUR.sub("", lines[-1])


def test_colours_are_left_out_where_they_are_not_wanted(synthetic):
    assert "\x1b" not in frame(read(synthetic), now=time.time(), jobs=True)


def test_texts_cannot_command_the_terminal():
    assert plain("a\x1b[2Jb\x07\r\nc\x9b1m\u202e") == "a [2Jb   c 1m "


@pytest.mark.parametrize(
    ("seconds", "text"), [(None, "–"), (0.4, "0 s"), (59.4, "59 s"), (61, "1 min 01 s"), (3661, "1 h 01 min")]
)
def test_a_duration_is_said_as_people_say_it(seconds, text):
    assert duration(seconds) == text


def test_the_watched_status_is_drawn_in_place_until_it_is_interrupted(synthetic):
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 20, 60, 0, 0))
    command = [str(Path(sys.executable).with_name("xpm-ce")), "status", "--watch"]
    process = subprocess.Popen([*command, "--workdir", str(synthetic.workspace.path)], stdout=theirs, stderr=theirs)
    os.close(theirs)
    drawn = b""
    while drawn.count(b"synthetic: 400 jobs") < 3:
        drawn += os.read(ours, 65536)
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 0
    os.close(ours)
    frames = drawn.decode().split(HOME)[2:4]
    assert all(len(each.splitlines()) <= 20 for each in frames)
    assert "3 failed" in COLOUR.sub("", frames[0])


def test_where_it_is_watched_by_a_file_a_frame_is_written_when_something_changed(synthetic, tmp_path):
    command = [str(Path(sys.executable).with_name("xpm-ce")), "status", "--watch"]
    with open(tmp_path / "frames", "w") as stream:
        process = subprocess.Popen([*command, "--workdir", str(synthetic.workspace.path)], stdout=stream)
        while not (tmp_path / "frames").read_text():
            time.sleep(0.05)
        time.sleep(2.5)
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
    text = (tmp_path / "frames").read_text()
    assert text.count("synthetic: 400 jobs") == 1
    assert "\x1b" not in text
