"""Small breakages of the package, each of which must turn a named test red: `make mutants`.

A copy of the package is broken in one place at a time and the named test is run on it. The tests must be green on the
unbroken copy first. Exit code 1: a breakage survived; 2: a breakage cannot be applied, or a test cannot be run.

    python tests/mutants.py [NAME ...]      all breakages, or those whose name contains a NAME
"""

import dataclasses
import importlib
import multiprocessing
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
COPIED = ("xpm_ce", "tests", "benchmarks", "docs", "experiments", "pyproject.toml", "README.md", "Makefile")
SECONDS = 300
"""After which a test that does not end is stopped; it counts as an error, not as red"""
LOADED_ONCE = (
    "torch", "experimaestro", "hypothesis", "transformers.models.bert.modeling_bert",
    "transformers.models.modernbert.modeling_modernbert",
)  # fmt: skip
"""What most of the tests import, which takes seconds"""
PASSED, FAILED = 0, 1
"""Exit codes of pytest; others say that the test was not run"""


@dataclasses.dataclass(frozen=True)
class Mutant:
    """One breakage: in `file`, `old` becomes `new`, and `test` must see it."""

    name: str
    file: str
    old: str
    new: str
    test: str


MUTANTS = [
    # -- losses
    Mutant(
        "RankNET: the sign of a difference",
        "losses/distill_ranknet.py",
        "softplus(scores.unsqueeze(1) - scores.unsqueeze(2))",
        "softplus(scores.unsqueeze(2) - scores.unsqueeze(1))",
        "tests/unit/test_losses.py::test_ranknet_by_hand",
    ),
    Mutant(
        "MarginMSE: each pair against itself the other way round",
        "losses/margin_mse.py",
        "(errors.unsqueeze(2) - errors.unsqueeze(1)).square()",
        "(errors.unsqueeze(2) + errors.unsqueeze(1)).square()",
        "tests/unit/test_losses.py::test_margin_mse_by_hand",
    ),
    Mutant(
        "InfoNCE: padding is a negative",
        "losses/infonce.py",
        "negative = ~positive & mask",
        "negative = ~positive",
        "tests/unit/test_losses.py::test_padding_changes_nothing_whatever_it_holds",
    ),
    Mutant(
        "Losses: a mean over terms instead of queries",
        "losses/reduction.py",
        "return sum_over_queries(terms, counted) / counted_queries(counted).clamp(min=1)",
        "return terms.masked_fill(~counted, 0.0).sum() / counted.sum().clamp(min=1)",
        "tests/unit/test_losses.py::test_a_long_group_weighs_as_much_as_a_short_one",
    ),
    # -- what the model reads
    Mutant(
        "Pairs: the beginning of a document is cut, not its end",
        "tokens/pairs.py",
        "ids[positions(at, kept)] = texts.values[positions(texts.starts, kept)]",
        "ids[positions(at, kept)] = texts.values[positions(texts.starts + texts.lengths - kept, kept)]",
        "tests/unit/test_pairs.py::test_ids_and_types_are_the_tokenizer_s_own_whenever_the_query_is_within_its_limit",
    ),
    Mutant(
        "Pairs: the separator after the query has the document's token type",
        "tokens/pairs.py",
        "before, query, between, document, after = self._template.types",
        "before, query, between, document, after = self._template.types; between = between * 0 + document",
        "tests/unit/test_pairs.py::test_ids_and_types_are_the_tokenizer_s_own_whenever_the_query_is_within_its_limit",
    ),
    Mutant(
        "Token store: a document has the tokens of the one after it",
        "tokens/stored_tokens.py",
        "return Ragged(self._ids, starts, self._offsets[np.asarray(rows) + 1] - starts)",
        "return Ragged(self._ids, self._offsets[np.asarray(rows) + 1], self._offsets[np.asarray(rows) + 1] - starts)",
        "tests/unit/test_token_store.py::test_every_document_has_the_ids_of_its_tokenizer",
    ),
    # -- the engine
    Mutant(
        "Batches: scores come back in the order of lengths",
        "engine/scoring.py",
        "scores[order] = ",
        "scores[np.sort(order)] = ",
        "tests/parity/test_backbones.py::test_scores_of_random_lengths_are_those_of_transformers_in_any_batches",
    ),
    Mutant(
        "Pack: positions go on from one sequence to the next",
        "engine/padding.py",
        "torch.from_numpy(positions(np.zeros_like(lengths), lengths))",
        "torch.arange(int(lengths.sum()))",
        "tests/parity/test_packed.py::test_scores_of_random_lengths_are_those_of_the_padded_model_and_of_transformers_alone",
    ),
    Mutant(
        "Attention: a local window is one token too wide",
        "engine/attention.py",
        "distance.abs() > self.reach",
        "distance.abs() > self.reach + 1",
        "tests/parity/test_packed.py::test_attention_over_a_pack_is_that_of_each_sequence_with_a_dense_mask",
    ),
    Mutant(
        "ModernBERT: rotations turn the other way",
        "scorers/packed/rotary.py",
        "torch.mul(first, cosines, out=one).addcmul_(second, sines, value=-1)",
        "torch.mul(first, cosines, out=one).addcmul_(second, sines)",
        "tests/parity/test_packed.py::test_scores_of_random_lengths_are_those_of_the_padded_model_and_of_transformers_alone",
    ),
    Mutant(
        "Dropout: the same masks in every step",
        "engine/dropout.py",
        'f"dropout:{seed}:{step}"',
        'f"dropout:{seed}"',
        "tests/unit/test_learn.py::test_masks_of_other_steps_places_and_neighbours_have_nothing_in_common",
    ),
    Mutant(
        "Dropout: masks depend on the place in the batch",
        "learn/step.py",
        "keys[torch.from_numpy(batch)].to(self._device)",
        "keys[: len(batch)].to(self._device)",
        "tests/unit/test_learn.py::test_a_step_in_many_batches_has_the_gradient_of_one_batch_with_dropout_active",
    ),
    Mutant(
        "Gradient: a list beyond the budget is scored in its second pass with the slopes of other documents",
        "learn/step.py",
        "backward(slopes[torch.from_numpy(batch)])",
        "backward(slopes[: len(batch)])",
        "tests/unit/test_learn.py::test_a_step_in_many_batches_has_the_gradient_of_one_batch_with_dropout_active",
    ),
    # -- who meets whom
    Mutant(
        "Samplers: documents are drawn with replacement",
        "samplers/randomness.py",
        "moved[other] = moved.get(position, position)",
        "pass",
        "tests/unit/test_samplers.py::test_a_draw_has_distinct_numbers_in_range",
    ),
    Mutant(
        "Samplers: every epoch has the order of the first",
        "samplers/steps.py",
        'shuffled(len(self), self._seed, epoch, "order")',
        'shuffled(len(self), self._seed, 0, "order")',
        "tests/unit/test_samplers.py::test_every_epoch_has_its_own_order",
    ),
    Mutant(
        "Samplers: a document judged not relevant is a negative",
        "samplers/groups.py",
        "negatives = ((labels == UNJUDGED) & complete).nonzero()[0]",
        "negatives = ((labels <= 0) & complete).nonzero()[0]",
        "tests/unit/test_samplers.py::test_a_judged_document_is_never_a_negative",
    ),
    Mutant(
        "Mining: a masked document comes back as a random negative",
        "data/groups.py",
        "excluded={*grades, *window, *masked},",
        "excluded={*grades, *window},",
        "tests/unit/test_published_formats.py::test_a_masked_document_is_no_random_negative_either",
    ),
    Mutant(
        "Mining: a margin above a relevant document instead of below it",
        "data/groups.py",
        "highest = min(relevant) - margin",
        "highest = min(relevant) + margin",
        "tests/unit/test_published_formats.py::test_negatives_that_the_teacher_finds_as_good_as_a_positive_are_masked",
    ),
    Mutant(
        "Triples: the documents change places",
        "data/triple_rows.py",
        'documents.of(block, "positive"),\n        documents.of(block, "negative"),',
        'documents.of(block, "negative"),\n        documents.of(block, "positive"),',
        "tests/unit/test_triples.py::test_a_triple_is_a_line_of_three_ids_and_repeated_lines_are_kept",
    ),
    # -- how it is trained
    Mutant(
        "Schedule: warm-up is one step ahead",
        "learn/schedules.py",
        "return step / course.warmup_steps if",
        "return (step + 1) / course.warmup_steps if",
        "tests/unit/test_schedules.py::test_the_linear_schedule_is_that_of_transformers",
    ),
    Mutant(
        "Optimisation: each group of weights has a gradient norm of its own",
        "learn/optimisation.py",
        "return float(nn.utils.clip_grad_norm_(self.weights, self._largest))",
        "clip = nn.utils.clip_grad_norm_; groups = self._optimiser.param_groups; "
        'return max(float(clip(each["params"], self._largest)) for each in groups)',
        "tests/parity/test_learner_parity.py::test_twenty_steps_give_the_weights_of_a_plain_loop",
    ),
    Mutant(
        "Optimisation: biases and norms decay",
        "learn/optimisation.py",
        '"weight_decay": 0.0}',
        '"weight_decay": weight_decay}',
        "tests/unit/test_learn.py::test_biases_and_norms_do_not_decay",
    ),
    Mutant(
        "Resuming: the optimiser begins anew",
        "learn/state.py",
        'optimisation.restore(self.tensors["optimiser"])',
        "pass",
        "tests/unit/test_learn.py::test_a_training_interrupted_again_and_again_ends_with_the_same_weights",
    ),
    Mutant(
        "Resuming: checksums are not looked at",
        "learn/state.py",
        "if found[name] != written.get(name):",
        "if False:",
        "tests/unit/test_state.py::test_a_damaged_state_is_reported_kept_aside_and_the_one_before_it_used",
    ),
    Mutant(
        "Continuation: from a state within the decay of the shorter training",
        "learn/schedules.py",
        '"wsd": Schedule(warm_up_stable_decay, lambda course: course.steps - course.decay_steps, decays=True)',
        '"wsd": Schedule(warm_up_stable_decay, lambda course: course.steps, decays=True)',
        "tests/unit/test_schedules.py::test_a_longer_training_begins_with_the_steps_in_common",
    ),
    Mutant(
        "Validation: a tie goes to the later step",
        "learn/loop.py",
        "better = mean > self.position.best_mean",
        "better = mean >= self.position.best_mean",
        "tests/unit/test_validation.py::test_the_best_current_mean_is_kept_not_the_last_record_of_a_set",
    ),
    Mutant(
        "Early stopping: one validation late",
        "learn/loop.py",
        "return 0 < self.task.patience <= self.position.validations_since_best",
        "return 0 < self.task.patience < self.position.validations_since_best",
        "tests/unit/test_validation.py::test_a_training_stops_after_enough_validations_without_a_new_best",
    ),
    Mutant(
        "Processes: each goes on with its own share of the gradient",
        "learn/processes.py",
        "distributed.all_reduce(flat, group=self._gradients)",
        "pass",
        "tests/unit/test_processes.py::test_two_processes_give_the_losses_and_weights_of_one_with_dropout_active",
    ),
    Mutant(
        "Collapse: one query with level scores is enough",
        "learn/collapse.py",
        "return bool((highest - lowest <= torch.clamp(RELATIVE * largest, min=ABSOLUTE)).all())",
        "return bool((highest - lowest <= torch.clamp(RELATIVE * largest, min=ABSOLUTE)).any())",
        "tests/unit/test_collapse.py::test_scores_are_level_where_no_query_has_two_that_differ_by_more_than_rounding",
    ),
    # -- how it is judged
    Mutant(
        "Re-ranking: the worst document first",
        "evaluate/reranking.py",
        'order = np.argsort(-scores, kind="stable")',
        'order = np.argsort(scores, kind="stable")',
        "tests/unit/test_reranking.py::test_documents_are_ordered_by_score_and_ties_by_the_rank_of_the_first_stage",
    ),
    Mutant(
        "Re-ranking: ties against the rank of the first stage",
        "evaluate/reranking.py",
        'order = np.argsort(-scores, kind="stable")',
        "order = np.lexsort((-np.arange(len(scores)), -scores))",
        "tests/unit/test_reranking.py::test_documents_are_ordered_by_score_and_ties_by_the_rank_of_the_first_stage",
    ),
    Mutant(
        "Runs: ties in ascending order of document ids",
        "measures/rankings.py",
        "key=documents.__getitem__, reverse=True)",
        "key=documents.__getitem__)",
        "tests/unit/test_measures.py::test_trec_order_breaks_ties_by_descending_document_id",
    ),
    Mutant(
        "Re-ranking: one document twice and another not at all",
        "evaluate/reranking.py",
        "or set(ranking.documents) != set(candidates)",
        "or set(ranking.documents) > set(candidates)",
        "tests/unit/test_rerank_job.py::test_what_is_not_the_first_stages_set_is_refused",
    ),
    Mutant(
        "Re-ranking: what was scored before an interruption is not counted",
        "evaluate/reranking.py",
        "done = resumed\n",
        "done = ShardCounts()\n",
        "tests/unit/test_rerank_job.py::test_a_killed_job_goes_on_from_its_finished_shards_with_equal_results",
    ),
    Mutant(
        "Measuring: a depth without its last rank",
        "evaluate/measuring.py",
        "ranks[positions] <= depth",
        "ranks[positions] < depth",
        "tests/unit/test_measuring.py::test_every_depth_and_order_has_the_values_that_it_has_alone",
    ),
    Mutant(
        "Bpref: the larger of the two bounds",
        "measures/formulas.py",
        "np.minimum(others, relevant)",
        "np.maximum(others, relevant)",
        "tests/parity/test_trec_eval.py::test_every_digit_that_trec_eval_prints_is_printed",
    ),
    Mutant(
        "Verify: a cell of which a seed is missing is compared",
        "analysis/verify.py",
        "    if planned:\n",
        "    if planned and not there:\n",
        "tests/unit/test_verify.py::test_a_cell_of_which_a_seed_is_not_there_is_not_run",
    ),
    Mutant(
        "Verify: whatever is above a published number reproduces it",
        "analysis/verify.py",
        "abs(value - published) <=",
        "published - value <=",
        "tests/unit/test_verify.py::test_a_number_outside_its_tolerance_deviates_with_the_fields_that_differ",
    ),
    Mutant(
        "Plots: the baseline of a forest is compared with itself",
        "analysis/plots/forest.py",
        "(each.system, each.coordinates) != itself",
        "each.name != baseline.name",
        "tests/unit/test_plots.py::test_a_forest_has_scipys_intervals_and_p_values",
    ),
    # -- what was seen
    Mutant(
        "Ledger: a document that was cut is not counted",
        "learn/counts.py",
        "documents_truncated=int(document.sum()),",
        "documents_truncated=int((document & query).sum()),",
        "tests/unit/test_ledger.py::test_the_ledger_counts_what_was_really_in_the_steps",
    ),
    Mutant(
        "Comparison: a training set of other parameters is the same",
        "analysis/differences.py",
        "if (left.identity, right.identity) in compared or left.identity == right.identity:",
        "if (left.identity, right.identity) in compared or left.type == right.type != 'Learner':",
        "tests/unit/test_fair.py::test_other_negatives_another_budget_and_another_sampler_are_listed",
    ),
    # -- protocols, data, SPLADE
    Mutant(
        "Protocols: an average over the sets that there are",
        "protocols/registry.py",
        "if set(sets) <= set(ids):",
        "if set(sets) & set(ids):",
        "tests/unit/test_protocols.py::test_averages_are_those_that_are_complete_over_one_first_stage_at_one_depth",
    ),
    Mutant(
        "Protocols: the last depth is scored, not the largest",
        "graph/build.py",
        "max(deepest.get(_identity(prepared.run), 0), *prepared.depths)",
        "max(prepared.depths)",
        "tests/unit/test_protocol_plans.py::test_two_depths_of_one_first_stage_are_scored_once_and_measured_apart",
    ),
    Mutant(
        "Data: what nothing downloads is left to fail at night",
        "data/need.py",
        "if not need.downloadable:",
        "if not need.downloadable and offline():",
        "tests/unit/test_needs.py::test_robust04_is_blocked_whatever_the_network_and_says_where_to_put_it",
    ),
    Mutant(
        "SPLADE: padding is read",
        "firststage/encoding.py",
        "logits.masked_fill_(padding, -torch.inf).amax(dim=1)",
        "logits.amax(dim=1)",
        "tests/unit/test_splade.py::test_weights_are_those_of_the_definition_whatever_the_batch",
    ),
    Mutant(
        "SPLADE: an index that goes on adds a document again",
        "firststage/splade_jobs.py",
        "if row >= indexed:",
        "if row >= indexed - 1:",
        "tests/unit/test_splade.py::test_an_interrupted_index_goes_on_and_ends_the_same",
    ),
    # -- statistics and tables
    Mutant(
        "t-test: one degree of freedom too many",
        "analysis/statistics/paired.py",
        "special.stdtr(queries - 1,",
        "special.stdtr(queries,",
        "tests/unit/test_statistics.py::test_the_t_test_of_many_systems_is_scipys_on_each",
    ),
    Mutant(
        "Randomisation: what was seen does not count",
        "analysis/statistics/paired.py",
        "return (extreme + 1) / (draws + 1)",
        "return extreme / draws",
        "tests/unit/test_statistics.py::test_p_is_never_zero_where_draws_are_taken",
    ),
    Mutant(
        "Holm: a step may go down again",
        "analysis/statistics/families.py",
        "np.maximum.accumulate(steps) if len(steps) else steps",
        "steps",
        "tests/unit/test_statistics.py::test_corrections_are_those_of_r",
    ),
    Mutant(
        "Bootstrap: skewness six times too large",
        "analysis/statistics/intervals.py",
        "(6 * (centred**2).sum() ** 1.5)",
        "((centred**2).sum() ** 1.5)",
        "tests/unit/test_statistics.py::test_the_bootstrap_is_scipys_draw_for_draw",
    ),
    Mutant(
        "Frames: a missing query counts as found",
        "analysis/statistics/frames.py",
        "aligned, absent = np.zeros(",
        "aligned, absent = np.ones(",
        "tests/unit/test_statistics.py::test_missing_queries_count_as_zero_and_are_listed",
    ),
    Mutant(
        "Tables: a mean over protocols of what happens to be there",
        "analysis/cells.py",
        "if cell is not None and cell.complete]",
        "if cell is not None and cell.values]",
        "tests/unit/test_tables.py::test_a_mean_over_protocols_is_there_only_where_every_one_is_complete",
    ),
    Mutant(
        "Tables: two baselines are compared with each other twice",
        "analysis/significance.py",
        "*sorted((self.row, self.baseline))",
        "self.row, self.baseline",
        "tests/unit/test_significance.py::test_two_baselines_are_compared_with_each_other_once",
    ),
    # -- plan and clean
    Mutant(
        "reasons: what is below a configuration of another class is told too",
        "graph/changes.py",
        "        if _below(path, replaced):\n            continue\n        if path",
        "        if path",
        "tests/unit/test_changes.py::test_what_is_below_a_configuration_of_another_class_follows_from_the_class",
    ),
    Mutant(
        "reasons: an input that must run is compared with itself",
        "graph/nearest.py",
        "self._stands_for.get(identity, identity)",
        "identity",
        "tests/unit/test_nearest.py::test_an_input_that_must_run_is_as_near_to_others_as_the_finished_one_that_it_comes_from",
    ),
    Mutant(
        "costs: loading libraries grows with the work",
        "graph/costs.py",
        "each.spent.seconds - each.spent.scaled + each.spent.scaled * work / each.work",
        "each.spent.seconds * work / each.work",
        "tests/unit/test_costs.py::test_what_grows_with_the_work_is_scaled_and_the_rest_is_not",
    ),
    Mutant(
        "plan: what a pruned job needs stays pruned",
        "graph/planner.py",
        "            if job.state is State.RUN:\n                for identity in job.depends_on:",
        "            if job.state is State.RUN and job.reason.why is not Why.PRUNED:\n"
        "                for identity in job.depends_on:",
        "tests/unit/test_pruned_plans.py::test_what_a_pruned_job_needs_to_run_again_runs_again_too",
    ),
    Mutant(
        "clean: weights go when anything that hangs off a learner is done",
        "graph/cleaning.py",
        "return all(self.settled(each)",
        "return any(self.settled(each)",
        "tests/unit/test_cleaning.py::test_another_plan_that_waits_for_a_learner_keeps_its_weights",
    ),
    Mutant(
        "clean: what a running job names may go",
        "graph/cleaning.py",
        "found.update(re.findall(",
        "print(re.findall(",
        "tests/unit/test_cleaning.py::test_nothing_that_a_running_job_uses_is_freed",
    ),
    # -- export and neighbours
    Mutant(
        "export: sentence-transformers is told to apply a sigmoid",
        "publish/side_files.py",
        'ACTIVATION = "torch.nn.modules.linear.Identity"',
        'ACTIVATION = "torch.nn.modules.activation.Sigmoid"',
        "tests/unit/test_export.py::test_an_export_can_be_exported_again",
    ),
    Mutant(
        "export: a library that scores otherwise is let pass",
        "publish/parity.py",
        "if not difference <= allowed:",
        "if difference < 0:",
        "tests/parity/test_export_parity.py::test_scores_that_differ_are_not_exported",
    ),
    Mutant(
        "export: a checkpoint is not compared with what the training wrote",
        "publish/source.py",
        "if file_sha256(folder / name) != sha256:",
        "if not sha256:",
        "tests/unit/test_export.py::test_a_checkpoint_that_is_not_what_the_training_wrote_is_refused",
    ),
    Mutant(
        "export: a folder that holds something is replaced",
        "publish/export.py",
        "    check_free(folder)\n    with torch",
        "    with torch",
        "tests/unit/test_export.py::test_a_folder_that_holds_something_is_not_replaced",
    ),
    Mutant(
        "card: results of another rule are quoted",
        "publish/pairs.py",
        "_rule(folder) == (source.learner.job.identity, source.rule)",
        "_rule(folder) is not None",
        "tests/unit/test_evidence.py::test_results_of_another_rule_are_not_quoted",
    ),
    Mutant(
        "loading: a folder without a tokenizer gets an empty one",
        "scorers/weights.py",
        "    loaded_files(folder)  # transformers",
        "    # transformers",
        "tests/unit/test_export.py::test_a_damaged_or_incomplete_folder_is_refused_and_nothing_is_left",
    ),
    Mutant(
        "timing: texts that were met before are not tokenised again",
        "evaluate/timing.py",
        "    scorer.encoder.forget()\n",
        "",
        "tests/unit/test_efficiency.py::test_no_text_is_found_among_those_that_were_tokenised_before",
    ),
    Mutant(
        "TensorBoard: a step that is computed again is shown twice",
        "learn/scalars.py",
        "purge_step=step + 1",
        "purge_step=None",
        "tests/unit/test_scalars.py::test_they_are_the_curve_each_step_once_although_the_training_was_interrupted",
    ),
    # -- launch
    Mutant(
        "A job that another run has finished is started again",
        "launch/sharing.py",
        'if not self._job.with_suffix(".done").exists() and not await',
        "if not await",
        "tests/unit/test_job_locks.py::test_a_job_that_ended_well_meanwhile_is_not_started_again",
    ),
    Mutant(
        "Slots: the largest priority first",
        "launch/slots.py",
        "_Waiting(priority, order,",
        "_Waiting(-priority, order,",
        "tests/unit/test_slots.py::test_a_smaller_priority_goes_first_then_the_earlier_request",
    ),
    Mutant(
        "Slurm before the local machine",
        "launch/placement.py",
        "(LOCAL, *launchers.partitions)",
        "(*launchers.partitions, LOCAL)",
        "tests/unit/test_placement.py::test_the_first_machine_that_has_what_a_kind_needs_takes_it_the_local_one_before_others",
    ),
]


