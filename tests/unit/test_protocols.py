"""The registry of protocols: it is complete, agrees with the counts on record, and is what the documentation shows."""

import os
import re
from pathlib import Path

import pytest

from xpm_ce.data.registered import DATAMAESTRO, IR_DATASETS
from xpm_ce.errors import ConfigurationError, UnknownKeyError
from xpm_ce.measures import names
from xpm_ce.protocols.first_stages import FIRST_STAGES
from xpm_ce.protocols.judged_sets import JUDGED_SETS, ROWS
from xpm_ce.protocols.registry import AVERAGES, GROUPS, averages, every_protocol, protocols

PAGE = Path(__file__).parents[2] / "docs" / "protocols.md"

STUDY = {
    "msmarco-passage/dev/small": 6980, "msmarco-passage/trec-dl-2019/judged": 43,
    "msmarco-passage/trec-dl-2020/judged": 54, "beir/arguana": 1406, "beir/climate-fever": 1535,
    "beir/dbpedia-entity/test": 400, "beir/fever/test": 6666, "beir/fiqa/test": 648, "beir/hotpotqa/test": 7405,
    "beir/nfcorpus/test": 323, "beir/nq": 3452, "beir/quora/test": 10000, "beir/scidocs": 1000,
    "beir/scifact/test": 300, "beir/trec-covid": 50, "beir/webis-touche2020/v2": 49, "lotte/writing/test/search": 1071,
    "lotte/recreation/test/search": 924, "lotte/science/test/search": 617, "lotte/technology/test/search": 596,
    "lotte/lifestyle/test/search": 661, "disks45/nocr/trec-robust-2004": 250,
}  # fmt: skip
"""The 22 sets of arXiv 2603.03010 as its repository lists them, with their numbers of queries"""


def split_of(row):
    return IR_DATASETS[row.ir_datasets.collection].splits[row.ir_datasets.split]


def test_the_sets_of_the_study_are_those_of_the_paper():
    found = {split_of(JUDGED_SETS[name]).id: split_of(JUDGED_SETS[name]).queries for name in GROUPS["ce22"]}
    assert found == STUDY


def test_every_set_has_its_counts_on_record_in_both_libraries():
    for row in ROWS:
        ours = split_of(row)
        if row.datamaestro is None:
            assert row.note
            continue
        theirs = DATAMAESTRO[row.datamaestro.collection].splits[row.datamaestro.split]
        assert theirs.judgements == ours.judgements
        assert theirs.queries == ours.queries or "queries without judgement" in row.note


def test_measures_exist_are_spelt_canonically_and_keep_the_threshold_of_relevance():
    for row in ROWS:
        for name in row.measures:
            measure = names.parse(name)
            assert str(measure) == name
            assert not names.MEASURES[measure.name].takes_rel or measure.rel == row.relevance
        assert "nDCG@10" in row.measures  # so that averages over sets exist


def test_main_measures_are_those_of_the_field():
    main = {row.name: row.measures[0] for row in ROWS}
    assert main["msmarco-dev"] == "RR@10"
    assert {main[name] for name in GROUPS["lotte-search"]} == {"Success@5"}
    others = set(main) - set(GROUPS["lotte-search"]) - {"msmarco-dev"}
    assert {main[name] for name in others} == {"nDCG@10"}


def test_documents_that_are_the_query_are_left_out_of_beir_and_of_nothing_else():
    for row in ROWS:
        assert row.ignore_identical_ids == row.ir_datasets.collection.startswith(("beir/", "nano-beir/"))


def test_averages_hold_the_sets_that_papers_average():
    assert {name: len(sets) for name, sets in AVERAGES.items()} == {
        "ID": 3, "All 22": 22, "DL21-23": 3, "BEIR-13": 13, "LoTTE": 5, "OOD": 6, "NanoBEIR": 13,
    }  # fmt: skip
    assert set(AVERAGES["OOD"]) == {*AVERAGES["LoTTE"], "robust04"}
    assert set(AVERAGES["All 22"]) == {*AVERAGES["ID"], *AVERAGES["BEIR-13"], *AVERAGES["OOD"]}


def test_names_and_abbreviations_are_unique():
    for values in ([row.abbreviation for row in ROWS], [each.id for each in every_protocol()], [*JUDGED_SETS, *GROUPS]):
        assert len(values) == len(set(values))


def test_a_name_means_one_protocol_and_a_group_several():
    (one,) = protocols("dl19@splade-1000")
    assert (one.id, one.depth, one.first_stage.title, one.judged.relevance) == (
        "dl19@splade-1000", 1000, "SPLADE-v3-distilbert", 2,
    )  # fmt: skip
    assert [each.id for each in protocols("in-domain@bm25-100")] == [
        "msmarco-dev@bm25-100", "dl19@bm25-100", "dl20@bm25-100",
    ]  # fmt: skip


