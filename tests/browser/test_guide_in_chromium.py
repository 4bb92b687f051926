"""The Guide's miniature, and a round taken away from the Graph view, in a real browser."""

import base64
import io
import struct
import xml.etree.ElementTree as ET

import networkx as nx
import pytest
from browser.conftest import idle
from fixtures.recorded import record_run

from analysis.explorable import explorable_html
from analysis.svg import DARK, LIGHT
from analysis.toy import toy_round
from app.components.graph_view import Frame, graph_data
from gsd.trace.read import read_run

pytestmark = pytest.mark.browser
expect = pytest.importorskip("playwright.sync_api").expect
IMAGE = "<img src=x onerror=window.ran=1>"


@pytest.fixture(scope="module")
def run(folder):
    return record_run(folder / "runs")


def marks(page):
    return page.locator(".graph-view > svg .node:not(.pruned)")


def test_a_setting_of_the_miniature_changes_its_graph_and_a_node_explains_itself(page, address):
    page.goto(f"{address}/guide?setting=width")
    expect(marks(page)).to_have_count(18)  # root, 16 nodes, bonus
    page.get_by_role("slider").focus()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    expect(marks(page)).to_have_count(6)  # root, one node on each of 4 levels, bonus
    marks(page).nth(1).click()
    expect(page.locator(".words")).to_contain_text("the draft gave it")
    assert page.evaluate("[...document.querySelectorAll('.idea img, .marks img')].every(img => img.naturalWidth > 0)")


@pytest.fixture
def files(page, address, run):
    """What the four buttons under the graph save, by the ending of the file."""
    page.goto(f"{address}/graph?run={run.name}&round=1")
    page.get_by_role("tab", name="Explore and download").click()
    saved = {}
    for name in ("HTML", "GraphML", "SVG", "PNG"):
        with page.expect_download() as download:
            page.get_by_role("button", name=name, exact=False).last.click()
        path = download.value.path()
        saved[download.value.suggested_filename.rpartition(".")[2]] = path.read_bytes()
    return saved


def test_a_round_is_taken_away_as_page_graph_and_picture(page, files, run):
    nodes = len(read_run(run).rounds[0].graph.tokens)
    assert len(nx.read_graphml(io.BytesIO(files["graphml"]))) == nodes
    drawn = ET.fromstring(files["svg"])
    width, height = struct.unpack(">II", files["png"][16:24])
    assert files["png"][:8] == b"\x89PNG\r\n\x1a\n"
    assert (width, height) == (2 * int(drawn.get("width")), 2 * int(drawn.get("height")))
    page.goto("about:blank")
    page.context.set_offline(True)
    page.set_content(files["html"].decode())
    assert page.evaluate("network.body.nodeIndices.length") >= nodes
    assert (
        page.evaluate("performance.getEntriesByType('resource').filter(e => !e.name.startsWith('data:')).length") == 0
    )


def test_the_explorable_graph_hangs_on_springs_and_shows_text_as_text(page):
    round_ = toy_round()
    round_.graph.texts.raw[1] = IMAGE
    picture = graph_data(round_, run="toy", frame=Frame.of([round_]), show_pruned=False, selected=None)
    page.set_content(explorable_html(picture, IMAGE))
    page.wait_for_function("network.physics.physicsEnabled && nodes.length > 10")
    page.get_by_role("checkbox", name="Springs").uncheck()
    page.wait_for_function("!network.physics.physicsEnabled")
    page.wait_for_timeout(600)  # the view comes to rest
    place = page.evaluate("network.canvasToDOM(network.getPosition('n1'))")
    page.mouse.move(place["x"] - 60, place["y"] - 60)
    page.mouse.move(place["x"], place["y"], steps=4)
    expect(page.locator(".vis-tooltip")).to_contain_text(IMAGE[:12].replace(" ", "·"))
    assert page.evaluate("window.ran") is None
    assert page.locator("img").count() == 0


def test_the_graph_can_be_dragged_about_in_the_page(page, address, run):
    page.goto(f"{address}/graph?run={run.name}&round=1")
    page.get_by_role("tab", name="Explore and download").click()
    frame = page.frame_locator("iframe")
    expect(frame.locator("canvas")).to_be_visible()
    expect(frame.locator(".legend")).to_contain_text("accepted")
    graph, legend = frame.locator("canvas").bounding_box(), frame.locator(".legend svg").bounding_box()
    assert graph["y"] + graph["height"] <= legend["y"]
    idle(page)


def test_the_explorable_graph_and_the_guides_pictures_follow_the_theme_while_their_page_is_open(page, address, run):
    page.emulate_media(color_scheme="light")
    page.goto(f"{address}/graph?run={run.name}&round=1")
    page.get_by_role("tab", name="Explore and download").click()
    body = page.frame_locator("iframe").locator("body")
    for scheme, tones in (("light", LIGHT), ("dark", DARK), ("light", LIGHT)):
        page.emulate_media(color_scheme=scheme)
        red, green, blue = bytes.fromhex(tones.paper.removeprefix("#"))
        expect(body).to_have_css("background-color", f"rgb({red}, {green}, {blue})")
    page.goto(f"{address}/guide")
    for scheme, tones in (("light", LIGHT), ("dark", DARK)):
        page.emulate_media(color_scheme=scheme)
        drawn = base64.b64encode(f'<rect width="100%" height="100%" fill="{tones.paper}"/>'.encode())
        page.wait_for_function(
            """paper => [...document.querySelectorAll(".idea img")].some(
            img => atob(img.src.split("base64,")[1]).includes(atob(paper)))""",
            arg=drawn.decode(),
        )
