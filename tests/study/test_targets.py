"""Training on draws of the target: they are the target's, they outlive an interruption, and bits do not change."""

from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from latflow.actions import exact
from latflow.errors import ConfigError, Interrupted
from latflow.study.build import build_loss
from latflow.study.config import StudyConfig, load_study
from latflow.study.context import Silent
from latflow.study.run import run_stages
from latflow.study.stages import targets
from latflow.training.least_squares import LeastSquares
from latflow.training.losses import ForwardKL, MixtureLoss, PathGradient, ReverseKL


@pytest.fixture(scope="module")
def config(tiny_study: Path) -> StudyConfig:
    study = load_study(tiny_study)
    stop = study.training.stop.model_copy(update={"steps": 20})
    changes = {
        "loss": "mixture",
        "forward_weight": 0.3,
        "target_draws": 6400,
        "evaluate_every": 5,
        "checkpoint_minutes": 1e-9,
        "stop": stop,
    }
    return study.model_copy(update={"training": study.training.model_copy(update=changes)})


class Stop:
    """A display that stops the run at its n-th evaluation."""

    def __init__(self, n: int) -> None:
        self.left = n

    def stage(self, name: str, detail: str) -> None:
        """Nothing to show."""

    def line(self, text: str) -> None:
        """Nothing to show."""

    def update(self, name: str, done: float, total: float, fields: dict[str, Any]) -> None:
        self.left -= 1
        if self.left == 0:
            raise Interrupted("planned stop")


def test_interrupted_training_reads_the_same_draws_and_ends_with_the_same_bits(
    config: StudyConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    run_stages(config, whole, stages=("train",), progress=Silent())
    with pytest.raises(Interrupted):
        run_stages(config, stopped, stages=("train",), progress=Stop(3))
    draws = targets.decode_block(stopped / "model/checkpoints/targets.h5").arrays["fields"]
    agrees_with_the_exact_moments(draws)
    # going on draws nothing again
    monkeypatch.setattr(targets, "_draw", None)
    run_stages(config, stopped, stages=("train",), progress=Silent())
    assert sorted(path.suffix for path in (stopped / "model/checkpoints").iterdir()) == [".h5", ".json", ".safetensors"]
    assert contents(stopped / "model") == contents(whole / "model")
    assert len(contents(whole / "model")) > 1


def contents(directory: Path) -> dict[str, bytes]:
    """Every file but the one with the times."""
    return {
        path.name: path.read_bytes() for path in directory.iterdir() if path.is_file() and path.name != "train.jsonl"
    }


def agrees_with_the_exact_moments(draws: np.ndarray) -> None:
    """⟨φ²⟩ and ⟨M²⟩V of 64 chains within 5σ, σ ≤ 3 % from the scatter of the chains."""
    ring = exact.phi_four_2x2(mass_squared=-4.0, coupling=8.0)
    chains = draws.reshape(-1, targets.CHAINS, 4)
    for values, truth in (
        ((chains**2).mean(axis=(0, 2)), ring.phi_squared),
        ((chains.sum(axis=2) ** 2 / 4).mean(axis=0), ring.susceptibility),
    ):
        error = values.std(ddof=1) / np.sqrt(values.size)
        assert error < 0.03 * truth
        assert abs(values.mean() - truth) < 5 * error


def test_every_loss_of_the_schema_is_built(config: StudyConfig) -> None:
    x = jax.numpy.zeros((3, 2, 2))
    built = {}
    for name in ("reverse_kl", "path_gradient", "mixture", "least_squares"):
        training = config.training.model_copy(update={"loss": name})
        built[name] = build_loss(config.model_copy(update={"training": training}), targets=x)
    assert type(built["reverse_kl"]) is ReverseKL
    assert type(built["path_gradient"]) is PathGradient
    assert type(built["least_squares"]) is LeastSquares
    mixture = built["mixture"]
    assert type(mixture) is MixtureLoss
    assert mixture.weights == (0.7, 0.3)
    assert [type(loss) for loss in mixture.losses] == [ReverseKL, ForwardKL]
    with pytest.raises(ConfigError, match="mixture"):
        build_loss(config)
