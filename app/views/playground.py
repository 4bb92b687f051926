"""Type a prompt, watch a target verify what a draft proposes, look at the graph of each round."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import streamlit as st

from app.components.graph_view import Frame, graph_data, graph_view
from app.components.page import head
from app.components.run_view import run_view
from app.components.settings import run_spec, settings_sidebar
from app.engine_client import EngineClient, Job, engine
from app.library import SAMPLES, runs_folder
from app.state import OpenRun, Session, follow, open_run, session, write_address
from app.words import plain
from gsd.errors import GsdError
from gsd.trace import list_runs

LIVE_EVERY_S = 0.4
PREVIEW = "preview "  # widget keys of the samples' graphs begin with it
EXAMPLES = {
    "Quicksort": "def quicksort(items):\n",
    "Palindrome": 'def is_palindrome(text):\n    """Return True if text reads the same backwards."""\n',
    "Stack": 'class Stack:\n    """A last-in, first-out stack."""\n\n    def __init__(self):\n',
    "Word count": "# Count how often each word occurs in a file.\ndef count_words(path):\n",
}
STAGES = {
    "queued": "Waiting for the engine: it is starting, or another run comes first",
    "loading": "Loading the models",
    "preparing": "Reading the prompt",
}


def page() -> None:
    """The whole page."""
    settings_sidebar()
    client = engine()  # starts it, so that its imports are done by the first run
    _memory(client)
    state = session()
    _adopt(client, state)
    job = client.job(state.job) if state.job else None
    live = job is not None and job.pending
    head("Playground", "A small model drafts a graph of continuations, a large one verifies it in one forward. "
         "Every token below is the large model's own.")  # fmt: skip
    _composer(live)
    st.fragment(_result, run_every=LIVE_EVERY_S if live else None)(live)


def _adopt(client: EngineClient, state: Session) -> None:
    """Take up a run that is still going and was opened by its address: after a reload, or in a second tab."""
    if state.job or not state.run or state.run.end:
        return
    if job := client.writing(state.run.folder):
        state.job = state.followed = job.id
        if "step" not in st.query_params:
            state.step = None


def _memory(client: EngineClient) -> None:
    """What the loaded models take, and a way to get it back."""
    memory = client.memory()
    if not memory:
        return
    parts = [f"{memory['host_bytes'] / 2**30:.1f} GiB of memory"]
    parts += [f"{size / 2**30:.1f} GiB on {device}" for device, size in memory["device_bytes"].items()]
    with st.sidebar.container(horizontal=True, vertical_alignment="center"):
        st.caption(f"Engine: {', '.join(parts)}", width="stretch")
        st.button("Unload", key="unload", type="tertiary", on_click=client.unload,
                  help="Drops the loaded models; the next run loads them again.")  # fmt: skip


def _composer(live: bool) -> None:
    with st.container(border=True):
        st.text_area("Prompt", key="prompt", height=112, placeholder="def quicksort(items):",
                     label_visibility="collapsed")  # fmt: skip
        with st.container(horizontal=True, vertical_alignment="center"):
            st.pills("Examples", list(EXAMPLES), key="example", on_change=_take_example, label_visibility="collapsed",
                     width="content")  # fmt: skip
            st.space("stretch")
            st.checkbox("Measure a baseline", key="baseline", help="Once the text is there, decode it three times "
                        "more, by `ar` and by this method in turn, for a *measured* speed-up.")  # fmt: skip
            st.button("Cancel", key="cancel", disabled=not live, on_click=_cancel, icon=":material/stop:",
                      help="Ends the run after its current round; what was decoded stays.")  # fmt: skip
            st.button("Run", key="run", type="primary", disabled=live, on_click=_run, icon=":material/play_arrow:",
                      shortcut="Mod+Enter")  # fmt: skip
        if problem := st.session_state.get("refused"):
            st.error(plain(problem))


def _result(live: bool) -> None:
    """Follow the job and draw the open run; while a run is going, a few times a second."""
    state = session()
    job = engine().job(state.job) if state.job else None
    if job and job.folder and state.followed != job.id:
        follow(job.folder)
        state.followed = job.id
    if state.run:
        state.run.poll()
    if live and not job.pending:
        if state.step is None and state.run:
            state.step = state.run.telling_step()
        st.rerun()
    if job:
        _job_line(job, state.run)
    if state.problem:
        st.error(plain(state.problem))
    if state.run:
        run_view(live=live and job.folder == state.run.folder)
    elif not live:
        _empty()
    write_address(state)


def _job_line(job: Job, run: OpenRun | None) -> None:
    """How the job stands: what it waits for, how far it is, or why it failed."""
    if job.state in STAGES:
        st.progress(0.0, f":material/hourglass_top: {STAGES[job.state]} …")
    elif job.state == "running" and run:
        new, most = sum(len(step["new_tokens"]) for step in run.steps), run.meta["spec"]["max_new_tokens"]
        whole = bool(run.steps and run.steps[-1]["stop"])  # what goes on after the text is the comparison
        doing = "The text is whole · measuring the baseline" if whole else f"Round {len(run.steps)}"
        st.progress(1.0 if whole else new / most, f"{doing} · {new:,} of at most {most:,} tokens")
    elif job.state in ("failed", "crashed"):
        st.error(plain(job.error))
        if job.output:
            with st.expander("The engine's last words"):
                st.code(job.output, language=None, wrap_lines=True)


def _empty() -> None:
    st.html('<div class="empty-state">'
            "<div><b>1 · Prompt</b><span>Type one above or take an example. The bundled pair knows short Python "
            "functions.</span></div>"
            "<div><b>2 · Run</b><span>The text grows here, each token marked by where it came from: the draft, a merge "
            "or the target itself.</span></div>"
            "<div><b>3 · Look</b><span>Click a token for its round's graph, then a node to read why it is there and "
            "what became of it.</span></div></div>")  # fmt: skip
    for folder in list_runs(SAMPLES):
        sample = _sample(folder)
        with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
            st.caption(plain(sample.title), width="content")
            st.button("Open this run", key=f"sample {folder.name}", icon=":material/visibility:", on_click=open_run,
                      args=(folder.name,))  # fmt: skip
        graph_view(sample.graph, key=PREVIEW + folder.name, on_pick=partial(_open_at_node, folder.name))


@dataclass(frozen=True, slots=True)
class Sample:
    """A recorded run as the empty page shows it: one line, and the graph of its most telling round."""

    title: str
    graph: dict[str, Any]


@st.cache_resource(show_spinner=False)
def _sample(folder: Path) -> Sample:
    run = OpenRun.read(folder)
    spec, step = run.meta["spec"], run.steps[run.telling_step()]
    title = f"A recorded run: “{spec['prompt']['prompt'].strip()} …” by {spec['pair']}, round {step['round'] + 1}"
    return Sample(title, graph_data(step, run=run.name, frame=Frame.of([step]), show_pruned=False, selected=None))


def _open_at_node(name: str) -> None:
    """A click in the preview opens the run with that node explained."""
    picked = st.session_state[PREVIEW + name].get("pick")
    open_run(name)
    session().node = picked and picked["id"]


def _take_example() -> None:
    if st.session_state["example"]:
        st.session_state["prompt"] = EXAMPLES[st.session_state["example"]]


def _run() -> None:
    """Check the settings and hand the run to the engine."""
    prompt = st.session_state["prompt"]
    st.session_state["refused"] = ""
    try:
        spec = run_spec(prompt)
    except GsdError as error:
        st.session_state["refused"] = "Type a prompt first." if not prompt else str(error)
        return
    state = session()
    state.run, state.step, state.node, state.problem = None, None, None, ""
    state.job = engine().submit(spec, runs_folder(), baseline=st.session_state["baseline"])


def _cancel() -> None:
    if job := session().job:
        engine().cancel(job)


page()
