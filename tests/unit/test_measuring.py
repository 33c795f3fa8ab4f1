"""What a Measure job leaves: every depth, order and measure at once, against a plain computation of each alone."""

import json

import numpy as np
import pytest
from fixtures.in_process import InProcess
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from xpm_ce.data.folder import Folder
from xpm_ce.data.runs import ExternalRun, Ranking, write_run
from xpm_ce.data.store import StoreDocuments
from xpm_ce.evaluate.measure import Measure
from xpm_ce.evaluate.measuring import RANDOM_ORDER_SEED
from xpm_ce.identity import file_sha256
from xpm_ce.measures.bounds import random_order
from xpm_ce.measures.evaluate import per_query
from xpm_ce.measures.names import sorted_unique
from xpm_ce.measures.table import Column, read_per_query

DOCUMENTS = [*"abcdef", "q1"]
QUERIES = ["q1", "q2", "q3"]
MEASURES = sorted_unique(["nDCG@2", "nDCG", "RR", "AP", "R(rel=2)@3", "Judged@2", "Bpref", "Rprec"])


@pytest.fixture(scope="module")
def collection(tmp_path_factory):
    """(folder of the collection, its store)."""
    folder = tmp_path_factory.mktemp("collection")
    (folder / "qrels").mkdir()
    for name, ids in (("corpus", DOCUMENTS), ("queries", QUERIES)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps({"_id": i, "text": i}) + "\n" for i in ids))
    (folder / "qrels" / "test.tsv").write_text("q1 0 a 1\n")
    submit = InProcess(tmp_path_factory.mktemp("stores"))
    return folder, submit(StoreDocuments.C(documents=Folder.C(path=folder).prepare(submit).documents))


def external(path, rankings):
    made = {query: Ranking(list(each), np.arange(len(each), 0, -1, np.float32)) for query, each in rankings.items()}
    write_run(path, made, "t")
    return ExternalRun.C(path=path, sha256=file_sha256(path))


def measured(collection, path, *, qrels, run, first_stage=None, **settings):
    """(table, summary) of a Measure job."""
    folder, store = collection
    (folder / "qrels" / "test.tsv").write_text(
        "".join(f"{query} 0 {document} {grade}\n" for query, each in qrels.items() for document, grade in each.items())
    )
    submit = InProcess(path / "workspace")
    task = Measure.C(
        run=external(path / "run", run), qrels=Folder.C(path=folder).prepare(submit).qrels("test"), store=store,
        first_stage=external(path / "first", first_stage) if first_stage is not None else None, measures=MEASURES,
        protocol="a set", **settings,
    )  # fmt: skip
    submit(task)
    (left,) = (path / "workspace").glob("jobs/xpm_ce.evaluate.measure/*")
    assert left.name == task.__identifier__().all.hex()
    table = read_per_query(left / "per_query.parquet")
    assert (table.protocol, table.identity) == ("a set", left.name)
    return table, json.loads((left / "summary.json").read_text())


def plainly(qrels, run, first_stage, *, depth, order, ignore_identical_ids):
    """The values of one depth and order, query by query, in the words of the definitions."""
    first_stage = first_stage if first_stage is not None else run
    rankings = {}
    for query, documents in run.items():
        before = first_stage.get(query, [])
        if ignore_identical_ids:
            documents, before = ([each for each in ids if each != query] for ids in (documents, before))
        shown = [document for document in documents if document in before[:depth]]
        if order == "ceiling":
            shown.sort(key=lambda document: -max(0, qrels.get(query, {}).get(document, 0)))
        if order == "random":
            shown = [shown[place] for place in random_order(shown, query, RANDOM_ORDER_SEED)]
        rankings[query] = Ranking(shown, np.arange(len(shown), 0, -1, np.float32))
    return per_query(rankings, qrels, MEASURES)


grades = st.dictionaries(st.sampled_from(DOCUMENTS), st.integers(-1, 3), min_size=1)
shown = st.permutations(DOCUMENTS).flatmap(lambda order: st.integers(1, 7).map(lambda size: order[:size]))


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    qrels=st.fixed_dictionaries({"q1": grades}, optional={"q2": grades, "q3": grades}),
    first=st.fixed_dictionaries({"q1": shown}, optional={"q2": shown, "q3": shown}),
    reranked=st.booleans(), ignored=st.booleans(), data=st.data(),
)  # fmt: skip
def test_every_depth_and_order_has_the_values_that_it_has_alone(
    collection, tmp_path_factory, qrels, first, reranked, ignored, data
):
    run = {query: data.draw(st.permutations(documents)) for query, documents in first.items()} if reranked else first
    table, summary = measured(
        collection, tmp_path_factory.mktemp("job"), qrels=qrels, run=run, first_stage=first if reranked else None,
        depths=[2, 5], bounds=True, ignore_identical_ids=ignored,
    )  # fmt: skip
    assert table.query_ids == list(qrels)
    means = {(mean["measure"], mean["depth"], mean["order"]): mean["mean"] for mean in summary["means"]}
    orders = ["given", "ceiling", "random"]
    assert table.columns == [Column(name, depth, order) for depth in (2, 5) for order in orders for name in MEASURES]
    for number, column in enumerate(table.columns):
        alone = plainly(
            qrels, run, first if reranked else None, depth=column.depth, order=column.order,
            ignore_identical_ids=ignored,
        )  # fmt: skip
        expected = alone.values[:, MEASURES.index(column.measure)]
        assert table.values[:, number].tolist() == expected.tolist(), column
        assert means[column] == pytest.approx(expected.mean(), rel=1e-15)
    assert summary["queries"] == len(qrels)
    assert summary["queries_without_result"] == alone.missing


def test_the_label_of_the_set_is_no_part_of_the_identity(collection):
    folder, store = collection
    task = {
        "run": ExternalRun.C(path=folder / "x", sha256="0" * 64), "store": store, "depths": [1], "measures": ["RR"],
        "qrels": Folder.C(path=folder).prepare(InProcess(folder)).qrels("test"),
    }  # fmt: skip
    one, other = Measure.C(protocol="dl19", **task), Measure.C(protocol="another name", **task)
    assert one.__identifier__().all == other.__identifier__().all
