"""The generated collection: the same on every machine, honest splits, words that stay apart, room above BM25."""

import json
import math
import re
import statistics

import numpy as np
import pytest
from fixtures.in_process import InProcess, identity
from hypothesis import given, settings
from hypothesis import strategies as st
from impact_index import get_stop_words

from xpm_ce.data import generator
from xpm_ce.data.draws import Draws
from xpm_ce.data.generated import GOLDEN, Generate, Generated, GeneratedTeacher
from xpm_ce.data.generated_files import write_collection
from xpm_ce.data.overlap import overlap
from xpm_ce.data.runs import Run
from xpm_ce.data.store import StoreDocuments
from xpm_ce.errors import ConfigurationError, DataError
from xpm_ce.firststage.bm25_index import Bm25Index
from xpm_ce.firststage.retrieve import Retrieve

SMALL = dict(documents=60, train_queries=8, validation_queries=4, test_queries=5, concepts=9, topics=3, homonym_pairs=2)
SEEDS = sorted(GOLDEN)


@pytest.fixture(scope="module")
def submit(tmp_path_factory):
    return InProcess(tmp_path_factory.mktemp("workspace"))


@pytest.fixture(scope="module")
def worlds(submit):
    """Parts and first-stage run of the default collection, by seed."""
    worlds = {}
    for seed in SEEDS:
        parts = Generated.C(seed=seed).prepare(submit)
        store = submit(StoreDocuments.C(documents=parts.documents))
        index = submit(Bm25Index.C(store=store))
        run = submit(Retrieve.C(index=index, queries=parts.queries("test"), depth=100))
        worlds[seed] = parts, index, run.instance().read()
    return worlds


def ndcg_at_10(documents, grades):
    gains = [grades.get(document, 0) for document in documents[:10]]
    best = sorted(grades.values(), reverse=True)[:10]
    discounted = [sum(gain / math.log2(rank + 2) for rank, gain in enumerate(each)) for each in (gains, best)]
    return discounted[0] / discounted[1]


@pytest.mark.parametrize("seed", SEEDS)
def test_the_content_is_the_golden_one(seed, submit, worlds):
    task = Generate.C(collection=Generated.C(seed=seed), sha256=GOLDEN[seed])
    folder = submit(task).instance()
    assert json.loads((folder.path / "manifest.json").read_text())["sha256"] == GOLDEN[seed]
    assert submit.ran.count("Generate") == len(SEEDS)  # `prepare` had asked for the same job


def test_another_content_than_the_golden_one_is_refused(tmp_path):
    with pytest.raises(DataError, match="generator differs on this machine"):
        write_collection(tmp_path / "collection", Generated.C(**SMALL).world(), expected="0" * 64)
    assert not (tmp_path / "collection").exists()


@pytest.mark.parametrize("seed", SEEDS)
def test_bm25_finds_something_and_leaves_room(seed, worlds):
    parts, _, run = worlds[seed]
    qrels = parts.qrels("test").instance().read()
    assert len(qrels) == 100
    shuffles = np.random.default_rng(seed)
    bm25, oracle, chance = [], [], []
    for query_id, grades in qrels.items():
        documents = run[query_id].documents
        bm25.append(ndcg_at_10(documents, grades))
        oracle.append(ndcg_at_10(sorted(documents, key=lambda document: -grades.get(document, 0)), grades))
        chance += [ndcg_at_10(list(shuffles.permutation(documents)), grades) for _ in range(10)]
    assert 0.30 <= statistics.mean(bm25) <= 0.60
    assert statistics.mean(bm25) >= 2.5 * statistics.mean(chance)
    assert statistics.mean(oracle) >= 0.80


@pytest.mark.parametrize("seed", SEEDS)
def test_no_two_words_have_one_stem_and_none_is_a_stop_word(seed, worlds):
    parts, index, _ = worlds[seed]
    from impact_index import TextAnalyzer

    analyser = TextAnalyzer.from_index(str(index.path))
    words = {word for record in parts.documents.instance().records() for word in record.text.split()}
    assert len(words) > 100
    terms = {word: tuple(analyser.analyze_query(word)) for word in words}
    assert all(len(term) == 1 for term in terms.values())
    assert len(set(terms.values())) == len(words)
    assert not words.intersection(get_stop_words("english"))


def test_texts_look_like_text(worlds):
    texts = [record.text for record in worlds[0][0].documents.instance().records()]
    assert all(re.fullmatch(r"([a-z]{4,} ){11}[a-z]{4,}", text) for text in texts)