def test_every_protocol_is_found_by_its_name():
    found = list(every_protocol())
    assert len(found) == len(ROWS) * 4
    assert all(protocols(each.id) == [each] for each in found)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("scifakt@bm25-100", "unknown set of a protocol: scifakt\n  Did you mean scifact?"),
        ("dl19@bm52-100", "unknown first stage of a protocol: bm52\n  Did you mean bm25?"),
        ("dl19@bm25-50", "no protocol re-ranks 50 documents\n  Depths are 100 and 1000"),
        ("dl19", "'dl19' is not the name of a protocol\n  Write SET@FIRST_STAGE-DEPTH"),
        ("dl19@bm25", "'dl19@bm25' is not the name of a protocol"),
    ],
)
def test_a_name_that_means_nothing_hears_of_the_nearest(name, message):
    with pytest.raises(ConfigurationError, match=re.escape(message)) as error:
        protocols(name, where="study.yaml:3")
    assert error.value.where == "study.yaml:3"
    assert isinstance(error.value, UnknownKeyError) == message.startswith("unknown")


def test_averages_are_those_that_are_complete_over_one_first_stage_at_one_depth():
    chosen = protocols("in-domain@bm25-100")
    assert averages(chosen) == {"ID": [each.id for each in chosen]}
    assert averages(chosen[:2]) == {}
    assert averages([*chosen[:2], *protocols("dl20@bm25-1000")]) == {}
    both = averages([*chosen, *protocols("in-domain@splade-1000")])
    assert list(both) == ["ID @bm25-100", "ID @splade-1000"]
    assert set(averages(protocols("ce22@bm25-1000"))) == {"ID", "BEIR-13", "LoTTE", "OOD", "All 22"}


# -- the page -----------------------------------------------------------------------------------------------


def shown_sets():
    rows = [
        "| name | in tables | ir_datasets, datamaestro | documents | queries | judgements | ids | grade | measures |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in ROWS:
        split, documents = split_of(row), IR_DATASETS[row.ir_datasets.collection].documents
        theirs = "none"
        if row.datamaestro is not None:
            theirs = f"`{DATAMAESTRO[row.datamaestro.collection].splits[row.datamaestro.split].id}`"
        rows.append(
            f"| `{row.name}` | {row.abbreviation} | `{split.id}`, {theirs} | {documents:,} | {split.queries:,} | "
            f"{split.judgements:,} | {'left out' if row.ignore_identical_ids else ''} | {row.relevance} | "
            f"{', '.join(row.measures)} |"
        )
    notes = [f"- `{row.name}`: {row.note}." for row in ROWS if row.note and not row.name.startswith("nano-")]
    nano = next(row.note for row in ROWS if row.name.startswith("nano-"))
    return "\n".join([*rows, "", *notes, f"- `nano-...`: {nano}."]) + "\n"


def shown_first_stages():
    rows = ["| name | in tables | settings | from |", "|---|---|---|---|"]
    for row in FIRST_STAGES.values():
        settings = ", ".join(f"{key} {value}" for key, value in row.section.items() if key != "type")
        rows.append(f"| `{row.name}` | {row.title} | {settings} | {row.source} |")
    return "\n".join(rows) + "\n"


def shown_groups():
    rows = ["| group | average | sets |", "|---|---|---|"]
    by_sets = {sets: average for average, sets in AVERAGES.items()}
    for group, sets in GROUPS.items():
        names_of_sets = [f"`{name}`" for name in sets] if len(sets) <= 6 else [f"{len(sets)} sets"]
        rows.append(f"| `{group}` | {by_sets[sets]} | {', '.join(names_of_sets)} |")
    return "\n".join(rows) + "\n"


@pytest.mark.parametrize(
    ("name", "made"), [("sets", shown_sets), ("first stages", shown_first_stages), ("groups", shown_groups)]
)
def test_the_page_shows_the_registry(name, made):
    page = PAGE.read_text()
    between = rf"(<!-- {name} -->\n).*?(<!-- end of {name} -->)"
    wanted = re.sub(between, lambda match: match[1] + made() + match[2], page, flags=re.DOTALL)
    assert f"<!-- {name} -->" in page
    if os.environ.get("XPM_CE_UPDATE_DOCS"):
        PAGE.write_text(wanted)
        page = wanted
    assert page == wanted, "XPM_CE_UPDATE_DOCS=1 pytest tests/unit/test_protocols.py rewrites it"
