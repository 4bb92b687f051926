"""Shared by all tests: one thread, a quiet library, and the bundled pair loaded once."""

import os
import sys

if "PYTEST_XDIST_WORKER" in os.environ:  # before torch: what a test starts shares the cores with the other workers
    os.environ["OMP_NUM_THREADS"] = "1"
    os.environ["OMP_WAIT_POLICY"] = "passive"

import pytest
import torch
from hypothesis import HealthCheck, settings

from gsd.config import RunSpec
from gsd.models.pairs import PAIRS, available
from gsd.testing import oracle

torch.set_num_threads(1)  # faster for small models, and fair to other processes
settings.register_profile("gsd", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("gsd")


def pytest_collection_modifyitems(items):
    """Coverage is that of the engine, the analysis and the command line by the tests that are quick to trace.

    Tracing each line would double the time of tests of many examples, of pages and of whole documents.
    """
    for item in items:
        many = getattr(getattr(item, "obj", None), "is_hypothesis_test", False)
        if many or {"parity", "statistical", "app", "test_docs.py"} & set(item.path.parts):
            item.add_marker("no_cover")


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory):
    """What is kept in the user's folder between processes is neither read nor written by tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GSD_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def tiny():
    """The bundled pair in float32 on the CPU, as a `Runner`."""
    from gsd.decode.runner import Runner

    pair = PAIRS["tiny"]
    assert available(pair), "the bundled pair is part of the repository"
    return Runner.load(pair.target, pair.draft, device="cpu", dtype="float32")


@pytest.fixture(scope="session")
def stock():
    """The bundled target just as transformers loads it, for the oracle."""
    from gsd.models.loading import load_stock

    return load_stock(PAIRS["tiny"].target, "cpu", "float32")


@pytest.fixture(scope="session")
def plain(tiny, stock):
    """What the oracle makes of a prompt with the bundled target; each text is computed once."""
    texts = {}

    def generate(spec: RunSpec) -> list[int]:
        key = (spec.prompt.prompt, spec.sampling, spec.max_new_tokens)
        if key not in texts:
            prompt = tiny.encode(spec.prompt)
            texts[key] = oracle.generate(stock, prompt, spec.max_new_tokens, spec.sampling, tiny.eos)
        return texts[key]

    return generate


@pytest.fixture(autouse=True)
def _alone(monkeypatch):
    """What tests are told does not depend on what else the machine does meanwhile."""
    if "gsd.decode.runner" in sys.modules:
        monkeypatch.setattr("gsd.decode.runner.crowd", lambda threads: None)
