"""What is freed and what stays: nothing that is in use or waited for; and what is left when freeing is cut short."""

import fcntl
import json
from pathlib import Path

import pytest

from xpm_ce.graph import cleaning
from xpm_ce.graph.cleaning import BY_DEFAULT, Class, find, free
from xpm_ce.workspace import JobFolder, Workspace

LEARNER, RERANK, MEASURE, TOKENS = (
    "xpm_ce.learn.learner", "xpm_ce.evaluate.rerank", "xpm_ce.evaluate.measure", "xpm_ce.tokens.tokenise_documents",
)  # fmt: skip
OUTPUTS = {
    LEARNER: {"checkpoint/model.safetensors": "w" * 900, "checkpoint/config.json": "{}",
              "best/model.safetensors": "b" * 9, "curve.csv": "1"},
    RERANK: {"run.gz": "r" * 50, "scores.npy": "s" * 30, "counts.json": '{"depth": 1}'},
    MEASURE: {"summary.json": "{}"},
    TOKENS: {"tokens/ids.bin": "t" * 700},
}  # fmt: skip


def identity(name: str) -> str:
    return f"{ord(name):02x}" * 32


class Study:
    """A workspace with a plan of jobs: tokens t, learners a and b, re-rankings c of a and d of b, measures e and f."""

    JOBS = {
        "t": (TOKENS, ""), "a": (LEARNER, "t"), "b": (LEARNER, "t"), "c": (RERANK, "at"), "d": (RERANK, "bt"),
        "e": (MEASURE, "c"), "f": (MEASURE, "d"),
    }  # fmt: skip

    def __init__(self, path: Path):
        self.workspace = Workspace(path)
        self.plan("study", self.JOBS)
        for name, (task, _) in self.JOBS.items():
            self.finish(name, task)

    def plan(self, experiment: str, jobs: dict[str, tuple[str, str]]) -> None:
        rows = [
            {"id": identity(name), "task": task, "depends_on": [identity(each) for each in inputs]}
            for name, (task, inputs) in jobs.items()
        ]
        file = self.workspace.plan_file(experiment)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps({"jobs": rows}))

    def folder(self, name: str, task: str | None = None) -> JobFolder:
        return self.workspace.job(task or self.JOBS[name][0], identity(name))

    def finish(self, name: str, task: str) -> None:
        folder = self.folder(name, task)
        for path, text in OUTPUTS[task].items():
            (folder.path / path).parent.mkdir(parents=True, exist_ok=True)
            (folder.path / path).write_text(text)
        files = [{"path": path, "bytes": len(text), "sha256": "0"} for path, text in OUTPUTS[task].items()]
        (folder.path / "outputs.json").write_text(json.dumps({"files": files}))
        folder.done_marker.touch()

    def found(self, kind: Class) -> set[str]:
        """Names of the jobs of which something of a class can be freed."""
        names = {identity(name): name for name in "abcdeftxy"}
        return {names[part] for item in find(self.workspace).of(kind) for part in item.folder.parts if part in names}


@pytest.fixture
def study(tmp_path) -> Study:
    return Study(tmp_path)


def test_weights_are_freed_when_all_that_hangs_off_a_learner_is_done(study):
    assert study.found(Class.CHECKPOINTS) == {"a", "b"}
    study.folder("f").done_marker.unlink()
    assert study.found(Class.CHECKPOINTS) == {"a"}
    assert find(study.workspace).kept["what hangs off it is not done"] == 3  # the learner, its run, and the tokens
    (study.folder("c").path / "run.gz").unlink()
    assert study.found(Class.CHECKPOINTS) == set()


def test_a_learner_of_which_nothing_was_measured_keeps_its_weights(study):
    study.plan("study", {"a": (LEARNER, "")})
    found = find(study.workspace, [Class.CHECKPOINTS])
    assert (found.items, found.kept) == ((), {"nothing of it was measured": 1})


def test_another_plan_that_waits_for_a_learner_keeps_its_weights(study):
    study.plan("other", {"a": (LEARNER, ""), "x": (RERANK, "a")})
    assert study.found(Class.CHECKPOINTS) == {"b"}


def test_freeing_leaves_the_records_and_a_job_that_is_pruned(study):
    items = find(study.workspace).of(Class.CHECKPOINTS)
    assert [item.bytes for item in items] == [911, 911]
    freed, skipped = free(items)
    assert (len(freed), skipped) == (2, [])
    folder = study.folder("a")
    assert (folder.state, folder.pruned, folder.complete, folder.damaged()) == ("pruned", True, False, [])
    assert folder.record is not None
    assert sorted(path.name for path in folder.path.iterdir()) == [
        "curve.csv", "learner.done", "learner.lock", "outputs.json", "pruned.json",
    ]  # fmt: skip
    assert find(study.workspace).of(Class.CHECKPOINTS) == []
    (folder.path / "curve.csv").unlink()
    assert study.folder("a").state == "damaged"


def test_a_pruned_re_ranking_does_not_stand_in_the_way_of_freeing_its_learner(study):
    free(find(study.workspace).of(Class.RANKINGS))
    assert study.folder("c").state == "pruned"
    assert study.found(Class.CHECKPOINTS) == {"a", "b"}
    free(find(study.workspace).of(Class.TOKENS))
    assert study.folder("t").state == "pruned"


