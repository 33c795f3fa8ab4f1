"""What plans and runs look like as text. Gets records, prints nothing."""

from typing import TYPE_CHECKING

from xpm_ce.graph.plan import Plan
from xpm_ce.identity import short
from xpm_ce.workspace import Workspace

if TYPE_CHECKING:
    from xpm_ce.launch.submission import Outcome


def coordinates_text(coordinates: dict[str, str]) -> str:
    return " ".join(f"{axis}={value}" for axis, value in coordinates.items())


def rendered_counts(plan: Plan) -> str:
    """One line: jobs to reuse, to run and blocked."""
    counts = plan.counts
    return (
        f"{plan.experiment}: {len(plan.jobs)} jobs, {counts['reuse']} to reuse, {counts['run']} to run, "
        f"{counts['blocked']} blocked"
    )


def rendered_plan(plan: Plan, *, jobs: bool = False) -> str:
    """Counts, counts by kind, what was counted in the data, warnings and, if asked for, every job with its reason."""
    lines = [rendered_counts(plan)]
    for kind, counts in plan.counts_by_kind.items():
        lines.append(f"  {kind:<14}" + ", ".join(f"{count} {state}" for state, count in counts.items() if count))
    for name, value in plan.counts_of_queries.items():
        lines.append(f"  {name}: {value}")
    lines += [f"Warning: {warning}" for warning in plan.warnings]
    if jobs:
        lines += [
            f"  {short(job.identity)}  {job.state.value:<7} {job.kind:<12} {coordinates_text(job.coordinates):<48} "
            f"{job.reason}"
            for job in plan.jobs
        ]
    return "\n".join(lines)


def rendered_summary(plan: Plan, outcome: "Outcome", workspace: Workspace, *, seconds: float) -> str:
    """The tables, the root cause of each failure once, and the counts of jobs run, reused, failed and blocked."""
    from xpm_ce.analysis.results import read_results
    from xpm_ce.analysis.tables import make_tables

    results = read_results(workspace, plan.experiment)
    parts = [table.render() for table in make_tables(results)]
    for failure in outcome.failures:
        lines = [f"FAILED {failure.task} {short(failure.identity)} {coordinates_text(failure.coordinates)}"]
        lines.append(f"  {failure.exception}: {f'{failure.where}: ' if failure.where else ''}{failure.what}")
        lines += [f"  {text}" for text in (failure.remedy, failure.frame, f"log: {failure.log}") if text]
        parts.append("\n".join(lines))
    counts = (
        f"{len(outcome.ran)} jobs run, {plan.counts['reuse']} reused, {len(outcome.failures)} failed, "
        f"{len(outcome.blocked)} blocked by them or by the machine, in {seconds:.1f} s"
    )
    if not outcome.ran and not outcome.failures and not outcome.blocked:
        counts = f"nothing to run: all {plan.counts['reuse']} jobs were done before"
    parts.append(f"{counts}\njobs, runs and checkpoints: {workspace.path}\nplan: {workspace.plan_file(plan.experiment)}")
    return "\n\n".join(parts)
