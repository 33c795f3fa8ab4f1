"""A plan narrowed to some of its jobs: what they need that is missing, and what waits for them.

This module does not know why only these are wanted.
"""

import dataclasses
from collections.abc import Iterable, Sequence

from xpm_ce.errors import ConfigurationError
from xpm_ce.graph.plan import Plan
from xpm_ce.graph.planner import PlannedJob, State


def narrowed(plan: Plan, identities: Sequence[str]) -> Plan:
    """The plan with only these jobs to run, the missing ones that they and those that wait for them need, and those.

    Jobs are named by the first characters of their identities. ConfigurationError where a job is not in the plan, is
    named by several, or has nothing to run.
    """
    jobs = {job.identity: job for job in plan.jobs}
    wanted = {_chosen(plan, prefix) for prefix in identities}
    for job in plan.jobs:  # inputs stand before what takes them in
        if job.state is State.RUN and wanted & set(job.depends_on):
            wanted.add(job.identity)
    for job in reversed(plan.jobs):
        if job.identity in wanted:
            wanted |= {each for each in job.depends_on if each in jobs and jobs[each].state is State.RUN}
    return dataclasses.replace(plan, jobs=[job for job in plan.jobs if _stays(job, wanted)])


def _stays(job: PlannedJob, wanted: Iterable[str]) -> bool:
    return job.state is State.REUSE or (job.state is State.RUN and job.identity in wanted)


def _chosen(plan: Plan, prefix: str) -> str:
    found = [job for job in plan.jobs if job.identity.startswith(prefix)]
    if len(found) != 1:
        what = "no job" if not found else f"{len(found)} jobs"
        raise ConfigurationError(
            f"{what} of {plan.experiment} start{'s' if len(found) < 1 else ''} with {prefix}",
            where="--only",
            remedy="`xpm-ce status --jobs` lists the identities; a changed YAML file has other jobs.",
        )
    (job,) = found
    if job.state is not State.RUN:
        raise ConfigurationError(
            f"{job.kind} {prefix} has nothing to run: {job.reason}", where="--only", remedy="Name one that is to run."
        )
    return job.identity
