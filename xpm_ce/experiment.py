"""The entry point that YAML files name: `experimaestro run-experiment FILE.yaml` and `xpm-ce run FILE.yaml` both call `run`.

It plans, submits what is missing, waits, and prints what came out. This module does not know what any job computes.
"""

import logging
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from experimaestro.exceptions import HandledException
from experimaestro.experiments import ExperimentHelper
from experimaestro.experiments.configuration import DirtyGitAction
from experimaestro.scheduler.workspace import RunMode
from experimaestro.settings import get_settings
from pydantic_core import core_schema

from xpm_ce import extensions
from xpm_ce.errors import JobsFailedError, XpmCeError
from xpm_ce.graph.build import planned
from xpm_ce.graph.plan import Plan
from xpm_ce.graph.study import Study
from xpm_ce.launch.machines import FILE_NAME, LocalMachine, read_machine
from xpm_ce.workspace import Workspace

logger = logging.getLogger(__name__)

get_settings().carbon.enabled = False  # its banner sleeps for 3 seconds, even where no job runs


class Configuration:
    """An experiment as asked for: the study, the launchers file, and what experimaestro needs to know of it.

    No dataclass and no pydantic model: run-experiment refuses those as the annotation of `run`.
    """

    def __init__(self, study: Study, *, launchers: Path | None = None):
        self.study, self.launchers = study, launchers
        self.id = study.id
        self.add_timestamp = study.flag("add_timestamp", default=False)
        self.dirty_git = DirtyGitAction(study.choice("dirty_git", [action.value for action in DirtyGitAction]))

    @classmethod
    def load(cls, file: Path, overrides: Sequence[str] = (), *, launchers: Path | None = None) -> "Configuration":
        """Read a YAML file; ConfigurationError with file:line where something in it is wrong."""
        return cls(Study.load(file, overrides), launchers=launchers)

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, _handler: Any) -> Any:
        """What run-experiment validates with: our own reading of the files, because it would ignore unknown keys."""
        return core_schema.no_info_plain_validator_function(cls._from_experimaestro)

    @classmethod
    def _from_experimaestro(cls, _merged: dict[str, Any]) -> "Configuration":
        parameters = click.get_current_context().params
        try:
            study = Study.load(
                Path(parameters["yaml_file"]),
                parameters.get("extra_conf") or (),
                pre_yaml=[Path(file) for file in parameters.get("pre_yaml") or ()],
                post_yaml=[Path(file) for file in parameters.get("post_yaml") or ()],
            )
        except XpmCeError as error:
            click.echo(f"Error: {error}", err=True)
            raise SystemExit(error.exit_code) from None
        return cls(study)


def launchers_file(given: Path | None) -> Path | None:
    """The launchers file that is meant: the given one, else `./launchers.yaml` where there is one."""
    if given is not None:
        return given
    return Path(FILE_NAME) if Path(FILE_NAME).exists() else None


def make_plan(configuration: Configuration, workspace: Workspace) -> tuple[Plan, LocalMachine]:
    """Plan an experiment; nothing is run, nothing is written but the cache of content hashes and the plan itself."""
    workspace.assert_writable()
    machine = read_machine(launchers_file(configuration.launchers))
    plan = planned(configuration.study, workspace, capabilities=machine.capabilities)
    plan.write(workspace)
    return plan, machine


def run(helper: ExperimentHelper, cfg: Configuration) -> None:
    """Plan and, unless this is a dry run, submit what is missing, wait for it and print the summary.

    Raises HandledException when a job failed, which both doors turn into exit code 1; exits 2 on a bad configuration.
    """
    experiment = helper.xp
    workspace = Workspace(Path(experiment.workspace.path).absolute())
    try:
        plan, machine = make_plan(cfg, workspace)
        if experiment.workspace.run_mode in (RunMode.DRY_RUN, RunMode.GENERATE_ONLY):
            from xpm_ce.graph.rendering import rendered_plan

            click.echo(rendered_plan(plan))
            return
        execute(plan, machine, experiment, workspace)
    except JobsFailedError as error:
        raise HandledException(str(error)) from None
    except XpmCeError as error:
        click.echo(f"Error: {error}", err=True)
        raise SystemExit(error.exit_code) from None


def execute(plan: Plan, machine: LocalMachine, experiment: Any, workspace: Workspace) -> None:
    """Submit the missing jobs of a plan, wait, print the summary; JobsFailedError where a job failed or is blocked."""
    from xpm_ce.graph.rendering import rendered_counts, rendered_summary
    from xpm_ce.launch.local import LocalLauncher
    from xpm_ce.launch.submission import outcome, submit

    started = time.monotonic()
    for name in ("xpm", "xpm.scheduler"):
        logging.getLogger(name).setLevel(logging.ERROR)
    logging.getLogger("xpm.experiment").setLevel(logging.CRITICAL)
    click.echo(rendered_counts(plan), err=True)
    for warning in plan.warnings:
        click.echo(f"Warning: {warning}", err=True)
    failed: dict[str, Any] = {}
    if plan.counts["run"]:
        extensions.deposit(plan.extensions, workspace.path)
        launcher = LocalLauncher(machine)
        submit(plan.jobs, experiment=experiment, launcher=launcher)
        try:
            experiment.wait()
        except KeyboardInterrupt:
            from experimaestro import GracefulExperimentExit

            click.echo("Interrupted. Jobs that run go on; the same command continues where they are.", err=True)
            raise GracefulExperimentExit() from None
        failed = dict(experiment.failedJobs)
    ended = outcome(plan.jobs, failed)
    click.echo(rendered_summary(plan, ended, workspace, seconds=time.monotonic() - started))
    if ended.failures or ended.blocked:
        raise JobsFailedError(f"{len(ended.failures)} jobs failed, {len(ended.blocked)} blocked")


def start(configuration: Configuration, workspace: Workspace, *, run_mode: RunMode = RunMode.NORMAL) -> None:
    """Our own door: what run-experiment does, with our workspace and without its settings in the user's home."""
    from experimaestro.scheduler.experiment import experiment
    from experimaestro.settings import WorkspaceSettings

    workspace.assert_writable()
    with experiment(
        WorkspaceSettings("", workspace.path), configuration.id, run_mode=run_mode, project_paths=[],
        dirty_git=configuration.dirty_git, no_environmental_impact=True,
    ) as scheduled:  # fmt: skip
        helper = ExperimentHelper(run)
        helper.xp = scheduled
        try:
            helper.run([], configuration)
        except HandledException as error:
            raise JobsFailedError(str(error)) from None


