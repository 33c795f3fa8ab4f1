"""Finished jobs that differ from a planned one in a single number, and whose work it takes over.

A re-ranking takes the scores of the same model and first stage at another depth; a learner goes on with the state of
the same learner with fewer steps, where its schedule permits it. Identity says what is wanted; the path found here only
saves work, and the result is the same without it.
"""

from typing import Any

from xpm_ce.graph.past import PastJobs
from xpm_ce.graph.planner import PlannedJob, Planner
from xpm_ce.graph.states import State
from xpm_ce.learn.schedules import SCHEDULES, Course


def take_over_finished_work(planner: Planner, past: PastJobs) -> None:
    """Point jobs that must run to the work that they can take over."""
    take_over_other_depths(planner, past)
    continue_shorter_trainings(planner, past)


# -- re-ranking at another depth ----------------------------------------------------------------------------


def take_over_other_depths(planner: Planner, past: PastJobs) -> int:
    """Point each re-ranking that must run to a finished one at another depth, deeper ones first; how many there are."""
    missing = [job for job in planner.of_kind("rerank") if job.state is State.RUN]
    if not missing:
        return 0
    depths = {finished.fields["depth"] for _, finished in past.finished(missing[0].task)}
    found = 0
    for job in missing:
        wanted = job.config.__xpm__.values["depth"]
        # Deeper ones first, the shallowest of them: it is cut. Else the deepest shallower one: it is extended.
        for depth in sorted(depths - {wanted}, key=lambda depth: (depth < wanted, abs(depth - wanted))):
            folder = planner.workspace.job(job.task, _identity_with(job.config, depth=depth))
            if folder.complete:
                job.config.__xpm__.values["finished"] = folder.path
                found += 1
                break
    return found


# -- training for more steps --------------------------------------------------------------------------------


def continue_shorter_trainings(planner: Planner, past: PastJobs) -> int:
    """Point each learner that must run to the longest shorter one whose state it can go on with; how many there are.

    That is a finished one, or one that must run in this plan: it then comes first, and the longer one waits for it.
    """
    missing = [job for job in planner.of_kind("learn") if job.state is State.RUN]
    candidates = [job for job in missing if _common_steps(job.config)]
    if not candidates:
        return 0
    lengths = {finished.fields["steps"] for _, finished in past.finished(candidates[0].task)}
    lengths |= {job.config.__xpm__.values["steps"] for job in candidates}
    return sum(_continue(planner, job, lengths) for job in candidates)


def _continue(planner: Planner, job: PlannedJob, lengths: set[int]) -> bool:
    """Point a learner to the longest shorter one among those of some lengths; whether there is one."""
    values = job.config.__xpm__.values
    for steps in sorted((each for each in lengths if each < values["steps"]), reverse=True):
        folder = planner.workspace.job(job.task, _identity_with(job.config, steps=steps))
        earlier = planner.jobs.get(folder.identity)
        if earlier is not None and earlier.state is State.RUN:
            if not (earlier.config.__xpm__.values["keep_state"] and _common_steps(earlier.config)):
                continue
            _put_before(planner, earlier, job)
        elif not (folder.complete and (folder.path / values["state"].name).is_dir()):
            continue
        values["continue_from"] = folder.path
        return True
    return False


def _common_steps(learner: Any) -> int:
    """Steps that a learner has in common with every longer one."""
    values = learner.__xpm__.values
    course = Course(values["steps"], values["warmup_steps"], values["decay_steps"])
    return SCHEDULES[values["schedule"]].common_steps(course)


def _put_before(planner: Planner, earlier: PlannedJob, later: PlannedJob) -> None:
    """Have one job run before another; both take the same inputs, so that these come before either."""
    later.depends_on.append(earlier.identity)
    later.after.append(earlier.identity)
    jobs = planner.jobs
    order = list(jobs)
    if order.index(earlier.identity) > order.index(later.identity):
        order.remove(earlier.identity)
        order.insert(order.index(later.identity), earlier.identity)
        planner.jobs = {identity: jobs[identity] for identity in order}


def _identity_with(config: Any, **changed: Any) -> str:
    """The identity that a task would have with other values of some arguments."""
    arguments = config.__xpmtype__.arguments
    values = {
        name: value
        for name, value in config.__xpm__.values.items()
        if not arguments[name].generator and not arguments[name].constant
    }
    sibling = type(config)(**{**values, **changed})
    return sibling.__xpm__.identifier.all.hex()
