"""A round to take away (HTML, GraphML, SVG, PNG), and to drag about in the page."""

from __future__ import annotations

from typing import Any

import streamlit as st

from analysis.explanation import drafted_by
from analysis.explorable import explorable_html
from analysis.faces import GRAPH, Face, face
from analysis.graph_export import graphml
from analysis.svg import LIGHT, Tones, svg
from app.components.graph_view import Frame, Shown, graph_data
from app.components.theme import follow_theme, page_tones
from app.state import OpenRun
from gsd.trace.recorded_round import RecordedRound

EXPLORER_HEIGHT = 620  # pixels
_STYLE = """
:host { display: block; }
button {
  display: inline-flex; align-items: center; gap: 7px; min-height: 2.5rem; padding: 0.25rem 0.75rem; margin: 0;
  font: 400 0.875rem/1.6 var(--st-font); color: var(--st-text-color); background: var(--st-background-color);
  border: 1px solid var(--st-border-color); border-radius: var(--st-button-radius, 8px); cursor: pointer;
}
button:hover { border-color: var(--st-primary-color); color: var(--st-primary-color); }
button:focus-visible { outline: 2px solid var(--st-primary-color); outline-offset: 1px; }
svg { width: 16px; height: 16px; fill: none; stroke: currentColor; stroke-width: 1.6; }
"""
# Draws the SVG on a canvas twice as large, as far as browsers have canvases of that size, and saves it.
_SCRIPT = """
export default function ({ data, parentElement }) {
  const button = parentElement.querySelector("button");
  button.onclick = () => {
    const picture = new Image();
    picture.onload = () => {
      const scale = Math.min(2, 8000 / Math.max(picture.width, picture.height));
      const canvas = document.createElement("canvas");
      canvas.width = Math.round(picture.width * scale);
      canvas.height = Math.round(picture.height * scale);
      canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
      const link = document.createElement("a");
      link.href = canvas.toDataURL("image/png");
      link.download = data.name;
      link.click();
    };
    picture.src = "data:image/svg+xml;charset=utf-8," + encodeURIComponent(data.svg);
  };
}
"""
_ICON = '<svg viewBox="0 0 18 18" aria-hidden="true"><path d="M9 3V11M5.5 8L9 11.5L12.5 8M3.5 12V14.5H14.5V12"/></svg>'
_png_button = st.components.v2.component(
    "gsd_png_button", html=f'<button type="button">{_ICON}PNG</button>', css=_STYLE, js=_SCRIPT
)


def downloads(round_: RecordedRound, run: OpenRun, face_name: str = GRAPH) -> None:
    """One row of buttons: a face of a round that holds its graph, as files for a page, a paper or other tools."""
    drawn = face(round_, face_name, drafted_by(run.meta).depth)
    picture, title = _picture(round_, drawn), f"Round {round_.number + 1} of {run.name}, {face_name}"
    name = f"{run.name}-round-{round_.number + 1}-{face_name}"
    files = [
        ("HTML", "html", "text/html", lambda: _page(picture, title, LIGHT),
         "A page of its own that works offline: drag nodes, zoom, hover."),
        ("GraphML", "graphml", "application/xml", lambda: graphml(round_, drawn),
         "For networkx, igraph, Gephi: tokens, source, q, path q, p and fate of each node, edges with q and n-gram."),
        ("SVG", "svg", "image/svg+xml", lambda: svg(picture, title), "The picture on white, for papers and slides."),
    ]  # fmt: skip
    with st.container(horizontal=True, gap="small", key="downloads"):
        for label, ending, mime, content, help in files:
            st.download_button(label, content, f"{name}.{ending}", mime, key=f"download {ending}", help=help,
                               on_click="ignore", icon=":material/download:")  # fmt: skip
        _png_button(data={"svg": svg(picture, title), "name": f"{name}.png"}, key="download png", width="content")


def explorable(round_: RecordedRound) -> None:
    """A round's graph in a frame of its own: its nodes can be dragged and hang on springs."""
    page = _page(_picture(round_, face(round_)), f"Round {round_.number + 1}", page_tones())
    follow_theme()
    st.iframe(page, height=EXPLORER_HEIGHT, alt="The graph of this round, to drag about")


@st.cache_data(show_spinner=False, max_entries=16)
def _page(picture: dict[str, Any], title: str, tones: Tones) -> str:
    """Kept, as a live view draws the same round again and again."""
    return explorable_html(picture, title, tones)


def _picture(round_: RecordedRound, drawn: Face) -> dict[str, Any]:
    """All of a face, with nothing selected."""
    return graph_data(round_, run="", frame=Frame.of([round_]), show_pruned=False, selected=None, shown=Shown(drawn))
