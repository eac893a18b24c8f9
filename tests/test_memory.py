"""The bound on the memory of a test process acts, and tells when it is exceeded."""

import pytest

import memory


def test_a_process_that_grew_is_told() -> None:
    good, line = memory.verdict({"gw0": 900, "gw1": memory.MOST - 1})
    assert good
    assert line.startswith("memory: gw0 900 MB, gw1 1999 MB")
    assert not memory.verdict({"gw0": 900, "gw1": memory.MOST})[0]
    assert memory.verdict({})[0]


def test_memory_is_given_back_only_when_there_is_much(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trimmed above the bound; programs go only if that is not enough, and not again for what is in use."""
    done, sizes = [], iter([900, 1300, 1000, 1300, 1250, 1240, 1300, 1300])
    monkeypatch.setattr(memory, "resident", lambda: next(sizes))
    monkeypatch.setattr(memory, "trim", lambda: done.append("trim"))
    monkeypatch.setattr(memory, "forget", lambda: done.append("forget"))
    bound = memory.Bound()
    for expected in ([], ["trim"], ["trim", "forget"], ["trim"]):
        done.clear()
        bound.keep()
        assert done == expected


def test_nothing_is_done_where_the_system_says_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    for name in ("STATUS", "MAPS"):
        monkeypatch.setattr(memory, name, tmp_path / "none")
    assert (memory.resident(), memory.peak(), memory.many_maps()) == (0, 0, False)
    memory.trim()
