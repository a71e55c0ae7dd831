"""What a wheel contains, and where an editable install points."""

from __future__ import annotations

from importlib.machinery import PathFinder
from pathlib import Path
from zipfile import ZipFile

import pytest
from hatchling.build import build_editable, build_wheel

from closingbell.install.settings import ROOT

PACKAGES = ("api", "assets", "cli", "closingbell", "resources", "schedules", "sensors")
FILES = ("definitions.py", "workspace.yaml", "deploy/dagster.yaml")


def names_in(wheel: Path) -> set[str]:
    """Return the names of a wheel's files, without its metadata."""
    with ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if ".dist-info/" not in name}


def test_a_wheel_holds_every_file_of_the_product_and_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    content = {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }

    assert names_in(tmp_path / build_wheel(str(tmp_path))) == content | set(FILES)
    assert "closingbell/repositories/migrations/script.py.mako" in content
    assert any(name.startswith("closingbell/repositories/migrations/versions/0001_") for name in content)


def test_an_editable_install_imports_the_definitions_from_the_checkout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    wheel = tmp_path / build_editable(str(tmp_path))
    (pointer,) = names_in(wheel)
    with ZipFile(wheel) as archive:
        folders = archive.read(pointer).decode().splitlines()

    for module in ("definitions", *PACKAGES):
        spec = PathFinder.find_spec(module, folders)
        assert spec is not None
        assert spec.origin is not None
        assert Path(spec.origin).is_relative_to(ROOT)
