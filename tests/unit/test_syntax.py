"""Every committed token has the syntax node that a reader would point at, and its true origin."""

import ast
import random
import re
from pathlib import Path

import pandas as pd
import pytest
from fixtures.recorded import record_run, round_of

from analysis.figures import acceptance as figures
from analysis.syntax import (
    COLUMNS,
    LANGUAGES,
    committed_tokens,
    drafted_by_syntax,
    language_of,
    longest_parsing,
    written_in,
)
from gsd.errors import InputError
from gsd.trace.read import RunTrace, read_run

EOS = 0


def run(texts, origins=None, *, prompt="", prompt_texts=None, end="complete", kind="def"):
    """A run of one round that committed `texts`; an empty text stands for the token that ends it."""
    round_ = round_of(
        new_tokens=[1 if text else EOS for text in texts],
        new_texts=[text or "<|end|>" for text in texts],
        origins=origins or ["draft"] * len(texts),
    )
    meta = {"run": "made-up", "eos": [EOS], "prompt_texts": [prompt] if prompt_texts is None else prompt_texts,
            "spec": {"prompt": {"prompt": prompt, "kind": kind}}}  # fmt: skip
    return RunTrace(Path("made-up"), meta, [round_], {"status": end} if end else None)


def types(texts, language="python", **about):
    return committed_tokens(run(texts, **about), language)["type"].tolist()


def test_python_with_the_prompt_in_front_by_hand():
    """The prompt opens the function; each committed token and the innermost node that it begins in:

    def f(a):\\n|    |return| a|.b|(|1|)|  # no|\\n|    x| = (\\n
                space Return Name Attribute Call Constant Call Comment space, then what does not parse
    """
    texts = ["    ", "return", " a", ".b", "(", "1", ")", "  # no", "\n", "    x", " = (\n"]
    assert types(texts, prompt="def f(a):\n") == [
        "(space)", "Return", "Name", "Attribute", "Call", "Constant", "Call", "Comment", "(space)",
        "(unparsed)", "(unparsed)",
    ]  # fmt: skip


def test_share_from_the_draft_by_hand():
    """Three constants, two of them drafted, one of these behind a merge; the incomplete run is left out."""
    tokens = committed_tokens(
        run(["1", ";", "2", ";", "3", ""], ["draft", "bonus", "merge", "draft", "target", "bonus"]), "python"
    )
    cut_off = committed_tokens(run(["4"], end=None), "python")
    rows = drafted_by_syntax(pd.concat([tokens, cut_off])).set_index("type")
    assert rows.loc["Constant", ["runs", "tokens", "drafted", "merged"]].tolist() == [1, 3, 2, 1]
    assert rows.loc["Constant", "share"] == pytest.approx(2 / 3)
    assert rows.loc["Module", ["tokens", "drafted", "merged"]].tolist() == [2, 1, 0]  # the semicolons
    assert rows.loc["(end)", ["tokens", "drafted"]].tolist() == [1, 0]


@pytest.mark.parametrize(
    "language, texts, wanted",
    [
        ("javascript", ["function", " f", "(", ")", " {", " return", " 1", "; }"],
         ["function_declaration", "identifier", "formal_parameters", "formal_parameters", "statement_block",
          "return_statement", "number", "return_statement"]),
        ("json", ["{", '"', "a", '"', ":", " [", "1", "]"],
         ["object", "string", "string_content", "string", "pair", "array", "number", "array"]),  # unclosed as yet
        ("bash", ["for", " i", " in", " *", "; do", " echo", " $", "i", ";", " done"],
         ["for_statement", "variable_name", "for_statement", "word", "for_statement", "word", "simple_expansion",
          "variable_name", "do_group", "do_group"]),
        ("sql", ["SELECT", " a", " FROM", " t", ";"],
         ["keyword_select", "identifier", "keyword_from", "identifier", "program"]),
    ],
)  # fmt: skip
def test_other_languages_by_hand(language, texts, wanted):
    assert types(texts, language) == wanted


def test_offsets_are_bytes_and_parts_of_a_character_are_put_together():
    """`é` is two bytes and the euro sign three, the latter in two tokens that are no characters by themselves."""
    texts = ["s", " = ", "'é", "<0xE2>", "<0x82><0xAC>", "'", "; ", "t"]
    assert types(texts) == ["Name", "Assign", "Constant", "Constant", "Constant", "Constant", "Module", "Name"]


def test_only_the_fenced_block_of_the_language_is_code():
    texts = [
        "Here",
        ":\n",
        "```",
        "python",
        "\n",
        "x",
        " = ",
        "1",
        "\n",
        "```",
        "\n",
        "It",
        " is",
        "\n",
        "```sql\n",
        "x",
    ]
    wanted = ["(outside)"] * 16
    wanted[4], wanted[5:9], wanted[10], wanted[13] = (
        "(space)",
        ["Name", "Assign", "Constant", "(space)"],
        "(space)",
        "(space)",
    )
    assert types(texts, prompt="Write it", prompt_texts=["<|user|>Write it<|assistant|>"]) == wanted


