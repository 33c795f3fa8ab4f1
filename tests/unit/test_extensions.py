import json
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from experimaestro import Config, Param, field

from xpm_ce import extensions
from xpm_ce.errors import ConfigurationError
from xpm_ce.extensions import standins
from xpm_ce.settings import ConfigurationErrors, load, typed


class Loss(Config):
    __xpmid__ = "tests.extensions.loss"


class Window(Loss):
    __xpmid__ = "tests.extensions.window"
    size: Param[int] = field(default=1)


FOCAL = '''
from experimaestro import Config, Param, field


class Focal(Config):
    """A loss of my own."""

    __xpmid__ = "me.focal"
    NAME = "focal"

    gamma: Param[float] = field(default=2.0)
    """Exponent of the weight"""
'''


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(path: str, text: str) -> Path:
    file = Path(path).absolute()
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(textwrap.dedent(text))
    return file


def loaded(*files: str):
    """What a configuration that lists these files imports."""
    names = "".join(f"- {file}\n" for file in files)
    write("x.yaml", f"extensions:\n{names}")
    return extensions.load(load(Path("x.yaml")).require("extensions"))


def only(file: str) -> type[Config]:
    """The one class of a file."""
    (cls,) = extensions.load_file(Path(file).absolute()).classes.values()
    return cls


def identity(cls: type[Config]) -> str:
    return cls.C().__identifier__().all.hex()


# -- identity -----------------------------------------------------------------------------------------------


def test_a_file_is_executed_once_in_a_process(here):
    write("counted.py", "import builtins\nbuiltins.times = getattr(builtins, 'times', 0) + 1\n" + FOCAL)
    first, again = only("counted.py"), only("counted.py")
    assert first is again
    assert __builtins__["times"] == 1


def test_an_edit_changes_the_identity_of_the_classes_of_the_file(here):
    write("my_losses.py", FOCAL)
    before = only("my_losses.py")
    write("my_losses.py", FOCAL + "# an edit\n")
    after = only("my_losses.py")
    assert before is not after
    assert identity(before) != identity(after)


def test_a_file_with_the_same_content_has_the_same_identity_in_another_folder_and_under_another_name(here):
    write("a/my_losses.py", FOCAL)
    write("b/my_losses.py", FOCAL)
    write("b/renamed.py", FOCAL)
    assert len({identity(only(file)) for file in ("a/my_losses.py", "b/my_losses.py", "b/renamed.py")}) == 1


def test_two_folders_with_one_file_name_and_other_contents_do_not_meet(here):
    write("a/my_losses.py", FOCAL)
    write("b/my_losses.py", FOCAL.replace("2.0", "3.0"))
    a, b = only("a/my_losses.py"), only("b/my_losses.py")
    assert (a.C().gamma, b.C().gamma) == (2.0, 3.0)
    assert len({identity(a), identity(b), a.C(gamma=3).__identifier__().all.hex()}) == 3
    assert a.__module__ != b.__module__


def test_an_edit_of_a_sibling_changes_the_identity(here):
    write("my_losses.py", "from .shapes import doubled\n" + FOCAL)
    write("shapes.py", "def doubled(x):\n    return 2 * x\n")
    before = only("my_losses.py")
    write("shapes.py", "def doubled(x):\n    return x + x\n")
    assert identity(before) != identity(only("my_losses.py"))


def test_the_identity_of_a_configuration_holds_that_of_its_nested_extension_classes(here):
    text = """
    from experimaestro import Config, Param, field

    class Weight(Config):
        __xpmid__ = "me.weight"

    class Focal(Config):
        __xpmid__ = "me.focal"
        weight: Param[Weight] = field(default=Weight.C())
    """
    write("my_losses.py", text)
    extension = extensions.load_file(Path("my_losses.py").absolute())
    assert {name: cls.C().__xpmtype__.identifier.name for name, cls in extension.classes.items()} == {
        "Weight": f"me.weight@{extension.source.digest}",
        "Focal": f"me.focal@{extension.source.digest}",
    }


# -- planning -----------------------------------------------------------------------------------------------


def test_the_classes_of_a_file_are_built_from_yaml_like_ours(here):
    write("mine/my_losses.py", FOCAL)
    main = write("mine/x.yaml", "extensions: [./my_losses.py]\nloss: {type: my_losses.Focal, gamma: 3}\n")
    document = load(main)
    classes = extensions.classes(extensions.load(document.get("extensions")))
    assert list(classes) == ["my_losses.Focal"]
    assert typed(Config, document.require("loss"), classes=classes).gamma == 3.0
    wrong = document.with_value("loss", {"type": "focal", "gama": 3}, where="x.yaml:2")
    with pytest.raises(ConfigurationError) as caught:
        typed(Config, wrong.require("loss"), classes=classes)
    assert str(caught.value) == "x.yaml:2: unknown key loss.gama\n  Did you mean loss.gamma?"


