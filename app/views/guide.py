"""What graph-structured speculative decoding is, and how to read what the lab shows."""

from __future__ import annotations

import base64
import html
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import streamlit as st

from analysis.explain import explain
from analysis.explanation import as_html
from analysis.glossary import measures, pages, topics
from analysis.story import story
from analysis.svg import LEGEND, Tones, sample, svg
from analysis.toy import PROMPT, SPEC, toy_round
from app.components.graph_view import Frame, graph_data, graph_view
from app.components.page import head
from app.components.theme import follow_theme, page_tones
from app.components.token_text import ORIGINS, text_data, token_text
from app.state import session, write_address
from gsd import __version__
from gsd.methods import METHODS, MethodSettings, known
from gsd.trace.recorded_round import RecordedRound

HERE = Path(__file__).parent
SMALL = SPEC.model_copy(update={"width": 2, "depth": 3})  # of the picture; the miniature uses all of the toy
ROOM = Frame(columns=8, height=400)  # the toy's graphs at any setting
TOY = "toy"  # the miniature's widget key


@dataclass(frozen=True, slots=True)
class Setting:
    """What the miniature says of a setting, and the values to try."""

    label: str
    values: tuple[float | int | None, ...]
    watch: str
    help: str


def _setting(name: str, values: tuple[float | int | None, ...], watch: str) -> Setting:
    words = known()[name].words
    return Setting(words.label, values, watch, words.help)


SETTINGS = {
    "width": _setting("width", (1, 2, 3), "At 1 the draft is a single line. The target wants `dog`, the draft's second "
                      "choice, so all of that line is lost."),
    "depth": _setting("depth", (1, 2, 3, 4, 5, 6), "Each level can bring one more token, and costs one more draft "
                      "forward, whether it is reached or not."),
    "frontier": _setting("frontier", (1, 2, 3, 4, 5, 6), "A small frontier follows the likeliest paths only; the "
                         "others end where they are."),
    "merge_context": Setting("Merge context", (None, 0, 1, 2), "`off` is a tree. At 0 one equal word is enough to "
                             "merge; the more words must agree, the fewer merges and the more nodes.",
                             "Tokens before a candidate that must agree, too, for it to merge with a node."),
    "sibling_threshold": _setting("sibling_threshold", (0.0, 0.2, 0.4, 0.6, 0.8, 1.0), "High, it leaves the draft's "
                                  "favourites; at 1 only the best of each row."),
    "prob_threshold": _setting("prob_threshold", (0.0, 0.02, 0.05, 0.1, 0.2, 0.4), "Where a path has become "
                               "improbable it ends in a leaf: still verified, not continued."),
    "budget": _setting("budget", (2, 4, 8, 12, 24), "The draft stays the same. A small budget shows the target only "
                       "its likeliest paths, the others stay grey."),
}  # fmt: skip
FIGURES = {
    "Drafted": ("drafted_nodes", "Nodes added to the graph, the root not counted."),
    "Merges": ("merged", "Merge edges: candidates found to be a node already there."),
    "Verified": ("verified_nodes", "Nodes of the flattened tree, at most the budget; a merged node counts once for "
                 "each way that leads to it."),
    "Accepted": ("accepted", "Length of the verified path that the target would have written itself."),
    "Levels": ("draft_forwards", "Levels that were expanded, each one forward of the draft."),
}  # fmt: skip
MARKS = {
    "root": ("root", "The last token of the text so far. Everything drafted starts here."),
    "accepted": ("accepted", "Drafted, and what the target would have written: it is in the text now."),
    "rejected": ("rejected", "Verified, but the target wrote something else."),
    "unverified": ("not verified", "Drafted, but beyond the budget or, by auto, not worth its time."),
    "ended": ("after the end", "Verified, but the text had ended before it."),
    "merged": ("merged", "Other hypotheses go on from this node, too: it was drafted once and serves them all."),
    "copy": ("copy", "In the tree and the verified face: the same node once more, for another way to it."),
    "bonus": ("bonus", "The target's own token after the accepted path. Its forward gives it for nothing."),
    "pruned": ("pruned", "A candidate that a threshold dropped before it became a node."),
    "lookup": (LEGEND["lookup"], "By method auto: the tokens before it stood in the text before, and this followed "
               "them. The draft was not asked yet."),
    "history": (LEGEND["history"], "Likewise, but in a hypothesis that was rejected in an earlier round."),
    "found": (LEGEND["found"], "By a method that drafts from what it has seen, with or without a draft model. A click "
              "on the node says where."),
    "merge": ("merge edge", "Leads to a node that was drafted elsewhere. Plain edges lead to a node's own children."),
}  # fmt: skip
CONTENTS = ("[What each setting does](#settings) · [How to read the pictures](#reading) · [Glossary](#glossary) · "
            "[Documentation](#documentation) · [How to cite](#cite)")  # fmt: skip
