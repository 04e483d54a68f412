import pytest

from benchmark.records.store import Store


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "results")
