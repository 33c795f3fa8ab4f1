"""What a plan looks like as text. Gets records, prints nothing."""

import collections

from xpm_ce.graph.plan import Plan
from xpm_ce.graph.states import State, Why
from xpm_ce.identity import short
from xpm_ce.workspace import coordinates_text

NAMES = 6
"""Names of missing data sets that a plan shows"""


def rendered_counts(plan: Plan) -> str:
    """One line: jobs to reuse, to run and blocked."""
    counts = plan.counts
    return (
        f"{plan.experiment}: {len(plan.jobs)} jobs, {counts['reuse']} to reuse, {counts['run']} to run, "
        f"{counts['blocked']} blocked"
    )


def rendered_plan(plan: Plan, *, jobs: bool = False) -> str:
    """Counts, counts by kind, what was counted in the data, what is blocked and why, warnings and, if asked for, every
    job with its reason."""
    lines = [rendered_counts(plan)]
    for kind, counts in plan.counts_by_kind.items():
        lines.append(f"  {kind:<14}" + ", ".join(f"{count} {state}" for state, count in counts.items() if count))
    counted: dict[str, list[str]] = {}
    for name, value in plan.counts_of_queries.items():
        counted.setdefault(value, []).append(name)
    for value, (first, *others) in counted.items():
        lines.append(f"  {first}{f', and of {len(others)} more sets' if others else ''}: {value}")
    blocked = [job.reason for job in plan.jobs if job.state is State.BLOCKED]
    causes = collections.Counter(str(reason) for reason in blocked if reason.why is not Why.UPSTREAM_BLOCKED)
    lines += [f"Blocked: {cause} ({count} jobs, and those that need them)" for cause, count in causes.items()]
    lines += _not_on_disk(plan)
    lines += [f"Warning: {warning}" for warning in plan.warnings]
    if jobs:
        lines += [
            f"  {short(job.identity)}  {job.state.value:<7} {job.kind:<12} {coordinates_text(job.coordinates):<48} "
            f"{job.reason}"
            for job in plan.jobs
        ]
    return "\n".join(lines)


def _not_on_disk(plan: Plan) -> list[str]:
    """What is not on this disk, by name, and what to do about it; nothing where all is."""
    names = list(dict.fromkeys(need.name for need in plan.not_on_disk))
    if not names:
        return []
    shown = ", ".join(names[:NAMES]) + (f", and {len(names) - NAMES} more" if len(names) > NAMES else "")
    return [
        f"Not on this disk: {len(names)} data sets, training files or weights ({shown}). Before jobs without a "
        "network: `xpm-ce data prepare FILE`."
    ]
