"""The Playground as it is found, with the bundled pair and its real engine: a prompt, and Run."""

import json
import time

import pytest

from app import engine_client


@pytest.fixture
def shared_client():
    """The real engine, in place of the made-up one."""
    client = engine_client.EngineClient()
    yield client
    client.close()


def test_a_prompt_is_decoded_with_no_setting_touched(app, shared_client):
    page = app()
    page.text_area(key="prompt").set_value("def quicksort(items):")
    page.number_input(key="max_new_tokens").set_value(24)
    page.button(key="run").click().run()
    while shared_client.current(page.session_state["session"].jobs).pending:
        time.sleep(0.1)
    page.run()
    assert not page.exception and not page.error
    run = page.session_state["session"].run
    assert run.meta["spec"]["drafting"]["method"] == "auto" and run.end["status"] == "complete"
    assert sum(len(step["new_tokens"]) for step in run.steps) == 24
    [graph] = [json.loads(one.proto.json) for one in page.get("bidi_component") if one.proto.id.endswith("-graph")]
    assert "accepted" in graph["nodes"]["kind"]
    assert all(metric.value != "–" for metric in page.metric[:5])
