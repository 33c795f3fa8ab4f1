"""launchers.yaml: what it says and what it refuses."""

import re
from pathlib import Path

import pytest
import yaml

from xpm_ce.errors import ConfigurationError
from xpm_ce.launch.file import GPU_KEYS, LOCAL_KEYS, PARTITION_KEYS, REQUIREMENT_KEYS, read_launchers
from xpm_ce.launch.machines import KINDS, Gpus, LocalMachine, Partition, Requirement, gpus_of_this_machine

ROOT = Path(__file__).parents[2]


def launchers(tmp_path, text):
    file = tmp_path / "launchers.yaml"
    file.write_text(text)
    return read_launchers(file)


def machine(tmp_path, text):
    return launchers(tmp_path, text).local


def test_without_a_file_every_core_gets_a_job():
    assert read_launchers(None).local.slots == read_launchers(None).local.cores


def test_the_shipped_file_says_what_the_defaults_say():
    shipped = read_launchers(ROOT / "launchers.yaml")
    assert shipped.local == LocalMachine()
    assert not shipped.partitions
    assert not shipped.requirements


def test_the_shipped_file_comments_every_key_and_its_examples_are_read(tmp_path):
    text = (ROOT / "launchers.yaml").read_text()
    bare = text.replace("  # gpus: 2 ", "  # first gpus").replace("  # gpus:\n", "  gpus:\n")
    bare = re.sub(r"^(  )# (  (?:devices|memory_gib|capabilities):)", r"\1\2", bare, flags=re.MULTILINE)
    bare = re.sub(r"^  # ((?:cores|memory_gib|parallel_jobs|lock_folder):)", r"  \1", bare, flags=re.MULTILINE)
    bare = re.sub(r"^# ((?:slurm|requirements):|  )", r"\1", bare, flags=re.MULTILINE)
    read = launchers(tmp_path, bare)
    given = yaml.load(bare, Loader=yaml.BaseLoader)  # for others, `on` is true
    assert set(given["local"]) == set(LOCAL_KEYS)
    assert set(given["local"]["gpus"]) == set(GPU_KEYS)
    assert set(given["slurm"]["gpu"]) == set(PARTITION_KEYS)
    assert {key for each in given["requirements"].values() for key in each} == set(REQUIREMENT_KEYS)
    assert read.partitions["gpu"].time == 20 * 3600
    assert read.requirements["learn"].on == ("gpu", "local")
    assert all(kind in text for kind in KINDS)


@pytest.mark.parametrize(
    ("keys", "cls", "own"),
    [
        (LOCAL_KEYS, LocalMachine, set()),
        (GPU_KEYS, Gpus, set()),
        (PARTITION_KEYS, Partition, {"name"}),
        (REQUIREMENT_KEYS, Requirement, set()),
    ],
)
def test_every_field_has_its_key(keys, cls, own):
    assert set(keys) == set(cls.__dataclass_fields__) - own


def test_every_kind_of_job_can_have_a_requirement():
    sources = "".join(path.read_text() for path in (ROOT / "xpm_ce").rglob("*.py"))
    submitted = set(re.findall(r'submit\(.*?kind="([a-z ]+)"', re.sub(r"\n\s+", " ", sources)))
    assert submitted == set(KINDS)


def test_jobs_at_once_are_bounded_by_cores_memory_and_the_file(tmp_path):
    assert machine(tmp_path, "local: {cores: 8, threads_per_job: 2}").slots == 4
    assert machine(tmp_path, "local: {cores: 8, threads_per_job: 2, parallel_jobs: 3}").slots == 3
    assert machine(tmp_path, "local: {cores: 8, memory_gib: 9, memory_per_job_gib: 4}").slots == 2
    assert machine(tmp_path, "local: {cores: 2, memory_gib: 1}").slots == 1
    assert machine(tmp_path, "local: {parallel_jobs: 0}").slots == 0


