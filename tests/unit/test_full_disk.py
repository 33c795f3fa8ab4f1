"""A full disk is one of our errors, whichever library meets it."""

import errno
import subprocess
import sys

import pytest

from xpm_ce.errors import MachineError, explained

SAVING = """
import resource, signal, torch
from safetensors.torch import save_file
from xpm_ce.errors import explained
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    save_file({"weights": torch.zeros(10_000)}, "weights.safetensors")
except Exception as error:
    print(type(error).__name__, type(explained(error)).__name__, explained(error))
"""


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EFBIG, errno.EDQUOT])
def test_the_operating_system_s_own_error_is_explained(number):
    error = explained(OSError(number, "told", "/some/file"))
    assert isinstance(error, MachineError)
    assert error.where == "/some/file"


def test_that_of_a_library_in_another_language_is_explained_too(tmp_path):
    found = subprocess.run([sys.executable, "-c", SAVING], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert found.stdout.startswith("SafetensorError MachineError the disk is full or a size limit was met"), found


def test_other_errors_stay_what_they_are():
    for error in (ValueError("no (os error)"), OSError(errno.ENOENT, "told"), RuntimeError("(os error 2)")):
        assert explained(error) is error
