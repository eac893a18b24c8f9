"""The memory that a study needs, against what the machine has left."""

import contextlib
import re
from pathlib import Path

import pytest

from latflow.cli import main
from latflow.errors import UnavailableError
from latflow.study import free_memory
from latflow.study.config import StudyConfig, load_study
from latflow.study.config.presets import preset
from latflow.study.config.study import with_overrides
from latflow.study.plan import BASE_BYTES, require_room_for
from latflow.study.preflight import Order


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
            ["memory: needs about 9.0 GB, this machine has 700 MB free"],
        ),
        (734_003_200, None, ["memory: needs about 734 MB; this machine does not say what is free"]),
    ],
)
def test_words(needed: int, free: int | None, lines: list[str]) -> None:
    assert free_memory.memory_lines({"memory_needed_bytes": needed, "memory_free_bytes": free}) == lines


@pytest.mark.parametrize(
    ("training", "block", "free", "says"),
    [
        (9.0, 0.1, 7.0, "the training needs about 9.0 GB; allowed: what this machine has free, 7.0 GB; lower training"),
        (0.1, 9.0, 0.7, "a block of configurations needs about 9.0 GB; allowed: what this machine has free, 700 MB"),
        (7.0, 0.0, 7.0, None),
        (9.0, 0.0, None, None),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(
    training: float, block: float, free: float | None, says: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(free_memory, "free_bytes", lambda: None if free is None else round(1e9 * free))
    memory = {"program": 0, "training": round(1e9 * training), "block": round(1e9 * block)}
    with (
        contextlib.nullcontext()
        if says is None
        else pytest.raises(UnavailableError, match=re.escape(f"memory: {says}"))
    ):
        free_memory.require_memory(memory)


SMALL = {"training.batch_size": "65536", "hmc.chains": "64", "sampling.block_size": "64"}
"""A large batch and small blocks."""


def order(config: StudyConfig, *stages: str, needs_model: bool = False) -> Order:
    return Order(config, Path("runs/x"), stages, ("hmc",), needs_model=needs_model)


def test_only_what_is_still_to_be_done_needs_memory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_text(preset("phi4-quick").text, encoding="utf-8")
    config = load_study(tmp_path / "x.toml", SMALL)
    monkeypatch.setattr(free_memory, "free_bytes", lambda: BASE_BYTES + 10**7)
    with pytest.raises(UnavailableError, match=r"training\.batch_size"):
        require_room_for(order(config, "train", "sample", needs_model=True))
    require_room_for(order(config, "train", "sample", "measure"))  # the model is there
    chains = with_overrides(config, {"hmc.chains": "1048576", "sampling.configurations": "1000000000"})
    with pytest.raises(UnavailableError, match=r"sampling\.block_size, the chains"):
        require_room_for(order(chains, "sample"))
    require_room_for(order(chains, "analyse", "report"))


@pytest.mark.parametrize("command", [("run",), ("run", "--dry-run"), ("scaling", "--dry-run"), ("scaling",)])
def test_a_dry_run_refuses_what_the_run_refuses(
    command: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = preset("phi4-critical" if "scaling" in command else "phi4-quick").text
    monkeypatch.chdir(tmp_path)
    Path("x.toml").write_text(text, encoding="utf-8")
    monkeypatch.setattr(free_memory, "free_bytes", lambda: 10**6)
    assert main([*command, "x.toml"]) == 69
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error[UNAVAILABLE] memory: ")
    assert [path.name for path in Path().iterdir()] == ["x.toml"]
