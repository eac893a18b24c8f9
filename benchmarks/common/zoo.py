"""The models of φ⁴ in the zoo: couplings at m² = −4, a flow with its action, the options that name them."""

import argparse
from typing import Any

import latflow as lf
from latflow.study.card import summary, zoo

COUPLINGS = {
    "phi4-e1": 6.975,
    "phi4-e2": 6.008,
    "phi4-e3": 5.55,
    "phi4-e4": 5.276,
    "phi4-e5": 5.113,
    "phi4-l20": 4.807,
    "phi4-l32": 4.572,
}
QUICK = "phi4-e1"


def flow_and_action(name: str) -> tuple[Any, lf.PhiFour]:
    """A trained flow, and the action that it was trained for.

    Args:
        name: In the zoo.
    """
    flow = lf.load_model(f"zoo:{name}")
    return flow, lf.PhiFour(lf.Lattice(flow.space.shape), mass_squared=-4.0, coupling=COUPLINGS[name])


def training_seconds(name: str) -> float:
    """Wall clock of the training of a model and of all those that it began from.

    Args:
        name: In the zoo.
    """
    cards = zoo()
    card = next(card for card in cards if card.name == name)
    found = summary(card, cards)
    return found["training_seconds"] + found["ancestors_seconds"]


def parser_of_models(
    description: str | None, *, default: tuple[str, ...] = tuple(COUPLINGS)
) -> argparse.ArgumentParser:
    """Options `--quick` and `--models` of a benchmark.

    Args:
        description: Docstring of the script.
        default: Models without `--models`.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--quick", action="store_true", help="one model, few draws")
    parser.add_argument(
        "--models", default=",".join(default), help="names in the zoo, separated by commas: %(default)s"
    )
    return parser


def models_of(options: argparse.Namespace) -> list[str]:
    """The models that were asked for; the smallest one in a quick run."""
    return [QUICK] if options.quick else options.models.split(",")
