"""The contract of methods, for every method that is installed."""

import pytest

from gsd.methods import METHODS, settings_of
from gsd.methods.setting import settings_in
from gsd.testing.contract import MethodContract

# What makes a method that has it merge, branch and go deep over few tokens.
BUSY = {"width": 3, "depth": 5, "merge_context": 0, "sibling_threshold": 0.0, "prob_threshold": 0.0, "frontier": 4}


@pytest.fixture(params=METHODS.values(), ids=list(METHODS), autouse=True, scope="class")
def of_every_method(request):
    request.cls.method = request.param
    request.cls.values = {name: value for name, value in BUSY.items() if name in settings_of(request.param)}


class TestEveryMethod(MethodContract):
    """As it is with its defaults elsewhere, and busy here."""

    def test_what_is_to_be_set_says_how(self):
        for setting in settings_in(self.method.Settings).values():
            if setting.words is None:
                continue
            assert setting.words.label and setting.words.help.endswith(".")
            bounded = setting.low is not None and setting.high is not None
            written = setting.kind is str and setting.words.form
            assert setting.kind is bool or setting.choices or bounded or written