assert MARKS.keys() == LEGEND.keys() | {"root"}
PAPER = """@inproceedings{gong-etal-2024-graph,
  title     = {Graph-Structured Speculative Decoding},
  author    = {Gong, Zhuocheng and Liu, Jiahao and Wang, Ziyue and Wu, Pengfei and Wang, Jingang and
               Cai, Xunliang and Zhao, Dongyan and Yan, Rui},
  booktitle = {Findings of the Association for Computational Linguistics: ACL 2024},
  year      = {2024},
  pages     = {11404--11415},
  doi       = {10.18653/v1/2024.findings-acl.677},
  note      = {arXiv:2407.16207}
}"""
SOFTWARE = f"""@software{{gsd-lab,
  title   = {{GSD lab: graph-structured speculative decoding to see, understand and tune}},
  version = {{{__version__}}},
  year    = {{2026}}
}}"""


def page() -> None:
    """The whole page, from the idea to the small print."""
    head("Guide", "The idea in one picture, every setting to try, and how to read what the lab shows.", pick=_next)
    follow_theme()
    st.markdown(CONTENTS)
    _idea(page_tones())
    st.fragment(_miniature)()
    _reading(page_tones())
    _glossary()
    st.fragment(_documentation)()
    _citing()
    write_address(session(), setting=st.session_state["setting"])


def _next() -> None:
    st.page_link(
        HERE / "playground.py", label="Try it in the Playground", icon=":material/play_circle:", width="content"
    )


# --- the idea


def _idea(tones: Tones) -> None:
    tree, graph = toy_round(SMALL.model_copy(update={"merge_context": None})), toy_round(SMALL)
    before, after = tree.drafted_nodes, graph.drafted_nodes
    kept, own = "".join(graph.new_texts.raw[:-1]).strip(), graph.new_texts.raw[-1].strip()
    cards = [
        ("1 · A small model guesses", _undecided(tree),
         f"Quickly it drafts how the text may go on, as a tree of hypotheses. The same words recur in many "
         f"of them, and each time they are drafted anew: <b>{before} nodes</b>."),
        ("2 · What recurs is merged", _undecided(graph),
         f"GSD sees that a word is there already and draws an edge to it instead. All hypotheses are still there, "
         f"in a graph of <b>{after} nodes</b>."),
        ("3 · The large model decides", _picture(graph),
         f"In one forward it reads all of them and keeps the path that it would have written itself, “{kept}”, "
         f"then adds “{own}”: <b>{len(graph.new_texts)} tokens for one forward</b>, and exactly its own text."),
    ]  # fmt: skip
    drawn = "".join(
        f"<div><b>{title}</b>{_image(svg(picture, title, tones, legend=False), title)}<p>{words}</p></div>"
        for title, picture, words in cards
    )
    st.html(f'<div class="idea">{drawn}</div>')


def _image(drawn: str, said: str = "") -> str:
    """An SVG as an image that needs no loading; a page keeps none that is written into it."""
    return (
        f'<img alt="{html.escape(said)}" src="data:image/svg+xml;base64,{base64.b64encode(drawn.encode()).decode()}">'
    )


def _picture(round_: RecordedRound, picked: str | None = None, *, pruned: bool = False) -> dict[str, Any]:
    return graph_data(round_, run=TOY, frame=ROOM, show_pruned=pruned, selected=picked)


def _undecided(round_: RecordedRound) -> dict[str, Any]:
    """The round's graph before the target has seen it."""
    picture = _picture(replace(round_, bonus=False))
    picture["nodes"]["kind"] = [kind if kind == "root" else "unverified" for kind in picture["nodes"]["kind"]]
    picture["edges"]["walked"] = [False] * len(picture["edges"]["walked"])
    return picture


# --- every setting to try


def _miniature() -> None:
    st.header("What each setting does", anchor="settings")
    st.caption("A toy draft that knows a handful of words, and a target that writes “The dog sat on the mat.” All "
               "between them is the engine's own.")  # fmt: skip
    name = _chosen()
    setting = SETTINGS[name]
    left, right = st.columns([2, 5], gap="medium")
    with left:
        value = st.select_slider(setting.label, setting.values, getattr(SPEC, name), key=f"toy {name}",
                                 label_visibility="collapsed",
                                 format_func=lambda value: "off" if value is None else f"{value:g}")  # fmt: skip
        st.markdown(f"{setting.help} {setting.watch}")
    spec = SPEC.model_copy(update={name: value})
    round_ = toy_round(spec)
    with right:
        _figures(round_)
        picked = _picked()
        graph_view(_picture(round_, picked, pruned=True), key=TOY, on_pick=lambda: None)
    with left:
        _words(round_, spec, picked)


