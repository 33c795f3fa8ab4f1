"""Content hashes, their cache, and fingerprints of source code."""

import os
import subprocess
import sys

import pytest

from xpm_ce.errors import ConfigurationError
from xpm_ce.identity import HashCache, file_sha256, short, source_fingerprint, text_sha256


def test_the_hash_of_a_file_is_that_of_its_bytes(tmp_path):
    file = tmp_path / "empty"
    file.write_bytes(b"")
    assert file_sha256(file) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_the_borders_between_texts_count():
    assert text_sha256(["ab", "c"]) != text_sha256(["a", "bc"]) != text_sha256(["abc"])


def test_a_short_identity_is_its_beginning():
    assert short("0123456789abcdef") == "01234567"


def test_a_file_that_was_not_touched_is_not_read_again(tmp_path):
    file, path = tmp_path / "file", tmp_path / "cache" / "hashes.json"
    file.write_text("one")
    cache = HashCache(path)
    first = cache.sha256(file)
    cache.save()
    state = os.stat(file)
    file.write_text("two")  # the same size, and below the same time of modification: only the cache can answer `first`
    os.utime(file, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert HashCache(path).sha256(file) == first
    os.utime(file, ns=(state.st_atime_ns, state.st_mtime_ns + 1))
    assert HashCache(path).sha256(file) == file_sha256(file) != first


def test_two_computations_over_one_file_do_not_share_a_value(tmp_path):
    file = tmp_path / "file"
    file.write_text("x")
    cache = HashCache()
    assert cache.get("one", [file], lambda: 1) == 1
    assert cache.get("two", [file], lambda: 2) == 2
    assert cache.get("one", [file], lambda: 3) == 1


def test_a_damaged_cache_is_started_anew(tmp_path):
    (tmp_path / "hashes.json").write_text('{"half')
    file = tmp_path / "file"
    file.write_text("x")
    assert HashCache(tmp_path / "hashes.json").sha256(file) == file_sha256(file)


def test_a_missing_file_is_a_configuration_error(tmp_path):
    with pytest.raises(ConfigurationError, match=r"cannot read .*absent"):
        HashCache().sha256(tmp_path / "absent")


def test_the_fingerprint_covers_modules_that_are_imported_inside_functions():
    # learn/learner.py imports learn/loop.py in `compute` only; a module that it never imports has another fingerprint.
    code = (
        "import sys\nfrom xpm_ce import identity\nfrom pathlib import Path\n"
        "before = identity.source_fingerprint('xpm_ce.learn.learner')\n"
        "identity._source.cache_clear(); identity.source_fingerprint.cache_clear()\n"
        "read = Path.read_bytes\n"
        "Path.read_bytes = lambda path: read(path) + (b'# edited' if path.name == sys.argv[1] else b'')\n"
        "print(before == identity.source_fingerprint('xpm_ce.learn.learner'), 'torch' in sys.modules)"
    )

    def unchanged_after_editing(name: str) -> list[str]:
        command = [sys.executable, "-c", code, name]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.split()

    assert unchanged_after_editing("loop.py") == ["False", "False"]
    assert unchanged_after_editing("measuring.py") == ["True", "False"]


def test_a_module_without_a_file_of_ours_has_the_fingerprint_of_nothing():
    assert source_fingerprint("xpm_ce.nowhere") == text_sha256([])