def test_gpus_are_a_number_names_or_a_mapping(tmp_path):
    assert machine(tmp_path, "local: {gpus: 2}").gpus == Gpus(devices=("0", "1"))
    assert machine(tmp_path, "local: {gpus: [0, GPU-5f]}").gpus == Gpus(devices=("0", "GPU-5f"))
    text = "local: {gpus: {devices: [3], memory_gib: 80, capabilities: [bf16, fp32]}}"
    assert machine(tmp_path, text).gpus == Gpus(devices=("3",), memory_gib=80.0, capabilities=("bf16", "fp32"))


def test_gpus_that_nobody_named_are_those_that_the_caller_sees(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,3")
    assert gpus_of_this_machine().devices == ("2", "3")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert gpus_of_this_machine().devices == ()


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90m", 5400), ("2h", 7200), ("1d", 86400), ("1.5h", 5400), ("10:30:00", 37800), ("1-12:00:00", 129600)],
)
def test_a_time_is_read_as_it_is_written(tmp_path, text, seconds):
    assert launchers(tmp_path, f"slurm: {{a: {{time: {text}}}}}").partitions["a"].time == seconds


def test_a_folder_stands_beside_the_file(tmp_path):
    assert machine(tmp_path, "local: {lock_folder: locks}").lock_folder == tmp_path / "locks"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("local:\n  core: 2\n", "launchers.yaml:2: unknown key local.core\n  Did you mean local.cores?"),
        ("locl: {}\n", "launchers.yaml:1: unknown key locl\n  Did you mean local?"),
        ("local:\n  cores: two\n", "launchers.yaml:2: local.cores must be a number\n  Found 'two'."),
        ("local:\n  cores: true\n", "launchers.yaml:2: local.cores must be a number\n  Found True."),
        ("local:\n  cores: 1\n  cores: 2\n", "launchers.yaml:3: local.cores is given twice"),
        ("local:\n  capabilities: [fp8]\n", "launchers.yaml:2: local.capabilities must be a list of fp32, tf32, bf16,"),
        ("local:\n  cores: 2\n  parallel_jobs: 3\n", "launchers.yaml:2: 3 jobs of 1 threads do not fit 2 cores"),
        ("local:\n  cores: 0\n", "launchers.yaml:2: cores must be positive"),
        ("local:\n  parallel_jobs: -1\n", "launchers.yaml:2: parallel_jobs is negative"),
        ("local:\n  gpus: [0, 0]\n", "launchers.yaml:2: local.gpus must be a list in which no device stands twice"),
        ("local:\n  gpus: [a/b]\n", "launchers.yaml:2: local.gpus must be a list of numbers or names of devices"),
        ("local:\n  gpus:\n    memory: 3\n", "launchers.yaml:3: unknown key local.gpus.memory\n  Did you mean local."),
        ("local: [\n", "launchers.yaml:2: this is not YAML"),
        ("slurm:\n  a: {tme: 2h}\n", "launchers.yaml:2: unknown key slurm.a.tme\n  Did you mean slurm.a.time?"),
        ("slurm:\n  a:\n    time: 20\n", "launchers.yaml:3: slurm.a.time must be a time such as 90m, 2h, 1d"),
        ("slurm:\n  a:\n    gpus: -1\n", "launchers.yaml:3: gpus is negative"),
        ("slurm:\n  local: {}\n", "launchers.yaml:2: a partition cannot be called local"),
        (
            "requirements:\n  lern: {}\n",
            "launchers.yaml:2: unknown key requirements.lern\n  Did you mean req",
        ),
        ("requirements:\n  learn: {on: gpu}\n", "launchers.yaml:2: unknown machine gpu\n  Valid here: local."),
        ("requirements:\n  learn: {exclusive: 1}\n", "launchers.yaml:2: requirements.learn.exclusive must be true or"),
        ("requirements:\n  learn: {threads: 0}\n", "launchers.yaml:2: threads must be positive"),
        ("requirements:\n  learn: 3\n", "launchers.yaml:2: requirements.learn must hold keys and values"),
    ],
)
def test_a_wrong_value_is_refused_with_its_line(tmp_path, text, message):
    with pytest.raises(ConfigurationError) as caught:
        launchers(tmp_path, text)
    assert str(caught.value).replace(f"{tmp_path}/", "").startswith(message)