def _chosen() -> str:
    if "setting" not in st.session_state:
        asked = st.query_params.get("setting", "width")
        st.session_state["setting"] = asked if asked in SETTINGS else "width"
    return st.pills("Setting", SETTINGS, key="setting", required=True, label_visibility="collapsed",
                    format_func=lambda name: SETTINGS[name].label)  # fmt: skip


def _figures(round_: RecordedRound) -> None:
    """What the setting costs and brings, beside what the toy's own settings do."""
    usual = toy_round()
    with st.container(key="toy-figures"):
        for label, (field, help) in FIGURES.items():
            now, before = (_count(getattr(one, field)) for one in (round_, usual))
            st.metric(label, now, f"{now - before:+d}" if now != before else None, delta_color="off", help=help)


def _count(value: int | list[int]) -> int:
    return value if isinstance(value, int) else len(value)


def _picked() -> str | None:
    return (st.session_state.get(TOY, {}).get("pick") or {}).get("id")


def _words(round_: RecordedRound, spec: MethodSettings, picked: str | None) -> None:
    """What was clicked in the miniature, or else its story."""
    meta = {"spec": {"drafting": spec.model_dump()}, "method": METHODS[spec.method].described()}
    found = explain(round_, meta, picked) if picked else None
    st.html(as_html(found or story(round_, meta)))


# --- how to read


def _reading(tones: Tones) -> None:
    st.header("How to read the pictures", anchor="reading")
    rows = "".join(f"<div>{_image(_drawn(kind, tones))}<p><b>{html.escape(name)}</b>{html.escape(words)}</p></div>"
                   for kind, (name, words) in MARKS.items())  # fmt: skip
    st.html(f'<div class="marks">{rows}</div>')
    st.markdown("In a text, each token is underlined by where it came from. White space in tokens is visible: `·` is a "
                "space, `↵` a newline, `→` a tab, and `∅` a token without text.")  # fmt: skip
    shown = text_data("guide", PROMPT, [toy_round()], selected=None, live=False)
    token_text(shown | {"origins": ORIGINS}, key="guide text", on_pick=lambda: None)  # more than the toy's text has
    st.markdown("`p` is the target's probability, `q` the draft's; *path q* is the product of q from the "
                "root. A speed-up says whether it was *measured* on this machine or *modelled* from its cost "
                "curves.")  # fmt: skip


def _drawn(kind: str, tones: Tones) -> str:
    box = 'xmlns="http://www.w3.org/2000/svg" width="56" height="56" viewBox="-13 -13 26 26"'
    return f"<svg {box}>{sample(kind, tones)}</svg>"


# --- reference


def _glossary() -> None:
    st.header("Glossary", anchor="glossary")
    with st.expander("Every column of the tables"):
        _measures()
    st.caption("How the metrics in the charts are worked out:")
    for topic, text in topics().items():
        with st.expander(topic):
            st.markdown(text)


def _measures() -> None:
    """The columns that every run and every CSV has, found by name or meaning."""
    wanted = st.text_input("Find a measure", key="find_measure", placeholder="Find a measure, such as acceptance",
                           label_visibility="collapsed", width=360).casefold()  # fmt: skip
    table = measures()
    found = table[table.apply(lambda row: wanted in " ".join(row).casefold(), axis=1)]
    st.dataframe(found, key="measures", hide_index=True, height=320,
                 column_config={"table": st.column_config.Column(width="small"),
                                "column": st.column_config.Column(width="medium"),
                                "unit": st.column_config.Column(width="small"),
                                "meaning": st.column_config.Column(width="large")})  # fmt: skip


def _documentation() -> None:
    """The pages of docs/, one at a time."""
    st.header("Documentation", anchor="documentation")
    names = list(pages())
    name = st.pills("Page", names, default=names[0], key="docs page", required=True, label_visibility="collapsed")
    with st.container(border=True):
        st.markdown(pages()[name])


def _citing() -> None:
    st.header("How to cite", anchor="cite")
    left, right = st.columns(2, gap="medium")
    with left:
        st.markdown("The method: [arXiv 2407.16207](https://arxiv.org/abs/2407.16207)")
        st.code(PAPER, language="bibtex", wrap_lines=True)
    with right:
        st.markdown("This software, where its figures or pictures are used")
        st.code(SOFTWARE, language="bibtex", wrap_lines=True)


page()
