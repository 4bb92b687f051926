"""Compare: nothing chosen, two runs at one position, texts that differ, and the leaderboard."""

import json
from itertools import accumulate
from pathlib import Path

import pytest
from fixtures.recorded import record_run
from settings import of_method

from app.state import OpenRun
from gsd.spec import Prompt, SamplingSpec

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results"


def data_of(page, key):
    """What was sent to a component."""
    [found] = [
        json.loads(element.proto.json) for element in page.get("bidi_component") if element.proto.id.endswith(f"-{key}")
    ]
    return found


def html_of(page):
    return "\n".join(element.proto.body for element in page.get("html"))


@pytest.fixture
def compare(app):
    """Opens the view at an address."""

    def open_at(**address: str):
        page = app()
        for name, value in address.items():
            page.query_params[name] = value
        return page.switch_page("views/compare.py").run()

    return open_at


@pytest.fixture
def two(tmp_path):
    """The same text by two settings of other names only: made-up rounds follow the seed and the settings."""
    return [record_run(tmp_path / "runs", count=count, prompt=Prompt(id=f"p{count}", prompt="same"))
            for count in (6, 5)]  # fmt: skip


def new_tokens(folder):
    lines = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
    return [len(line["new_tokens"]) for line in lines if line["type"] == "round"]


def test_with_nothing_to_compare_the_page_says_what_to_choose(compare, monkeypatch, tmp_path):
    monkeypatch.setattr("app.library.SAMPLES", tmp_path / "none")
    page = compare()
    assert not page.exception
    assert "Choose two runs" in page.markdown[0].value
    assert not page.slider


def test_the_samples_can_be_compared_at_one_click(compare):
    page = compare()
    page.button(key="alike").click().run()
    assert not page.exception
    assert page.slider(key="compare position").value > 0


def test_both_stand_at_the_same_position_and_the_address_says_where(compare, two):
    page = compare(a=two[0].name, b=two[1].name, at="9")
    assert not page.exception
    counts = [new_tokens(folder) for folder in two]
    for side, folder, ends in zip("AB", two, counts):
        index = next(i for i in range(len(ends)) if sum(ends[: i + 1]) >= 9 or i == len(ends) - 1)
        assert data_of(page, f"graph {side}")["key"] == f"{folder.name}:{index}"
    assert page.query_params["at"] == "9"


def test_arrow_buttons_go_from_one_end_of_a_round_to_the_next(compare, two):
    page = compare(a=two[0].name, b=two[1].name, at="1")
    stops = sorted({*accumulate(new_tokens(two[0])), *accumulate(new_tokens(two[1]))} - {1})
    for stop in stops[:2]:
        page.button(key="Next end of a round").click().run()
        assert page.slider(key="compare position").value == stop
    page.button(key="Previous end of a round").click().run()
    assert page.slider(key="compare position").value == stops[0]


def test_texts_that_differ_say_where_and_how(compare, tmp_path):
    runs = [record_run(tmp_path / "runs", sampling=SamplingSpec(seed=seed)) for seed in (1, 2)]
    page = compare(a=runs[0].name, b=runs[1].name)
    assert not page.exception
    assert "The texts differ from position" in page.warning[0].value
    assert any("seed 1 → 2" in caption.value for caption in page.caption)


def test_the_first_two_are_the_newest_of_one_prompt_and_the_older_is_a(compare, two):
    older, newer = (folder.rename(folder.with_name(name)) for folder, name in zip(two, ("f0", "0f")))
    page = compare()
    page.button(key="alike").click().run()
    assert [page.selectbox(key=f"compare {side}").value for side in "AB"] == [older.name, newer.name]


def test_that_two_runs_are_of_two_machines_is_said(compare, two):
    for folder, threads in zip(two, (2, 4)):
        head = json.loads((folder / "run.json").read_bytes())
        head["machine"] = {"processor": "one", "threads": threads, "gpu": None}
        (folder / "run.json").write_text(json.dumps(head))
    page = compare(a=two[0].name, b=two[1].name)
    assert any("threads 2 → 4" in caption.value for caption in page.caption)


def test_two_prompts_are_not_compared(compare, tmp_path):
    runs = [record_run(tmp_path / "runs", prompt=Prompt(prompt=prompt)) for prompt in ("one", "another")]
    page = compare(a=runs[0].name, b=runs[1].name)
    assert not page.exception
    assert "two different prompts" in page.warning[0].value
    assert list(page.dataframe[-1].value.columns) == ["figure", "A", "B"]
    assert len(page.get("plotly_chart")) == 1  # the rounds alone, without a title that sets one against the other
    assert not any("B ÷ A" in caption.value for caption in page.caption)


def test_what_is_selected_is_explained_and_only_in_its_round(compare, two):
    page = compare(a=two[0].name, b=two[1].name, at="1")
    assert html_of(page).count("The draft proposed") == 2
    page.session_state["picked A"] = ((two[0].name, 0), "n1")
    page.run()
    assert "Node 1, depth 1" in html_of(page) and html_of(page).count("The draft proposed") == 1
    assert data_of(page, "graph A")["selected"] == "n1"
    page.button(key="Next end of a round").click().run()
    page.button(key="Next end of a round").click().run()
    assert data_of(page, "graph A")["selected"] is None and "Node 1, depth 1" not in html_of(page)