def test_without_a_list_there_are_no_extensions(here):
    assert extensions.load(None) == ()
    assert extensions.classes(()) == {}


HEAVY = """
import torch
import torch.nn.functional as F
import transformers.models
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel
from experimaestro import Config, Param, field
from typing import Callable, Optional
from .shapes import doubled

Reduction = Callable[[Tensor], Tensor] | None


class Head(nn.Module):
    def forward(self, x: Tensor | None, y: "Optional[Tensor]" = None) -> tuple[Tensor, int | Tensor]:
        return self.linear(x)


class Both(nn.Linear, nn.Module):
    @torch.no_grad()
    def forward(self, x: Tensor): ...

    @torch.compile(mode="default")
    def other(self): return 1


class Focal(Config):
    __xpmid__ = "me.focal"
    gamma: Param[float] = field(default=2.0)
    reduce = torch.mean

    def now(self):
        import torch
        return torch.tensor(1.0)
"""


def planned(code: str) -> str:
    """What a fresh process prints."""
    process = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=120)
    assert process.returncode == 0, process.stderr
    return process.stdout


PLAN = """
import logging, sys
from pathlib import Path
from xpm_ce import extensions
logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(message)s")
extension = extensions.load_file(Path("my_losses.py").absolute())
print({"torch", "transformers"} & set(sys.modules), extension.classes["Focal"].C().__identifier__().all.hex())
"""


def test_planning_does_not_load_the_torch_that_a_file_imports(here):
    write("my_losses.py", HEAVY)
    write("shapes.py", "import torch\n\ndef doubled(x: torch.Tensor):\n    return 2 * x\n")
    outcome = planned(PLAN)
    assert outcome.startswith("set() ")
    with_torch = planned("import torch\n" + PLAN)
    assert with_torch.startswith("{'torch'} ")
    assert with_torch.split()[-1] == outcome.split()[-1]


@pytest.fixture
def light(monkeypatch):
    """A package that is quick to load in the place of torch."""
    monkeypatch.setattr(standins, "HEAVY", frozenset({"colorsys"}))
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)
    yield
    sys.modules.pop("colorsys", None)


def test_a_file_that_needs_a_value_of_torch_is_read_with_the_real_one(here, light, caplog):
    caplog.set_level("INFO", logger="xpm_ce.extensions")
    write("my_losses.py", "import colorsys\nHALF = 0.5 + colorsys.ONE_THIRD\n" + FOCAL)
    module = sys.modules[only("my_losses.py").__module__]
    assert module.HALF == 1.0 / 3.0 + 0.5
    assert "is read with the real colorsys (unsupported operand" in caplog.text


def test_imports_inside_functions_that_run_later_get_the_real_one(here, light):
    write(
        "my_losses.py",
        "import colorsys\n" + FOCAL + "\n    def now(self):\n        import colorsys\n        return colorsys\n",
    )
    cls = only("my_losses.py")
    module = sys.modules[cls.__module__]
    assert isinstance(module.colorsys, standins.StandIn)
    assert cls.now(cls.C()) is sys.modules["colorsys"]


@pytest.mark.parametrize(
    "line",
    [
        "if torch.cuda.is_available(): pass",
        "torch.__version__",
        "torch.version.cuda == '12'",
        "[*torch.tensor([1])]",
        "1 in torch.tensor([1])",
        "f'{torch.float32}'",
        "class Other(Config):\n    __xpmid__ = 'me.other'\n    size: Param[float] = field(default=torch.pi)",
    ],
)
def test_a_stand_in_never_answers_for_the_real_one(here, light, line):
    write("my_losses.py", f"import colorsys as torch\n{FOCAL}\n{line}\n")
    with pytest.raises(ConfigurationError, match=r"^my_losses.py:\d+: AttributeError: module 'colorsys' has no"):
        only("my_losses.py")


# -- errors -------------------------------------------------------------------------------------------------

NO_ID = """
from experimaestro import Config

class Outer:
    class Mine(Config):
        pass
"""

INHERITED = """
from test_extensions import Window

class Mine(Window):
    size_of_mine = 3
"""

SAME_ID = """
from experimaestro import Config

class Mine(Config):
    __xpmid__ = "me.mine"

class Other(Config):
    __xpmid__ = "Me.Mine"
"""

