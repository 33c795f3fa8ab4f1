"""The import layers of docs/architecture.md, and what the planning path may load: each rule is one case."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "xpm_ce"

GROUND = {"errors", "identity", "atomic", "workspace", "parameters", "jobs"}
GROUND |= {"progress", "makespan", "network", "time_limit", "libraries"}
"""What every room may import"""

ALLOWED = {
    "errors": set(),
    "atomic": {"errors"},
    "identity": {"errors", "atomic"},
    "workspace": {"errors"},
    "parameters": {"workspace"},
    "jobs": {"errors", "atomic", "identity", "workspace"},
    "progress": set(),
    "makespan": set(),
    "libraries": set(),
    "network": set(),
    "time_limit": set(),
    "settings": GROUND,
    "protocols": GROUND,
    "measures": GROUND,
    "data": GROUND | {"settings", "measures"},
    "tokens": GROUND | {"data"},
    "engine": GROUND | {"data", "tokens"},
    "scorers": GROUND | {"data", "tokens", "engine"},
    "losses": GROUND | {"data"},
    "samplers": GROUND | {"data"},
    "firststage": GROUND | {"data", "tokens", "engine", "scorers"},
    "learn": GROUND | {"data", "measures", "tokens", "engine", "scorers", "losses", "samplers"},
    "evaluate": GROUND | {"data", "measures", "tokens", "engine", "scorers"},
    "analysis": {"errors", "atomic", "workspace", "parameters", "measures", "protocols"},
    "monitor": GROUND | {"analysis", "data", "measures", "protocols"},
    "publish": GROUND | {"data", "measures", "tokens", "engine", "scorers", "losses", "analysis"},
    "interop": GROUND | {"data", "tokens", "engine", "scorers"},
    "extensions": GROUND | {"settings", "data", "losses", "samplers", "scorers"},
    "graph": GROUND
    | {"settings", "measures", "protocols", "data", "tokens", "engine", "scorers", "losses", "samplers", "firststage"}
    | {"learn", "evaluate"}
    | {"extensions", "interop"},
    "launch": GROUND | {"graph", "analysis"},
    "doctor": GROUND | {"launch", "engine", "data"},
    "experiment": GROUND | {"settings", "graph", "launch", "extensions"},
    "declaration": GROUND | {"settings", "graph", "experiment", "analysis"},
    "cli": GROUND
    | {"experiment", "graph", "analysis", "data", "measures", "launch", "settings", "publish", "doctor", "monitor"},
}
"""Room -> rooms that it may import; a room that is not here may not exist"""

HEAVY = ("torch", "transformers", "lightning", "xpmir", "tokenizers", "datamaestro", "ir_datasets", "impact_index")


def rooms() -> list[str]:
    names = {path.stem for path in PACKAGE.glob("*.py") if path.stem != "__init__"}
    return sorted(names | {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").exists()})


def imported_rooms(room: str) -> dict[str, str]:
    """Rooms that a room imports, anywhere in its files, with one place each."""
    found = {}
    files = [PACKAGE / f"{room}.py"] if (PACKAGE / f"{room}.py").exists() else list((PACKAGE / room).rglob("*.py"))
    for file in files:
        for node in ast.walk(ast.parse(file.read_text())):
            modules = []
            if isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                modules = [f"{node.module}.{alias.name}" for alias in node.names]
            for module in modules:
                parts = module.split(".")
                if parts[0] == "xpm_ce" and len(parts) > 1 and parts[1] != room:
                    found[parts[1]] = f"{file.relative_to(PACKAGE)}:{node.lineno}"
    return found


def external_imports(room_files: list[Path]) -> set[str]:
    """Top-level names of outside packages imported anywhere in these files."""
    names = set()
    for file in room_files:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                names |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                names.add(node.module.split(".")[0])
    return names


@pytest.mark.parametrize("room", rooms())
def test_a_room_imports_only_rooms_above_it(room):
    assert room in ALLOWED, f"{room} is a new room: give it a row in ALLOWED and in docs/architecture.md"
    wrong = {other: place for other, place in imported_rooms(room).items() if other not in ALLOWED[room]}
    assert not wrong, f"{room} may import {sorted(ALLOWED[room])}, not {wrong}"


def test_the_layers_hold_no_cycle():
    remaining = {room: allowed & set(ALLOWED) for room, allowed in ALLOWED.items()}
    while remaining:
        free = [room for room, allowed in remaining.items() if not allowed & set(remaining)]
        assert free, f"these rooms import each other: {sorted(remaining)}"
        for room in free:
            del remaining[room]


@pytest.mark.parametrize(
    ("name", "room"), [("xpmir", "interop"), ("xpm_torch", "interop"), ("datamaestro", "data"), ("ir_datasets", "data")]
)
def test_a_library_is_named_in_one_room_only(name, room):
    outside = [path for path in PACKAGE.rglob("*.py") if path.relative_to(PACKAGE).parts[0] != room]
    names = external_imports(outside)
    assert name not in names
    assert not any(found.startswith(f"{name}_") for found in names)


@pytest.mark.parametrize("room", ["analysis", "graph", "cli", "settings", "measures", "protocols", "monitor"])
def test_a_room_that_only_reads_and_plans_names_no_heavy_library(room):
    assert not external_imports(list((PACKAGE / room).rglob("*.py"))) & set(HEAVY)


def loaded_modules(arguments: list[str], tmp_path: Path) -> set[str]:
    """Top-level modules that a fresh process has loaded after `xpm-ce ARGUMENTS`."""
    code = (
        "import sys\nfrom xpm_ce.cli.main import main\n"
        f"sys.argv = ['xpm-ce', *{arguments!r}]\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code, end.code\n"
        "print('LOADED', *sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, timeout=120)
    assert process.returncode == 0, process.stderr
    return set(process.stdout.rpartition("LOADED")[2].split())


QUICKSTART = str(PACKAGE.parent / "experiments" / "quickstart.yaml")


@pytest.mark.parametrize("arguments", [["--help"], ["plan", QUICKSTART], ["run", "--help"]])
def test_help_and_planning_load_no_heavy_library(arguments, tmp_path):
    assert not loaded_modules(arguments, tmp_path) & set(HEAVY)


@pytest.mark.pipeline
@pytest.mark.parametrize("verb", ["plan", "run", "table", "plot"])
def test_planning_and_repeating_a_finished_study_load_no_heavy_library(verb, tiny_workspace, tmp_path):
    study = str(PACKAGE.parent / "tests" / "studies" / "tiny.yaml")
    assert not loaded_modules([verb, study, "--workdir", str(tiny_workspace)], tmp_path) & set(HEAVY)


@pytest.mark.parametrize("verb", ["status", "show", "logs", "compare", "verify", "clean"])
def test_a_verb_that_reads_files_loads_neither_experimaestro_nor_numpy(verb, tmp_path):
    loaded_modules(["plan", QUICKSTART, "--workdir", str(tmp_path / "ws")], tmp_path)
    arguments = [verb, "--workdir", str(tmp_path / "ws"), *([] if verb == "status" else ["--help"])]
    assert not loaded_modules(arguments, tmp_path) & {"experimaestro", "pydantic", "numpy", *HEAVY}
