"""launchers.yaml: what it says, what it refuses."""

import pytest

from xpm_ce.errors import ConfigurationError
from xpm_ce.launch.file import read_launchers
from xpm_ce.launch.machines import LocalMachine


def machine(tmp_path, text):
    file = tmp_path / "launchers.yaml"
    file.write_text(text)
    return read_launchers(file).local


def test_without_a_file_every_core_gets_a_job():
    assert read_launchers(None).local.slots == read_launchers(None).local.cores


def test_the_shipped_file_says_what_the_defaults_say():
    from pathlib import Path

    assert read_launchers(Path(__file__).parents[2] / "launchers.yaml").local == LocalMachine()


def test_jobs_at_once_are_bounded_by_cores_memory_and_the_file(tmp_path):
    assert machine(tmp_path, "local: {cores: 8, threads_per_job: 2}").slots == 4
    assert machine(tmp_path, "local: {cores: 8, threads_per_job: 2, parallel_jobs: 3}").slots == 3
    assert machine(tmp_path, "local: {cores: 8, memory_gib: 9, memory_per_job_gib: 4}").slots == 2
    assert machine(tmp_path, "local: {cores: 2, memory_gib: 1}").slots == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("local:\n  core: 2\n", "launchers.yaml:2: unknown key local.core\n  Did you mean local.cores?"),
        ("locl: {}\n", "launchers.yaml:1: unknown key locl\n  Did you mean local?"),
        ("local:\n  cores: two\n", "launchers.yaml:2: local.cores must be a number\n  Found 'two'."),
        ("local:\n  cores: true\n", "launchers.yaml:2: local.cores must be a number\n  Found True."),
        ("local:\n  capabilities: [fp8]\n", "launchers.yaml:2: local.capabilities must be a list of fp32, tf32, bf16,"),
        ("local:\n  cores: 2\n  parallel_jobs: 3\n", "launchers.yaml:2: 3 jobs of 1 threads do not fit 2 cores"),
        ("local:\n  cores: 0\n", "launchers.yaml:2: cores must be positive"),
        ("local: [\n", "launchers.yaml:2: this is not YAML"),
    ],
)
def test_a_wrong_value_is_refused_with_its_line(tmp_path, text, message):
    with pytest.raises(ConfigurationError) as caught:
        machine(tmp_path, text)
    assert str(caught.value).replace(f"{tmp_path}/", "").startswith(message)
