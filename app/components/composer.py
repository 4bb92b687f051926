"""What is decoded next: a prompt of one's own, one from the library, or several in one go."""

from __future__ import annotations

import streamlit as st

from analysis.words import plain
from app.components.consent import ask, must_ask
from app.components.settings import ONE, SEVERAL, models_as_recorded, run_spec
from app.engine_client import Job, engine
from app.library import runs_folder
from app.prompt_library import LibraryPrompt, prompts
from app.state import await_runs, session
from gsd.decode.prompts import parse_prompts
from gsd.errors import GsdError, InputError
from gsd.spec import Prompt

BUNDLED = "tiny"


def composer(job: Job | None) -> None:
    """Draw it. `job` is the run that is pending, if any."""
    live = job is not None
    with st.container(border=True, key="composer"):
        if st.session_state["mode"] == ONE:
            st.text_area("Prompt", key="prompt", height=112, placeholder="for example: def quicksort(items):",
                         label_visibility="collapsed", on_change=_forget_refusal)  # fmt: skip
        else:
            _several()
        with st.container(horizontal=True, vertical_alignment="center", key="composer-row"):
            st.segmented_control("How many", [ONE, SEVERAL], key="mode", required=True, label_visibility="collapsed",
                                 width="content", on_change=_forget_refusal)  # fmt: skip
            if st.session_state["mode"] == ONE:
                _library()
            st.space("stretch")
            st.checkbox("Measure a baseline", key="baseline", help="Once the text is there, decode it three times "
                        "more, by `ar` and by this method in turn, for a *measured* speed-up.")  # fmt: skip
            _buttons(job, live)
        if problem := st.session_state.get("refused"):
            st.error(plain(problem))
    ask()


def _buttons(job: Job | None, live: bool) -> None:
    held = live and job.held
    st.button("Resume" if held else "Pause", key="pause", disabled=not live or job.state != "running",
              icon=":material/play_arrow:" if held else ":material/pause:", on_click=_hold,
              help="Holds the run after its current round; no clock runs meanwhile.")  # fmt: skip
    st.button("Cancel", key="cancel", disabled=not live, on_click=_cancel, icon=":material/stop:",
              help="Ends the run after its round; what was decoded stays. Those behind it are dropped.")  # fmt: skip
    st.button("Run", key="run", type="primary", disabled=live, on_click=_run, icon=":material/play_arrow:",
              shortcut="Mod+Enter")  # fmt: skip


def _library() -> None:
    labels = _offered()
    st.selectbox("Prompt library", labels, key="from_library", index=None, format_func=labels.get, width=200,
                 placeholder="Prompt library", label_visibility="collapsed", on_change=_take_from_library)  # fmt: skip


def _several() -> None:
    labels = _offered()
    st.session_state["several"] = [one for one in st.session_state["several"] if one in labels]
    left, right = st.columns([3, 2], gap="medium")
    with left:
        st.multiselect("From the library", labels, key="several", format_func=labels.get,
                       placeholder="Choose prompts")  # fmt: skip
    with right:
        st.file_uploader("or a file", "jsonl", key="prompt_file",
                         help="One JSON object a line: `prompt`, and if wanted `id`, `kind` and `chat`.")  # fmt: skip


def _offered() -> dict[str, str]:
    """Labels of the library's prompts by id; the bundled pair only goes on with texts, so it gets no tasks."""
    base = st.session_state["pair"] == BUNDLED
    return {one.id: f"{one.kind} · {one.title}" for one in prompts() if one.suits == "base" or not base}


def _wanted() -> list[Prompt]:
    """The prompts to decode. Raises `GsdError` where there is none, or a line of the file is broken."""
    chosen = st.session_state
    if chosen["mode"] == ONE:
        if not chosen["prompt"]:
            raise InputError("Type a prompt first, or take one from the library.")
        return [_typed(chosen["prompt"])]
    found = [_as_prompt(one) for one in prompts() if one.id in chosen["several"]]
    if chosen.get("prompt_file"):
        found += _uploaded(chosen["prompt_file"].getvalue(), chosen["prompt_file"].name)
    if not found:
        raise InputError("Choose prompts from the library first, or give a file of prompts.")
    return found


def _typed(text: str) -> Prompt:
    """A prompt of the library keeps its name and kind, unless it was edited."""
    known = next((one for one in prompts() if one.prompt == text), None)
    return _as_prompt(known) if known else Prompt(id=_slug(text), prompt=text)


def _as_prompt(one: LibraryPrompt) -> Prompt:
    return Prompt(id=one.id, prompt=one.prompt, kind=one.kind, chat=one.chat)


def _slug(text: str) -> str:
    """A name for the run's folder, from the prompt's first words."""
    return " ".join(text.split())[:40] or "prompt"


def _uploaded(content: bytes, name: str) -> list[Prompt]:
    read = parse_prompts(content, name)
    if read.broken:
        raise InputError(f"Line {read.broken[0].line} of {name}: {read.broken[0].error}. Mend it and give it again.")
    return read.prompts


def _take_from_library() -> None:
    _forget_refusal()
    if name := st.session_state["from_library"]:
        st.session_state["prompt"] = next(prompt.prompt for prompt in prompts() if prompt.id == name)


def _forget_refusal() -> None:
    """What was wrong with a prompt is not wrong with another."""
    st.session_state["refused"] = ""


def _run() -> None:
    """Check the settings and hand the runs to the engine, in order; what a recording named is asked for first."""
    st.session_state["refused"] = ""
    try:
        specs = [run_spec(prompt) for prompt in _wanted()]
    except GsdError as error:
        st.session_state["refused"] = str(error)
        return
    if must_ask(models_as_recorded(), _run):
        return
    await_runs(engine().submit_all(specs, runs_folder(), baseline=st.session_state["baseline"]))


def _hold() -> None:
    client = engine()
    job = client.current(session().jobs)
    (client.resume if job.held else client.pause)(job.id)


def _cancel() -> None:
    """The run that is going, and those of its batch that wait behind it."""
    for name in session().jobs:
        engine().cancel(name)
