"""What the doctor says of planted faults, each with a remedy, and that a machine without faults passes."""

import dataclasses
import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner
from fixtures.slurm import StandinSlurm
from studies import study

from xpm_ce.cli.main import cli
from xpm_ce.doctor import file_systems, software
from xpm_ce.doctor.examination import of_workspace
from xpm_ce.doctor.finding import Finding, Verdict
from xpm_ce.doctor.machine import cores, gpus, machine, memory, precisions
from xpm_ce.doctor.slurm import seconds, slurm
from xpm_ce.launch.file import read_launchers
from xpm_ce.launch.machines import Gpus, Launchers, LocalMachine
from xpm_ce.workspace import Workspace

needs_no_gpu = pytest.mark.skipif(shutil.which("nvidia-smi") is not None, reason="this machine has NVIDIA's tools")


def only(findings) -> Finding:
    (finding,) = findings
    return finding


def failing(findings) -> list[str]:
    findings = list(findings)
    assert all(finding.remedy for finding in findings if finding.verdict is not Verdict.OK)
    return [finding.what for finding in findings if finding.verdict is Verdict.FAIL]


def test_a_machine_that_is_as_described_passes(tmp_path):
    local = LocalMachine(cores=1, memory_per_job_gib=0.1, gpus=Gpus(), lock_folder=tmp_path / "locks")
    assert {each.verdict for each in machine(Launchers(local=local))} == {Verdict.OK}


def test_more_cores_or_memory_than_there_are_is_told():
    assert only(cores(LocalMachine(cores=10_000))).verdict is Verdict.WARN
    assert only(memory(LocalMachine(memory_gib=1e6))).verdict is Verdict.FAIL
    assert only(memory(LocalMachine(cores=1, memory_per_job_gib=1e6))).verdict is Verdict.WARN


@needs_no_gpu
def test_a_precision_that_is_not_computed_is_told():
    (found,) = failing(precisions(LocalMachine(capabilities=("fp32", "tf32"), gpus=Gpus())))
    assert found == "launchers.yaml declares tf32, which this machine does not compute"


@needs_no_gpu
def test_gpus_that_are_not_there_are_told():
    assert failing(gpus(LocalMachine(gpus=Gpus(devices=("0", "1"))))) == ["2 are given to jobs, nvidia-smi shows 0"]
    assert only(gpus(LocalMachine(gpus=Gpus()))).what == "none"


def planted_smi(folder: Path, monkeypatch, *rows: str) -> None:
    command = folder / "nvidia-smi"
    command.write_text("#!/bin/sh\n" + "".join(f"echo '{row}'\n" for row in rows))
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


def test_the_memory_of_gpus_is_compared(tmp_path, monkeypatch):
    planted_smi(tmp_path, monkeypatch, "NVIDIA H100, 81559", "NVIDIA L4, 23034")
    given = Gpus(devices=("0", "1"), memory_gib=20)
    assert only(gpus(LocalMachine(gpus=given))).what == "0, 1 (NVIDIA H100, NVIDIA L4)"
    (found,) = failing(gpus(LocalMachine(gpus=dataclasses.replace(given, memory_gib=80))))
    assert found == "launchers.yaml has 80 GiB, one has 22 GiB"
    assert only(gpus(LocalMachine(gpus=Gpus()))).verdict is Verdict.WARN


def test_packages_that_are_absent_or_do_not_fit_are_told(tmp_path, monkeypatch):
    (tmp_path / "pyproject.toml").write_text('[project]\ndependencies = ["numpy<1", "no-such-package>=3", "click"]\n')
    (tmp_path / "constraints.txt").write_text("click==0.1\ntorch==0.1\n")
    monkeypatch.setattr(software, "CHECKOUT", tmp_path)
    found = list(software.software())
    one, two = failing(found)
    assert one.startswith("numpy ")
    assert one.endswith(" is not <1")
    assert two == "no-such-package is not installed"
    (tested,) = [each.what for each in found if each.verdict is Verdict.WARN]
    assert tested.startswith("click ")
    assert "(tested: 0.1)" in tested
    assert "torch" not in tested  # not one of those that this project asks for


