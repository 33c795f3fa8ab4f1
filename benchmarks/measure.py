"""Measuring a million re-ranked, judged documents: our Measure job beyond reading, against ir_measures, in turns.

    python benchmarks/measure.py

Every document of every query is judged, which no real collection comes near. Ours measures at one depth, as the others
do; a second depth is measured beside it, to see what it adds.
"""

import click
import ir_measures
import numpy as np
import torch
from measuring import Spent, begin, in_turns, ratio, say, show_machine, show_ratios, show_table

from xpm_ce.data.runs import Ranking
from xpm_ce.evaluate.measuring import measured

MEASURES = ["nDCG@10", "nDCG", "RR(rel=2)", "AP", "AP(rel=2)", "P@10", "R@100", "R@1000", "Success@5", "Rprec", "Bpref"]
OURS, TWO_DEPTHS, PEER = "xpm-ce", "xpm-ce, depths 100 and 1000", "ir_measures"


def world(queries: int, documents: int) -> tuple[dict, dict, dict]:
    """(first stage, re-ranked run, qrels), drawn."""
    generator = np.random.default_rng(0)
    first, run, qrels = {}, {}, {}
    scores = np.arange(documents, 0, -1, dtype=np.float32)
    for number in range(queries):
        ids = [f"D{each}" for each in generator.choice(8_841_823, documents, replace=False)]
        first[f"q{number}"] = Ranking(ids, scores)
        run[f"q{number}"] = Ranking([ids[place] for place in generator.permutation(documents)], scores)
        qrels[f"q{number}"] = dict(zip(ids, generator.choice([0, 0, 0, 1, 2, 3], documents).tolist(), strict=True))
    return first, run, qrels


@click.command()
@click.option("--queries", default=1000, show_default=True)
@click.option("--documents", default=1000, show_default=True, help="Candidates of a query, all judged.")
@click.option("--rounds", default=5, show_default=True)
@click.option("--quick", is_flag=True, help="A tiny run, to see that it works.")
def main(queries: int, documents: int, rounds: int, quick: bool) -> None:
    """Measure one run."""
    if quick:
        queries, documents, rounds = 10, 20, 2
    begin(1)
    say(f"python benchmarks/measure.py --queries {queries} --documents {documents} --rounds {rounds}")
    show_machine(torch.device("cpu"), 1)
    first, run, qrels = world(queries, documents)
    theirs = {query: dict(zip(each.documents, each.scores.tolist(), strict=True)) for query, each in run.items()}
    parsed = [ir_measures.parse_measure(name) for name in MEASURES]

    def ours(depths: list[int]) -> dict[str, float]:
        found = measured(run, qrels, first_stage=first, depths=depths, measures=MEASURES, bounds=False)
        return dict(zip(MEASURES, found.values.mean(axis=0)[-len(MEASURES) :].tolist(), strict=True))

    spent: dict[str, Spent] = in_turns(
        {
            OURS: lambda _: ours([1000]),
            TWO_DEPTHS: lambda _: ours([100, 1000]),
            PEER: lambda _: ir_measures.calc_aggregate(parsed, qrels, theirs),
        },
        warmup=1, rounds=rounds, device=torch.device("cpu"),
    )  # fmt: skip
    difference = max(
        abs(ours([1000])[str(measure)] - value)
        for measure, value in ir_measures.calc_aggregate(parsed, qrels, theirs).items()
    )
    show_table(
        ["", "processor seconds", "rows a second"],
        [
            [name, f"{each.median('processor'):.2f}", f"{queries * documents / each.median('processor'):,.0f}"]
            for name, each in spent.items()
        ],
    )
    say(f"largest difference of a mean: {difference:.1e}")
    show_ratios({"measure_vs_ir_measures": ratio(spent[PEER], spent[OURS], "processor")})


if __name__ == "__main__":
    main()
