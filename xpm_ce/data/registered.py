"""Public collections by id: how many documents, queries and judgements each has.

The counts stand in for checksums: they identify a collection while a study is planned, without the data, and jobs
verify them. Counts and ids are those of ir_datasets 0.6.3. A row of `COUNTS` is: id, documents, then for each split its
name, queries and judgements; the id of a split is that of the collection, a slash and its name, or, after `=.`, that
of the collection itself. This module does not load ir_datasets, nor datamaestro.
"""

from typing import NamedTuple

COUNTS = """
msmarco-passage  8841823  train 808731 532761  train/judged 502939 532761  dev 101093 59273 \
     dev/judged 55578 59273  dev/small 6980 7437  trec-dl-2019/judged 43 9260 \
     trec-dl-2020/judged 54 11386  trec-dl-hard 50 4256
msmarco-passage-v2  138364198  train 277144 284212  dev1 3903 4009  dev2 4281 4411 \
     trec-dl-2021 477 10828  trec-dl-2021/judged 53 10828  trec-dl-2022 500 386416 \
     trec-dl-2022/judged 76 386416  trec-dl-2023 700 22327  trec-dl-2023/judged 82 22327
beir/arguana  8674  test=. 1406 1406
beir/climate-fever  5416593  test=. 1535 4681
beir/dbpedia-entity  4635922  dev 67 5673  test 400 43515
beir/fever  5416568  train 109810 140085  dev 6666 8079  test 6666 7937
beir/fiqa  57638  train 5500 14166  dev 500 1238  test 648 1706
beir/hotpotqa  5233329  train 85000 170000  dev 5447 10894  test 7405 14810
beir/nfcorpus  3633  train 2590 110575  dev 324 11385  test 323 12334
beir/nq  2681468  test=. 3452 4201
beir/quora  522931  dev 5000 7626  test 10000 15675
beir/scidocs  25657  test=. 1000 29928
beir/scifact  5183  train 809 919  test 300 339
beir/trec-covid  171332  test=. 50 66336
beir/webis-touche2020/v2  382545  test=. 49 2214
beir/cqadupstack/android  22998  test=. 699 1696
beir/cqadupstack/english  40221  test=. 1570 3765
beir/cqadupstack/gaming  45301  test=. 1595 2263
beir/cqadupstack/gis  37637  test=. 885 1114
beir/cqadupstack/mathematica  16705  test=. 804 1358
beir/cqadupstack/physics  38316  test=. 1039 1933
beir/cqadupstack/programmers  32176  test=. 876 1675
beir/cqadupstack/stats  42269  test=. 652 913
beir/cqadupstack/tex  68184  test=. 2906 5154
beir/cqadupstack/unix  47382  test=. 1072 1693
beir/cqadupstack/webmasters  17405  test=. 506 1395
beir/cqadupstack/wordpress  48605  test=. 541 744
lotte/writing/test  199994  search 1071 3546  forum 2000 12906
lotte/recreation/test  166975  search 924 1991  forum 2002 6947
lotte/science/test  1694164  search 617 1738  forum 2017 15515
lotte/technology/test  638509  search 596 2045  forum 2004 15890
lotte/lifestyle/test  119461  search 661 1804  forum 2002 10278
nano-beir/arguana  3635  test=. 50 50
nano-beir/climate-fever  3408  test=. 50 148
nano-beir/dbpedia-entity  6045  test=. 50 1158
nano-beir/fever  4996  test=. 50 57
nano-beir/fiqa  4598  test=. 50 123
nano-beir/hotpotqa  5090  test=. 50 100
nano-beir/msmarco  5043  test=. 50 50
nano-beir/nfcorpus  2953  test=. 50 2518
nano-beir/nq  5035  test=. 50 57
nano-beir/quora  5046  test=. 50 70
nano-beir/scidocs  2210  test=. 50 244
nano-beir/scifact  2919  test=. 50 56
nano-beir/webis-touche2020  5745  test=. 49 932
disks45/nocr  528155  trec-robust-2004 250 311410
"""


class Split(NamedTuple):
    """Queries and judgements under one id."""

    id: str
    queries: int
    """Number of queries"""
    judgements: int
    """Number of lines with a judgement"""


class Registered(NamedTuple):
    """A collection whose counts are known."""

    id: str
    """Id under which the documents are found"""
    documents: int
    """Number of documents"""
    splits: dict[str, Split]
    """Splits by name"""


def _registered(line: str) -> Registered:
    collection, documents, *columns = line.split()
    splits = {}
    for name, queries, judgements in zip(columns[0::3], columns[1::3], columns[2::3], strict=True):
        name, itself, _ = name.partition("=.")
        identifier = collection if itself else f"{collection}/{name}"
        splits[name] = Split(identifier, int(queries), int(judgements))
    return Registered(collection, int(documents), splits)


IR_DATASETS = {row.id: row for row in map(_registered, COUNTS.strip().splitlines())}
"""The collections by their id in ir_datasets"""

MS_MARCO_SPLITS = {
    "train": "train",
    "dev": "dev",
    "dev.judged": "dev/judged",
    "dev.small": "dev/small",
    "trec2019.judged": "trec-dl-2019/judged",
    "trec2020.judged": "trec-dl-2020/judged",
    "trec.dl.hard": "trec-dl-hard",
}
"""Splits of MS MARCO passages in datamaestro, and their names in ir_datasets"""

MS_MARCO_2_SPLITS = {
    "train": "train",
    "dev1": "dev1",
    "dev2": "dev2",
    "trec2021": "trec-dl-2021",
    "trec2022": "trec-dl-2022",
    "trec2023": "trec-dl-2023",
}
"""Splits of version 2 of MS MARCO passages in datamaestro, which has no splits of judged queries only"""


def _in_datamaestro() -> dict[str, Registered]:
    rows = {}
    for collection, prefix, documents, names in (
        ("msmarco-passage", "com.microsoft.msmarco.passage", "documents", MS_MARCO_SPLITS),
        ("msmarco-passage-v2", "com.microsoft.msmarco.passagev2", "passages", MS_MARCO_2_SPLITS),
    ):
        passages = IR_DATASETS[collection]
        splits = {name: passages.splits[other]._replace(id=f"{prefix}.{name}") for name, other in names.items()}
        rows[prefix] = Registered(f"{prefix}.{documents}", passages.documents, splits)
    for identifier, row in IR_DATASETS.items():
        source, _, name = identifier.partition("/")
        alone = any(split.id == identifier for split in row.splits.values())
        if source == "beir":
            prefix = "org.beir." + name.replace("/", ".").replace("-", ".")
            documents = prefix if alone else f"{prefix}.collection"
        elif source == "nano-beir":
            prefix = f"co.huggingface.nano-beir.{name}"
            documents = f"{prefix}.documents"
        elif source == "lotte":
            prefix = "edu.stanford.lotte." + name.replace("/", ".")
            documents = f"{prefix}.search"  # a task gives the documents of its topic
        else:
            continue
        splits = {
            each: split._replace(id=prefix if alone else f"{prefix}.{each}") for each, split in row.splits.items()
        }
        rows[prefix] = Registered(documents, row.documents, splits)
    return rows


DATAMAESTRO = _in_datamaestro()
"""The same collections by their prefix in datamaestro, as far as it has them"""