BROKEN = {
    "a syntax error": ("x = (\ny = 3\n", "my_losses.py:1: syntax error: '(' was never closed"),
    "a return outside a function": ("x = 1\n\nreturn x\n", "my_losses.py:3: syntax error: 'return' outside function"),
    "a null byte": ("x = '\0'\n", "my_losses.py:1: syntax error: source code string cannot contain null bytes"),
    "an exception": ("x = 1\n\nx.y\n", "my_losses.py:3: AttributeError: 'int' object has no attribute 'y'"),
    "a class without an id": (
        NO_ID,
        "my_losses.py:5: Outer.Mine has no __xpmid__ of its own\n"
        '  Write one under its docstring, for example: __xpmid__ = "yourname.focal_margin"',
    ),
    "a class with the id of its parent": (
        INHERITED,
        "my_losses.py:4: Mine has no __xpmid__ of its own\n"
        '  Write one under its docstring, for example: __xpmid__ = "yourname.focal_margin"',
    ),
    "two classes with one id": (
        SAME_ID,
        "my_losses.py:7: Other has the __xpmid__ of Mine\n  Give each class its own.",
    ),
    "an absolute import of a sibling": (
        "import shapes\n",
        "my_losses.py:1: ModuleNotFoundError: No module named 'shapes'\n"
        "  Write `from .shapes import ...`: the file is then copied to the jobs too.",
    ),
    "a missing package": ("\nimport nowhere\n", "my_losses.py:2: ModuleNotFoundError: No module named 'nowhere'"),
    "a sibling that is missing": (
        "x = 1\nfrom .nowhere import y\n",
        "my_losses.py:2: cannot read nowhere.py (No such file or directory)\n"
        "  Extensions, and what they import with a dot, are single files beside each other.",
    ),
    "an error in a sibling": (
        "from .broken import y\n",
        "broken.py:2: NameError: name 'undefined' is not defined",
    ),
    "an import from above": (
        "from ..above import y\n",
        "my_losses.py:1: an extension cannot import from ..above\n"
        "  Only files beside it are copied to jobs: move it there, or install a package.",
    ),
}


@pytest.mark.parametrize(("text", "message"), BROKEN.values(), ids=BROKEN)
def test_a_file_is_refused_for(here, text, message):
    write("shapes.py", "")
    write("broken.py", "x = 1\nundefined\n")
    Path("my_losses.py").write_text(text)
    before = set(sys.modules)
    with pytest.raises(ConfigurationError) as caught:
        only("my_losses.py")
    assert str(caught.value) == message
    assert not [name for name in set(sys.modules) - before if name.count(".") == 3]


def test_a_declaration_that_experimaestro_refuses_is_an_error_of_the_file(here):
    write("my_losses.py", FOCAL.replace("Param[float] = field(default=2.0)", "Param[complex]"))
    with pytest.raises(ConfigurationError, match=r"^my_losses.py:1: .*No type found"):
        only("my_losses.py")


def test_errors_about_the_list_point_to_its_lines(here):
    write("a/my_losses.py", FOCAL)
    write("b/my_losses.py", FOCAL + "# other\n")
    write("my-losses.py", FOCAL)
    with pytest.raises(ConfigurationErrors) as caught:
        loaded("a/my_losses.py", "b/my_losses.py", "nowhere.py", "my-losses.py")
    assert str(caught.value) == (
        "3 errors in the configuration\n"
        "x.yaml:3: two different extensions are called my_losses\n  Rename one.\n"
        "x.yaml:4: cannot read nowhere.py (No such file or directory)\n"
        "  Extensions, and what they import with a dot, are single files beside each other.\n"
        "x.yaml:5: an extension is a Python file with a plain name, not my-losses.py\n"
        "  Name it like my_losses.py, in letters, digits and underscores."
    )


def test_a_file_that_was_refused_is_read_again_once_it_is_mended(here):
    write("my_losses.py", NO_ID)
    with pytest.raises(ConfigurationError):
        only("my_losses.py")
    write("my_losses.py", NO_ID.replace("pass", '__xpmid__ = "me.mine"'))
    assert only("my_losses.py").__qualname__ == "Outer.Mine"


# -- jobs ---------------------------------------------------------------------------------------------------


def test_the_copies_are_what_was_imported_whatever_happened_to_the_files(here):
    write("my_losses.py", "from .shapes import x\n" + FOCAL)
    write("shapes.py", "x = 1\n")
    (extension,) = loaded("my_losses.py")
    write("my_losses.py", "x = (")
    Path("shapes.py").unlink()
    extensions.deposit([extension], here / "ws")
    folder = here / "ws" / "extensions" / extension.source.digest
    assert {file.name: file.read_text() for file in folder.iterdir()} == {
        "my_losses.py": "from .shapes import x\n" + FOCAL,
        "shapes.py": "x = 1\n",
    }
    (folder / "shapes.py").write_text("x = 2\n")
    untouched = (folder / "my_losses.py").stat().st_mtime_ns
    extensions.deposit([extension], here / "ws")
    assert (folder / "shapes.py").read_text() == "x = 1\n"
    assert (folder / "my_losses.py").stat().st_mtime_ns == untouched


