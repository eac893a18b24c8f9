"""Smaller errors of chains: unbiased, refused where they cannot be had, saved and used again."""

import math
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import latflow as lf
from catalogue import stein_fields
from latflow.actions import exact
from latflow.stats.estimates import TooShortError
from latflow.study.reduction import Reduced, too_few
from latflow.study.stein_files import ForeignFieldsError, load_fields, save_fields
from latflow.variates.training import SteinTraining

LATTICE = lf.Lattice((2, 2))
FEW = SteinTraining(steps=30, batch_size=256)


@pytest.fixture(scope="module")
def action() -> lf.PhiFour:
    return lf.PhiFour(LATTICE, mass_squared=-1.0, coupling=2.0)


@pytest.fixture(scope="module")
def chains(action: lf.PhiFour) -> np.ndarray:
    """16 chains of 250 records."""
    kernel = lf.HMC(action, lf.LEAPFROG, step_size=jnp.asarray(0.2), n_steps=4)
    return np.asarray(lf.run_chain(jax.random.key(1), kernel, n=250, chains=16, warmup=100))


@pytest.fixture(scope="module")
def reduced(action: lf.PhiFour, chains: np.ndarray) -> Reduced:
    return lf.reduce(action, chains, velocities=stein_fields("lattice", action), training=FEW)


def test_values_agree_with_exact_ones_at_smaller_errors(reduced: Reduced) -> None:
    """Integrals of the 2 × 2 lattice; the reduced errors are a third of the plain ones or less."""
    known = exact.phi_four_2x2(mass_squared=-1.0, coupling=2.0)
    for name, value in (("phi_squared", known.phi_squared), ("susceptibility", known.susceptibility)):
        (found,) = reduced.estimates[name]
        (plain,) = reduced.plain[name]
        assert abs(found.value - value) < 5 * found.error
        assert found.error < plain.error / 3
        assert np.isclose(reduced.variance_ratio[name][0], (plain.error / found.error) ** 2)
    assert (reduced.trained_on, reduced.corrected, reduced.configurations) == (4, 12, 3000)


def test_null_tests_hold_and_plain_values_are_those_of_estimates(
    action: lf.PhiFour, chains: np.ndarray, reduced: Reduced
) -> None:
    assert reduced.null_tests.passed.all()
    assert reduced.plain["phi_squared"] == lf.estimates(action, chains)["phi_squared"]
    assert not any("null test" in reason for reason in reduced.withheld.values())


def test_a_wrong_action_is_seen_and_nothing_is_shown(action: lf.PhiFour, chains: np.ndarray, reduced: Reduced) -> None:
    """The variates of another coupling have another mean: every average that they would change is withheld."""
    found = lf.reduce(action.with_parameters(coupling=2.4), chains, velocities=reduced.fields)
    assert "susceptibility" not in found.corrections
    assert found.withheld["phi_squared"] == "a null test of the variates failed"
    assert found.plain["phi_squared"] == reduced.plain["phi_squared"]


def testtoo_few_records_are_not_corrected(action: lf.PhiFour, chains: np.ndarray, reduced: Reduced) -> None:
    """60 records are fewer than 100 independent ones; corrected errors of so few were too small by 1.4 and more."""
    found = lf.reduce(action, chains[:20, :3], velocities=reduced.fields)
    assert found.corrections == {}
    assert found.withheld["phi_squared"] == "fewer than 100 independent records"
    assert found.variance_ratio["phi_squared"] == [1.0]


@pytest.mark.parametrize(
    ("tau", "coefficients", "reason"),
    [
        (0.5, 500, ""),
        (0.5, 501, "fewer than 2 independent records for each of 501 coefficients"),
        (4.9, 20, ""),
        (5.1, 1, "fewer than 100 independent records"),
        (math.nan, 1, ""),
    ],
)
def test_independent_records_for_every_coefficient(tau: float, coefficients: int, reason: str) -> None:
    """1000 records, 1000/(2τ) independent ones by the slowest component."""
    fast, slow = (lf.Estimate(1.0, 0.1, tau_int=each, n=1000) for each in (0.5, tau))
    assert too_few([(fast, fast), (slow, fast)], coefficients=coefficients) == reason
    assert too_few([(fast, fast), (fast, slow)], coefficients=coefficients) == reason  # of what the variates leave


def test_no_component_becomes_worse(reduced: Reduced) -> None:
    """Where the correction of a component is no better, its plain average stands."""
    for name, parts in reduced.estimates.items():
        for best, plain, ratio in zip(parts, reduced.plain[name], reduced.variance_ratio[name], strict=True):
            assert ratio >= 1
            assert best.error < plain.error or best == plain


