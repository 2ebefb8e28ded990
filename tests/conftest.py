"""Fixtures for every test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from long_tests import LONG

from arproc.compiled.interpreted import nothing_interpreted


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of public benchmark data beside a checkout; without it the test skips."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"the benchmark data is not here ({folder})")
    return folder


@pytest.fixture
def one_code() -> Iterator[None]:
    """Numbers are equal to the last digit where one code made them, compiled or not."""
    with nothing_interpreted():
        yield


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of the table as slow, before these are left out; the longest goes first."""
    for item in items:
        if item.nodeid.removeprefix("tests/").startswith(LONG):
            item.add_marker(pytest.mark.slow)
    items.sort(key=lambda item: "test_typing.py" not in item.nodeid)
