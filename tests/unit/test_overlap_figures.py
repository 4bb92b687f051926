"""Each figure says in its title what its frame says, names its units, and tells nothing by colour alone."""

import pytest
from fixtures.recorded import record_run
from settings import of_method

from analysis import edges, overlap, similarity
from analysis.figures import look
from analysis.figures.edges import FIGURES as EDGE_FIGURES
from analysis.figures.overlap import FIGURES as OVERLAP_FIGURES
from analysis.load import load
from gsd.errors import InputError
from gsd.spec import Prompt, SamplingSpec

METRICS = overlap.METRICS | edges.METRICS | similarity.METRICS
FIGURES = OVERLAP_FIGURES | EDGE_FIGURES
OF_ONE_RUN = {"redundancy_by_round", "ngram_overlap_by_round", "recurring_sequences"}


@pytest.fixture(scope="module")
def frames(tmp_path_factory):
    """Unmerged and merged runs, and one that was cut off."""
    out = tmp_path_factory.mktemp("runs")
    runs = []
    for seed, (context, end) in enumerate([(None, "complete"), (0, "complete"), (0, "complete"), (0, None)]):
        drafting = of_method(method="tree" if context is None else "graph", width=4, depth=6, frontier=5,
                             merge_context=context, prob_threshold=0.05, budget=24)  # fmt: skip
        runs.append(record_run(out, end=end, drafting=drafting, sampling=SamplingSpec(seed=seed),
                               prompt=Prompt(id=f"p{seed}", prompt="x", kind=("code", None)[seed % 2])))  # fmt: skip
    return load(runs)


@pytest.fixture(scope="module")
def draw(frames):
    """Draws the figure of a metric, of the run of that index or of what the figure puts together."""

    def drawn(name, run=None, **options):
        rows = METRICS[name](frames)
        if name == "hypothesis_pairs":
            return FIGURES[name](rows, frames.runs["run"][0], 1)
        if name == "recurring_sequences":
            options = {"n": 1} | options
        if name in OF_ONE_RUN and run is None:
            run = 0
        return FIGURES[name](rows if run is None else rows[rows["run"] == frames.runs["run"][run]], **options)

    return drawn


def test_each_metric_has_a_figure():
    assert FIGURES.keys() == METRICS.keys()


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_has_a_takeaway_named_axes_and_data(name, draw):
    made = draw(name)
    assert any(character.isdigit() for character in made.layout.title.text)
    assert made.layout.xaxis.title.text and (made.layout.yaxis.title.text or name == "recurring_sequences")
    assert made.data and all(len(trace.x) for trace in made.data)
    assert made.layout.template.layout.paper_bgcolor == "rgba(0,0,0,0)"


@pytest.mark.parametrize("name", FIGURES)
def test_no_two_traces_differ_in_colour_alone(name, draw):
    marks = [_mark(trace) for trace in draw(name).data]
    assert len(set(marks)) == len(marks)


def _mark(trace):
    if trace.type == "scatter":
        return trace.marker.symbol, trace.line.dash, trace.mode
    return trace.type, trace.marker.pattern.shape if trace.type == "bar" else None


def test_cells_of_the_matrix_say_their_number(draw):
    cells, numbers = draw("hypothesis_pairs").data
    assert (cells.zmin, cells.zmax) == (0, 1)
    shown = {(x, y): text for x, y, text in zip(numbers.x, numbers.y, numbers.text)}
    assert shown == {(x, y): f"{cells.z[y][x]:.0%}" for x in range(len(cells.z)) for y in range(len(cells.z))}


def test_titles_are_computed_from_the_rows(draw, frames):
    rows = overlap.redundancy_by_run(frames)
    merged = rows.iloc[1]
    assert draw("redundancy_by_round", 0).layout.title.text.startswith("Nothing merged:")
    assert draw("redundancy_by_round", 1).layout.title.text == (
        f"{merged.drafted:,} nodes drafted; unrolled without limit: {merged.unrolled:,.0f}"
    )
    complete = rows[rows["status"] == "complete"]
    share = 1 - complete["drafted"].sum() / complete["unrolled"].sum()
    assert draw("redundancy_by_run").layout.title.text == (
        f"Redundancy is {look.percent(share)} of {complete['unrolled'].sum():,.0f} unrolled nodes in 3 complete runs"
    )


