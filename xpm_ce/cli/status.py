"""`xpm-ce status`: where an experiment stands, from its plan and its job folders."""

import collections

import click

from xpm_ce.cli.options import as_json, experiment_name, print_json, workdir
from xpm_ce.workspace import Workspace, coordinates_text


@click.command("status")
@click.argument("experiment", required=False)
@workdir
@as_json
@click.option("--jobs", is_flag=True, help="List every job.")
def command(experiment: str | None, workspace: Workspace, as_json: bool, jobs: bool) -> None:
    """Where EXPERIMENT (an id, a YAML file, or the last one planned) stands.

    Example: xpm-ce status --jobs
    """
    name = experiment_name(workspace, experiment)
    plan = workspace.read_plan(name)
    states = [
        {
            "id": job["id"],
            "kind": job["kind"],
            "coordinates": job["coordinates"],
            "state": (folder := workspace.job(job["task"], job["id"])).state,
            "failure": folder.failure,
        }
        for job in plan["jobs"]
    ]
    kinds: dict[str, collections.Counter[str]] = {}
    for job in states:
        kinds.setdefault(job["kind"], collections.Counter())[job["state"]] += 1
    if as_json:
        print_json({"schema": 1, "experiment": name, "kinds": kinds, "jobs": states})
        return
    click.echo(f"{name}: {len(states)} jobs in {workspace.path}")
    for kind, counts in kinds.items():
        click.echo(f"  {kind:<14}" + ", ".join(f"{count} {state}" for state, count in sorted(counts.items())))
    for job in states:
        where = coordinates_text(job["coordinates"])
        if jobs or job["failure"]:
            click.echo(f"  {job['id'][:12]}  {job['state']:<11} {job['kind']:<12} {where}")
        if job["failure"]:
            click.echo(f"      {job['failure']['what']}")