def test_a_block_that_the_prompt_opens_or_that_never_closes_counts():
    assert types(["x", " = ", "1"], prompt="Say x:\n```py\n") == ["Name", "Assign", "Constant"]


def test_behind_a_chat_template_the_prompt_is_not_part_of_the_code():
    """The prompt alone would not parse, and with it nothing would."""
    assert types(["x"], prompt="Give me x!", prompt_texts=["<s>", "Give me x!", "</s>"]) == ["Name"]
    assert types(["x"], prompt="Give me x!") == ["(unparsed)"]


def test_nothing_within_an_f_string_is_told_apart():
    assert types(["f'", "{", "a", "}", "'", " + ", "b"]) == ["JoinedStr"] * 5 + ["BinOp", "Name"]


@pytest.mark.parametrize("texts", [["x\x00y"], ["<0xFF>"], ["(" * 300], ["-" * 20_000], ["x = 'a\\d'\n"], [""], []])
def test_no_text_is_too_odd_to_be_looked_at(texts, recwarn):
    assert len(types(texts)) == len(texts)
    assert not recwarn.list


def test_the_figure_shows_frequent_types_only_and_none_where_there_is_nothing():
    rows = drafted_by_syntax(committed_tokens(run(["1", ";"] * 10, ["draft", "bonus"] * 10), "python"))
    made = figures.drafted_by_syntax(rows)
    assert made.layout.title.text == "Drafted: 100% of 10 Constant, 0% of 10 Module"
    assert list(made.data[0].y) == ["Module  (10)", "Constant  (10)"]
    with pytest.raises(InputError, match="nothing to draw"):
        figures.drafted_by_syntax(rows[rows["tokens"] > 10])


def test_an_unknown_language_is_refused_by_name():
    with pytest.raises(InputError, match="'cobol'; choose among python, javascript, json, bash, sql"):
        committed_tokens(run(["x"]), "cobol")


def test_the_prefix_is_the_longest_that_parses():
    """Against trying every prefix, over 200 pieces of this file, most of them spoilt by dropping characters."""
    dice, source = random.Random(1), Path(__file__).read_text()
    tops = [found.start() for found in re.finditer(r"^(?=def|from|import)", source, re.M)]
    lengths = set()
    for _ in range(200):
        start, spoilt = dice.choice(tops), dice.choice([0, 0.0003, 0.003])
        text = "".join(c for c in source[start : start + dice.randrange(1500)] if dice.random() >= spoilt)
        lines = text.encode().splitlines(keepends=True)
        count = longest_parsing(lines)[1]
        assert count == max(n for n in range(len(lines) + 1) if _parses(lines[:n]))
        lengths.add((count, len(lines)))
    assert sum(0 < count < whole for count, whole in lengths) > 50


def _parses(lines):
    try:
        ast.parse(b"".join(lines).decode())
    except (SyntaxError, ValueError):
        return False
    return True


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_token_of_a_recorded_run_has_one_row_and_its_origin(tmp_path, language):
    trace = read_run(record_run(tmp_path, count=12))
    tokens = committed_tokens(trace, language)
    assert tokens["text"].tolist() == [text for round_ in trace.rounds for text in round_.new_texts.raw]
    assert tokens["origin"].tolist() == [origin for round_ in trace.rounds for origin in round_.origins]
    visible = tokens["text"].str.strip() != ""
    assert ((tokens["type"] == "(space)") <= ~visible).all()
    rows = drafted_by_syntax(tokens)
    assert rows["tokens"].sum() == trace.end["totals"]["new_tokens"]
    assert rows["drafted"].sum() == sum(len(round_.accepted) for round_ in trace.rounds)
    assert (rows["merged"] <= rows["drafted"]).all() and (rows["drafted"] <= rows["tokens"]).all()
    assert ((rows["low"] <= rows["share"]) & (rows["share"] <= rows["high"])).all()
    assert {*tokens, *rows} <= set(COLUMNS)
    assert all(re.match(r"[a-z]+: ", meaning) for meaning in COLUMNS.values())


@pytest.mark.parametrize(
    ("text", "language"),
    [("x = 1\n", "python"), ("Here:\n```sql\nSELECT 1\n```\n", "sql"), ("```JS\n1\n```", "javascript"),
     ("```text\na\n```\n```sh\nls\n```", "bash"), ("```fortran\n```", "python")],
)  # fmt: skip
def test_the_language_is_that_of_the_first_block_with_a_known_tag_else_python(text, language):
    assert language_of(run([text[:5], text[5:]])) == language


@pytest.mark.parametrize(
    ("text", "kind", "language"),
    [("To fill the tank, divide.", "maths", None), ("To fill the tank, divide.", None, None),
     ("To fill the tank, divide.", "code", "python"), ("x = 1\n", None, "python"), ("{}", "json", "json"),
     ("Here:\n```sql\nSELECT 1\n```\n", "maths", "sql")],
)  # fmt: skip
def test_prose_is_read_as_no_language(text, kind, language):
    assert written_in(run(re.findall(r"\W*\w+", text) or [text], kind=kind)) == language
