"""The entry point that YAML files name: `experimaestro run-experiment FILE.yaml` and `xpm-ce run FILE.yaml` share it.

It plans, submits what is missing, waits, and prints what came out. This module does not know what any job computes.
"""

import dataclasses
import functools
import logging
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from experimaestro import GracefulExperimentExit
from experimaestro.exceptions import ExperimentStopped, HandledException
from experimaestro.experiments import ExperimentHelper
from experimaestro.experiments.configuration import DirtyGitAction
from experimaestro.scheduler.workspace import RunMode
from experimaestro.settings import find_workspace, get_settings
from pydantic_core import core_schema

from xpm_ce import extensions
from xpm_ce.errors import INTERRUPTED, JobsFailedError, XpmCeError, explained
from xpm_ce.graph.build import planned
from xpm_ce.graph.narrowing import narrowed
from xpm_ce.graph.past import remember
from xpm_ce.graph.plan import Plan
from xpm_ce.graph.planner import State
from xpm_ce.graph.rendering import rendered_costs, rendered_counts, rendered_plan
from xpm_ce.graph.study import Study
from xpm_ce.launch.file import read_launchers
from xpm_ce.launch.machines import FILE_NAME, Launchers
from xpm_ce.launch.placement import assert_placed, lacking
from xpm_ce.launch.site import Site
from xpm_ce.launch.submission import outcome, submit
from xpm_ce.launch.summary import rendered_summary
from xpm_ce.workspace import Workspace

get_settings().carbon.enabled = False  # its banner sleeps for 3 seconds, even where no job runs


@dataclasses.dataclass(frozen=True)
class Prepared:
    """A plan, the machines that it is for, and the workspace that it was made in."""

    plan: Plan
    launchers: Launchers
    workspace: Workspace


class Configuration:
    """An experiment as asked for: the study, the launchers file, and what experimaestro needs to know of it.

    No dataclass and no pydantic model: run-experiment refuses those as the annotation of `run`.
    """

    def __init__(
        self, study: Study, *, launchers: Path | None = None, command: Sequence[str] = (), only: Sequence[str] = ()
    ):
        self.study, self.launchers = study, launchers
        self.command, self.only = tuple(command), tuple(only)
        self.id = study.id
        self.add_timestamp = study.flag("add_timestamp", default=False)
        self.dirty_git = DirtyGitAction(study.choice("dirty_git", [action.value for action in DirtyGitAction]))
        self.prepared: Prepared | None = None

    @classmethod
    def load(
        cls, file: Path, overrides: Sequence[str] = (), *, launchers: Path | None = None, only: Sequence[str] = ()
    ) -> "Configuration":
        """Read a YAML file; ConfigurationError with file:line where something in it is wrong.

        `only` are jobs, by the first characters of their identities: nothing but them, what they need and what waits
        for them is run.
        """
        command = [str(file), *(word for each in overrides for word in ("-c", each))]
        command += ["--launchers", str(launchers)] if launchers is not None else []
        return cls(Study.load(file, overrides), launchers=launchers, command=command, only=only)

    @property
    def run_id(self) -> str:
        """The name of the run for experimaestro: a run of some jobs only does not wait for one of the experiment."""
        return f"{self.id}-only-{'-'.join(each[:12] for each in self.only)}" if self.only else self.id

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, _handler: Any) -> Any:
        """What run-experiment validates with: our own reading of the files, because it would ignore unknown keys."""
        return core_schema.no_info_plain_validator_function(cls._from_experimaestro)

    @classmethod
    def _from_experimaestro(cls, _merged: dict[str, Any]) -> "Configuration":
        """Read and plan before run-experiment opens its scheduler, which would log our errors with a traceback."""
        parameters = click.get_current_context().params
        try:
            study = Study.load(
                Path(parameters["yaml_file"]),
                parameters.get("extra_conf") or (),
                pre_yaml=[Path(file) for file in parameters.get("pre_yaml") or ()],
                post_yaml=[Path(file) for file in parameters.get("post_yaml") or ()],
            )
            configuration = cls(study)
            settings = find_workspace(
                workdir=parameters.get("workdir"), workspace=parameters.get("workspace"), experiment_id=study.id
            )
            to_run = RunMode(parameters.get("run_mode") or RunMode.NORMAL) is RunMode.NORMAL
            configuration.prepared = prepare(configuration, Workspace(Path(settings.path).absolute()), to_run=to_run)
        except (XpmCeError, OSError) as error:
            cause = explained(error)
            if not isinstance(cause, XpmCeError):
                raise
            click.echo(f"Error: {cause}", err=True)
            raise SystemExit(cause.exit_code) from None
        return configuration


def launchers_file(given: Path | None) -> Path | None:
    """The launchers file that is meant: the given one, else `./launchers.yaml` where there is one."""
    if given is not None:
        return given
    return Path(FILE_NAME) if Path(FILE_NAME).exists() else None