@pytest.mark.parametrize("seed", SEEDS)
def test_splits_share_no_pair_of_concepts_and_no_text(seed, worlds):
    world = Generated.C(seed=seed).world()
    queries = generator.draw_queries(world, generator.vocabulary(world))
    pairs = {split: {frozenset((q.main, q.side)) for q in drawn} for split, drawn in queries.items()}
    assert {split: len(drawn) for split, drawn in queries.items()} == {"train": 400, "validation": 40, "test": 100}
    assert not pairs["train"] & pairs["test"]
    assert not pairs["train"] & pairs["validation"]
    assert not pairs["validation"] & pairs["test"]
    parts = worlds[seed][0]
    texts = {split: parts.queries(split).instance().read() for split in parts.splits()}
    assert {split: len(read) for split, read in texts.items()} == {"train": 400, "validation": 40, "test": 100}
    assert overlap(texts["train"], texts["test"]).shared_train_queries == 0
    assert len({text for read in texts.values() for text in read.values()}) == 540


def test_every_grade_is_given_and_follows_relevance(worlds):
    grades = [g for judged in worlds[0][0].qrels("test").instance().read().values() for g in judged.values()]
    counts = [grades.count(grade) for grade in (1, 2, 3)]
    assert min(counts[:2]) > 1000
    assert counts[2] > 10
    relevance = np.array([0, 3_999, 4_000, 6_499, 6_500, 8_499, 8_500, 10_000])
    assert generator.grades(relevance).tolist() == [0, 0, 1, 1, 2, 2, 3, 3]


def test_relevance_saturates_and_weighs_the_main_concept_more():
    mentions = np.array([[4, 0], [5, 0], [0, 4], [3, 2], [1, 1], [0, 0]])
    documents = generator.GeneratedDocuments(["x"] * 6, mentions)
    relevance = generator.relevance(documents, generator.GeneratedQuery("q", "", main=0, side=1))
    # .65 sat(main) + .35 sat(side) with sat(0..4) = 0, .15, .4, .7, 1
    expected = [0.65, 0.65, 0.35, 0.65 * 0.7 + 0.35 * 0.4, 0.15, 0.0]
    assert relevance.tolist() == [round(10_000 * value) for value in expected]


def test_the_teacher_is_noisy_but_right_on_average(worlds):
    world = Generated.C().world()
    words = generator.vocabulary(world)
    documents = generator.draw_documents(world, words)
    errors = []
    for query in generator.draw_queries(world, words)["train"][:50]:
        truth, scores = generator.relevance(documents, query), generator.teacher_scores(world, documents, query)
        assert list(scores.values()) == sorted(scores.values(), reverse=True)
        errors += [(score - truth[row]) / generator.ONE for row, score in scores.items()]
    # 45 000 draws: the mean is within 4 standard errors of 0, and the deviation within 2 % of what was asked for
    assert len(errors) == 45_000
    assert abs(statistics.mean(errors)) < 4 * 0.12 / math.sqrt(len(errors))
    assert statistics.stdev(errors) == pytest.approx(0.12, rel=0.02)


def test_the_teacher_is_a_run_over_the_training_queries_only(worlds):
    parts = worlds[0][0]
    teacher = parts.teacher("train")
    assert isinstance(teacher, GeneratedTeacher)
    assert isinstance(teacher, Run)
    rankings = teacher.instance().read()
    assert list(rankings) == list(parts.queries("train").instance().read())
    assert {len(ranking.documents) for ranking in rankings.values()} == {900}
    assert parts.teacher("test") is None


def test_the_teacher_scores_as_many_other_documents_as_it_is_told(tmp_path):
    world = Generated.C(**SMALL, teacher_others=3).world()
    documents = generator.draw_documents(world, generator.vocabulary(world))
    query = generator.draw_queries(world, generator.vocabulary(world))["train"][0]
    shares = documents.mentions[:, [query.main, query.side]].any(axis=1)
    scored = generator.teacher_scores(world, documents, query)
    assert sum(shares[row] for row in scored) == shares.sum()
    assert sum(not shares[row] for row in scored) == 3


def test_triples_have_a_good_and_a_bad_document(worlds, submit):
    parts = worlds[0][0]
    qrels = parts.qrels("train").instance().read()
    triples = [line.split("\t") for line in (parts.folder.path / "triples" / "train.tsv").read_text().splitlines()]
    assert len(triples) == 400 * 8
    assert all(qrels[query][good] >= 2 and bad not in qrels[query] for query, good, bad in triples)


