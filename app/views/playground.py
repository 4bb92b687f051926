"""Type a prompt, watch a target verify what a draft proposes, look at the graph of each round."""

from __future__ import annotations

import time
from functools import partial

import streamlit as st

from analysis.words import plain
from app.components.composer import composer
from app.components.graph_view import Frame, Shown, graph_data, graph_view, manageable
from app.components.page import head
from app.components.run_actions import TAKEN
from app.components.settings import settings_sidebar
from app.components.waiting import duration, waiting
from app.engine_client import EngineClient, Job, engine
from app.library import Entry, entries
from app.state import OpenRun, Session, follow, go_back, open_run, session, write_address
from gsd.wording import counted

LIVE_EVERY_S = 0.4
JOB = "job"  # in the address while something is going: the first run of what was asked for in one go
PREVIEW = "preview "  # widget key of a sample's graph begins with it
STAGES = {
    "queued": "Waiting for the engine, which is starting",
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
    job = client.current(state.jobs)
    pending = job if job and job.pending else None
    head("Playground", "A small model drafts a graph of continuations, a large one verifies it in one forward. "
         "Every token below is the large model's own.")  # fmt: skip
    composer(pending)
    if st.session_state.pop(TAKEN, False):
        st.toast("The form holds that run's prompt and settings. Change one, then Run.", icon=":material/replay:")
    st.fragment(_result, run_every=LIVE_EVERY_S if pending else None)(pending, state.run)


def _adopt(client: EngineClient, state: Session) -> None:
    """Take up what is still going, after a reload, in a second tab or from another view: the run that is open, or the
    job that the address names, with all that was asked for in one go with it. Where the address has no round, each is
    followed.
    """
    writing = client.writing(state.run.folder) if state.run else None
    if state.jobs and (writing is None or client.current(state.jobs).pending):
        return
    state.jobs = client.batch(writing.id if writing else st.query_params.get(JOB, ""))
    if state.jobs and "round" not in st.query_params:
        state.round, state.following = None, True


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


def _result(drawn_for: Job | None, headed: OpenRun | None) -> None:
    """Follow the runs that were asked for and draw the open one; while one is going, a few times a second.

    The page around this was drawn for the job `drawn_for` and the run `headed`: another state of the one needs other
    buttons, another run is another choice in the head.
    """
    state, client = session(), engine()
    job = client.current(state.jobs)
    if job and job.folder and state.following and (state.run is None or state.run.folder != job.folder):
        follow(job.folder)
    if state.before and not (job and job.pending):
        go_back()
    if state.run:
        state.run.poll()
    if drawn_for and (job.id, job.state, job.held) != (drawn_for.id, drawn_for.state, drawn_for.held):
        if not job.pending and state.following and state.run and state.round is None:
            state.round = state.run.telling_round()
        st.rerun()
    if state.run is not headed:
        st.rerun()
    if job:
        _job_line(client, job, state)
    if len(state.jobs) > 1:
        _batch([client.job(name) for name in state.jobs])
    if state.problem:
        st.error(plain(state.problem))
    if state.run:
        from app.components.run_view import run_view  # with pandas: half a second that the empty page need not wait for

        run_view(live=bool(job and job.pending and job.folder == state.run.folder))
    elif not drawn_for:
        _empty([entry for entry in entries() if entry.sample])
    write_address(state, **{JOB: state.jobs[0] if job and job.pending else None})


def _job_line(client: EngineClient, job: Job, state: Session) -> None:
    """How the job stands: what it waits for, how far it is, or why it failed, until another run is opened.

    A run that could write down why it failed says so itself.
    """
    run = state.run
    own = run is not None and run.folder == job.folder
    waited = time.monotonic() - job.since
    if job.state == "queued" and (ahead := client.ahead(job.id)):
        waiting(f"Waiting for {counted(ahead, 'other run')} in the engine's queue", waited)
    elif job.state in STAGES:
        waiting(STAGES[job.state], waited)
    elif job.state == "running" and own:
        _decoding(run, job)
    elif job.state in ("failed", "crashed") and (not run.end if own else state.following or run is None):
        st.error(plain(job.error))
        if job.output:
            with st.expander("The engine's last words"):
                st.code(job.output, language=None, wrap_lines=True)


def _decoding(run: OpenRun, job: Job) -> None:
    """How much of the text there is; once it is whole, how long what comes behind it is going."""
    new, most = sum(len(round_.new_tokens) for round_ in run.rounds), run.meta["spec"]["max_new_tokens"]
    paused = ":material/pause: Paused · " if job.held else ""
    if run.rounds and run.rounds[-1].stop:
        written = (run.folder / "events.jsonl").stat().st_mtime
        measuring = job.baseline and run.end is None
        doing = ("measuring the baseline: the text is decoded several times more, by `ar` and by this method in turn"
                 if measuring else "writing its tables")  # fmt: skip
        waiting(f"{paused}The text is whole, {counted(new, 'token')} · {doing}", time.time() - written)
    else:
        st.progress(new / most, f"{paused}Round {len(run.rounds)} · {new:,} of at most {counted(most, 'token')}")


def _batch(jobs: list[Job]) -> None:
    """Several prompts: how many are done, how long the rest will take, and each with a click to open it."""
    done = [job for job in jobs if not job.pending]
    taken = [job.seconds for job in done if job.seconds is not None]
    left = len(jobs) - len(done)
    words = f"{len(done)} of {counted(len(jobs), 'prompt')}"
    if left and taken:
        words += f" · about {duration(left * sum(taken) / len(taken))} left, by those before"
    st.progress(len(done) / len(jobs), words)
    table = {"Prompt": [job.prompt for job in jobs], "State": [job.state for job in jobs],
             "Seconds": [job.seconds for job in jobs]}  # fmt: skip
    if any(job.error for job in jobs):
        table["Why"] = [job.error for job in jobs]
    with st.expander("Prompts", expanded=True):
        st.dataframe(table, key="batch", hide_index=True, on_select=partial(_open_of_batch, jobs), placeholder="–",
                     selection_mode="single-row", height="content" if len(jobs) < 9 else 320,
                     column_config={"Seconds": st.column_config.NumberColumn(format="%.1f")})  # fmt: skip


def _open_of_batch(jobs: list[Job]) -> None:
    rows = st.session_state["batch"]["selection"]["rows"]
    if rows and jobs[rows[0]].folder:
        open_run(jobs[rows[0]].folder.name)


def _empty(samples: list[Entry]) -> None:
    st.html('<div class="empty-state">'
            "<div><b>1 · Prompt</b><span>Type one above or take one from the library. The bundled pair knows short "
            "Python functions.</span></div>"
            "<div><b>2 · Run</b><span>The text grows here, each token marked by where it came from: the draft, a merge "
            "or the target itself.</span></div>"
            "<div><b>3 · Look</b><span>Click a token for its round's graph, then a node to read why it is there and "
            "what became of it.</span></div></div>")  # fmt: skip
    if not samples:
        return
    st.markdown("**Or open a recorded run**")
    with st.container(horizontal=True, gap="xsmall", key="samples"):
        for entry in samples:
            label = f"{entry.spec['prompt']['kind']} · {entry.spec['drafting']['method']}"
            st.button(plain(label), key=f"sample {entry.name}", icon=":material/visibility:", on_click=open_run,
                      args=(entry.name,), help=plain(f"{entry.label}, by {entry.spec['pair']}"))  # fmt: skip
    first = samples[0]
    st.caption(plain(f"A round of {first.label.removeprefix('Sample, ')}"))
    graph_view(_preview(first.name), key=PREVIEW + first.name, on_pick=partial(_open_at_node, first.name))


@st.cache_resource(show_spinner=False)
def _preview(name: str) -> dict:
    """The graph of a sample's most telling round."""
    run = OpenRun.read(next(entry.folder for entry in entries() if entry.name == name))
    round_ = run.rounds[run.telling_round()]
    return graph_data(round_, run=run.name, frame=Frame.of([round_]), show_pruned=False, selected=None,
                      shown=Shown(manageable(round_)))  # fmt: skip


def _open_at_node(name: str) -> None:
    """A click in the preview opens the run with that node explained."""
    picked = st.session_state[PREVIEW + name].get("pick")
    open_run(name)
    session().node = picked["id"] if picked and not (picked["id"] or "").startswith("+") else None


page()