def test_no_network_and_no_model_is_doubtful(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert [each.verdict for each in software.network()] == [Verdict.OK, Verdict.WARN]
    (tmp_path / "hub" / "models--a--b").mkdir(parents=True)
    assert [each.verdict for each in software.network()] == [Verdict.OK, Verdict.OK]


def test_room_is_told(tmp_path, monkeypatch):
    assert file_systems.room(tmp_path / "new", about="workspace").what.endswith(f"({file_systems.kind_of(tmp_path)})")
    monkeypatch.setattr(file_systems, "LOW", 1e9)
    assert file_systems.room(tmp_path, about="workspace").verdict is Verdict.WARN
    monkeypatch.setattr(file_systems, "TOO_LOW", 1e9)
    assert file_systems.room(tmp_path, about="workspace").verdict is Verdict.FAIL


def test_locks_are_tried_with_another_process(tmp_path, monkeypatch):
    assert file_systems.locks(tmp_path / "locks", about="slots").verdict is Verdict.OK
    (tmp_path / "file").touch()
    assert failing([file_systems.locks(tmp_path / "file" / "locks", about="slots")])
    monkeypatch.setattr(file_systems, "TRY", "")  # a process that is let in
    found = file_systems.locks(tmp_path / "locks", about="slots")
    assert found.what == f"locks in {tmp_path / 'locks'} keep nobody out"
    assert list((tmp_path / "locks").iterdir()) == []


def test_a_workspace_of_this_machine_only_is_doubtful_for_slurm(tmp_path):
    kinds = [each.verdict for each in of_workspace(Workspace(tmp_path), in_slurm=True)]
    assert kinds.count(Verdict.WARN) - (file_systems.room(tmp_path, about="").verdict is Verdict.WARN) == 1
    assert not (tmp_path / "jobs").exists()


@pytest.mark.parametrize(
    ("text", "wanted"),
    [("infinite", None), ("2-00:00:00", 172800), ("10:00:00", 36000), ("30:00", 1800), ("15", 15)],
)
def test_the_time_limit_of_a_partition_is_read(text, wanted):
    assert seconds(text) == wanted


@pytest.fixture
def standin(tmp_path) -> StandinSlurm:
    return StandinSlurm(tmp_path / "slurm")


def partition(standin: StandinSlurm, tmp_path: Path, **keys) -> Launchers:
    file = tmp_path / "launchers.yaml"
    file.write_text(json.dumps({"slurm": {"gpu": {"binaries": str(standin.binaries), **keys}}}))
    return read_launchers(file)


def test_a_partition_that_is_as_described_passes(standin, tmp_path):
    standin.partition("p13", "10:00:00|8|64000|up")
    described = partition(standin, tmp_path, partition="p13", time="10h", cores=8, memory_gib=60)
    assert [each.verdict for each in slurm(described)] == [Verdict.OK, Verdict.OK]


def test_what_slurm_lacks_is_told(standin, tmp_path):
    assert failing(slurm(partition(standin, tmp_path))) == ["Slurm has no partition gpu"]
    standin.partition("gpu", "10:00:00|8|64000|up")
    (found,) = failing(slurm(partition(standin, tmp_path, time="1d", cores=9, memory_gib=100)))
    assert found == "launchers.yaml has more than Slurm gives: time 1d of 10h, cores 9 of 8, memory_gib 100 of 62.5"
    standin.partition("gpu", "infinite|8|64000|drain")
    assert [each.verdict for each in slurm(partition(standin, tmp_path))] == [Verdict.OK, Verdict.WARN]
    standin.without_accounts()
    (found,) = failing(slurm(partition(standin, tmp_path)))
    assert found == "Slurm keeps no accounts that sacct can read: Slurm accounting storage is disabled"
    (standin.binaries / "sbatch").unlink()
    (found,) = failing(slurm(partition(standin, tmp_path)))
    assert found.startswith("there is no ")


def run(*arguments) -> tuple[int, str]:
    result = CliRunner().invoke(cli, ["doctor", *map(str, arguments)])
    return result.exit_code, result.output


def test_the_verb_exits_with_1_where_something_is_wrong(tmp_path):
    (tmp_path / "launchers.yaml").write_text("local:\n  core: 2\n")
    code, text = run("--workdir", tmp_path, "--launchers", tmp_path / "launchers.yaml")
    assert code == 1
    assert (
        f"FAIL launchers: {tmp_path}/launchers.yaml:2: unknown key local.core\n       Did you mean local.cores?" in text
    )
    code, text = run("--workdir", tmp_path, "--launchers", tmp_path / "launchers.yaml", "--json")
    assert code == 1
    told = json.loads(text)
    assert told["counts"]["FAIL"] == 1
    assert {"verdict", "about", "what", "remedy"} == set(told["findings"][0])


def test_the_data_of_a_study_is_looked_at(tmp_path, monkeypatch):
    file = study(tmp_path, evaluation={"protocols": ["dl19@bm25-100"]})
    monkeypatch.setenv("IR_DATASETS_HOME", str(tmp_path / "ir_datasets"))
    code, told = run(file, "--workdir", tmp_path / "workspace", "--json")
    assert code == 1
    found = [each for each in json.loads(told)["findings"] if each["about"] == "data"]
    assert any("msmarco-passage" in each["what"] for each in found)
    assert all(each["verdict"] == "FAIL" and each["remedy"] for each in found)
