"""The course of trainings behind the zoo: E1 to E5, and larger lattices from there, each from the model before.

Prints seconds of training, acceptance and reweighting effective sample size at the end of each, of the 4096 draws of
the last evaluation; with `--zoo DIR` every model is put there with its card, made from fresh draws. Seconds are
wall-clock seconds of training, compilation counted.
"""

import argparse
import json
import tempfile
from pathlib import Path

import jax

jax.config.update("jax_enable_x64", val=True)

from latflow.study.card import PREFIX, shipped  # noqa: E402
from latflow.study.card_maker import make_card  # noqa: E402
from latflow.study.config import load_study  # noqa: E402
from latflow.study.context import Silent  # noqa: E402
from latflow.study.run import run_stages  # noqa: E402

STUDY = Path(__file__).parents[1] / "studies" / "phi4-e1.toml"

COURSE = {
    "phi4-e1": (6, 6.975, 2500, 0.01),
    "phi4-e2": (8, 6.008, 1000, 0.006),
    "phi4-e3": (10, 5.550, 1000, 0.006),
    "phi4-e4": (12, 5.276, 1000, 0.005),
    "phi4-e5": (14, 5.113, 1000, 0.005),
    "phi4-l20": (20, 4.807, 1000, 0.004),
    "phi4-l32": (32, 4.572, 1200, 0.004),
}
"""L, λ, steps and highest learning rate of every training, in their order."""


def title(name: str) -> str:
    """What a model is, in one line."""
    published = f", set {name[-2:].upper()} of arXiv:1904.12072" if name.startswith("phi4-e") else ""
    return f"φ⁴, m² = −4, λ = {COURSE[name][1]:g}{published}"


def trained(name: str, before: str, folder: Path, *, quick: bool) -> dict:
    """Train one model; the last record of its training."""
    extent, coupling, steps, rate = COURSE[name]
    changes = {
        "name": name,
        "lattice.shape": f"{extent} {extent}",
        "action.coupling": str(coupling),
        "training.stop.steps": "4" if quick else str(steps),
        "training.stop.minutes": "600",
        "training.learning_rate": str(rate),
        "training.warmup_steps": "1" if quick else "10",
        **({"training.batch_size": "16", "training.evaluation_draws": "64"} if quick else {}),
        **({"training.start_from": before} if before else {}),
    }
    run_stages(load_study(STUDY, changes), folder / name, stages=("train",), progress=Silent())
    lines = (folder / name / "model" / "train.jsonl").read_text().splitlines()
    return json.loads(lines[-1])


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
    # A model of the package names its parent there, and not a directory that is gone.
    shipping = arguments.zoo is not None and arguments.zoo.resolve() == shipped()
    with tempfile.TemporaryDirectory() as folder:
        for name in models:
            last = trained(name, before, Path(folder), quick=arguments.quick)
            total += last["seconds"]
            run = Path(folder) / name
            extent, coupling = COURSE[name][:2]
            figures = f"{last['step']} | {last['seconds']:.0f} | {total:.0f} | {last['acceptance']:.3f}"
            print(f"| {name} | {extent} | {coupling} | {figures} | {last['reweighting_ess']:.3f} |", flush=True)
            if arguments.zoo:
                draws = 64 if arguments.quick else arguments.draws
                make_card(run, arguments.zoo / name, title=title(name), draws=draws, progress=Silent())
            before = f"{PREFIX}{name}" if shipping else str(run)


if __name__ == "__main__":
    main()
