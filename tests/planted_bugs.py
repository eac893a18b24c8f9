"""Bugs that must not survive: one changed text each, and the test that has to go red.

`tests/test_planted_bugs.py` checks on every run that each text still stands exactly once in its file, and at night
plants them one after another. docs/planted-bugs.md shows the table with the last result.
"""

import dataclasses
import sys
from pathlib import Path
from xml.etree import ElementTree

PAGE = Path(__file__).parents[1] / "docs" / "planted-bugs.md"

HEADING = """# Planted bugs

A law is trusted after it was seen failing. Each line is one changed text in the package, from `tests/planted_bugs.py`,
and the test that has to go red for it; a bug that survives is a hole in the tests. `make test` checks that each text
still stands exactly once and that this page lists every bug. At night the bugs are planted one after another in a copy
of the package, whose tests pass without them:

```sh
python -m pytest -m nightly tests/test_planted_bugs.py --junitxml planted.xml
python tests/planted_bugs.py planted.xml    # writes this page
```

{summary}.

| bug | file | test | verdict |
|---|---|---|---|
"""


@dataclasses.dataclass(frozen=True)
class Bug:
    """A mistake that someone could make.

    Attributes:
        name: What is wrong.
        file: Where, relative to the package.
        right: The text as it should be; stands exactly once in the file.
        wrong: What is planted in its place.
        test: The test that must fail.
    """

    name: str
    file: str
    right: str
    wrong: str
    test: str


BIJECTION = "tests/laws/test_bijection_laws.py::test_bijection_law"
ACTION = "tests/laws/test_action_laws.py::test_action_law"
LINK_ACTION = "tests/laws/test_action_laws.py::test_link_action_law"
KERNEL = "tests/laws/test_kernel_laws.py"
GAUGE_FILES = "tests/store/gauge_files"
EXACT_MATRIX = "tests/laws/test_exact_transition_matrix.py"