def test_depths_that_are_left_out_of_a_title_are_spoken_of(frames):
    """At depth 2 all of 5 tokens recur, at depth 1 half of 20: too few for a title that keeps silent."""
    rows = overlap.ngram_overlap_by_depth(frames).query("n == 1").head(3).reset_index(drop=True)
    rows = rows.assign(status="complete", run="r", depth=[1, 2, 3], occurrences=[20, 5, 30], shared=[10, 5, 3])
    drawn = FIGURES["ngram_overlap_by_depth"]
    assert drawn(rows).layout.title.text.startswith(
        "Of depths with 10 tokens or more, tokens recur most at depth 1: 50"
    )
    assert drawn(rows.query("depth != 2")).layout.title.text.startswith("Tokens recur most at depth 1: 50")


def test_precision_of_merges_stands_beside_that_of_tree_edges(draw, frames):
    rows = edges.merges_by_rank(frames)
    sums = rows[rows["status"] == "complete"].groupby("edge")[["continued", "tested"]].sum()
    share = sums["continued"] / sums["tested"]
    for name in ("merges_by_rank", "merges_by_context", "merges_by_depth_shift"):
        made = draw(name)
        assert made.layout.title.text.startswith(name.removeprefix("merges_by_").replace("_", " ").capitalize() + ": ")
        assert look.percent(share["merge"]) in made.layout.title.text
        assert look.percent(share["tree"]) in made.layout.title.text
        assert made.data[0].name == "merge" and "tree edge" in made.data[1].name


def test_runs_cut_off_are_drawn_alone_and_not_put_together(draw):
    assert "3 complete runs" in draw("ngram_overlap_by_depth").layout.title.subtitle.text
    assert [draw("ngram_overlap_by_depth", run).layout.title.subtitle.text for run in (0, 3)] == ["", "incomplete run"]


def test_lengths_of_which_nothing_recurs_have_no_line(frames):
    """Two rounds: tokens recur in one of them, pairs in none; where no token does either its line says so."""
    rows = overlap.ngram_overlap_by_round(frames).head(4)
    rows = rows.assign(n=[1, 1, 2, 2], round=[0, 1, 0, 1], run="r", status="complete", occurrences=9)
    for shared in ([1, 0, 0, 0], [0, 0, 0, 0]):
        made = FIGURES["ngram_overlap_by_round"](rows.assign(shared=shared, overlap=[part / 9 for part in shared]))
        assert [trace.name for trace in made.data] == ["n = 1"]
    both = FIGURES["ngram_overlap_by_round"](rows.assign(shared=1, overlap=1 / 9))
    assert [trace.name for trace in both.data] == ["n = 1", "n = 2"]


def test_what_cannot_be_drawn_is_refused_in_one_line(draw, frames):
    rows = overlap.redundancy_by_round(frames)
    with pytest.raises(InputError, match="rounds of 4 runs in one figure"):
        FIGURES["redundancy_by_round"](rows)
    with pytest.raises(InputError, match="nothing to draw"):
        FIGURES["redundancy_by_round"](rows.iloc[:0])
    with pytest.raises(InputError, match="nothing to draw"):
        FIGURES["redundancy_by_round"](rows[rows["run"] == frames.runs["run"][0]].assign(drafted=0))
    with pytest.raises(InputError, match="no sequence recurs"):
        FIGURES["recurring_sequences"](overlap.recurring_sequences(frames).iloc[:0])
    with pytest.raises(InputError, match="no merge was tested"):
        draw("merges_by_rank", 0)
    with pytest.raises(InputError, match="no sequence of 9 tokens"):
        draw("recurring_sequences", n=9)


def test_token_text_is_never_markup():
    assert look.token(" <b>\n\t&amp;$x$") == "·&lt;b&gt;↵→&amp;amp;&#36;x&#36;"
    assert look.token("") == "∅"
    assert look.token("\u202eabc") == "\\u202eabc"


def test_series_are_told_apart_without_colour():
    shapes = [(look.series(i).symbol, look.series(i).dash) for i in range(35)]
    assert len(set(shapes)) == 35
