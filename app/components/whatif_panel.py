"""One round under other settings: the controls, and what they change."""

from __future__ import annotations

from typing import Any

import streamlit as st

from analysis.round_whatif import Changed, Counts, RoundReplay, Uncovered
from analysis.words import plain, setting
from app.state import OpenRun
from gsd.errors import InputError
from gsd.methods import METHODS, MethodSettings, known, settings_of
from gsd.trace.texts import code

CONTEXTS = (None, 0, 1, 2, 3)
NAMED = 3  # places that an uncovered setting names
# name, label, whether more of it is better (1), less of it (−1) or neither
FIGURES = (("accepted", "Accepted", 1), ("drafted", "Drafted", 0), ("verified", "Verified", 0),
           ("merges", "Merges", 0), ("levels", "Levels", -1))  # fmt: skip
HELP = (
    "The round is grown again from its own recording, by the drafter's own rules; nothing is guessed. **Accepted** is "
    "the longest path of the new tree that the run's text, which is the target's own, goes on with. A **level** is one "
    "forward of the draft."
)
OF_AUTO = (
    "Method *auto* goes by its times, so here it is told what *graph* would have done with fixed settings, without "
    "what was looked up."
)


@st.cache_resource(show_spinner=False, max_entries=8)
def _replay(name: str, index: int, rounds: int, _run: OpenRun) -> RoundReplay:
    """`rounds`: a run that grows says more of how its text goes on."""
    return RoundReplay(_run.meta, _run.rounds, index)


def what_if(run: OpenRun, index: int) -> Changed | None:
    """Draw the controls and their effect; None where nothing differs from the recording or it cannot say."""
    try:
        replay = _replay(run.name, index, len(run.rounds), run)
    except InputError as error:
        st.info(plain(str(error)))
        return None
    result = st.container()
    if not replay.as_recorded:
        st.caption(OF_AUTO)
    # Of method auto each round has sliders of its own, as they reach as far as it was recorded.
    place = run.name if replay.as_recorded else f"{run.name} {index}"
    spec = _controls(place, replay)
    found = replay.under(spec)
    covered = isinstance(found, Changed)
    with result:
        if covered:
            st.html(_table(found.before, found.after))
        else:
            _uncovered(found)
    _footer(place, spec, replay.start, covered)
    return found if covered and not (replay.as_recorded and spec == replay.start) else None


def _controls(place: str, replay: RoundReplay) -> MethodSettings:
    """Sliders, by default where the run had them."""
    chosen: dict[str, Any] = {}
    spec = replay.start
    left, right = st.columns(2, gap="medium", wrap=False)
    for i, name in enumerate(_numbers(spec)):
        with (left, right)[i % 2]:
            chosen[name] = _slider(place, name, getattr(spec, name), getattr(replay.most, name))
    with left:
        contexts = CONTEXTS if spec.merge_context in CONTEXTS else (*CONTEXTS, spec.merge_context)
        chosen["merge_context"] = st.select_slider(
            "Merge context", contexts, spec.merge_context, key=_key(place, "merge_context"),
            format_func=setting,
            help="Tokens before a candidate that must agree, too, for it to merge. `off` never merges.",
        )  # fmt: skip
    return spec.model_copy(update=chosen)


def _numbers(spec: MethodSettings) -> list[str]:
    """The settings that are numbers."""
    own = settings_of(METHODS[spec.method])
    return [name for name, one in own.items() if one.kind in (int, float) and not one.optional]


def _slider(place: str, name: str, start: float, recorded: float) -> float:
    """Counts go up to what was recorded, but for the budget: any tree of a known graph can be verified."""
    number = known()[name].words
    if number.step < 1:
        return st.slider(number.label, 0.0, 1.0, start, 0.001, "%.3f", key=_key(place, name),
                         help=number.help)  # fmt: skip
    most = max(2 * recorded, 64) if name == "budget" else recorded
    if most == 1:
        return start
    return st.slider(number.label, 1, most, start, key=_key(place, name), help=number.help)


def _key(place: str, name: str) -> str:
    return f"what if {place} {name}"


def _uncovered(found: Uncovered) -> None:
    places = ", ".join(code(text) for text in found.texts[:NAMED])
    more = f" and {len(found.texts) - NAMED} more" if len(found.texts) > NAMED else ""
    why = "which this run never asked it" if found.model == "draft" else "where this run's text breaks off"
    st.html('<div class="words uncovered" role="status"><h4>Not covered by this recording</h4><p>These settings need '
            f"what the {found.model} says after {places}{more}, {why}. The graph stays as recorded: go back towards "
            "its settings, or run these in the Playground.</p></div>")  # fmt: skip


def _table(before: Counts, after: Counts) -> str:
    """Before → after; a change is green where it helps, orange where it hurts, and always has its sign."""
    cells = []
    for name, label, better in FIGURES:
        old, new = getattr(before, name), getattr(after, name)
        tone = "" if old == new or not better else "good" if (new > old) == (better > 0) else "bad"
        change = "as recorded" if old == new else f"{new - old:+d}".replace("-", "−")
        shown = f"<b>{new}</b>" if old == new else f"{old} → <b>{new}</b>"
        cells.append(f'<div><span>{label}</span><div>{shown}</div><em class="{tone}">{change}</em></div>')
    return f'<div class="before-after" role="status">{"".join(cells)}</div>'


def _footer(place: str, spec: MethodSettings, recorded: MethodSettings, covered: bool) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button("Reset", key="reset what if", icon=":material/undo:", type="tertiary", disabled=spec == recorded,
                  on_click=_reset, args=(place, recorded))  # fmt: skip
        if covered:
            st.caption("Exact, from this recording", help=HELP, width="content")


def _reset(place: str, recorded: MethodSettings) -> None:
    for name in (*_numbers(recorded), "merge_context"):
        st.session_state[_key(place, name)] = getattr(recorded, name)
