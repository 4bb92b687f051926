"""The Playground as it is found, with the bundled pair and its real engine: a prompt, and Run."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
# In a process of its own: pages keep the engine that they were imported with, which is made up in other tests.
DECODE = """
import json, time
from streamlit.testing.v1 import AppTest
from app.engine_client import engine
page = AppTest.from_file("app/main.py", default_timeout=60).run()
page.text_area(key="prompt").set_value("def quicksort(items):")
page.number_input(key="max_new_tokens").set_value(24)
page.button(key="run").click().run()
while engine().current(page.session_state["session"].jobs).pending:
    time.sleep(0.1)
page.run()
run = page.session_state["session"].run
sent = {one.proto.id.rpartition("-")[2]: json.loads(one.proto.json) for one in page.get("bidi_component")}
engine().close()
print(json.dumps({
    "problems": [str(one.value) for one in (*page.exception, *page.error)],
    "method": run.meta["spec"]["drafting"]["method"], "status": run.end["status"],
    "tokens": sum(len(round_.new_tokens) for round_ in run.rounds), "kinds": sent["graph"]["nodes"]["kind"],
    "figures": [metric.value for metric in page.metric],
}))
"""


def test_a_prompt_is_decoded_with_no_setting_touched(tmp_path):
    environment = os.environ | {"GSD_RUNS": str(tmp_path), "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", DECODE], cwd=ROOT, env=environment, capture_output=True, text=True,
                          timeout=400)  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["problems"] == []
    assert (found["method"], found["status"], found["tokens"]) == ("auto", "complete", 24)
    assert "accepted" in found["kinds"]
    assert "–" not in found["figures"][:5]
