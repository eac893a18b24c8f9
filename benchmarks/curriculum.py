"""The course of trainings behind the zoo: E1 to E5, and larger lattices from there, each from the model before.

Prints seconds of training, acceptance and reweighting effective sample size at the end of each, of the 4096 draws of
the last evaluation; with `--zoo DIR` every model is put there with its card, made from fresh draws. Seconds are
wall-clock seconds of training, compilation counted.
"""

import argparse
import contextlib
import json
import tempfile
from pathlib import Path
from typing import NamedTuple

import jax

jax.config.update("jax_enable_x64", val=True)

from latflow.study.card import PREFIX, shipped  # noqa: E402
from latflow.study.card_maker import make_card  # noqa: E402
from latflow.study.config import load_study  # noqa: E402
from latflow.study.context import Silent  # noqa: E402
from latflow.study.run import run_stages  # noqa: E402

STUDY = Path(__file__).resolve().parents[1] / "studies" / "phi4-e1.toml"


class Training(NamedTuple):
    """One training of the course."""

    extent: int
    coupling: float
    steps: int
    rate: float
    """Highest learning rate."""
    radius: int
    """Reach of the kernels."""
    batch_size: int
    second: tuple[int, float] | None = None
    """Steps and highest learning rate of a second training on the same lattice, from the end of the first."""


COURSE = {
    "phi4-e1": Training(6, 6.975, 2500, 0.01, 4, 256),
    "phi4-e2": Training(8, 6.008, 1000, 0.006, 4, 256),
    "phi4-e3": Training(10, 5.550, 1000, 0.006, 4, 256),
    "phi4-e4": Training(12, 5.276, 1000, 0.005, 4, 256),
    "phi4-e5": Training(14, 5.113, 1000, 0.005, 4, 256),
    "phi4-l20": Training(20, 4.807, 2000, 0.005, 6, 64),
    "phi4-l32": Training(32, 4.572, 3000, 0.004, 10, 64, second=(2000, 0.002)),
}
"""In their order. On large lattices every configuration holds many sites that say the same: a quarter of the batch is
enough there, while the kernels must reach further, as the correlation length does."""


def title(name: str) -> str:
    """What a model is, in one line."""
    published = f", set {name[-2:].upper()} of arXiv:1904.12072" if name.startswith("phi4-e") else ""
    return f"φ⁴, m² = −4, λ = {COURSE[name].coupling:g}{published}"


def trained(name: str, before: str, *, quick: bool) -> tuple[dict, Path]:
    """Train one model; the last record of its training, with steps and seconds of both rounds, and the run."""
    training = COURSE[name]
    changes = {
        "name": name,
        "lattice.shape": f"{training.extent} {training.extent}",
        "action.coupling": str(training.coupling),
        "training.stop.minutes": "600",
        "training.batch_size": str(training.batch_size),
        "flow.radius": str(training.radius),
        "training.warmup_steps": "1" if quick else "10",
        **({"training.batch_size": "16", "training.evaluation_draws": "64"} if quick else {}),
    }
    rounds = [(training.steps, training.rate), *([training.second] if training.second else [])]
    done, seconds, last, run = 0, 0.0, {}, Path()
    for number, (steps, rate) in enumerate(rounds, start=1):
        run = Path(f"{name}-{number}")
        this_round = {
            "seed": str(number),
            "training.stop.steps": "4" if quick else str(steps),
            "training.learning_rate": str(rate),
            **({"training.start_from": before} if before else {}),
        }
        run_stages(load_study(STUDY, changes | this_round), run, stages=("train",), progress=Silent())
        last = json.loads((run / "model" / "train.jsonl").read_text().splitlines()[-1])
        done, seconds, before = done + last["step"], seconds + last["seconds"], str(run)
    return last | {"step": done, "seconds": seconds}, run


def predecessor(name: str) -> str:
    """What a model is trained from: the one before it, as the package has it; the first from nothing."""
    place = list(COURSE).index(name)
    return f"{PREFIX}{list(COURSE)[place - 1]}" if place else ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="four steps on the two smallest lattices")
    parser.add_argument("--models", nargs="+", default=list(COURSE)[:5], choices=COURSE)
    parser.add_argument("--zoo", type=Path, help="put models and cards there")
    parser.add_argument("--draws", type=int, default=2**17, help="draws behind a card")
    arguments = parser.parse_args()
    models = arguments.models[:2] if arguments.quick else arguments.models
    print("| model | L | λ | steps | seconds | seconds in all | acceptance | ESS |")
    print("|---|---|---|---|---|---|---|---|")
    total, before = 0.0, predecessor(models[0])
    zoo = arguments.zoo.resolve() if arguments.zoo else None
    # Models name what they started from: relative to where they are made, as that is gone afterwards.
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        for name in models:
            last, run = trained(name, before, quick=arguments.quick)
            total += last["seconds"]
            figures = f"{last['step']} | {last['seconds']:.0f} | {total:.0f} | {last['acceptance']:.3f}"
            last_columns = f"{figures} | {last['reweighting_ess']:.3f}"
            print(f"| {name} | {COURSE[name].extent} | {COURSE[name].coupling} | {last_columns} |", flush=True)
            if zoo:
                draws = 64 if arguments.quick else arguments.draws
                make_card(run, zoo / name, title=title(name), draws=draws, progress=Silent())
            before = f"{PREFIX}{name}" if zoo == shipped() else str(run)


if __name__ == "__main__":
    main()
