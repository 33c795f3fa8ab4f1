"""`xpm-ce status`: where an experiment stands, from its plan and its job folders."""

import os
import shutil
import sys
import time

import click

from xpm_ce.cli.options import as_json, experiment_name, print_json, workdir
from xpm_ce.workspace import Workspace

EVERY = 1.0
"""Seconds between two drawings"""
HOME, CLEAR_LINE, CLEAR_BELOW = "\x1b[H", "\x1b[K", "\x1b[J"


@click.command("status")
@click.argument("experiment", required=False)
@workdir
@as_json
@click.option("--jobs", is_flag=True, help="List every job.")
@click.option("--watch", is_flag=True, help="Draw it again every second, until Ctrl-C.")
def command(experiment: str | None, workspace: Workspace, as_json: bool, jobs: bool, watch: bool) -> None:
    """Where EXPERIMENT (an id, a YAML file, or the last one planned) stands.

    Example: xpm-ce status --jobs
    """
    from xpm_ce.monitor.state import ExperimentState
    from xpm_ce.monitor.terminal import Screen, frame

    state = ExperimentState(workspace, experiment_name(workspace, experiment))
    state.refresh()
    if as_json:
        print_json(state.as_json())
    elif watch:
        watched(state, jobs=jobs)
    else:
        screen = Screen(colour=colours())
        click.echo(frame(state, now=time.time(), screen=screen, jobs=jobs))


def watched(state, *, jobs: bool) -> None:
    """Draw the state in place; where the output is no terminal, print it whenever it changes."""
    from xpm_ce.monitor.terminal import Screen, frame

    terminal, told = sys.stdout.isatty(), 0
    if terminal:
        click.echo(HOME + CLEAR_BELOW, nl=False)
    try:
        while True:
            version = state.refresh()
            if terminal:
                size = shutil.get_terminal_size()
                text = frame(state, now=time.time(), screen=Screen(size.columns, size.lines - 1, colours()), jobs=jobs)
                click.echo(HOME + text.replace("\n", f"{CLEAR_LINE}\n") + CLEAR_LINE + "\n" + CLEAR_BELOW, nl=False)
            elif version.jobs > told:
                told = version.jobs
                click.echo(frame(state, now=time.time(), jobs=jobs) + "\n")
            sys.stdout.flush()
            time.sleep(EVERY)
    except KeyboardInterrupt:
        return


def colours() -> bool:
    """Whether to colour: on a terminal, unless NO_COLOR says not to."""
    return sys.stdout.isatty() and "NO_COLOR" not in os.environ