def prepare(configuration: Configuration, workspace: Workspace, *, to_run: bool = False) -> Prepared:
    """Plan an experiment; nothing is run, nothing is written but the cache of content hashes and the plan itself.

    Once all of it was run, only a plan that is `to_run`, not narrowed, takes the place of that run's plan: tables and
    monitor go on to show the run.
    """
    workspace.assert_writable()
    launchers = read_launchers(launchers_file(configuration.launchers))
    slots = max(1, launchers.local.slots)  # none where all jobs run in Slurm
    plan = planned(configuration.study, workspace, lacking=functools.partial(lacking, launchers), slots=slots)
    plan.to_run = to_run and not configuration.only
    if configuration.command:
        plan.command = {"directory": str(Path.cwd()), "arguments": list(configuration.command)}
    shown = narrowed(plan, configuration.only) if configuration.only else plan
    assert_placed(launchers, (job for job in shown.jobs if job.state is State.RUN))
    plan.write(workspace)
    return Prepared(shown, launchers, workspace)


def run(helper: ExperimentHelper, cfg: Configuration) -> None:
    """Submit what is missing, wait for it and print the summary; in a dry run only print the plan.

    HandledException where a job failed, which run-experiment turns into exit code 1; an interruption ends it with 130.
    """
    experiment = helper.xp
    to_run = experiment.workspace.run_mode is RunMode.NORMAL
    prepared = cfg.prepared or prepare(cfg, Workspace(Path(experiment.workspace.path).absolute()), to_run=to_run)
    if not to_run:
        click.echo(rendered_plan(prepared.plan))
        return
    try:
        execute(prepared, experiment)
    except XpmCeError as error:
        raise HandledException(str(error)) from error
    except GracefulExperimentExit:
        if context := click.get_current_context(silent=True):
            context.call_on_close(lambda: sys.exit(INTERRUPTED))  # run-experiment would end as if all were well
        raise


def start(configuration: Configuration, workspace: Workspace) -> None:
    """Our own door: what run-experiment does, with our workspace and without its settings in the user's home.

    JobsFailedError where a job failed, KeyboardInterrupt where the user interrupted it.
    """
    from experimaestro.scheduler.experiment import experiment
    from experimaestro.settings import WorkspaceSettings

    configuration.prepared, interrupted = prepare(configuration, workspace, to_run=True), True
    if not configuration.prepared.plan.counts["run"]:
        execute(configuration.prepared, None)
        return
    scheduled = experiment(
        WorkspaceSettings("", workspace.path), configuration.run_id, run_mode=RunMode.NORMAL, project_paths=[],
        dirty_git=configuration.dirty_git, no_environmental_impact=True,
    )  # fmt: skip
    scheduled.scheduler.exitmode = False  # the one of this process: where it was interrupted it took no jobs any more
    with scheduled:
        execute(configuration.prepared, scheduled)
        interrupted = False
    if interrupted:  # experimaestro's context swallows GracefulExperimentExit
        raise KeyboardInterrupt


def execute(prepared: Prepared, experiment: Any) -> None:
    """Submit the missing jobs, wait, print the summary; JobsFailedError where a job failed or is blocked.

    `experiment` is experimaestro's, and may be None where nothing is missing.
    """
    plan, workspace = prepared.plan, prepared.workspace
    started = time.monotonic()
    for name in ("xpm", "xpm.scheduler", "xpm.git"):
        logging.getLogger(name).setLevel(logging.ERROR)
    logging.getLogger("xpm.experiment").setLevel(logging.CRITICAL)  # it tells each failure twice; we tell the cause
    for name in ("asyncio", "xpm.filewatcher", "xpm.scheduler", "xpm.state_status"):
        logging.getLogger(name).addFilter(worth_telling)
    click.echo(rendered_counts(plan), err=True)
    if plan.costs.jobs:
        click.echo("\n".join(rendered_costs(plan.costs)), err=True)
    for warning in plan.warnings:
        click.echo(f"Warning: {warning}", err=True)
    failed: dict[str, Any] = {}
    if plan.counts["run"]:
        failed = submit_and_wait(prepared, experiment)
    ended = outcome(plan.jobs, failed)
    click.echo(rendered_summary(plan, ended, workspace, seconds=time.monotonic() - started))
    if ended.failures or ended.blocked:
        raise JobsFailedError(f"{len(ended.failures)} jobs failed, {len(ended.blocked)} blocked")


def submit_and_wait(prepared: Prepared, experiment: Any) -> dict[str, Any]:
    """Submit the missing jobs and wait; identity -> experimaestro's job of those that failed or were blocked."""
    extensions.deposit(prepared.plan.extensions, prepared.workspace.path)
    remember(prepared.plan.jobs, prepared.workspace)
    try:
        submit(prepared.plan.jobs, experiment=experiment, site=Site(prepared.launchers))
        experiment.wait()
        for job in experiment.scheduler.jobs.values():  # it has been counted as ended while its files are still written
            job.wait()
    except (KeyboardInterrupt, ExperimentStopped):
        click.echo("Interrupted. Jobs that run go on; the same command continues where they are.", err=True)
        raise GracefulExperimentExit() from None
    return dict(experiment.failedJobs)


def worth_telling(record: logging.LogRecord) -> bool:
    """Whether a log record says more than that the process ended while a thread of the scheduler was at work."""
    error = record.exc_info[1] if record.exc_info else None
    return not (isinstance(error, RuntimeError) and "cannot schedule new futures" in str(error))
