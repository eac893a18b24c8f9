"""A directory in memory, for tests that write thousands of small files."""

import tempfile
from pathlib import Path

import pytest

import faults


@pytest.fixture
def memory_path():
    with tempfile.TemporaryDirectory(dir=faults.MEMORY) as path:
        yield Path(path)