@pytest.mark.parametrize("stop", [0, 1, 2])
def test_when_freeing_is_cut_short_the_job_is_pruned_and_the_rest_goes_the_next_time(stop, study, monkeypatch):
    calls = iter(range(100))
    unlink = Path.unlink

    def interrupted(path: Path, missing_ok: bool = False) -> None:
        if path.parent.name in ("checkpoint", "best") and next(calls) == stop:
            raise KeyboardInterrupt
        unlink(path, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", interrupted)
    with pytest.raises(KeyboardInterrupt):
        free(find(study.workspace).of(Class.CHECKPOINTS))
    monkeypatch.undo()
    assert study.folder("a").state == ("pruned" if stop else "done")
    assert study.folder("a").damaged() == []
    free(find(study.workspace).of(Class.CHECKPOINTS))
    assert study.folder("a").state == "pruned"
    assert not (study.folder("a").path / "checkpoint").exists()
    written = json.loads((study.folder("a").path / "pruned.json").read_text())
    assert {each["path"] for each in written["files"]} == {name for name in OUTPUTS[LEARNER] if "/" in name}


def test_nothing_that_a_running_job_uses_is_freed(study):
    running = study.workspace.job(RERANK, identity("x"))
    running.path.mkdir(parents=True)
    (running.path / "params.json").write_text(json.dumps({"objects": [{"identifier": identity("a")}]}))
    with open(running.path / "rerank.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert study.found(Class.CHECKPOINTS) == {"b"}
        assert study.found(Class.ORPHANS) == set()
    assert study.found(Class.CHECKPOINTS) == {"a", "b"}
    assert study.found(Class.ORPHANS) == {"x"}


def test_a_job_that_starts_after_the_search_is_left_alone(study):
    items = find(study.workspace).of(Class.CHECKPOINTS)
    with open(study.folder("a").path / "learner.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        freed, skipped = free(items)
    assert [item.folder.name for item in skipped] == [identity("a")]
    assert [item.folder.name for item in freed] == [identity("b")]
    assert study.folder("a").state == "done"


def test_states_are_freed_unless_a_training_waits_that_may_go_on_from_them(study):
    state = study.folder("a").path / ".state"
    state.mkdir()
    (state / "state.pt").write_text("s" * 300)
    (item,) = find(study.workspace).of(Class.STATES)
    assert item.bytes == 300
    study.plan("other", {"x": (LEARNER, "")})
    assert find(study.workspace).of(Class.STATES) == []
    study.workspace.plan_file("other").unlink()
    free([item])
    assert not state.exists()
    assert study.folder("a").state == "done"


def test_scores_stay_while_a_re_ranking_waits_that_may_take_them_over(study):
    assert study.found(Class.RANKINGS) == {"c", "d"}
    study.plan("other", {"x": (RERANK, "")})
    assert study.found(Class.RANKINGS) == set()


def test_an_orphan_goes_whole_and_is_no_finished_job_from_the_first(study, monkeypatch):
    study.finish("x", LEARNER)
    (item,) = find(study.workspace).of(Class.ORPHANS)
    monkeypatch.setattr(cleaning.shutil, "rmtree", lambda *_, **__: None)
    free([item])
    assert study.folder("x", LEARNER).state == "waiting"
    monkeypatch.undo()
    free([item])
    assert not item.folder.exists()


def test_old_runs_go_and_the_last_stays_with_the_jobs_that_they_link_to(study):
    experiment = study.workspace.path / "experiments" / "study"
    for name in ("20260101_000000", "20260102_000000", "20260103_000000"):
        (experiment / name / "jobs").mkdir(parents=True)
        (experiment / name / "status.json").write_text("{}")
        (experiment / name / "jobs" / "a").symlink_to(study.folder("a").path)
    (experiment / "current").symlink_to("20260102_000000")
    items = find(study.workspace).of(Class.RUNS)
    assert [item.folder.name for item in items] == ["20260101_000000"]
    assert items[0].bytes < 300
    free(items)
    assert sorted(path.name for path in experiment.iterdir()) == ["20260102_000000", "20260103_000000", "current"]
    assert study.folder("a").state == "done"


def test_what_holds_results_must_be_named_to_be_freed():
    assert {Class.ORPHANS, Class.RANKINGS, Class.TOKENS}.isdisjoint(BY_DEFAULT)


def test_the_verb_shows_and_frees_only_what_it_is_told(study, run_command):
    shown = run_command("xpm-ce", "clean", "--workdir", study.workspace.path)
    assert "nothing was freed; --perform frees 1.82 kB in 2 places" in shown.stdout
    assert study.folder("a").state == "done"
    wrong = run_command("xpm-ce", "clean", "--workdir", study.workspace.path, "--only", "checkpoint")
    assert (wrong.returncode, "Did you mean checkpoints?" in wrong.stderr) == (2, True)
    told = run_command("xpm-ce", "clean", "--workdir", study.workspace.path, "--perform", "--only", "tokens", "--json")
    answer = json.loads(told.stdout)
    assert (answer["performed"], len(answer["freed"]), answer["skipped"]) == (True, 1, [])
    assert answer["classes"] == {"tokens": {"items": 1, "bytes": 700}}
    assert (study.folder("t").state, study.folder("a").state) == ("pruned", "done")
    status = run_command("xpm-ce", "show", identity("t")[:8], "--workdir", study.workspace.path)
    assert "pruned in" in status.stdout
    assert "freed: made again when a job needs it" in status.stdout
