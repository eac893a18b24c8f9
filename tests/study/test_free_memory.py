"""The memory that a study needs, against what the machine has left."""

from pathlib import Path

import pytest

from latflow.study import free_memory


@pytest.mark.parametrize(
    ("available", "limit", "used", "free"),
    [
        ("8000", "max", "5", 8_192_000),
        ("8000", "6000000", "1000000", 5_000_000),
        ("8000", "1000000", "2000000", 0),
        (None, "6000000", "1000000", 5_000_000),
        (None, None, None, None),
    ],
)
def test_the_smaller_of_machine_and_group(
    available: str | None,
    limit: str | None,
    used: str | None,
    free: int | None,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    if available is not None:
        (tmp_path / "meminfo").write_text(f"MemTotal: 9999 kB\nMemAvailable:  {available} kB\n")
    for name, text in (("memory.max", limit), ("memory.current", used)):
        if text is not None:
            (tmp_path / name).write_text(f"{text}\n")
    monkeypatch.setattr(free_memory, "_MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(free_memory, "_GROUP", tmp_path)
    assert free_memory.free_bytes() == free


def test_an_accelerator_tells_what_its_memory_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    class Device:
        def memory_stats(self) -> dict[str, int]:
            return {"bytes_limit": 80_000, "bytes_in_use": 30_000}

    monkeypatch.setattr(free_memory.jax, "devices", lambda: [Device()])
    assert free_memory.free_bytes() == 50_000


def test_what_follows_one_another_is_not_added() -> None:
    assert free_memory.needed_bytes({"program": 100, "training": 30, "block": 50}) == 150


@pytest.mark.parametrize(
    ("needed", "free", "lines"),
    [
        (1_200_000_000, 7_600_000_000, ["memory: needs about 1.2 GB, this machine has 7.6 GB free"]),
        (
            9_000_000_000,
            700_000_000,
            [
                "memory: needs about 9.0 GB, this machine has 700 MB free",
                "warning: this may not fit; a smaller training.batch_size or sampling.block_size needs less",
            ],
        ),
        (734_003_200, None, ["memory: needs about 734 MB; this machine does not say what is free"]),
    ],
)
def test_words(needed: int, free: int | None, lines: list[str]) -> None:
    assert free_memory.memory_lines({"memory_needed_bytes": needed, "memory_free_bytes": free}) == lines
