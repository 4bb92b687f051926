"""What can be done with the open run: run it again with one change, pin it for comparison, see more of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import streamlit as st

from analysis.modelled import unlike
from analysis.words import plain, setting, shortened
from app.components.settings import LEARNED, take_settings
from app.library import find, version
from app.state import OpenRun, session
from gsd.errors import TraceError
from gsd.methods import METHODS, settings_of
from gsd.spec import Prompt

TAKEN = "taken"  # in the session until it is said: settings were put into the form
SHOWN = 40  # letters of a prompt that changed
VIEWS = Path(__file__).parents[1] / "views"


def run_actions(run: OpenRun) -> None:
    """A row of buttons."""
    other = compared_with(run)
    with st.container(horizontal=True, vertical_alignment="center", gap="small", width="content"):
        st.button("Rerun with a change", key="take", icon=":material/replay:", type="tertiary", on_click=_take,
                  args=(run,), help="Puts this run's prompt and settings into the form: change one, and "
                  "run.")  # fmt: skip
        if _pinned() == run.name:
            st.button("Unpin A", key="pin", icon=":material/keep_off:", type="tertiary", on_click=_pin, args=(None,))
        else:
            st.button("Pin as A", key="pin", icon=":material/keep:", type="tertiary", on_click=_pin, args=(run.name,),
                      help="Every figure below then shows its difference from this run.")  # fmt: skip
        st.page_link(VIEWS / "graph.py", label="Graph", icon=":material/account_tree:",
                     query_params=_address(run), help="This round, large.")  # fmt: skip
        if other:
            st.page_link(VIEWS / "compare.py", label="Compare with A", icon=":material/compare_arrows:",
                         query_params={"a": other.name, "b": run.name})  # fmt: skip


def _take(run: OpenRun) -> None:
    take_settings(run.meta["spec"])
    st.session_state.update({TAKEN: True, "refused": ""})
    st.rerun()  # the form is not of the fragment that these buttons are in


def changes(run: OpenRun, other: OpenRun) -> str:
    """In words, how this run's settings differ from those of the pinned one."""
    return f"A is {plain(find(other.name).label)}. {changed_settings(other, run)}"


def changed_settings(before: OpenRun, after: OpenRun) -> str:
    """In words, what of the settings changed from one run to another."""
    old, new = _flat(before.meta), _flat(after.meta)
    changed = [_change(name, old[name], new[name]) for name in new if name in old and old[name] != new[name]]
    words = f"Changed from A: {plain(', '.join(changed))}." if changed else "Same settings."
    if apart := unlike(before.meta, after.meta):
        words += f" **Their times are not alike** ({plain(apart)}): compare their counts."
    learns = old["method"] == new["method"] and not after.meta["method"]["fixed_work"]
    return f"{words} *{plain(new['method'])}* {LEARNED}." if learns else words


def _change(name: str, before: object, after: object) -> str:
    if name == "prompt":
        before, after = shortened(before, SHOWN), shortened(after, SHOWN)
        if before == after:
            return f"prompt “{before}”, further on"
    return f"{name.replace('_', ' ')} {setting(before)} → {setting(after)}"


def compared_with(run: OpenRun) -> OpenRun | None:
    """The run that was pinned as A, unless it is this one or gone."""
    name = _pinned()
    try:
        return recorded(name) if name and name != run.name and find(name) else None
    except TraceError:
        return None


def recorded(name: str) -> OpenRun:
    """A run as far as it was recorded; shared, so nobody may poll it. Raises `TraceError` where it cannot be read."""
    return _read(str(find(name).folder), version([name]))


@st.cache_resource(show_spinner=False, max_entries=4)
def _read(folder: str, changed: tuple[int, ...]) -> OpenRun:
    """Cached by when the run last grew: it is looked at with every redraw of a live run."""
    return OpenRun.read(Path(folder))


def _pinned() -> str | None:
    return st.session_state.get("pins", {}).get("A")


def _pin(name: str | None) -> None:
    st.session_state["pins"] = st.session_state.get("pins", {}) | {"A": name}


def _address(run: OpenRun) -> dict[str, str]:
    state = session()
    shown = {} if state.round is None else {"round": str(state.round + 1)}
    return {"run": run.name, **shown, **({"node": state.node} if state.node else {})}


def _flat(meta: dict[str, Any]) -> dict[str, Any]:
    """Every setting by a name of its own, of drafting those that the method heeds; `auto` as what it came to."""
    spec = meta["spec"]
    drafting = spec["drafting"]
    method = METHODS.get(drafting["method"])
    heeded = {name: drafting[name] for name in ("method", *(settings_of(method) if method else ()))}
    own = {name: spec[name] for name in ("pair", "max_new_tokens", "stop", "packed", "detail")}
    own |= {name: meta["target"][name] for name in ("device", "dtype")} | meta.get("machine", {})
    models = {"target": _source(spec["target"]), "draft": _source(spec["draft"]),
              "draft_weights": (spec["draft"] or {}).get("quantization")}  # fmt: skip
    return own | models | Prompt(**spec["prompt"]).given() | heeded | spec["sampling"]


def _source(model: dict[str, Any] | None) -> str | None:
    """Where a model is from, its revision included."""
    return model and "@".join(filter(None, (model["source"], model["revision"])))