LAB = """
import importlib, json, subprocess, sys
from pathlib import Path
from experimaestro import Config, Meta, Param, PathGenerator, Task, field


class Loss(Config):
    __xpmid__ = "lab.loss"


class Apply(Task):
    __xpmid__ = "lab.apply"
    loss: Param[Loss]
    other: Param[Loss]
    result: Meta[Path] = field(default_factory=PathGenerator("result.json"))

    def execute(self):
        module = sys.modules[type(self.loss).__module__]
        shapes = f"{module.__package__}.shapes"
        child = f"import importlib; print(importlib.import_module({shapes!r}).doubled(21))"
        self.result.write_text(json.dumps({
            "value": self.loss([1.0, -2.0]),
            "one class": type(self.loss) is type(self.other),
            "times": module.TIMES,
            "file": str(Path(module.__file__).relative_to(Path.cwd().parents[2])),
            "identity": type(self.loss).__xpmid__,
            "child": subprocess.run([sys.executable, "-c", child], capture_output=True, text=True).stdout,
        }))
"""

MINE = """
import builtins
import torch
from torch import Tensor, nn
from experimaestro import Config, Param, field
from lab import Loss
from .shapes import doubled

TIMES = builtins.times = getattr(builtins, "times", 0) + 1


class Weight(Config):
    __xpmid__ = "me.weight"
    value: Param[float] = field(default=1.0)


class Focal(Loss):
    __xpmid__ = "me.focal"
    NAME = "focal"
    weight: Param[Weight]

    def __call__(self, scores: Tensor | list) -> float:
        assert isinstance(self.weight, Weight)
        return doubled(nn.functional.relu(torch.tensor(scores)).sum().item()) * self.weight.value
"""

DRIVER = """
import sys
from pathlib import Path
from experimaestro.scheduler.experiment import experiment
from experimaestro.settings import WorkspaceSettings, get_settings
from xpm_ce import extensions
from xpm_ce.settings import load, typed
from lab import Apply

get_settings().carbon.enabled = False
document = load(Path("x.yaml"))
loaded = extensions.load(document.get("extensions"))
assert "torch" not in sys.modules
extensions.deposit(loaded, Path("ws"))
for file in ("my_losses.py", "shapes.py"):
    Path(file).unlink()
task = typed(Apply, document.require("apply"), classes=extensions.classes(loaded))
planned = task.__identifier__().all.hex()
settings = WorkspaceSettings("", Path("ws").absolute())
with experiment(settings, "x", project_paths=[], no_environmental_impact=True) as xp:
    task.submit()
    xp.wait()
    assert not xp.failedJobs, [job.stderr.read_text() for job in xp.failedJobs.values()]
assert task.__identifier__().all.hex() == planned and "torch" not in sys.modules
print(planned)
"""


def test_a_job_computes_with_the_copy_and_the_real_torch_without_any_environment_variable(here, monkeypatch):
    write("lab/__init__.py", LAB)
    write("my_losses.py", MINE)
    write("shapes.py", "def doubled(x):\n    return 2 * x\n")
    write(
        "x.yaml",
        """
        extensions: [./my_losses.py]
        apply:
          loss: {type: focal, weight: {value: 3}}
          other: {type: my_losses:Focal, weight: {}}
        """,
    )
    monkeypatch.setenv("HOME", str(here / "home"))
    monkeypatch.setenv("PYTHONPATH", str(here))
    monkeypatch.delenv("XPM_CE_EXTENSIONS", raising=False)
    process = subprocess.run([sys.executable, "-c", DRIVER], capture_output=True, text=True, timeout=200)
    assert process.returncode == 0, process.stderr
    job = here / "ws" / "jobs" / "lab.apply" / process.stdout.split()[-1]
    digest = next((here / "ws" / "extensions").iterdir()).name
    assert json.loads((job / "result.json").read_text()) == {
        "value": 6.0,
        "one class": True,
        "times": 1,
        "file": f"extensions/{digest}/my_losses.py",
        "identity": f"me.focal@{digest}",
        "child": "42\n",
    }


def test_a_process_that_is_no_job_finds_the_copies_of_a_workspace_it_is_told(here):
    write("my_losses.py", FOCAL)
    (extension,) = loaded("my_losses.py")
    extensions.deposit([extension], here / "ws")
    code = """
    import importlib, sys
    from pathlib import Path
    from xpm_ce import extensions
    try:
        importlib.import_module({module!r})
    except ModuleNotFoundError as error:
        print(error)
    extensions.search(Path("ws"))
    print(importlib.import_module({module!r}).Focal.C().__identifier__().all.hex())
    """
    missing, found = planned(code.format(module=extension.module)).splitlines()
    assert missing == (
        f"no copy of the extension my_losses ({extension.source.digest}) in any workspace; "
        "running the experiment again restores it"
    )
    assert found == identity(extension.classes["Focal"])
