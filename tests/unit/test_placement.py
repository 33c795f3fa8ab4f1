"""Where a job runs, what it takes there, and what is said where no machine can have it."""

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xpm_ce.errors import ConfigurationError
from xpm_ce.launch.file import read_launchers
from xpm_ce.launch.machines import Gpus, LocalMachine
from xpm_ce.launch.placement import Need, assert_placed, lacking, lacks, place, slots_taken

FILE = """
local: {cores: 4, memory_gib: 16, capabilities: [fp32], gpus: 0}
slurm:
  short: {time: 2h, cores: 8, memory_gib: 64, gpus: 1, gpu_memory_gib: 40, capabilities: [bf16, fp32]}
  long: {time: 5d, cores: 8, memory_gib: 32}
requirements:
  learn: {threads: 8, memory_gib: 32, gpus: 1, gpu_memory_gib: 24, time: 2h}
  rerank: {on: [long, local]}
  index: {memory_gib: 20}
"""


def job(kind="learn", coordinates=None, **values):
    """A planned job, as far as its place goes."""
    return SimpleNamespace(
        kind=kind, coordinates=coordinates or {}, config=SimpleNamespace(__xpm__=SimpleNamespace(values=values))
    )


@pytest.fixture
def launchers(tmp_path):
    def read(text=FILE):
        (tmp_path / "launchers.yaml").write_text(text)
        return read_launchers(tmp_path / "launchers.yaml")

    return read


def placed(launchers, each):
    found = place(launchers, each.kind, each.config)
    return found.name if found is not None else None


def test_the_first_machine_that_has_what_a_kind_needs_takes_it_the_local_one_before_others(launchers):
    assert placed(launchers(), job("learn")) == "short"
    assert placed(launchers(), job("measure")) == "local"
    assert placed(launchers(), job("index")) == "short"
    assert placed(launchers(), job("rerank")) == "long"


def test_a_job_whose_device_is_a_gpu_needs_one(launchers):
    assert placed(launchers(), job("measure", device="cuda")) == "short"
    assert placed(launchers(), job("measure", device="cpu")) == "local"
    assert placed(launchers(), job("measure", device="cuda", processes=2)) is None
    assert Need.of(launchers(), "measure", job(device="cuda:1").config).gpus == 2


def test_a_job_that_no_machine_can_have_is_an_error_with_the_closest_one(launchers):
    text = FILE.replace("time: 2h}", "time: 4h}")
    with pytest.raises(ConfigurationError) as caught:
        assert_placed(launchers(text), [job("measure"), job("learn", {"loss": "InfoNCE", "seed": "1"})])
    assert caught.value.what == (
        "no machine has what a learn job (loss=InfoNCE seed=1) needs: 8 cores, 32 GiB, 1 GPU, 24 GiB on each, 4h"
    )
    assert caught.value.where.endswith("launchers.yaml:7")
    assert caught.value.remedy.startswith("The closest is short, which has too little: time: 2h of 4h.")


def test_a_machine_that_is_not_named_is_not_tried(launchers):
    text = FILE.replace("on: [long, local]", "on: local, threads: 5")
    with pytest.raises(ConfigurationError, match="The closest is local, which has too little: cores: 4 of 5"):
        assert_placed(launchers(text), [job("rerank")])


def test_nothing_runs_on_a_machine_without_slots(launchers):
    text = "local: {parallel_jobs: 0}\nslurm: {cpu: {}}"
    assert placed(launchers(text), job("measure")) == "cpu"


def test_all_stands_for_the_kinds_without_a_requirement(launchers):
    text = "slurm: {cpu: {}}\nrequirements: {all: {on: cpu}, learn: {}}"
    assert placed(launchers(text), job("measure")) == "cpu"
    assert placed(launchers(text), job("learn")) == "local"


def test_a_precision_is_compared_with_the_machine_that_was_chosen(launchers):
    assert lacking(launchers(), "learn", job(precision="bf16").config) == ()
    assert lacking(launchers(), "measure", job(precision="bf16").config) == ("bf16",)
    assert (
        lacking(launchers(), "measure", job(precision="fp32").config) == lacking(launchers(), "x", job().config) == ()
    )
    text = "local: {capabilities: [fp32], gpus: {devices: [0], capabilities: [bf16, fp32, tf32]}}"
    assert lacking(launchers(text), "learn", job(device="cuda", precision="tf32").config) == ()
    assert lacking(launchers(text), "learn", job(device="cpu", precision="tf32").config) == ("tf32",)


def test_a_gpu_that_only_the_study_asks_for_blocks_its_job_and_is_no_error(launchers):
    """A recipe for a cluster can be planned anywhere."""
    nothing, each = launchers("local: {gpus: 0}"), job(device="cuda", processes=2)
    assert lacking(nothing, "learn", each.config) == ("2 GPUs, by `gpus` in launchers.yaml",)
    required = launchers("local: {gpus: 0}\nrequirements: {learn: {gpus: 1}}")
    assert lacking(required, "learn", each.config) == ()
    with pytest.raises(ConfigurationError, match="too little: GPUs: 0 of 2"):
        assert_placed(required, [each])


def need(**values):
    nothing = {"threads": None, "memory_gib": None, "gpus": 0, "gpu_memory_gib": None, "time": None, "exclusive": False}
    return Need(**{**nothing, **values})


def test_a_job_takes_as_many_slots_as_its_threads_or_its_memory_fill():
    machine = LocalMachine(cores=16, threads_per_job=2, memory_gib=64, memory_per_job_gib=8, gpus=Gpus())
    assert machine.slots == 8
    assert slots_taken(machine, need()) == 1
    assert slots_taken(machine, need(threads=5)) == 3
    assert slots_taken(machine, need(memory_gib=30)) == 4
    assert slots_taken(machine, need(exclusive=True)) == 8


@given(
    cores=st.integers(1, 64), per_job=st.integers(1, 8), memory=st.none() | st.floats(1, 512),
    threads=st.none() | st.integers(1, 64), asked=st.none() | st.floats(0.1, 512),
)  # fmt: skip
def test_whatever_fits_the_machine_fits_its_slots(cores, per_job, memory, threads, asked):
    machine = LocalMachine(cores=cores, threads_per_job=per_job, memory_gib=memory, gpus=Gpus())
    wanted = need(threads=threads, memory_gib=asked)
    assert 1 <= slots_taken(machine, wanted) <= machine.slots
    launchers = SimpleNamespace(local=machine, partitions={})
    if lacks(launchers, "local", wanted):
        assert (threads or 0) > cores or (asked or 0) > memory
