"""Several tabs, a reload in mid-run and in mid-batch, and the whole way by keyboard alone; with a made-up engine."""

import json
import zipfile

import pytest
from browser.conftest import idle, new_context, new_page

pytestmark = pytest.mark.browser
expect = pytest.importorskip("playwright.sync_api").expect
ENDLESS = 100_000  # tokens; cancelled long before


@pytest.fixture
def other(browser):
    """A tab in a browser of its own: no state is shared."""
    context = new_context(browser)
    try:
        yield from new_page(context)
    finally:
        context.close()


def start(page, address, prompt, *, new_tokens=None):
    page.goto(address)
    page.get_by_role("textbox", name="Prompt").fill(prompt)
    if new_tokens:
        page.get_by_text("Sampling and length").click()
        page.get_by_role("spinbutton", name="New tokens").fill(str(new_tokens))
        page.keyboard.press("Tab")
    idle(page)
    page.get_by_test_id("stMain").get_by_role("button", name="Run", exact=False).first.click()


def tokens(page):
    return page.locator(".token-text .token[data-index]")


def grows(page):
    """More and more tokens are there."""
    expect(tokens(page).first).to_be_attached()
    expect(tokens(page).nth(tokens(page).count() + 10)).to_be_attached()


def run_of(page):
    page.wait_for_function("location.search.includes('run=')")
    return page.evaluate("new URLSearchParams(location.search).get('run')")


def test_two_sessions_each_with_its_own_run_and_a_queue_that_is_seen(page, other, address):
    start(page, address, "slow and mine", new_tokens=ENDLESS)
    grows(page)
    start(other, address, "hers")
    expect(other.get_by_text("Waiting for 1 other run in the engine")).to_be_visible()
    grows(page)
    other.get_by_role("link", name="Guide").click()  # a queued run holds nobody up
    expect(other.get_by_role("heading", level=1, name="Guide")).to_be_visible()
    other.get_by_role("link", name="Playground").click()
    expect(other.get_by_text("Waiting for 1 other run in the engine")).to_be_visible()
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_text("This run was cancelled")).to_be_visible()
    expect(other.get_by_test_id("stDownloadButton").get_by_role("button")).to_be_visible()
    assert run_of(page) != run_of(other)
    expect(page.locator(".token-text .prompt")).to_have_text("slow and mine")
    expect(other.locator(".token-text .prompt")).to_have_text("hers")


def test_a_reload_in_mid_run_finds_the_run_again(page, address):
    start(page, address, "slow", new_tokens=ENDLESS)
    grows(page)
    run, before = run_of(page), tokens(page).count()
    page.reload()
    expect(tokens(page).nth(before)).to_be_attached()
    grows(page)
    assert run_of(page) == run
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_text("This run was cancelled")).to_be_visible()


def test_a_reload_in_mid_batch_finds_all_of_it_again(page, address, tmp_path):
    file = tmp_path / "three.jsonl"
    prompts = {"first": "quick", "second": "slow", "third": "quick"}
    file.write_text("\n".join(json.dumps({"id": name, "prompt": prompt}) for name, prompt in prompts.items()))
    page.goto(address)
    page.get_by_text("Sampling and length").click()
    page.get_by_role("spinbutton", name="New tokens").fill("3000")
    page.keyboard.press("Tab")
    idle(page)
    page.get_by_text("Several", exact=True).click()
    page.locator("[data-testid=stMain] input[type=file]").set_input_files(file)
    expect(page.get_by_text("three.jsonl")).to_be_visible()
    idle(page)
    page.get_by_test_id("stMain").get_by_role("button", name="Run", exact=False).first.click()
    expect(page.get_by_text("1 of 3 prompts")).to_be_visible()
    expect(page.locator(".token-text .prompt")).to_have_text("slow")
    page.reload()
    expect(page.get_by_text("1 of 3 prompts")).to_be_visible()
    expect(page.locator(".token-text .prompt")).to_have_text("slow")
    grows(page)
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_text("3 of 3 prompts")).to_be_visible()
    expect(page.get_by_text("This run was cancelled")).to_be_visible()


def focused(page, selector):
    return page.evaluate("selector => !!deepest(document.activeElement)?.closest(selector)", selector)


def tab_to(page, selector):
    """Press Tab until something that fits has the focus."""
    page.evaluate("window.deepest = e => e?.shadowRoot?.activeElement ? deepest(e.shadowRoot.activeElement) : e")
    for _ in range(80):
        page.keyboard.press("Tab")
        if focused(page, selector):
            return
    raise AssertionError(f"{selector} is not reached by Tab")


def test_the_whole_way_by_keyboard_alone(page, address, tmp_path):
    page.goto(address)
    expect(page.get_by_role("textbox", name="Prompt")).to_be_visible()
    idle(page)
    tab_to(page, "textarea[aria-label=Prompt]")
    page.keyboard.type("def by_keyboard(x):")
    page.keyboard.press("Control+Enter")  # takes the text in
    page.wait_for_timeout(1500)
    idle(page)
    tab_to(page, ".st-key-run button")
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("stDownloadButton").get_by_role("button")).to_be_visible()
    expect(page.get_by_role("button", name="Cancel")).to_be_disabled()  # at a run's end the page is drawn anew
    idle(page)
    tab_to(page, "[data-testid=stDownloadButton] button")
    with page.expect_download() as download:
        page.keyboard.press("Enter")
    download.value.save_as(tmp_path / "run.zip")
    with zipfile.ZipFile(tmp_path / "run.zip") as bundle:
        assert b"def by_keyboard(x):" in bundle.read("runs.csv")
    tab_to(page, ".token-text .token")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect(page.locator(".token-text .token.chosen:focus")).to_be_visible()  # that token's round is on show
    idle(page)
    tab_to(page, ".graph-view .node")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect(page.locator(".words").last).to_contain_text("depth 1")


def test_a_link_shows_the_same_run_round_and_node_in_a_fresh_browser(page, other, address, folder):
    start(page, address, "shared")
    expect(page.get_by_test_id("stDownloadButton").get_by_role("button")).to_be_visible()
    page.locator(".graph-view > svg .node.accepted .mark").first.click()
    page.wait_for_function(r"/run=.*&round=\d+&node=n\d+/.test(location.search)")
    words = page.locator(".words").last.inner_text()
    other.goto(page.url)
    expect(other.locator(".words").last).to_have_text(words, use_inner_text=True)
    expect(other.locator(".round")).to_have_text(page.locator(".round").inner_text(), use_inner_text=True)
    run = json.loads((folder / "runs" / run_of(other) / "run.json").read_text())
    assert run["spec"]["prompt"]["prompt"] == "shared"
