"""`make ranking-study`: learns the weights of the hybrid ranking's recipe from questions whose evidence is known, and
says what they find beside those that learning starts from.

The files are those of `make eval`: each is a set, its tenants are samples. R@10 is told by set: by the weights
that learning starts from, by today's recipe, by the weights that are learned from all questions, and leave-one-out,
each sample ranked by weights that were learned without it; the difference is of the last and the first. Intervals are
those of `make eval`. Questions in scripts without spaces have a recipe of their own and are left out.

Everything is kept in `--folder`: the first run stores and embeds all messages (minutes), others learn at once.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from candidates import CANDIDATES
from collect import Asked, collect
from learn import REACH, Floats, Listed, first, learned, listed, recall
from tqdm import tqdm

from memory_grpc.commands.eval_app import sources
from memory_grpc.commands.evaluating.intervals import interval
from memory_grpc.domain.policy import ScoreWeights
from memory_grpc.ranking import HybridWeights
from memory_grpc.ranking.fusion import fuse

RECIPE = "surroundings"
TOP_K = 10
Recalls = list[float]


def today(asked: Sequence[Asked]) -> Recalls:
    """R@10 of each question by the recipe as it is, ranked by the service's own function."""
    parts, weights = HybridWeights.of(RECIPE), asdict(ScoreWeights())
    found = []
    for one in asked:
        hits, _ = fuse(one.memory, parts, top_k=TOP_K, **weights)
        found.append(sum(hit.message_id in one.evidence for hit in hits) / len(one.evidence))
    return found


def left_out(lists: Sequence[Listed], free: Collection[str]) -> Recalls:
    """R@10 of each question by weights that were learned without its sample."""
    without: dict[str, Floats] = {}
    for sample in tqdm(dict.fromkeys(one.sample for one in lists), desc="leaving out"):
        without[sample] = learned([one for one in lists if one.sample != sample], free)
    return [recall(one, without[one.sample]) for one in lists]


def print_table(asked: Sequence[Asked], columns: Mapping[str, Recalls]) -> None:
    """R@10 by set and column, in percent; and the difference between the first column and the last."""
    print(f"| set | questions | {' | '.join(columns)} | difference |")
    print(f"|---|---|{'---|' * len(columns)}---|")
    sets = dict.fromkeys(one.set for one in asked)
    for set_ in sets:
        own = [place for place, one in enumerate(asked) if one.set == set_]
        of_set = [[100 * column[place] for place in own] for column in columns.values()]
        gains = [after - before for before, after in zip(of_set[0], of_set[-1], strict=True)]
        cells = [f"{_mean(found):.1f} ({_interval(found)})" for found in of_set]
        print(f"| {set_} | {len(own)} | {' | '.join(cells)} | {_mean(gains):+.1f} ({_interval(gains)}) |")


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _interval(values: Sequence[float]) -> str:
    low, high = interval(values)
    return f"{low:.1f} to {high:.1f}"


def main() -> None:
    """Collects, learns, and prints a table and the recipe."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="+", help="files of questions, as `memory-grpc eval` takes them")
    parser.add_argument("--messages", type=Path, nargs="*", help="the messages of each file of JSON lines, in order")
    parser.add_argument("--with", dest="new", nargs="*", default=[], choices=CANDIDATES, help="candidates to add")
    parser.add_argument("--only", nargs="+", default=[], choices=REACH, help="learn these weights alone")
    parser.add_argument("--folder", type=Path, default=Path(".data/ranking"), help="keeps what was read")
    arguments = parser.parse_args()
    asked = collect(sources(arguments.files, None, arguments.messages, None)[0], arguments.folder)
    asked = [one for one in asked if not one.unspaced]
    lists = [listed(one) for one in tqdm(asked, desc="terms")]
    free = set(arguments.only) or set(arguments.new) | (set(REACH) - set(CANDIDATES))
    best = learned(lists, free)
    print(json.dumps(dict(zip(REACH, best.tolist(), strict=True)), indent=2), flush=True)
    columns = {"start": [recall(one, first()) for one in lists], "today": today(asked)}
    columns["learned"] = [recall(one, best) for one in lists]
    print_table(asked, columns | {"leave-one-out": left_out(lists, free)})


if __name__ == "__main__":
    main()
