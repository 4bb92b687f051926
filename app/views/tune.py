"""Every width, depth and merge threshold at once, from a recording; no model is run."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import streamlit as st

from analysis.tune import as_row, command
from analysis.words import plain
from app.atlas import OpenAtlas, open_atlas
from app.components.method_settings import taken
from app.components.metrics import Figure
from app.components.page import head
from app.components.theme import follow_theme
from app.components.trial import TRIAL_TEXT, trial
from app.components.tune_charts import tune_charts
from app.components.tune_settings import defaults, place_sliders, take, tune_settings
from app.library import atlas_labels, atlases, runs_folder
from app.state import session, write_address
from gsd.errors import GsdError, InputError
from gsd.lab.atlas import Bounds
from gsd.methods import METHODS, MethodSettings, drafting, known, read_by, settings_of
from gsd.wording import counted

HERE = Path(__file__).parent
KEPT = "kept atlas"  # its name, while another view is shown
PAIR_TAKEN = "With the atlas's pair of models."
PAIR_LEFT = "Without the atlas's models, which are not a preset that is on this machine: the pair chosen there stays."

FIGURES = (
    Figure("Speed-up, modelled", "modelled_speedup", "{:.2f}×", "normal",
           "*Modelled*: `time of plain decoding ÷ time of the replayed rounds`, both by the atlas's cost curves; the "
           "mean over its texts."),
    Figure("Acceptance length", "mean_acceptance_length", "{:.2f}", "normal",
           "`1 + accepted ÷ rounds`, the mean over the texts."),
    Figure("Rounds", "rounds", "{:,.0f}", "inverse", "Target forwards over all texts, one a round."),
    Figure("Draft forwards", "draft_forwards", "{:,.0f}", "inverse", "One a level of each graph, over all texts."),
    Figure("Drafted nodes", "drafted_nodes", "{:,.0f}", "inverse", "Nodes added to the graphs, over all texts."),
    Figure("Verified nodes", "verified_nodes", "{:,.0f}", "inverse", "Drafted nodes that the target verified, over all "
           "texts."),
    Figure("Merges", "merges", "{:,.0f}", "off", "Merge edges, over all texts."),
    Figure("Coverage", "coverage", "{:.0%}", "off",
           "`replayed tokens ÷ tokens`, the mean over the texts. A replay is exact, or it ends: at the first node that "
           "the atlas does not hold expanded it stops, and nothing is guessed."),
)  # fmt: skip


def page() -> None:
    """The whole page."""
    session()
    found = atlases()
    head("Tune", "Move a slider: recorded texts are decoded again, with no model.",
         lambda: _pick(atlas_labels(found)))  # fmt: skip
    if not found:
        _empty()
        st.stop()
    follow_theme()
    opened = _opened(st.session_state["atlas"])
    if opened.atlas.unfinished:
        st.warning(plain(f"{opened.atlas.unfinished[0].upper()}{opened.atlas.unfinished[1:]}."))
    if opened.why_no_costs:
        st.info(f"No speed-up is modelled: {plain(opened.why_no_costs)}.")
    st.caption(plain(recorded_in_words(opened)))
    place_sliders(_addressed(opened.atlas.bounds), opened.atlas.bounds)
    st.fragment(_bench)(opened)


def recorded_in_words(opened: OpenAtlas) -> str:
    """What the figures are of: texts, tokens, models, and whose machine the curves were measured on."""
    texts, meta = opened.atlas.texts, opened.atlas.meta
    tokens = sum(len(one.tokens) for one in texts)
    words = [f"{counted(len(texts), 'text')}, {counted(tokens, 'token')} together"]
    if models := [meta[role] for role in ("target", "draft") if meta.get(role)]:
        names = " with ".join(model["source"].rstrip("/").split("/")[-1] for model in models)
        words.append(f"{names}, {models[0]['dtype']} on {models[0]['device']}")
    if opened.costs and (machine := opened.costs.machine):
        words.append(f"times measured on {_machine(machine)}, {counted(machine['repeats'], 'repeat')}")
    return " · ".join(words)


def _machine(machine: dict[str, Any]) -> str:
    return machine["gpu"] or f"{machine['processor']}, {counted(machine['threads'], 'thread')}"


def _pick(labels: dict[str, str]) -> None:
    """The atlas; at first the one that the address names."""
    if not labels:
        return
    if st.session_state.get("atlas") not in labels:
        wanted = st.session_state.get(KEPT, st.query_params.get("atlas"))
        st.session_state["atlas"] = wanted if wanted in labels else next(iter(labels))
    st.session_state[KEPT] = st.selectbox(
        "Atlas", labels, key="atlas", format_func=labels.get, width=360,
        help="A recording of what the draft says behind every token of some texts.")  # fmt: skip


def _empty() -> None:
    with st.container(border=True):
        st.markdown("**There is no atlas yet.** It holds what the draft says behind every token of some texts, so that "
                    "any setting can be replayed without a model. Record one beside the runs:")  # fmt: skip
        st.code(f"gsd probe --pair tiny --prompts benchmarks/prompts/tiny.jsonl --out {runs_folder() / 'atlas'}",
                language=None, wrap_lines=True)  # fmt: skip


def _opened(name: str) -> OpenAtlas:
    """Read an atlas; where it cannot be read say why and end the page."""
    try:
        return open_atlas(name, atlases()[name])
    except GsdError as error:
        st.error(plain(str(error)))
        st.stop()


def _bench(opened: OpenAtlas) -> None:
    """Sliders and what they make; a slider draws this anew and nothing else."""
    bounds = opened.atlas.bounds
    with st.container(key="bench"):
        left, right = st.columns([3, 11], gap="medium")
    with left, st.container(border=True, key="sliders"):
        spec = tune_settings(bounds)
        st.caption(f"The sliders end where this atlas does: width {bounds.width}, depth {bounds.depth}, frontier "
                   f"{bounds.frontier}. It holds nothing beyond.")  # fmt: skip
    with right:
        reference = defaults(bounds)
        here, before = opened.summary(spec), opened.summary(reference)
        with st.container(horizontal=True, border=True, key="tuned-figures"):
            for figure in FIGURES:
                figure.draw(here, before)
        alike = spec != reference and all(figure.written(here) == figure.written(before) for figure in FIGURES)
        st.caption(_of_what(opened, reference, alike))
        if here["covered"]:
            _use(opened, spec, reference)
        else:
            _not_covered(opened, spec, here["coverage"])
        tune_charts(opened, spec)
        trial(opened, spec)
    write_address(session(), atlas=opened.name, **_changed(spec, reference))


def _of_what(opened: OpenAtlas, reference: MethodSettings, alike: bool) -> str:
    """What the figures are of, and what their differences are from; `alike`: another setting makes none."""
    texts = opened.atlas.texts
    words = f"{counted(len(texts), 'text')}, {counted(sum(len(one.tokens) for one in texts), 'token')}"
    apart = "This setting has the same figures as" if alike else "Differences are from"
    return (f"Of {words}. {apart} the defaults of {reference.method}{_ends(reference)}. *auto* sets all of this itself "
            "and is not replayed.")  # fmt: skip


def _use(opened: OpenAtlas, spec: MethodSettings, reference: MethodSettings) -> None:
    """The setting to paste, and where it can go."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="tuned-setting"):
        st.code(_command(opened, spec), language=None, wrap_lines=True)
        st.button("Defaults", key="to defaults", icon=":material/undo:", on_click=take, disabled=spec == reference,
                  args=(reference.model_dump(), opened.atlas.bounds))  # fmt: skip
        pair = opened.pair_here
        if st.button("Use in Playground" if pair else "Use settings in Playground", key="to playground",
                     icon=":material/play_circle:", help=PAIR_TAKEN if pair else PAIR_LEFT):  # fmt: skip
            st.session_state.update(taken(spec.model_dump()) | ({"pair": pair} if pair else {}))
            st.switch_page(HERE / "playground.py")


