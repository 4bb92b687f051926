"""Doctor goes by what the installation asks for, and says what to do about what is missing."""

import importlib.metadata

import pytest

from gsd.errors import InputError
from gsd.lab import doctor


def examine(monkeypatch, tmp_path, requirements, installed):
    """Findings by name, with these requirements and these packages installed."""

    def version(name):
        if name not in installed:
            raise importlib.metadata.PackageNotFoundError(name)
        return installed[name]

    path = tmp_path / "requirements.txt"
    path.write_text(requirements)
    monkeypatch.setattr(doctor, "REQUIREMENTS", path)
    monkeypatch.setattr(importlib.metadata, "version", version)
    return {finding.what: finding for finding in doctor.examine()}


def test_every_requirement_is_looked_for_and_another_version_is_said(monkeypatch, tmp_path):
    requirements = "# all\none==1.0  # why\ntwo==2.0\nthree==3.0\n-e .\n"
    found = examine(monkeypatch, tmp_path, requirements, {"one": "1.0+cpu", "two": "2.1"})
    assert (found["one"].value, found["one"].fix) == ("1.0+cpu", None)
    assert (found["two"].value, found["two"].fix) == ("2.1 (tested with 2.0)", None)
    assert (found["three"].value, found["three"].fix) == ("missing", "pip install three==3.0")
    assert found["ray"].fix == "pip install ray (sweeps on a Ray cluster)"


def test_the_product_s_own_requirements_are_among_them():
    assert {"torch", "transformers", "streamlit", "pydantic", "gguf"} < {one.what for one in doctor.examine()}


def test_without_the_requirements_it_says_where_they_were_looked_for(monkeypatch, tmp_path):
    monkeypatch.setattr(doctor, "REQUIREMENTS", tmp_path / "requirements.txt")
    with pytest.raises(InputError, match=r"requirements\.txt.*checkout"):
        doctor.examine()
