"""What a run looks like when it has ended, as text. Gets records, prints nothing."""

from xpm_ce.analysis.results import read_results
from xpm_ce.analysis.tables import make_tables
from xpm_ce.graph.plan import Plan
from xpm_ce.identity import short
from xpm_ce.launch.submission import Outcome
from xpm_ce.workspace import Workspace, coordinates_text


def rendered_summary(plan: Plan, outcome: Outcome, workspace: Workspace, *, seconds: float) -> str:
    """The tables, the root cause of each failure once, and the counts of jobs run, reused, failed and blocked."""
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
    parts.append(
        f"{counts}\njobs, runs and checkpoints: {workspace.path}\nplan: {workspace.plan_file(plan.experiment)}"
    )
    return "\n\n".join(parts)