def _command(opened: OpenAtlas, spec: MethodSettings) -> str:
    """What decodes the prompt chosen below, or the atlas's first, with its models and this setting."""
    texts = {text.id: text for text in opened.atlas.texts}
    text = texts.get(st.session_state.get(TRIAL_TEXT), opened.atlas.texts[0])
    return command(opened.atlas.meta.get("spec", {}), text, as_row(spec))


def _ends(reference: MethodSettings) -> str:
    """What of the defaults lies beyond the atlas, in words."""
    ends = [f"{name} {getattr(reference, name)} in place of {value}" for name, value in drafting().model_dump().items()
            if getattr(reference, name) != value]  # fmt: skip
    return f" as far as the atlas goes ({', '.join(ends)})" if ends else ""


def _not_covered(opened: OpenAtlas, spec: MethodSettings, coverage: float) -> None:
    grid = ",".join(
        f"{name}={value}"
        for name, value in as_row(spec).items()
        if name in ("method", *settings_of(METHODS[spec.method]))
    )
    st.warning(f"**Not covered.** This setting expands nodes that the atlas does not hold: {coverage:.0%} of the "
               "tokens could be replayed up to there. Nothing is guessed, so there are no figures. This records what "
               "is lacking:")  # fmt: skip
    fill = ["gsd", "probe", "--out", str(opened.folder), "--fill", grid]
    st.code(shlex.join(fill), language=None, wrap_lines=True)


def _changed(spec: MethodSettings, reference: MethodSettings) -> dict[str, str]:
    """What an address says of the setting: what differs from the reference."""
    before, own = as_row(reference), ("method", *settings_of(METHODS[spec.method]))
    return {name: str(value) for name, value in as_row(spec).items() if name in own and value != before[name]}


def _addressed(bounds: Bounds) -> MethodSettings:
    """The setting of the address, as far as there is one."""
    asked = {name: value for name, value in st.query_params.items() if name in ("method", *known())}
    if asked.get("merge_context") == "none":
        asked["merge_context"] = None
    try:
        return read_by(defaults(bounds).model_dump() | asked)
    except InputError:
        return defaults(bounds)


page()
