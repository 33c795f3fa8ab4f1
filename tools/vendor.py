"""Fetch the libraries that the monitor's page is made with from the npm registry, as their manifest says.

    python tools/vendor.py          write the files, and their sha256 into the manifest
    python tools/vendor.py --check  compare the files with what the registry gives, and change nothing

Installing and running xpm-ce needs neither this script nor Node. It does not know what the libraries are for.
"""

import argparse
import hashlib
import io
import json
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
MANIFESTS = (
    ROOT / "xpm_ce" / "monitor" / "assets" / "vendor" / "manifest.json",
    ROOT / "tests" / "browser" / "vendor" / "manifest.json",
)


def package(name: str, version: str) -> bytes:
    """The tarball of a package, as `npm pack` downloads and verifies it."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["npm", "pack", "--silent", f"{name}@{version}"]
        done = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
        return (Path(folder) / done.stdout.strip().splitlines()[-1]).read_bytes()


def files(library: dict, tarball: bytes) -> dict[str, bytes]:
    """The files of a library that are kept, by the name under which they stand here."""
    kept = {}
    with tarfile.open(fileobj=io.BytesIO(tarball)) as archive:
        for name, described in library["files"].items():
            member = archive.extractfile(f"package/{described['from']}")
            assert member is not None, f"{library['name']} {library['version']} has no {described['from']}"
            content = member.read()
            for before, after in described.get("replaced", {}).items():
                assert before.encode() in content, f"{name} does not hold {before}"
                content = content.replace(before.encode(), after.encode())
            kept[name] = content
    return kept


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="Write nothing; exit with 1 where a file differs.")
    check = parser.parse_args().check
    different = []
    for path in MANIFESTS:
        manifest = json.loads(path.read_text())
        for library in manifest["libraries"]:
            tarball = package(library["name"], library["version"])
            found = {"tarball_sha256": hashlib.sha256(tarball).hexdigest()}
            if check and library["tarball_sha256"] != found["tarball_sha256"]:
                different.append(f"{library['name']} {library['version']} (tarball)")
            library.update(found)
            for name, content in files(library, tarball).items():
                place = path.parent / name
                if check and (not place.exists() or place.read_bytes() != content):
                    different.append(str(place.relative_to(ROOT)))
                if not check:
                    place.write_bytes(content)
                library["files"][name]["sha256"] = hashlib.sha256(content).hexdigest()
        if not check:
            path.write_text(json.dumps(manifest, indent=1) + "\n")
    sys.stdout.write("".join(f"differs: {each}\n" for each in different) or "as in the registry\n")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