class Unusable(Exception):
    """A breakage that cannot be applied, or a test that cannot be run."""


def run_tests(folder: Path, tests: list[str]) -> tuple[int, str]:
    """pytest's exit code, and its output, in a fork of this process, which has loaded the libraries already."""
    output = folder / "output.txt"
    process = multiprocessing.get_context("fork").Process(target=_fork, args=(folder, tests, output))
    process.start()
    process.join(SECONDS)
    if process.is_alive():
        process.kill()
        raise Unusable(f"{' '.join(tests)} did not end within {SECONDS} s")
    return process.exitcode or 0, output.read_text(encoding="utf-8")


def _fork(folder: Path, tests: list[str], output: Path) -> None:
    """Run tests on the copy in a folder, and exit with pytest's code."""
    with open(output, "w", encoding="utf-8") as stream:
        for descriptor in (1, 2):
            os.dup2(stream.fileno(), descriptor)
    os.chdir(folder)
    sys.path[0] = os.environ["PYTHONPATH"] = str(folder)
    code = pytest.main(["-q", "-x", "--no-header", *tests])
    sys.stdout.flush()
    os._exit(code)


def check(mutant: Mutant, folder: Path) -> bool:
    """Whether the named test sees the breakage; the copy is whole again afterwards."""
    file = folder / "xpm_ce" / mutant.file
    whole = file.read_text(encoding="utf-8")
    if whole.count(mutant.old) != 1:
        raise Unusable(f"{mutant.name}: {mutant.file} holds {whole.count(mutant.old)} times {mutant.old!r}")
    try:
        file.write_text(whole.replace(mutant.old, mutant.new), encoding="utf-8")
        code, output = run_tests(folder, [mutant.test])
    finally:
        file.write_text(whole, encoding="utf-8")
    if code not in (PASSED, FAILED):
        raise Unusable(f"{mutant.name}: pytest exits with {code}\n{output}")
    return code == FAILED