def test_every_name_has_a_best_average(action: lf.PhiFour, chains: np.ndarray, reduced: Reduced) -> None:
    """As the guide loops over names: what is withheld has its plain average, with a ratio of 1."""
    found = lf.reduce(action.with_parameters(coupling=2.4), chains, velocities=reduced.fields)
    for name in ("susceptibility", "phi_squared"):
        assert found.estimates[name] == found.plain[name]
        assert found.estimates[name][0].state is None
        assert found.variance_ratio[name] == [1.0]
    assert repr(found).startswith(f"Reduced({len(found.corrections)} of {len(found.plain)} averages")
    assert set(reduced.corrections) == set(reduced.plain) - set(reduced.withheld)


def test_saved_velocities_are_used_again_on_all_chains(
    action: lf.PhiFour, chains: np.ndarray, reduced: Reduced, tmp_path: Path
) -> None:
    digest = save_fields(tmp_path / "fields", reduced.fields, space=action.space, made={})
    again = lf.reduce(action, chains, velocities=tmp_path / "fields")
    assert len(digest) == 64
    assert (again.trained_on, again.corrected, again.training_seconds) == (0, 16, 0.0)
    assert again.columns["phi_squared"][0] > 9
    with pytest.raises(ForeignFieldsError, match="fields of 2 axes"):
        load_fields(tmp_path / "fields", lf.ScalarSpace((4,)))


def test_a_model_of_something_else_is_refused(tmp_path: Path) -> None:
    from latflow.training.model_file import save_model

    save_model(tmp_path, {"a": jnp.zeros(2)}, header={})
    with pytest.raises(ForeignFieldsError, match="no Stein fields"):
        load_fields(tmp_path, lf.ScalarSpace((2, 2)))


@pytest.mark.nightly
def test_latent_fields_are_integrated_as_the_number_of_configurations_allows() -> None:
    """Fewer steps of a cheaper scheme for a hundred configurations; values move by less than a hundredth."""
    action = lf.PhiFour(lf.Lattice((6, 6)), mass_squared=-4.0, coupling=6.975)
    fine, cheap = (lf.latent_fields("zoo:phi4-e1", action, n=n) for n in (None, 100))
    assert cheap.bijection.scheme.name == "dop853"
    assert 2 * cheap.bijection.n_steps <= fine.bijection.n_steps
    x = jax.random.normal(jax.random.key(2), (2, 6, 6)) / 2
    of_fine, of_cheap = (jax.jit(jax.vmap(lambda x, f=f: f.value(action, x)))(x) for f in (fine, cheap))
    size = np.sqrt(np.mean(np.square(of_fine), axis=0))
    assert 0 < np.max(np.abs(of_cheap - of_fine) / size) < 0.01


def test_what_cannot_be_reduced_is_refused(action: lf.PhiFour, chains: np.ndarray, reduced: Reduced) -> None:
    with pytest.raises(TooShortError, match="chains: 2; allowed: at least 3: 2 beside those of the training"):
        lf.reduce(action, chains[:, :2])
    with pytest.raises(TooShortError, match="chains: 1; allowed: at least 2; coefficients"):
        lf.reduce(action, chains[:, :1], velocities=reduced.fields)
    with pytest.raises(lf.ConfigError, match="action: missing"):
        lf.reduce(None, chains)
    with pytest.raises(lf.ConfigError, match="steps: 0; allowed: at least 1"):
        SteinTraining(steps=0)
    wilson = lf.WilsonAction(lf.Lattice((2, 2)), lf.U1(), beta=1.0)
    with pytest.raises(lf.ConfigError, match="training: given; allowed: None, velocities of loops have nothing"):
        lf.reduce(wilson, np.ones((8, 4, *wilson.space.shape)), training=FEW)
    with pytest.raises(lf.ConfigError, match="space: missing; allowed: action"):
        load_fields("anywhere")
    three = lf.PhiFour(lf.Lattice((2, 2, 2)), mass_squared=1.0, coupling=1.0)
    with pytest.raises(lf.ConfigError, match="of other fields"):
        lf.reduce(three, np.zeros((10, 4, 2, 2, 2)), velocities=reduced.fields)
    with pytest.raises(lf.ConfigError, match="fields: shape"):
        lf.reduce(action, chains[..., None])


def test_flows_that_do_not_belong_to_the_chains_are_refused() -> None:
    """By names of models, before anything is built, and by what they are."""
    with pytest.raises(lf.ConfigError, match="flow: trained for PhiFour"):
        lf.latent_fields("zoo:phi4-e1", lf.FreeField(lf.Lattice((6, 6)), mass_squared=1.0))
    action = lf.PhiFour(lf.Lattice((4, 4)), mass_squared=-4.0, coupling=6.975)
    with pytest.raises(lf.ConfigError, match="velocities: a flow of Lattice"):
        lf.latent_fields(lf.real_nvp(jax.random.key(1), lf.Lattice((6, 6))), action)
    with pytest.raises(lf.ConfigError, match="n: 0; allowed: at least 1"):
        lf.latent_fields(lf.real_nvp(jax.random.key(1), lf.Lattice((4, 4))), action, n=0)
