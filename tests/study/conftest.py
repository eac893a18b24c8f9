"""One tiny study, shared by the tests of the stages; 2×2 sites, so everything has an exact value too."""

from pathlib import Path

import pytest

TINY = """
name = "tiny"
seed = 3
[lattice]
shape = [2, 2]
[action]
kind = "phi4"
mass_squared = -4.0
coupling = 8.0
[flow]
kind = "real_nvp"
layers = 2
hidden = [8]
[training]
batch_size = 64
learning_rate = 0.02
evaluate_every = 20
evaluation_draws = 64
warmup_steps = 0
stop = { steps = 60 }
[sampling]
configurations = 384
samplers = ["flow", "hmc", "local", "cluster"]
block_size = 128
[hmc]
n_steps = 2
chains = 4
warmup = 40
target_acceptance = "flow"
[local]
chains = 4
warmup = 40
[cluster]
chains = 4
warmup = 40
"""


@pytest.fixture(scope="session")
def tiny_study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("study") / "tiny.toml"
    path.write_text(TINY)
    return path