def test_parts_differ_in_identity_and_a_size_changes_all_of_them(submit):
    def parts_of(**sizes):
        parts = Generated.C(**{**SMALL, **sizes}).prepare(submit)
        configs = [parts.documents, parts.teacher("train")]
        configs += [config for split in parts.splits() for config in (parts.queries(split), parts.qrels(split))]
        return [identity(config) for config in configs]

    assert len(set(parts_of())) == len(parts_of()) == 8
    assert parts_of() == parts_of(seed=0)
    assert not set(parts_of()) & set(parts_of(seed=3))
    assert not set(parts_of()) & set(parts_of(documents=61))


def test_a_changed_file_is_refused_when_it_is_read(submit):
    parts = Generated.C(**SMALL, seed=7).prepare(submit)
    path = parts.folder.path / "qrels" / "test.tsv"
    path.write_text(path.read_text().replace("\t1\n", "\t2\n", 1))
    with pytest.raises(DataError, match="is not the one that was generated"):
        parts.qrels("test").instance().read()


def test_an_unknown_split_names_those_there_are(submit):
    with pytest.raises(ConfigurationError, match="Splits here: test, train, validation"):
        Generated.C(**SMALL).prepare(submit).queries("dev")


@pytest.mark.parametrize(
    ("sizes", "fault"),
    [
        ({"train_queries": 10_000}, "10009 queries need 5005 pairs of concepts, but 9 concepts have 36"),
        ({"concepts": 2}, "2 concepts have 1"),
        ({"topics": 1}, "topics that differ"),
        ({"homonym_pairs": 4}, "4 homonym pairs for 9 concepts"),
        ({"document_words": 7}, "7 words do not hold 8 mentions"),
        ({"background_words": 0}, "no background word"),
        ({"documents": 0}, "no document"),
        ({"teacher_noise": -0.1}, "teacher_noise below 0"),
    ],
)
def test_sizes_that_do_not_go_together_are_refused(sizes, fault):
    with pytest.raises(ConfigurationError, match=fault):
        Generated.C(**{**SMALL, **sizes}).world()


def test_every_pair_of_concepts_can_be_used(tmp_path):
    sizes = {**SMALL, "train_queries": 60, "validation_queries": 6, "test_queries": 6, "background_words": 1}
    write_collection(tmp_path / "collection", Generated.C(**sizes).world())
    counts = json.loads((tmp_path / "collection" / "manifest.json").read_text())["counts"]
    assert counts["queries"] == {"train": 60, "validation": 6, "test": 6}


@settings(max_examples=30, deadline=None)
@given(
    st.fixed_dictionaries({
        "documents": st.integers(0, 30), "train_queries": st.integers(0, 30), "validation_queries": st.integers(0, 5),
        "test_queries": st.integers(0, 5), "concepts": st.integers(0, 9), "topics": st.integers(0, 9),
        "homonym_pairs": st.integers(0, 4), "background_words": st.integers(0, 3),
        "document_words": st.integers(0, 14), "teacher_others": st.integers(0, 40), "seed": st.integers(-3, 3),
    })
)  # fmt: skip
def test_any_sizes_are_made_in_full_or_refused(tmp_path_factory, sizes):
    folder = tmp_path_factory.mktemp("world") / "collection"
    try:
        write_collection(folder, Generated.C(**sizes).world())
    except ConfigurationError:
        assert not folder.exists()
    else:
        assert len((folder / "corpus.jsonl").read_text().splitlines()) == sizes["documents"]
        queries = sizes["train_queries"] + sizes["validation_queries"] + sizes["test_queries"]
        assert len((folder / "queries.jsonl").read_text().splitlines()) == queries


def test_draws_are_those_of_pcg64_on_every_machine():
    draws = Draws(0, "test")
    assert [draws.below(1000) for _ in range(5)] == [449, 714, 852, 518, 56]
    assert Draws(0, "test").shuffled(range(6)) != Draws(1, "test").shuffled(range(6))
    assert sorted(Draws(0, "test").shuffled(range(6))) == list(range(6))
    many = Draws(0, "many").many_below(7, 7_000)
    # 1000 of each expected, standard deviation 29: five deviations
    assert np.abs(np.bincount(many, minlength=7) - 1000).max() < 150