BUGS = (
    Bug(
        "log-det of the wrong sign",
        "bijections/coupling.py",
        "active * jnp.exp(log_scale) + shift), jnp.sum(log_scale)",
        "active * jnp.exp(log_scale) + shift), -jnp.sum(log_scale)",
        f"{BIJECTION}[affine dense, even-log_det_is_jacobian]",
    ),
    Bug(
        "log-det of all layers but the last dropped",
        "bijections/compose.py",
        "x, step = bijection.forward_and_log_det(x)\n            log_det = log_det + step",
        "x, step = bijection.forward_and_log_det(x)\n            log_det = step",
        f"{BIJECTION}[real nvp dense-log_det_is_jacobian]",
    ),
    Bug(
        "s unbounded in the inverse only",
        "bijections/coupling.py",
        "log_scale, shift = self._parameters(frozen)\n        return self.partition.merge(frozen, (active - shift)",
        "log_scale, shift = self.conditioner(frozen).T\n        return self.partition.merge(frozen, (active - shift)",
        f"{BIJECTION}[affine dense, even-round_trip_worst]",
    ),
    Bug(
        "layers inverted in the forward order",
        "bijections/compose.py",
        "for bijection in reversed(self.bijections):",
        "for bijection in self.bijections:",
        f"{BIJECTION}[real nvp dense-round_trip_worst]",
    ),
    Bug(
        "log-det of the inverse subtracted in a density",
        "flows/flow.py",
        "return self.prior.log_prob(z) + log_det",
        "return self.prior.log_prob(z) - log_det",
        "tests/laws/test_density_laws.py::test_log_prob_is_sampled[scaled normal]",
    ),
    Bug(
        "weights at the wrong point of the range of couplings",
        "flows/conditional.py",
        "basis = _chebyshev(jnp.clip(self.position(value), -1.0, 1.0), self.order)",
        "basis = _chebyshev(jnp.clip(-self.position(value), -1.0, 1.0), self.order)",
        "tests/flows/test_conditional.py::test_weights_are_chebyshev_sums_in_the_logarithm[5.3]",
    ),
    Bug(
        "range of couplings linear where it is logarithmic",
        "flows/conditional.py",
        "(2 * jnp.log(value) - np.log(self.upper) - np.log(self.lower)) / np.log(self.upper / self.lower)",
        "(2 * jnp.asarray(value) - self.upper - self.lower) / (self.upper - self.lower)",
        "tests/flows/test_conditional.py::test_positions_and_couplings",
    ),
    Bug(
        "values of two parameters of an action exchanged",
        "actions/base.py",
        "for value in values.values()]",
        "for value in reversed(values.values())]",
        "tests/actions/test_base.py::test_other_values_are_those_of_the_constructor",
    ),
    Bug(
        "conditional flow taken at an end of its range whatever the action",
        "flows/conditional.py",
        "return model.at(getattr(action, name))",
        "return model.at(model.lower)",
        "tests/flows/test_conditional.py::test_the_flow_for_an_action_is_that_at_its_parameter",
    ),
    Bug(
        "slope of log Z with the sign of the action",
        "surveys.py",
        "return -action.with_parameters",
        "return action.with_parameters",
        "tests/test_surveys.py::test_log_z_and_its_slope",
    ),
    Bug(
        "conditional flow trained against the action at one coupling",
        "training/conditional.py",
        "return self.loss(flow.at(value), theory_at(action, flow, value), key)",
        "return self.loss(flow.at(value), action, key)",
        "tests/training/test_conditional.py::test_one_coupling_in_every_stratum_and_the_flow_at_it",
    ),
    Bug(
        "couplings of a step from the lower half of the range",
        "training/ranges.py",
        "jax.random.uniform(pinned(key), (n,))) / n - 1",
        "jax.random.uniform(pinned(key), (n,))) / n / 2 - 1",
        "tests/training/test_conditional.py::test_every_draw_of_the_range_is_as_likely",
    ),
    Bug(
        "gradients of the couplings of a split step exchanged",
        "training/split_range.py",
        "return jax.vmap(at_one)(values)",
        "return jax.vmap(at_one)(values[::-1])",
        "tests/training/test_conditional.py::test_the_split_gradient_is_that_of_the_couplings_one_by_one",
    ),
    Bug(
        "model of another range of couplings taken",
        "study/stages/training.py",
        "    _require_range(header, config, directory)\n",
        "",
        "tests/study/test_conditional.py::test_a_model_of_another_range_is_refused[ends0]",
    ),
    Bug(
        "another model for every coupling of the range",
        "study/context.py",
        "    if ends is not None:\n        middle",
        "    if ends is None:\n        middle",
        "tests/study/test_conditional.py::test_another_coupling_takes_the_same_model",
    ),
    Bug(
        "prior not normalised",
        "distributions.py",
        "-0.5 * jnp.sum(x**2 + jnp.log(2 * jnp.pi))",
        "-0.5 * jnp.sum(x**2 + jnp.log(jnp.pi))",
        "tests/laws/test_density_laws.py::test_density_is_normalised[normal]",
    ),
    Bug(
        "weight exp(+S) instead of exp(-S)",
        "flows/weighted.py",
        "Weighted(x, -action - log_prob,",
        "Weighted(x, action - log_prob,",
        "tests/laws/test_density_laws.py::test_weights_average_to_z[scaled normal on free 4x2]",
    ),
    Bug(
        "every block draws the same configurations",
        "samplers/draws.py",
        "jnp.arange(first, first + n, dtype=jnp.uint32)",
        "jnp.arange(n, dtype=jnp.uint32)",
        "tests/flows/test_weighted.py::test_draws_do_not_depend_on_the_block",
    ),
    Bug(
        "force twice too large",
        "actions/scalar.py",
        "return x * (diagonal + 4 * self.coupling * x * x) - 2 * neighbour_sum(x)",
        "return 2 * (x * (diagonal + 4 * self.coupling * x * x) - 2 * neighbour_sum(x))",
        f"{ACTION}[phi4 2x2-force_is_finite_difference]",
    ),
    Bug(
        "action that comes with the force off in the quartic term",
        "actions/scalar.py",
        "0.5 * jnp.sum(x * force) - self.coupling",
        "0.5 * jnp.sum(x * force) - 0.5 * self.coupling",
        f"{ACTION}[phi4 2x2-value_comes_with_the_force]",
    ),
    Bug(
        "one direction missing among the neighbours of a site",
        "actions/scalar.py",
        "for mu in range(x.ndim) for s in (-1, 1)",
        "for mu in range(x.ndim) for s in (-1, -1)",
        f"{ACTION}[phi4 3x3-force_is_gradient]",
    ),
    Bug(
        "wrong sign of the mass term",
        "actions/scalar.py",
        "quadratic = (2 * x.ndim + self.mass_squared) * x**2",
        "quadratic = (2 * x.ndim - self.mass_squared) * x**2",
        "tests/actions/test_scalar.py::test_house_normalisation[shape0]",
    ),
    Bug(
        "4! forgotten in a normalisation",
        "actions/scalar.py",
        "coupling=coupling / 6)",
        "coupling=coupling)",
        "tests/actions/test_scalar.py::test_factorial_normalisation[shape0]",
    ),
    Bug(
        "double bonds of the 2x2 lattice counted once",
        "actions/exact.py",
        "quadratic=4 + mass_squared, quartic=coupling, bond=4.0",
        "quadratic=4 + mass_squared, quartic=coupling, bond=2.0",
        "tests/actions/test_exact.py::test_two_by_two_digits",
    ),
    Bug(
        "masks that do not complement each other",
        "lattice.py",
        "return self.parity() == parity",
        "return self.parity() == 0",
        "tests/test_lattice.py::test_checkerboards_partition_the_sites_and_never_touch",
    ),
    Bug(
        "momenta not refreshed",
        "samplers/hmc.py",
        "self.action.space.momentum(fold_in(key, 0))",
        "self.action.space.momentum(jax.random.key(0))",
        f"{KERNEL}::test_exact_observables[hmc leapfrog]",
    ),
    Bug(
        "random step sizes never used",
        "samplers/hmc.py",
        "self._jittered(fold_in(key, 2))._trajectory(state.x, p)",
        "self._trajectory(state.x, p)",
        f"{KERNEL}::test_exact_observables[hmc with jitter]",
    ),
    Bug(
        "action of a rejected proposal kept",
        "samplers/hmc.py",
        "return chosen, Transition(",
        "return HMCState(chosen.x, proposal.action), Transition(",
        f"{KERNEL}::test_energy_average_is_one[0.18]",
    ),
    Bug(
        "last kick of a trajectory of the wrong length",
        "samplers/integrators.py",
        "p = self._kicked(p, kick, force)",
        "p = self._kicked(p, 2 * kick, force)",
        f"{KERNEL}::test_dynamics_law[hmc leapfrog-trajectory_is_reversible]",
    ),
    Bug(
        "two digits of a fourth-order coefficient exchanged",
        "samplers/integrators.py",
        "0.2539785108410595",
        "0.2593785108410595",
        f"{KERNEL}::test_energy_error_has_order[omf4]",
    ),
    Bug(
        "force gradient of twice the right size",
        "samplers/integrators.py",
        "gradients=(1 / 24,)",
        "gradients=(1 / 12,)",
        f"{KERNEL}::test_energy_error_has_order[force-gradient]",
    ),
    Bug(
        "field displaced up the slope of the action",
        "samplers/integrators.py",
        "jax.tree.map(jnp.negative, self._scaled(gradient * self.step_size, part.force(x)))",
        "self._scaled(gradient * self.step_size, part.force(x))",
        "tests/laws/test_gauge_kernel_laws.py::test_energy_error_has_order[force-gradient]",
    ),
    Bug(
        "outer force counted twice: the inner level integrates the whole action",
        "samplers/integrators.py",
        "return tuple(_sum([terms[i] for i in level.terms]) for level in self.levels)",
        "return (*(_sum([terms[i] for i in level.terms]) for level in self.levels[:-1]), action)",
        f"{KERNEL}::test_energy_error_has_order[leapfrog / leapfrog]",
    ),
    Bug(
        "kicks that wait at the end of an outer step forgotten",
        "samplers/integrators.py",
        "jnp.where(i == 0, before, after)",
        "jnp.where(i == 0, 0.0 * before, after)",
        f"{KERNEL}::test_energy_error_has_order[leapfrog / leapfrog]",
    ),
    Bug(
        "plaquettes of an improved action without their coefficient",
        "actions/gauge.py",
        "beta=(1 - 8 * self.c1) * self.beta",
        "beta=self.beta",
        f"{ACTION}[SU(2) iwasaki 3x2-terms_are_the_action]",
    ),
    Bug(
        "always accept",
        "samplers/metropolis.py",
        "return (log_u < log_ratio) & ",
        "return (log_u < jnp.inf) & ",
        f"{EXACT_MATRIX}::test_metropolis_with_a_symmetric_proposal",
    ),
    Bug(
        "not a number accepted",
        "samplers/metropolis.py",
        "return (log_u < log_ratio) & (log_ratio < jnp.inf)",
        "return ~(log_u >= log_ratio) & ~(log_ratio == jnp.inf)",
        "tests/samplers/test_metropolis.py::test_rule",
    ),
    Bug(
        "both colours of the checkerboard updated at once",
        "samplers/local.py",
        "jnp.where(self._mask(x, parity=parity) & is_accepted(log_u, log_ratio), proposal, x)",
        "jnp.where(is_accepted(log_u, log_ratio), proposal, x)",
        f"{EXACT_MATRIX}::test_half_sweep[0]",
    ),
    Bug(
        "proposals not centred",
        "samplers/local.py",
        "fold_in(key, 0), shape) - 1.0)",
        "fold_in(key, 0), shape) - 0.9)",
        f"{KERNEL}::test_exact_observables[local on phi4]",
    ),
    Bug(
        "log w of a rejected proposal kept",
        "samplers/independence.py",
        "moved = (jnp.where(accepted, proposed, here),",
        "moved = (proposed,",
        "tests/samplers/test_independence.py::test_sequence_is_a_loop",
    ),
    Bug(
        "log w after a resume taken from the last draw, not from where the chain stands",
        "study/stages/draws.py",
        'arrays["log_weight"][row])',
        'arrays["log_weight"][-1])',
        "tests/study/test_run.py::test_verify_passes_and_notices_a_flipped_byte",
    ),
    Bug(
        "all chains use the same key",
        "samplers/chains.py",
        "return jax.vmap(fold_in, (None, 0))(key, jnp.asarray(chains))",
        "return jax.vmap(fold_in, (None, 0))(key, 0 * jnp.asarray(chains))",
        "tests/samplers/test_chains.py::test_records_are_those_of_single_chains",
    ),
    Bug(
        "a restarted chain repeats its random numbers",
        "samplers/chains.py",
        "numbers = first + jnp.arange(",
        "numbers = 0 * first + jnp.arange(",
        "tests/samplers/test_chains.py::test_restart_is_bitwise",
    ),
    Bug(
        "neighbour product summed over directions",
        "observables/scalar.py",
        "return jnp.mean(jnp.stack([jnp.mean(x * jnp.roll",
        "return jnp.sum(jnp.stack([jnp.mean(x * jnp.roll",
        "tests/observables/test_scalar.py::test_columns_are_their_definitions",
    ),
    Bug(
        "autocorrelation left out of the error",
        "stats/gamma.py",
        "gamma_method(S=2.0)",
        "gamma_method(S=0.0)",
        "tests/stats/test_gamma.py::test_error_bars_of_a_chain_cover",
    ),
    Bug(
        "error of weighted means from plain fluctuations",
        "stats/weights.py",
        "influence = w[:, None] * (matrix - means)",
        "influence = (matrix - means) / len(w)",
        "tests/stats/test_weights.py::test_error_bars_of_weighted_ratios_cover",
    ),
    Bug(
        "hash of a block not checked",
        "store/ensemble.py",
        "if got != entry.sha256:",
        "if got == '':",
        "tests/store/test_ensemble.py::test_every_damage_of_a_block_is_found",
    ),
    Bug(
        "weights of another revision of the flows accepted",
        "training/model_file.py",
        "if found != ARCHITECTURE:",
        "if found is None:",
        "tests/training/test_model_file.py::test_models_of_another_revision_of_the_flows_are_refused[0]",
    ),
    Bug(
        "log-slope of a spline without the square of its mean slope",
        "bijections/spline.py",
        "return image, 2 * jnp.log(mean)",
        "return image, jnp.log(mean)",
        f"{BIJECTION}[spline dense, odd bins-log_det_is_jacobian]",
    ),
    Bug(
        "log-det of the coarse lattice dropped",
        "bijections/sublattice.py",
        "self.bijection.forward_and_log_det(kept)\n        return self._merge(rest, image), log_det",
        "self.bijection.forward_and_log_det(kept)\n        return self._merge(rest, image), 0 * log_det",
        f"{BIJECTION}[multiscale-log_det_is_jacobian]",
    ),
    Bug(
        "shifts even in the field where they should be odd",
        "bijections/parity.py",
        "odd = 0.5 * (here - mirrored)",
        "odd = 0.5 * (here + mirrored)",
        "tests/laws/test_bijection_laws.py::test_claimed_symmetries[real nvp convolutional, z2]",
    ),
    Bug(
        "slope of the action missing in a path gradient",
        "training/losses.py",
        "return fixed.log_prob(x) + energy, energy",
        "return fixed.log_prob(x), energy",
        "tests/training/test_gradients.py::test_path_gradient_has_the_mean_of_the_reverse_kl",
    ),
    Bug(
        "openQCD's points with x fastest, as in the other formats",
        "store/gauge_files/openqcd.py",
        "y, z = np.nonzero((np.arange(ny)[:, None] + np.arange(nz) + t + x) % 2)",
        "z, y = np.nonzero((np.arange(nz)[:, None] + np.arange(ny) + t + x) % 2)",
        f"{GAUGE_FILES}/test_traps.py::test_openqcd_runs_over_odd_points_with_z_fastest",
    ),
    Bug(
        "openQCD's plaquette taken as normalised to 1",
        "store/gauge_files/openqcd.py",
        "stored=plaquette / 3",
        "stored=plaquette",
        f"{GAUGE_FILES}/test_traps.py::test_openqcd_plaquette_runs_to_three",
    ),
    Bug(
        "third row of a link not conjugated",
        "store/gauge_files/measure.py",
        "np.cross(wide[..., 0, :], wide[..., 1, :]).conj()",
        "np.cross(wide[..., 0, :], wide[..., 1, :])",
        f"{GAUGE_FILES}/test_traps.py::test_nersc_variants",
    ),
    Bug(
        "SciDAC checksum that starts counting sites again in every piece",
        "store/gauge_files/checksums.py",
        "self._sites += len(crcs)",
        "self._sites = 0",
        f"{GAUGE_FILES}/test_traps.py::test_round_trip_is_exact",
    ),
    Bug(
        "byte order believed, whatever the checksum says",
        "store/gauge_files/nersc.py",
        "return other if matches[other] and not matches[order] else order",
        "return order",
        f"{GAUGE_FILES}/test_traps.py::test_nersc_variants",
    ),
    Bug(
        "determinant forgotten in the distance from SU(N)",
        "store/gauge_files/measure.py",
        "np.abs(gram).max(), np.abs(_determinant(here) - 1).max())",
        "np.abs(gram).max())",
        f"{GAUGE_FILES}/test_traps.py::test_defect_sees_the_determinant",
    ),
    Bug(
        "gauge file accepted in spite of a failed check",
        "store/gauge_files/configuration.py",
        "if configuration.failed and not force:",
        "if configuration.failed and force:",
        f"{GAUGE_FILES}/test_traps.py::test_flipped_words_are_found",
    ),
    Bug(
        "origin of a configuration lost on its way into a NERSC header",
        "store/gauge_files/nersc.py",
        'has = held(provenance, "nersc").facts()',
        'has = held(NOTHING_KNOWN, "nersc").facts()',
        f"{GAUGE_FILES}/test_provenance.py::test_what_formats_hold[nersc]",
    ),
    Bug(
        "rebuilt rows compared with themselves",
        "store/gauge_files/configuration.py",
        "_largest_difference(stored.links[:, rows:], original.links[:, rows:])",
        "_largest_difference(stored.links[:, rows:], stored.links[:, rows:])",
        "tests/cli/test_gauge_files.py::test_what_reading_back_compared",
    ),
    Bug(
        "slope of the divergence missing in the score along a continuous flow",
        "bijections/ode/path_adjoint.py",
        "(score[None] * slope + _column(2 * own) * bend)",
        "(score[None] * slope + 0 * _column(2 * own) * bend)",
        "tests/training/test_split_steps.py::test_gradient_vanishes_where_the_flow_is_the_theory",
    ),
    Bug(
        "stages of a step pulled back in the wrong order",
        "bijections/ode/path_adjoint.py",
        "matrix[j][i] for j in reversed(range(i + 1, n))",
        "matrix[j][i] for j in range(i + 1, n)",
        "tests/training/test_split_steps.py::test_gradient_is_that_of_the_loss",
    ),
    Bug(
        "every core draws the first part of a batch",
        "training/split_steps.py",
        "threaded(part, keys)",
        "threaded(part, keys[:1] * len(keys))",
        "tests/training/test_split_steps.py::test_parts_add_up_to_the_batch",
    ),
    Bug(
        "configurations that only fill up the last piece are measured too",
        "execution.py",
        "np.split(np.concatenate(parts, axis=axis), [len(fields)], axis=axis)[0]",
        "np.concatenate(parts, axis=axis)",
        "tests/test_execution.py::test_programs_over_pieces",
    ),
    Bug(
        "results of threads in the order in which they end",
        "execution.py",
        "        return list(pool.map(call, calls))",
        "        futures = [pool.submit(call, arguments) for arguments in calls]\n"
        "        return [future.result() for future in concurrent.futures.as_completed(futures)]",
        "tests/test_execution.py::test_results_come_in_order_whatever_ends_first",
    ),
    Bug(
        "every group of chains uses the keys of the first",
        "samplers/chains.py",
        "np.split(np.arange(n), len(groups))",
        "[np.arange(len(groups[0]))] * len(groups)",
        "tests/samplers/test_chains.py::test_large_fields_run_in_groups[groups]",
    ),
    Bug(
        "a heat bath at half the coupling",
        "samplers/heatbath.py",
        "su2_boltzmann(2 * k, ",
        "su2_boltzmann(k, ",
        "tests/samplers/test_heatbath.py::test_the_plaquette_is_exact",
    ),
    Bug(
        "a link is moved to its minimum, not reflected about it",
        "samplers/heatbath.py",
        "return _times(inverse, inverse),",
        "return inverse,",
        "tests/samplers/test_heatbath.py::test_overrelaxation_keeps_the_action_and_moves_every_link",
    ),
    Bug(
        "trials of Creutz accepted with the squared weight",
        "samplers/link_draws.py",
        "creutz = squared <= 1 - x**2",
        "creutz = jnp.sqrt(squared) <= 1 - x**2",
        "tests/samplers/test_link_draws.py::test_su2",
    ),
    Bug(
        "eigenvalues of exact draws repel with the first power only",
        "samplers/open_boundaries.py",
        "weight * (jnp.real(z[i] - z[j]) ** 2 + jnp.imag(z[i] - z[j]) ** 2)",
        "weight * jnp.sqrt(jnp.real(z[i] - z[j]) ** 2 + jnp.imag(z[i] - z[j]) ** 2)",
        "tests/samplers/test_open_boundaries.py::test_su2_against_quadrature",
    ),
    Bug(
        "exact draws left in the gauge in which links are integrated",
        "samplers/open_boundaries.py",
        "if not self.gauge_fixed:",
        "if self.gauge_fixed is None:",
        "tests/samplers/test_open_boundaries.py::test_lattices[U(1)-1.5]",
    ),
    Bug(
        "the angle drawn by the heat bath of U(1) doubled",
        "samplers/heatbath.py",
        "new = offset * _centre(around[0, 0], kappa)",
        "new = offset * offset * _centre(around[0, 0], kappa)",
        "tests/laws/test_one_step_invariance.py::test_one_step_invariance[U(1)]",
    ),
    Bug(
        "two coefficients of the gradient flow's scheme exchanged",
        "fields/gradient_flow.py",
        "third = 8 / 9 * second - 17 / 36 * first",
        "third = 8 / 9 * first - 17 / 36 * second",
        "tests/fields/test_gradient_flow.py::test_the_scheme_has_third_order[U(1)-shape0]",
    ),
    Bug(
        "gradient flow up the slope of the rectangles",
        "fields/link_loops.py",
        "return (1 - 8 * c1) * plaquettes + c1 * rectangles_through_links(links)",
        "return (1 - 8 * c1) * plaquettes - c1 * rectangles_through_links(links)",
        "tests/fields/test_gradient_flow.py::test_weak_waves_decay_as_the_heat_equation_says[improved]",
    ),
    Bug(
        "squares of two links with twice their weight in the improved clover",
        "fields/field_strength.py",
        "IMPROVED = (3 / 2, -3 / 20, 1 / 90)",
        "IMPROVED = (3 / 2, -3 / 10, 1 / 90)",
        "tests/fields/test_field_strength.py::test_a_weak_wave[loops1-0.001]",
    ),
    Bug(
        "a leaf of the clover left at its own corner",
        "fields/field_strength.py",
        "+ neighbour(from_mu, mu, -n)",
        "+ from_mu",
        "tests/fields/test_gradient_flow.py::test_charge_in_four_dimensions_changes_sign_under_reflections[0]",
    ),
    Bug(
        "smearing mixes links with the staples walked backwards",
        "fields/smearing.py",
        "alpha / (2 * others) * adjoint(around)",
        "alpha / (2 * others) * around",
        "tests/fields/test_smearing.py::test_smearing_commutes_with_gauge_transformations[SU(3) ape]",
    ),
    Bug(
        "weights of hypercubic smearing taken from inside to outside",
        "fields/smearing.py",
        "alpha, around = alphas[len(without)], []",
        "alpha, around = alphas[-1 - len(without)], []",
        "tests/fields/test_smearing.py::test_hyp_level_by_level",
    ),
    Bug(
        "stout links exponentiate the wrong sign",
        "fields/smearing.py",
        "return space.move(x, -rho * jnp.stack(p))",
        "return space.move(x, rho * jnp.stack(p))",
        "tests/fields/test_smearing.py::test_a_stout_step_is_a_step_of_the_flow",
    ),
    Bug(
        "links updated together that share a rectangle",
        "fields/closings.py",
        "n_colours=4, along=2)",
        "n_colours=4, along=1)",
        f"{LINK_ACTION}[SU(2) iwasaki 4x8-link_colours_are_independent]",
    ),
    Bug(
        "a path that closes a link walks its last side the wrong way",
        "fields/closings.py",
        "Closing(1.0, (2, -1, -2))",
        "Closing(1.0, (2, -1, 2))",
        f"{LINK_ACTION}[SU(3) wilson 2x2x4-closings_are_the_action]",
    ),
    Bug(
        "one staple of the link updates dropped",
        "fields/closings.py",
        "return jax.lax.fori_loop(0, len(shape) - 1, plane, zero)",
        "return jax.lax.fori_loop(1, len(shape) - 1, plane, zero)",
        f"{LINK_ACTION}[SU(3) wilson 2x2x4-closings_are_the_action]",
    ),
    Bug(
        "paths across an open edge count",
        "fields/closings.py",
        "(inside[link] for link in passed)",
        "(inside[link] for link in passed[:1])",
        f"{LINK_ACTION}[SU(2) wilson 2x4x2, open-closings_are_the_action]",
    ),
    Bug(
        "steps of links only to one side",
        "samplers/link_metropolis.py",
        "* (2 * u - 1), log_u], axis=1)",
        "* u, log_u], axis=1)",
        "tests/laws/test_gauge_kernel_laws.py::test_exact_observables[SU(2) metropolis]",
    ),
    Bug(
        "chains of a gauge field start outside the group",
        "fields/spaces.py",
        "self.move(self.cold(), _NARROW * self.momentum(key))",
        "_NARROW * self.cold()",
        "tests/laws/test_space_laws.py::test_space_law[SU(2) 2x3-starts_are_inside]",
    ),
    Bug(
        "determinant left in a projection on SU(N)",
        "groups/sun.py",
        "return u * jnp.exp(-1j * phase)[None, None]",
        "return u",
        "tests/groups/test_groups.py::test_project_is_the_polar_factor[SU(2)]",
    ),
    Bug(
        "staple walks its last side the wrong way",
        "fields/transport.py",
        "neighbour(u, nu), right_adjoint=True), v, right_adjoint=True)",
        "neighbour(u, nu), right_adjoint=True), v)",
        "tests/fields/test_transport.py::test_staples_are_paths[SU(2) 4x2]",
    ),
    Bug(
        "one staple of the force dropped",
        "fields/link_loops.py",
        "rest[nu].append(neighbour(left, mu, -1))",
        "rest[nu].append(0 * left)",
        f"{ACTION}[SU(3) wilson 2x2x2x2-force_is_finite_difference]",
    ),
    Bug(
        "staples of a rectangle one step too near",
        "fields/link_loops.py",
        "short_rest[nu].append(neighbour(left, mu, -2))",
        "short_rest[nu].append(neighbour(left, mu, -1))",
        f"{ACTION}[SU(2) iwasaki 3x2-force_is_finite_difference]",
    ),
    Bug(
        "factor 1/2 of the kinetic term missing",
        "samplers/hmc.py",
        "total(0.5 * jnp.sum(part**2)",
        "total(jnp.sum(part**2)",
        "tests/laws/test_gauge_kernel_laws.py::test_exact_observables[SU(2) leapfrog]",
    ),
    Bug(
        "Haar matrices with the phases of a QR decomposition left as they fall",
        "groups/sun.py",
        "optimization_barrier(column / length))",
        "optimization_barrier(column / length * jnp.exp(-1j * jnp.angle(column[:1]))))",
        "tests/groups/test_groups.py::test_haar_moments[SU(3)]",
    ),
    Bug(
        "angles wrapped from 0 instead of -pi",
        "groups/base.py",
        "jnp.floor((jnp.pi - angle) / (2 * jnp.pi))",
        "jnp.floor((2 * jnp.pi - angle) / (2 * jnp.pi))",
        "tests/groups/test_groups.py::test_angles_are_wrapped_to_the_half_open_interval",
    ),
    Bug(
        "squarings of the exponential not undone for large exponents",
        "groups/exponential.py",
        "for first, last in ((0, _FEW), (_FEW, _FEW + _MANY)):",
        "for first, last in ((0, _FEW),):",
        "tests/groups/test_groups.py::test_exponential[SU(2)-40.0]",
    ),
    Bug(
        "the proposal made again instead of the draw that stands in the chain",
        "study/regenerate.py",
        "draws = [int(standing[index]) for index in indices]",
        "draws = [int(index) for index in indices]",
        "tests/study/test_regenerate.py::test_configurations_are_made_again_bit_for_bit",
    ),
    Bug(
        "fields drawn again that differ on the platform that drew them",
        "study/stages/redraw.py",
        "if not elsewhere(origin_of(self._ensemble, block), origin()):",
        "if elsewhere(origin_of(self._ensemble, block), origin()) is None:",
        "tests/study/test_regenerate.py::test_other_draws_are_refused",
    ),
    Bug(
        "error of the target chains left out of a difference",
        "stats/evidence.py",
        "math.hypot(self.flow.error, self.target.error))",
        "self.flow.error)",
        "tests/stats/test_evidence.py::test_differences_raise_alarms_as_often_as_stated",
    ),
    Bug(
        "a tail of one weight has a shape",
        "stats/weights.py",
        "np.unique(excess).size >= FEWEST_DISTINCT",
        "excess.size",
        "tests/stats/test_reliability.py::test_zeros_and_one_weight_of_thirty",
    ),
    Bug(
        "averages of any number of effective draws called numbers",
        "stats/reliability.py",
        "            not effective >= LEAST_RESOLVED,",
        "            False,",
        "tests/stats/test_reliability.py::test_two_effective_draws_are_no_average",
    ),
    Bug(
        "acceptances counted as rejections",
        "stats/reliability.py",
        "longest_run(~accepted)",
        "longest_run(accepted)",
        "tests/stats/test_reliability.py::test_long_rejections_count_against_the_length",
    ),
    Bug(
        "weights that only target draws have are not counted",
        "stats/reliability.py",
        "not beyond * math.sqrt(r.effective or 0.0) <= HIDDEN_LIMIT",
        "not beyond <= HIDDEN_LIMIT",
        "tests/stats/test_reliability.py::test_evidence_speaks_only_where_it_says_something",
    ),
    Bug(
        "an error that is a bound used for a pull",
        "stats/estimates.py",
        "trusted = a.state == RELIABLE and b.state == RELIABLE",
        "trusted = True",
        "tests/stats/test_reliability.py::test_states_go_with_estimates",
    ),
    Bug(
        "unreliable averages called exact, or blamed on the target draws",
        "stats/evidence.py",
        "if evidence.reliability is not None and not evidence.reliability.is_reliable:",
        "if evidence.reliability is None:",
        "tests/stats/test_evidence.py::test_unreliable_averages_are_never_exact_and_blame_nobody_else",
    ),
    Bug(
        "an error that is a bound written as an error",
        "stats/estimates.py",
        'text.replace("(", "(≥", 1)',
        "text",
        "tests/report/test_summary.py::test_errors_that_are_bounds_are_written_so_and_not_compared",
    ),
    Bug(
        "observables compared but left out of the verdict",
        "study/stages/evidence.py",
        "        if name in flow and name in target",
        "        if name in flow and name not in target",
        "tests/study/test_evidence.py::test_its_mixture_with_the_mirror_image_is_exact",
    ),
    Bug(
        "measurements kept when the gradient flow has other settings",
        "study/stages/measuring.py",
        '"packages", *MEASUREMENT_SECTIONS)',
        '"packages")',
        "tests/study/test_gradient_flow.py::test_other_settings_are_measured_again_on_the_same_configurations",
    ),
    Bug(
        "clover and plaquettes exchanged in the estimates of the gradient flow",
        "stats/flowed.py",
        "_PLAQUETTES, _CLOVER, _CHARGE = range(3)",
        "_CLOVER, _PLAQUETTES, _CHARGE = range(3)",
        "tests/study/test_gradient_flow.py::test_estimates_are_those_of_the_stored_configurations",
    ),
    Bug(
        "checksum of results not looked at",
        "results/files.py",
        'record = unseal(read_bytes(path).removesuffix(b"\\n"), what=str(path), indent=_INDENT)',
        'record = {k: v for k, v in json.loads(read_bytes(path)).items() if k != "check"}',
        "tests/study/test_run.py::test_results_carry_a_checksum",
    ),
    Bug(
        "numbers that are not finite kept in results",
        "results/records.py",
        "return None if value is None or not math.isfinite(value) else float(value)",
        "return value",
        "tests/test_results.py::test_what_could_not_be_computed_is_null",
    ),
    Bug(
        "results of a newer version not refused by name",
        "results/files.py",
        "    require_schema(record, newest=SCHEMA, what=str(path))\n",
        "",
        "tests/test_results.py::test_a_newer_version_is_refused_by_name",
    ),
    Bug(
        "flow times of an axis begin at zero",
        "results/vocabulary.py",
        "flow_times[1 : length + 1]",
        "flow_times[:length]",
        "tests/test_results.py::test_words_become_observables_in_their_order",
    ),
    Bug(
        "a card compared with itself",
        "study/card_maker.py",
        '_agreement(f"card: {name}", _pair(fresh, name), _pair(then, name))',
        '_agreement(f"card: {name}", _pair(then, name), _pair(then, name))',
        "tests/study/test_card.py::test_a_wrong_card_is_noticed",
    ),
    Bug(
        "a study written before the model it starts from was looked at",
        "study/run.py",
        "if order.needs_model:",
        "if not order.stages:",
        "tests/cli/test_models.py::test_a_start_that_cannot_be_one_leaves_nothing_behind",
    ),
    Bug(
        "log-slope of the map of a plaquette with the wrong sign",
        "bijections/gauge.py",
        "jnp.log1p(-(real**2 + imag**2)) - jnp.log(along**2 + across**2)",
        "jnp.log(along**2 + across**2) - jnp.log1p(-(real**2 + imag**2))",
        f"{BIJECTION}[plaquettes along 0-log_det_is_jacobian]",
    ),
    Bug(
        "an active plaquette read as if it were frozen",
        "bijections/gauge.py",
        "itertools.product((-1, 0, 1), (1, 2))",
        "itertools.product((-1, 0, 1), (0, 1))",
        f"{BIJECTION}[plaquettes along 0-round_trip_worst]",
    ),
    Bug(
        "a plaquette of a coupling that does not close",
        "bijections/gauge.py",
        "- jnp.roll(theta[mu], -1, axis=nu) - theta[nu]",
        "- jnp.roll(theta[mu], -1, axis=nu) - theta[mu]",
        "tests/laws/test_bijection_laws.py::test_claimed_symmetries[plaquettes along 0]",
    ),
    Bug(
        "fields of a product with the same random numbers",
        "fields/product.py",
        "function(space, fold_in(key, i))",
        "function(space, fold_in(key, 0 * i))",
        "tests/fields/test_product.py::test_fields_do_not_share_random_numbers",
    ),
    Bug(
        "the action of auxiliary fields that are no longer there",
        "samplers/hmc.py",
        "return state if x is state.x else self.init(x)",
        "return state if x is state.x else HMCState(x, state.action)",
        "tests/fields/test_product.py::test_hmc_is_exact[omf2-held]",
    ),
    Bug(
        "auxiliary fields never drawn afresh",
        "samplers/hmc.py",
        "state = self._refreshed(fold_in(key, 3), state)",
        "_ = self._refreshed(fold_in(key, 3), state)",
        "tests/fields/test_product.py::test_auxiliary_fields_are_new_after_a_rejected_trajectory",
    ),
    Bug(
        "an installed plug-in changes the hash of every study",
        "study/config/study.py",
        "m.name not in self.sampling.samplers]",
        "m.name in self.sampling.samplers]",
        "tests/study/config/test_methods.py::test_the_table_of_a_plug_in_is_a_section",
    ),
    Bug(
        "draws and decisions of a plug-in from one stream",
        "study/config/method.py",
        '_derived(f"{self.name}/{part}")',
        "_derived(self.name)",
        "tests/study/config/test_methods.py::test_streams_of_plug_ins_follow_from_the_name",
    ),
    Bug(
        "draws of a plug-in not compared with those made again",
        "study/verify.py",
        'last block made again", pairs, pairs, kept',
        'last block made again", [], [], kept',
        "tests/theories/test_plugins.py::test_draws_of_another_sampler_are_noticed",
    ),
    Bug(
        "weights of a block not those of its columns",
        "samplers/draws.py",
        "sampler.combined(columns) if log_weight is None else log_weight",
        "-sampler.combined(columns) if log_weight is None else log_weight",
        "tests/flows/test_weighted.py::test_block_agrees_with_single_draws",
    ),
    Bug(
        "a column measured by an older revision of its observable kept",
        "study/stages/measuring.py",
        'found.get("revisions", {}).get(name, 1) == observable.revision',
        'found.get("revisions", {}).get(name, 1) >= 1',
        "tests/study/test_out_of_date.py::test_a_column_of_another_revision_is_measured_again_alone",
    ),
    Bug(
        "revisions of estimates no part of what results are made of",
        "study/stages/analysis.py",
        '{"analysis": REVISION, "estimates": revisions, "beside": beside}',
        '{"analysis": REVISION, "beside": beside}',
        "tests/study/test_out_of_date.py::test_an_estimate_of_another_revision_is_made_again",
    ),
    Bug(
        "sine-Gordon theory given the values of the free field",
        "theories/sine_gordon/known.py",
        "if table.alpha == 0:",
        "if table.alpha <= 1:",
        "tests/theories/test_sine_gordon.py::test_a_run_has_its_own_names_and_references",
    ),
    Bug(
        "weights of charges shifted by one",
        "theories/gauge/physics.py",
        "(q - LARGEST_CHARGE, float(share))",
        "(q - LARGEST_CHARGE + 1, float(share))",
        "tests/study/test_gauge_flow.py::test_the_verdict_knows_the_charge",
    ),
    Bug(
        "weights of draws left out of the estimates of charges",
        "theories/gauge/estimates.py",
        'propagated({"square": charge**2}, log_weights, derive)',
        'propagated({"square": charge**2}, 0 * log_weights if log_weights is not None else None, derive)',
        "tests/study/test_gauge_flow.py::test_estimates_of_a_flow_of_links_are_exact",
    ),
    Bug(
        "a key that came later changes the identity of every study",
        "tables.py",
        'extra.get("added") and',
        'extra.get("added") and name == "" and',
        "tests/study/test_stored_runs.py::test_it_verifies[phi4]",
    ),
    Bug(
        "draws that follow a setting of JAX",
        "randomness.py",
        "return jax.random.wrap_key_data(_words(key), impl=_PINNED)",
        "return jax.random.wrap_key_data(_words(key), impl=GENERATOR)",
        "tests/test_randomness.py::test_draws_do_not_depend_on_how_jax_is_set",
    ),
    Bug(
        "threads of the compiler left to the machine",
        "ambient.py",
        'os.environ.setdefault("NPROC", str(THREADS))',
        'os.environ.get("NPROC", str(THREADS))',
        "tests/test_ambient.py::test_neither_cores_nor_the_environment_change_a_bit",
    ),
    Bug(
        "any difference of a run made elsewhere called rounding",
        "study/verify.py",
        "if _largest(first) <= ROUNDING:",
        "if _largest(first) <= np.inf:",
        "tests/study/test_run.py::test_what_differs_is_told_by_where_it_was_made",
    ),
    Bug(
        "a run continued with another generator",
        "study/stages/provenance.py",
        "if begun != here:",
        "if begun is None:",
        "tests/study/test_run.py::test_a_run_of_another_generator_is_not_continued",
    ),
    Bug(
        "the shape of a configuration not looked at",
        "fields/spaces.py",
        'require_shape("configuration", x, shape)',
        'require_shape("configuration", x, x.shape)',
        "tests/test_arguments.py::test_what_does_not_fit_together_is_refused",
    ),
    Bug(
        "squares of small fluctuations lost",
        "stats/gamma.py",
        "pieces = _replicas(deltas * scale) if",
        "pieces = _replicas(deltas) if",
        "tests/stats/test_gamma.py::test_errors_follow_the_size_of_a_series[1e-300]",
    ),
    Bug(
        "a series that differs by rounding given an error",
        "stats/propagation.py",
        "constant = np.flatnonzero(high - low <= _ROUNDING * np",
        "constant = np.flatnonzero(high - low <= 0.0 * np",
        "tests/stats/test_gamma.py::test_a_series_that_differs_by_rounding_is_constant[0.3]",
    ),
    Bug(
        "numbers of configurations forgotten, so that gaps close",
        "stats/gamma.py",
        "idl=places, means=means",
        "idl=None, means=means",
        "tests/stats/test_replicas.py::test_gaps_are_kept",
    ),
    Bug(
        "an unreadable value of a gauge file taken for a right one",
        "store/gauge_files/checks.py",
        "return FileCheck(name, shown, allowed, passed=False,",
        "return FileCheck(name, shown, allowed, passed=True,",
        f"{GAUGE_FILES}/test_traps.py::test_nersc_files_that_lie",
    ),
    Bug(
        "second row of SU(2) not conjugated",
        "store/gauge_files/measure.py",
        "np.stack([-wide[..., 0, 1].conj(), wide[..., 0, 0].conj()], axis=-1)",
        "np.stack([-wide[..., 0, 1], wide[..., 0, 0]], axis=-1)",
        f"{GAUGE_FILES}/test_awkward.py::test_one_row_of_two_colours",
    ),
    Bug(
        "clover with one leaf in the other sense",
        "store/gauge_files/loops.py",
        "_times(v_ahead, _times(_dagger(_times(v, u_ahead)), u))",
        "_dagger(_times(v_ahead, _times(_dagger(_times(v, u_ahead)), u)))",
        f"{GAUGE_FILES}/test_awkward.py::test_clover_against_another_code",
    ),
    Bug(
        "links in single precision computed as such",
        "fields/spaces.py",
        "return x.astype(jnp.promote_types(x.dtype, jnp.result_type(float)))",
        "return x",
        "tests/fields/test_spaces.py::test_links_in_single_precision_are_computed_in_double",
    ),
    Bug(
        "a file that has changed is measured with the others",
        "study/stages/files.py",
        "if found.digest(name) != kept:",
        "if found.digest(name) == name:",
        "tests/study/test_foreign.py::test_a_folder_that_grows_and_files_that_change",
    ),
    Bug(
        "a complex observable measured by its real part",
        "observables/base.py",
        "jnp.issubdtype(value.dtype, jnp.complexfloating)",
        "jnp.issubdtype(value.dtype, jnp.integer)",
        "tests/observables/test_base.py::test_what_cannot_be_a_column_is_refused_by_name",
    ),
    Bug(
        "plug-ins not tried before sampling",
        "study/run.py",
        "    rehearse(config, stages=order.stages, samplers=order.samplers)\n",
        "",
        "tests/study/test_rehearsal.py::test_a_wrong_observable_costs_no_sampling",
    ),
    Bug(
        "an array without words for its axis numbered by time",
        "results/vocabulary.py",
        "words.axis or ENTRY",
        'words.axis or AxisWords("t")',
        "tests/test_results.py::test_words_become_observables_in_their_order",
    ),
    Bug(
        "files of a run without its package not compared with its results",
        "study/verify.py",
        "compared = {*now} if context is None else",
        "compared = set() if context is None else",
        "tests/theories/test_plugins.py::test_damage_is_found_without_the_package",
    ),
    Bug(
        "draws and their reweighted averages taken for independent where the method is gone",
        "report/names.py",
        'f"{one}_reweighted" == other or f"{other}_reweighted" == one',
        "one == other",
        "tests/theories/test_plugins.py::test_draws_of_a_method_that_is_gone_are_reported",
    ),
    Bug(
        "a name of the facade that type checkers do not see",
        "__init__.pyi",
        "from latflow.in_memory import sample as sample\n",
        "",
        "tests/test_facade.py::test_the_stub_is_in_step",
    ),
    Bug(
        "plaquettes beyond an open boundary counted as zero",
        "store/gauge_files/measure.py",
        "row * extent / (extent - 1)",
        "row",
        f"{GAUGE_FILES}/test_awkward.py::test_averages_with_open_boundaries_are_over_what_is_there",
    ),
    Bug(
        "clovers without all leaves in the charge of open boundaries",
        "store/gauge_files/loops.py",
        "slice(1, -1) if open_in_time",
        "slice(0, -1) if open_in_time",
        f"{GAUGE_FILES}/test_awkward.py::test_clovers_with_open_boundaries_are_those_inside",
    ),
    Bug(
        "borders of replicas after the last one, too",
        "report/data.py",
        "np.cumsum(lengths)[:-1]",
        "np.cumsum(lengths)",
        "tests/study/test_foreign.py::test_histories_of_replicas_follow_their_numbers_and_show_where_one_begins",
    ),
    Bug(
        "a model kept under a table of the same sizes that makes another function",
        "study/saving.py",
        "if not all(np.array_equal(a, b) for a, b in zip(*draws, strict=True)):",
        "if not draws:",
        "tests/study/test_saving.py::test_another_table_is_refused",
    ),
    Bug(
        "blocks of old ensembles go on with other bytes",
        "store/ensemble.py",
        'labels if self.manifest.get("labelled") is True else None',
        "labels",
        "tests/store/test_ensemble.py::test_ensembles_that_are_not_labelled_go_on_with_the_same_bytes",
    ),
    Bug(
        "a traced coupling printed as a number",
        "display.py",
        "except (TypeError, ValueError, RuntimeError):",
        "except (ValueError, RuntimeError):",
        "tests/test_display.py::test_traced_and_empty_objects_have_a_line",
    ),
)


def page(verdicts: dict[str, str], summary: str) -> str:
    """docs/planted-bugs.md: the table with what happened to each bug."""
    rows = "".join(f"| {bug.name} | `{bug.file}` | `{bug.test}` | {verdicts[bug.name]} |\n" for bug in BUGS)
    return HEADING.format(summary=summary) + rows


def renew(report: Path) -> None:
    """Write the page from the JUnit report of a nightly run."""
    suite = ElementTree.parse(report).getroot().find("testsuite")
    found = {}
    for case in suite.iter("testcase"):
        name = case.attrib["name"].removeprefix("test_bug_is_caught[").removesuffix("]")
        found[name] = "caught" if case.find("failure") is None and case.find("error") is None else "**survived**"
    caught = sum(verdict == "caught" for verdict in found.values())
    summary = f"{caught} of {len(BUGS)} caught"
    PAGE.write_text(page(found, summary), encoding="utf-8")


if __name__ == "__main__":
    renew(Path(sys.argv[1]))