def test_of_a_large_round_the_likeliest_nodes_are_drawn(compare, tmp_path):
    large = of_method(width=8, depth=6, frontier=30, prob_threshold=0.0, sibling_threshold=0.0, budget=90)
    runs = [record_run(tmp_path / "runs", count=2, drafting=large, max_new_tokens=most) for most in (40, 41)]
    page = compare(a=runs[0].name, b=runs[1].name, at="1")
    drawn = data_of(page, "graph A")["nodes"]
    assert len(drawn["id"]) < 110 and sum(drawn["behind"]) > 0


def test_the_pinned_run_is_a_and_another_of_its_prompt_is_b(compare, two, app):
    page = app(run=two[1].name)
    page.button(key="pin").click().run()
    page = page.switch_page("views/compare.py").run()
    assert [page.selectbox(key=f"compare {side}").value for side in "AB"] == [two[1].name, two[0].name]
    page.button(key="swap").click().run()
    assert [page.selectbox(key=f"compare {side}").value for side in "AB"] == [two[0].name, two[1].name]


def test_where_nothing_was_chosen_the_older_run_is_a_and_no_run_is_pinned(compare, two, app):
    page = app(run=two[1].name).switch_page("views/compare.py").run()
    assert [page.selectbox(key=f"compare {side}").value for side in "AB"] == sorted(run.name for run in two)
    page = page.switch_page("views/playground.py").run()
    assert not any("than A" in metric.proto.delta_description for metric in page.metric)


@pytest.mark.parametrize("end", ["cancelled", None])
def test_a_text_that_was_cut_off_is_said_to_be(compare, tmp_path, end):
    whole = record_run(tmp_path / "runs", count=6)
    cut = record_run(tmp_path / "runs", count=3, end=end)
    page = compare(a=whole.name, b=cut.name)
    page.segmented_control(key="compare up to").set_value("the end").run()
    captions = [caption.value for caption in page.caption]
    assert sum(f"This run is {end or 'incomplete'}." in words for words in captions) == 1
    assert any("not equally long" in words for words in captions)


@pytest.mark.parametrize(("other", "said"), [
    (Prompt(prompt="one and the same beginning of some length, then two"), "further on"),
    (Prompt(prompt="one and the same beginning of some length, then one", chat=True), "Same settings."),
    (Prompt(prompt="one and the same beginning of some length, then one", chat=False), "chat template on → off"),
])  # fmt: skip
def test_prompts_that_differ_behind_their_first_words_are_said_to(compare, tmp_path, other, said):
    one = Prompt(prompt="one and the same beginning of some length, then one")
    runs = [record_run(tmp_path / "runs", prompt=prompt) for prompt in (one, other)]
    page = compare(a=runs[0].name, b=runs[1].name)
    assert any(said in caption.value for caption in page.caption)


def test_runs_without_a_graph_compare_in_counts(compare, tmp_path):
    runs = [record_run(tmp_path / "runs", detail="counters", drafting=of_method(width=w)) for w in (2, 3)]
    page = compare(a=runs[0].name, b=runs[1].name)
    assert not page.exception
    assert sum("no graph" in info.value for info in page.info) == 2


def test_a_run_with_no_round_and_one_that_is_gone_are_told(compare, tmp_path, two):
    bare = record_run(tmp_path / "runs", count=0, end=None)
    page = compare(a=bare.name, b=two[0].name)
    assert not page.exception and "no round yet" in page.info[0].value
    page = compare(a="gone", b=two[0].name)
    assert not page.exception


def test_a_side_s_round_is_opened_in_the_graph_view(compare, two):
    """Another run than the one that was open."""
    page = compare(a=two[0].name, b=two[1].name, at="9")
    page.session_state["session"].run = OpenRun.read(two[0])
    page.button(key="large B").click().run()
    assert not page.exception
    state, counts = page.session_state["session"], list(accumulate(new_tokens(two[1])))
    assert (state.run.name, state.round) == (two[1].name, next(i for i, end in enumerate(counts) if end >= 9))


def test_the_leaderboard_draws_what_comes_with_the_code(compare):
    page = compare(show="leaderboard")
    assert not page.exception and not page.error
    assert len(page.get("plotly_chart")) == 4
    assert page.query_params["show"] == "leaderboard"


def test_the_leaderboard_says_where_a_text_was_not_that_of_plain_decoding(compare):
    page = compare(show="leaderboard")
    page.selectbox(key="bench").set_value("qwen2.5-coder-bf16-int4").run()
    [caption] = [caption.value.replace("\\", "") for caption in page.caption if "Measured on" in caption.value]
    told = json.loads((RESULTS / "qwen2.5-coder-bf16-int4.json").read_bytes())["methods"]["auto"]
    assert told["matches"] < told["prompts"]
    assert f"auto on {told['matches']} of {told['prompts']}" in caption and "in bfloat16 near-ties flip" in caption


def test_a_broken_result_is_told(compare):
    page = compare(show="leaderboard")
    page.get("file_uploader")[0].set_value(("mine.json", b"{}", "application/json")).run()
    assert not page.exception
    assert "is no result of a benchmark" in page.error[0].value