def say(line: str) -> None:
    """Print a line at once: a run takes minutes."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main(names: list[str]) -> int:
    """Run the breakages and print a line for each; gives the exit code."""
    # Python looks at a source's size and second of change only: a file of bytecode might hide a breakage.
    os.environ["PYTHONDONTWRITEBYTECODE"], sys.dont_write_bytecode = "1", True
    os.environ["OMP_NUM_THREADS"] = "1"
    for library in LOADED_ONCE:
        importlib.import_module(library)
    assert "xpm_ce" not in sys.modules
    mutants = [each for each in MUTANTS if not names or any(name.lower() in each.name.lower() for name in names)]
    survivors = 0
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for name in COPIED:
            source = ROOT / name
            ignored = shutil.ignore_patterns("__pycache__")
            (shutil.copytree(source, folder / name, ignore=ignored) if source.is_dir() else shutil.copy(source, folder))
        try:
            code, output = run_tests(folder, sorted({each.test for each in mutants}))
            if code != PASSED:
                raise Unusable(f"the named tests are not green on the whole package\n{output}")
            for mutant in mutants:
                started = time.monotonic()
                red = check(mutant, folder)
                survivors += not red
                verdict = f"{'red' if red else 'SURVIVED':<8} {time.monotonic() - started:5.1f} s"
                say(f"{verdict}  {mutant.name}\n{'':18}{mutant.test.rpartition('::')[2]}")
        except Unusable as error:
            say(f"Error: {error}")
            return 2
    say(f"{len(mutants) - survivors} of {len(mutants)} breakages turn their test red")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
