"""What datasets of blocks say about themselves."""

import numpy as np

from latflow.study.stages.labels import HOUSE, of_ensemble, of_measurement
from latflow.words import AxisWords, ObservableWords

CORRELATOR = ObservableWords("correlator", "G", "$G$", "Σ φ φ", AxisWords("t"))


def axes(labels: dict[str, dict[str, str]]) -> dict[str, str]:
    return {name: told["axes"] for name, told in labels.items()}


def test_axes_of_configurations() -> None:
    scalar = {"fields": np.zeros((5, 2, 4, 6)), "accepted": np.zeros((10, 2)), "acceptance": np.zeros((10, 2))}
    told = of_ensemble(scalar, chains=True, n_dim=2)
    assert axes(told) == {"fields": "record, chain, x0, x1", "accepted": "step, chain", "acceptance": "step, chain"}
    assert told["fields"] == {
        "long_name": "configurations",
        "axes": "record, chain, x0, x1",
        "units": "lattice units",
        "normalisation": HOUSE,
    }
    links = {"fields": np.zeros((5, 2, 3, 3, 4, 6)), "log_weight": np.zeros(5)}
    assert axes(of_ensemble(links, chains=False, n_dim=2)) == {
        "fields": "draw, mu, row, column, x0, x1",
        "log_weight": "draw",
    }
    angles = {"fields": np.zeros((5, 1, 2, 4, 6))}
    assert axes(of_ensemble(angles, chains=True, n_dim=2)) == {"fields": "record, chain, mu, x0, x1"}
    ledger = {"log_weight": np.zeros(5), "work": np.zeros((5, 3))}
    assert axes(of_ensemble(ledger, chains=False, n_dim=2)) == {"log_weight": "draw", "work": "draw, work_0"}


def test_axes_of_columns() -> None:
    columns = {"correlator": np.zeros((5, 2, 3)), "flow": np.zeros((5, 2, 3, 7))}
    told = of_measurement(columns, chains=True, words={"correlator": CORRELATOR})
    assert axes(told) == {"correlator": "record, chain, t", "flow": "record, chain, flow_0, flow_1"}
    assert told["correlator"]["definition"] == "Σ φ φ"
    assert "definition" not in told["flow"]
