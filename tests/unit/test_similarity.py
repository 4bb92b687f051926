"""Hypotheses are compared pair by pair, each pair once."""

import difflib
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from fixtures.recorded import record_run

from analysis.load import load
from analysis.similarity import COLUMNS, METRICS, hypothesis_pairs, similarity_matrix
from gsd.errors import InputError
from gsd.spec import SamplingSpec


def hypotheses(*rounds):
    """Frames of one run with the given hypotheses, token lists, round by round."""
    rows = [("run", number, index, len(tokens), np.array(tokens))
            for number, round_ in enumerate(rounds) for index, tokens in enumerate(round_)]  # fmt: skip
    return SimpleNamespace(hypotheses=pd.DataFrame(rows, columns=["run", "round", "hypothesis", "length", "tokens"]))


@pytest.fixture(scope="module")
def random_frames(tmp_path_factory):
    out = tmp_path_factory.mktemp("runs")
    return load([record_run(out, count=4, sampling=SamplingSpec(seed=seed)) for seed in range(3)])


def test_a_pair_by_hand():
    """1 2 3 4 and 1 3 2 4 4: 1 2 4 or 1 3 4 is common, of 5; four tokens in either are in both; they fork behind 1."""
    [row] = hypothesis_pairs(hypotheses([[1, 2, 3, 4], [1, 3, 2, 4, 4]])).to_dict("records")
    assert row == {"run": "run", "round": 0, "left": 0, "right": 1, "prefix": 1, "lcs": 3,
                   "lcs_ratio": 3 / 5, "jaccard": 1.0}  # fmt: skip


def test_a_matrix_by_hand():
    """0: 1 2, 1: 2 1, 2: 3. Each of 0 and 1 has one token of the other in order, and both out of order."""
    pairs = hypothesis_pairs(hypotheses([[1, 2]], [[1, 2], [2, 1], [3]]))
    assert similarity_matrix(pairs, "run", 1).tolist() == [[1, 0.5, 0], [0.5, 1, 0], [0, 0, 1]]
    assert similarity_matrix(pairs, "run", 1, "jaccard").tolist() == [[1, 1, 0], [1, 1, 0], [0, 0, 1]]


def test_what_is_not_there_to_compare_is_refused_by_name():
    pairs = hypothesis_pairs(hypotheses([[1, 2]], [[1], [2]]))
    with pytest.raises(InputError, match=r"round 0 of run run.*another round"):
        similarity_matrix(pairs, "run", 0)
    with pytest.raises(InputError, match=r"'cosine'.*lcs_ratio, jaccard"):
        similarity_matrix(pairs, "run", 1, "cosine")


def test_pairs_are_those_of_comparing_token_by_token(random_frames):
    pairs = hypothesis_pairs(random_frames)
    table = random_frames.hypotheses.set_index(["run", "round", "hypothesis"])["tokens"]
    assert len(pairs) > 500
    for row in pairs.iloc[::7].itertuples():
        a, b = (list(table[row.run, row.round, side]) for side in (row.left, row.right))
        assert row.lcs == _longest_common_subsequence(a, b)
        assert row.lcs_ratio == row.lcs / max(len(a), len(b))
        assert row.jaccard == len(set(a) & set(b)) / len(set(a) | set(b))
        assert row.prefix == next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))
        matched = difflib.SequenceMatcher(None, a, b, autojunk=False).get_matching_blocks()
        assert row.lcs >= sum(block.size for block in matched)  # a common subsequence, not always the longest


def _longest_common_subsequence(a, b):
    best = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            best[i + 1][j + 1] = max(best[i][j + 1], best[i + 1][j], best[i][j] + (x == y))
    return best[-1][-1]


def test_every_pair_of_a_round_stands_there_once(random_frames):
    pairs = hypothesis_pairs(random_frames)
    counts = random_frames.hypotheses.groupby(["run", "round"]).size()
    assert len(pairs) == (counts * (counts - 1) // 2).sum()
    assert (pairs["left"] < pairs["right"]).all()
    assert not pairs.duplicated(["run", "round", "left", "right"]).any()
    assert (pairs["prefix"] <= pairs["lcs"]).all()


def test_without_hypotheses_there_are_no_pairs_and_the_same_columns(tmp_path, random_frames):
    pairs = hypothesis_pairs(load([record_run(tmp_path, detail="counters")]))
    assert pairs.empty
    assert pairs.columns.tolist() == hypothesis_pairs(random_frames).columns.tolist() == list(COLUMNS)
    assert set(METRICS) == {"hypothesis_pairs"}
