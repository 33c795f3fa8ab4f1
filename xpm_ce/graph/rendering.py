"""What a plan looks like as text. Gets records, prints nothing."""

import collections
from collections.abc import Sequence

from xpm_ce.graph.costs import Costs
from xpm_ce.graph.plan import Plan
from xpm_ce.graph.planner import PlannedJob
from xpm_ce.graph.quantities import duration, size
from xpm_ce.graph.states import State, Why
from xpm_ce.identity import short
from xpm_ce.workspace import coordinates_text

NAMES = 6
"""Names of missing data sets that a plan shows"""
REASONS = 16
"""Lines of reasons that a plan shows"""


def rendered_counts(plan: Plan) -> str:
    """One line: jobs to reuse, to run and blocked."""
    counts = plan.counts
    return (
        f"{plan.experiment}: {len(plan.jobs)} jobs, {counts['reuse']} to reuse, {counts['run']} to run, "
        f"{counts['blocked']} blocked"
    )


def rendered_plan(plan: Plan, *, jobs: Sequence[PlannedJob] | None = None) -> str:
    """Counts, counts by kind, why jobs run and what they cost, what was counted in the data, what is blocked, warnings.

    Where `jobs` are given, each of them with its reason, too.
    """
    lines = [rendered_counts(plan)]
    for kind, counts in plan.counts_by_kind.items():
        lines.append(f"  {kind:<14}" + ", ".join(f"{count} {state}" for state, count in counts.items() if count))
    lines += _reasons(plan.jobs)
    lines += rendered_costs(plan.costs)
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
    lines += [_job(job) for job in jobs or ()]
    return "\n".join(lines)


def _job(job: PlannedJob) -> str:
    cost = f" (about {duration(job.cost.expected)})" if job.cost is not None else ""
    return (
        f"  {short(job.identity)}  {job.state.value:<7} {job.kind:<12} {coordinates_text(job.coordinates):<48} "
        f"{job.reason}{cost}"
    )


def _reasons(jobs: Sequence[PlannedJob]) -> list[str]:
    """Why jobs run, those of one kind with one reason together; nothing where none has more to say than its state."""
    told = collections.Counter((job.kind, _reason(job)) for job in jobs if job.state is State.RUN)
    if not any(reason != str(Why.NEVER_RUN.value) for _, reason in told):
        return []
    lines = [f"  {count:>5} {kind}: {reason}" for (kind, reason), count in told.items()]
    more = [f"  and {len(lines) - REASONS} more reasons: --jobs"] if len(lines) > REASONS else []
    return ["To run:", *lines[:REASONS], *more]


def _reason(job: PlannedJob) -> str:
    return job.reason.why.value if job.reason.why in (Why.DAMAGED, Why.PRUNED) else str(job.reason)


def rendered_costs(costs: Costs) -> list[str]:
    """What the jobs to run are expected to cost together; nothing where none runs."""
    unknown = ", ".join(f"{count} {kind}" for kind, count in costs.unknown.items())
    if not costs.jobs:
        return [f"Cost: unknown, for nothing comparable has run here ({unknown})"] if unknown else []
    slots = f"{costs.slots} job{'s' if costs.slots > 1 else ''} at once"
    parts = [
        f"about {duration(costs.expected)} of computation ({duration(costs.low)} to {duration(costs.high)})",
        f"{duration(costs.wall)} with {slots}",
        size(costs.bytes),
    ]
    if costs.gpu_seconds:
        parts.insert(2, f"{costs.gpu_seconds / 3600:.2g} GPU hours")
    return [f"Cost: {', '.join(parts)}" + (f"; unknown for {unknown}" if unknown else "")]


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
