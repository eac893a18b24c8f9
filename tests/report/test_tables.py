import math
from pathlib import Path
from typing import Any

import pytest

from latflow.report import chains, data, tables, verdict_box
from latflow.report.cost import CostRow, cost_rows
from latflow.report.footnotes import without_logarithm
from latflow.report.numbers import ABSENT
from latflow.results import (
    ChainAgreement,
    EstimateRecord,
    FlowFigures,
    GradientFlowRecord,
    Provenance,
    Results,
    SamplerCost,
    StartFigures,
    described,
)
from latflow.stats.estimates import Estimate
from latflow.stats.evidence import Check, Verdict, no_verdict
from latflow.study.wording import vocabulary


def entry(observable: str, sampler: str, value: Any, error: Any, **more: Any) -> EstimateRecord:
    tau = {"tau_int": 1.0, "tau_int_error": 0.1}
    if isinstance(value, tuple):
        tau = {name: (number,) * len(value) for name, number in tau.items()}
    return EstimateRecord(observable=observable, sampler=sampler, value=value, error=error, **{"n": 100, **tau, **more})


def results_of(estimates: list[EstimateRecord], **more: Any) -> Results:
    lengths = {row.observable: len(row.value) if row.is_array else None for row in estimates}
    times = more["gradient_flow"].times if "gradient_flow" in more else ()
    words = described(lengths, vocabulary(), shape=(), flow_times=times)
    return Results(study="s", estimates=tuple(estimates), observables=words, **more)


def run_of(estimates: list[EstimateRecord], **more: Any) -> data.Run:
    return data.Run(Path(), results_of(estimates, **more), {}, (), None, {}, {})


def test_pulls_have_the_sign_of_the_difference_and_the_combined_error() -> None:
    a, b = Estimate(1.3, 0.3), Estimate(0.8, 0.4)
    assert tables.pull_of(a, b) == pytest.approx(1.0)
    assert tables.pull_of(b, a) == pytest.approx(-1.0)
    assert tables.pull_of(a, entry("x", "hmc", 0.7, None).number) == pytest.approx(2.0)


@pytest.mark.parametrize(("value", "error"), [(None, None), (math.nan, 0.1), ((1.0,), (0.1,)), (1.0, 0.0)])
def test_no_pull_without_numbers(value: Any, error: Any) -> None:
    assert tables.pull_of(Estimate(1.0, 0.0), entry("x", "hmc", value, error).number) is None


def test_only_pulls_beyond_three_are_marked() -> None:
    values = [("flow", 1.29), ("reweighted", 0.69), ("hmc", 1.31), ("local", 0.6)]
    run = run_of([entry("susceptibility", s, v, 0.1, reference=1.0, reference_error=0.0) for s, v in values])
    (table,) = tables.observable_tables(run)
    assert [row.pull.text for row in table.rows] == ["+2.9", "−3.1", "+3.1", "−4.0"]
    assert [row.pull.suspicious for row in table.rows] == [False, True, True, True]
    assert table.reference == "1"


def test_flow_and_reweighted_are_never_compared() -> None:
    run = run_of([entry("susceptibility", s, 1.0, 0.1) for s in ("local", "hmc", "reweighted", "flow")])
    (table,) = tables.observable_tables(run)
    names = ["flow − HMC", "flow − local", "reweighted − HMC", "reweighted − local", "HMC − local"]
    assert list(table.between) == names
    assert not table.has_reference


def test_samplers_without_a_common_observable_are_not_compared() -> None:
    run = run_of(
        [entry("log_z", "reverse", 1.0, 0.1), entry("log_z", "reweighted", 1.0, 0.1), entry("phi_squared", "hmc", 1, 1)]
    )
    assert tables.sampler_pairs(run.results) == [("reweighted", "reverse")]


def test_where_a_training_started_is_said() -> None:
    start = StartFigures(model="zoo:phi4-e1", acceptance=0.5312, reweighting_ess=0.667, draws=4096)
    flow = {"training_steps": 300, "stopped_by": "steps", "training_seconds": 12.0}
    for more, says in (
        ({}, "300 steps, stopped by steps"),
        ({"start": None}, "300 steps, stopped by steps"),
        (
            {"limits_changed_at": (60, 200)},
            "300 steps, stopped by steps, gone on with other limits at step 60, 200",
        ),
        (
            {"start": start},
            "300 steps, stopped by steps; started from zoo:phi4-e1 with acceptance 0.5312, reweighting ESS 0.667",
        ),
    ):
        figures = FlowFigures(**{**flow, **more})
        (words,) = (row[2] for row in tables.headline(run_of([], flow=figures)) if row[0] == "Training")
        assert words == says


def test_the_study_is_said_in_words() -> None:
    flow = {"kind": "real_nvp", "hidden": [32, 16], "z2": False, "mixture": "none", "wide": True, "bound": -2.0}
    study = {"flow": flow, "action": {"kind": "free", "mass_squared": 1.0}, "lattice": {"shape": [4, 6]}}
    run = data.Run(Path(), Results(study=""), study, (), None, {}, {})
    words = dict(tables.study_lines(run))
    assert words["Flow"] == "real_nvp (hidden 32-16, wide yes, bound −2)"
    assert words["Action"] == "free (mass squared 1)"
    assert words["Lattice"] == "4×6, periodic"
    assert words["S"] == "Σ_{x} [Σ_{μ} (φ_{x+μ} − φ_{x})² + m² φ_{x}²]"


def test_observables_and_samplers_keep_the_order_of_the_house_and_unknown_ones_follow() -> None:
    run = run_of([entry(o, s, 1.0, 0.1) for o in ("zeta", "log_z", "susceptibility") for s in ("new", "local", "flow")])
    found = tables.observable_tables(run)
    assert [t.observable for t in found] == ["susceptibility", "log_z", "zeta"]
    assert [row.sampler.label for row in found[0].rows] == ["flow", "local", "new"]


def test_missing_numbers_are_dashes() -> None:
    run = run_of([entry("pole_mass", "hmc", None, None, tau_int=None, tau_int_error=None, n=None)])
    (row,) = tables.observable_tables(run)[0].rows
    assert (row.value, row.tau_int, row.n, row.pull.text) == (ABSENT,) * 4


def test_vectors_drop_only_empty_rows() -> None:
    run = run_of(
        [
            entry("effective_mass", "flow", (None, 0.65, None), (None, 0.01, None)),
            entry("effective_mass", "hmc", (None, 0.66, 0.7), (None, 0.01, 0.1)),
        ]
    )
    (table,) = tables.vector_tables(run)
    assert table.columns == ["flow", "HMC"]
    assert table.rows == [["1", "0.650(10)", "0.660(10)"], ["2", ABSENT, "0.70(10)"]]


COLLAPSED = "collapsed, lost weight ≈ 0.497(12)"


@pytest.mark.parametrize(
    ("verdict", "status", "tone"),
    [
        (no_verdict(), "no verdict", "open"),
        (Verdict("unresolved sectors"), "unresolved sectors", "open"),
        (Verdict("exact"), "exact", "good"),
        (Verdict("collapsed", (), 0.497, 0.012), COLLAPSED, "bad"),
        (Verdict("exactly wrong"), "exactly wrong", "bad"),
    ],
)
def test_only_exact_is_shown_as_good(verdict: Verdict, status: str, tone: str) -> None:
    found = verdict_box.verdict_box(verdict)
    assert (found.status, found.tone) == (status, tone)


@pytest.mark.parametrize(("status", "said"), [("collapsed", True), ("exact", False), ("no verdict", False)])
def test_the_headline_of_a_collapsed_flow_says_what_its_log_z_lacks(status: str, said: bool) -> None:
    run = run_of([], verdict=Verdict(status), flow=FlowFigures(log_z=29.4, kl=0.2))
    words = {term: meaning for term, _, meaning in tables.headline(run)}
    assert ("lacks the lost weight" in words["log Z"]) is said
    assert ("too small" in words["KL(q‖p)"]) is said


def cells(value: Any, limit: str, *, passed: bool = True) -> verdict_box.CheckCells:
    box = verdict_box.verdict_box(Verdict("exact", evidence=(Check("a", value, None, limit, passed=passed),)))
    return box.evidence[0]


def test_evidence_says_what_passed() -> None:
    assert [cells(1.0, "2", passed=passed).outcome for passed in (True, False)] == ["pass", "FAIL"]


def test_numbers_of_the_evidence_have_their_digits_and_true_minus_signs() -> None:
    assert [cells(value, "≤ 1.1").value for value in (1.0004, 64, -0.12, None)] == ["1.00", "64", "−0.120", ABSENT]
    assert verdict_box.verdict_box(Verdict("exact", ("z = -1.2e-05 in a-b-2",))).reasons == ["z = −1.2e−05 in a-b-2"]


def test_evidence_without_a_limit_has_no_outcome() -> None:
    assert cells(0.123456, "") == ("a", "0.123", ABSENT, ABSENT)


def test_cost_lists_training_first(full_run: Path) -> None:
    rows = cost_rows(data.load(full_run).results)
    assert [row.label for row in rows] == ["training the flow", "flow", "reweighted", "HMC", "local"]
    assert rows[0].time == "2 min 8 s"
    assert rows[1] == CostRow("flow", "3.2 s", "6\u202f000", ABSENT, ABSENT, "1.1 ms")


def test_cost_names_whose_tau_counts_with_two_digits_and_says_if_compilation_is_in_it() -> None:
    entry = {"tau_int": 1.2345, "tau_int_of": "wilson_loop_2x2", "seconds_per_independent": 3.4567e-4}
    one = {**entry, "compilation_included": True}
    found = {"heatbath": SamplerCost(**one), "hmc": SamplerCost(**entry)}
    known = [EstimateRecord(observable="wilson_loop_2x2", sampler="hmc", value=0.2)]
    hmc, heatbath = cost_rows(results_of(known, cost=found))
    assert (heatbath.tau_int, heatbath.slowest, heatbath.per_independent) == ("1.2", "W(2,2)", "350 µs")
    assert (heatbath.compilation_included, hmc.compilation_included) == (True, False)


def test_provenance_shows_every_leaf() -> None:
    provenance = Provenance(inputs={"b": "1", "a": None}, seed=3, versions={}, device="cpu", precision="float64")
    rows = tables.provenance_rows(Results(study="s", date="2026-01-02T03:04:05Z", provenance=provenance))
    assert rows == [
        ("analysed", "2026-01-02T03:04:05Z"), ("device", "cpu"), ("inputs · a", ABSENT), ("inputs · b", "1"),
        ("precision", "float64"), ("seed", "3")
    ]  # fmt: skip
    assert tables.provenance_rows(Results(study="s")) == []


def test_headline_of_a_run_without_a_flow_claims_nothing() -> None:
    found = tables.headline(run_of([]))
    assert [value for _, value, _ in found] == [ABSENT] * 5
    assert "no trained flow" in found[-1][2]


@pytest.mark.parametrize(
    ("agree", "tone", "words"),
    [
        (True, "good", "agree"),
        (False, "bad", "do not agree"),
        (None, "open", "are too short to say whether they agree: 8 records each, at least 32 independent ones wanted"),
    ],
)
def test_short_chains_are_not_called_in_agreement(agree: bool | None, tone: str, words: str) -> None:
    entry = ChainAgreement(chains=16, records=8, r_hat={"plaquette": 1.02}, limit=1.1, least_records=32, agree=agree)
    (table,) = chains.chain_tables(Results(study="s", chains={"heatbath": entry}))
    assert (table.tone, table.words) == (tone, words)


FLOWED = GradientFlowRecord(kind="wilson", spacing=0.5, records=2, tolerance=0.01, times=(0.0, 0.5, 1.0))


def test_a_scale_beyond_the_end_of_the_flow_is_not_a_dash() -> None:
    rows = [entry("t0", "hmc", None, None), entry("t0", "heatbath", 1.25, 0.02), entry("w0", "hmc", 0.9, 0.1)]
    run = run_of(rows, gradient_flow=FLOWED)
    first, second = tables.observable_tables(run)
    assert [row.value for row in first.rows] == ["not reached", "1.250(20)"]
    assert first.note == "Not reached: t²⟨E⟩ of the clover stays below 0.3 until t = 1, the end of the flow (HMC)."
    assert (second.note, second.rows[0].value) == ("", "0.90(10)")


def test_the_distribution_of_the_charge_has_the_exact_column_and_no_rows_of_noise() -> None:
    value, known = [0.0] * 21, [1e-6] * 21
    value[9:12], known[9:12], known[13], value[5] = [0.2, 0.5, 0.29], [0.2, 0.6, 0.2], 2e-4, 0.01
    known[14] = 1e-4
    seen = entry(
        "topological_charge_distribution",
        "hmc",
        tuple(value),
        (0.01,) * 21,
        reference=tuple(known),
        reference_source="exact",
    )
    (table,) = tables.vector_tables(run_of([seen]))
    assert table.columns == ["HMC", "exact"]
    assert [row[0] for row in table.rows] == ["−5", "−1", "0", "1", "3"]
    assert [row[2] for row in table.rows] == ["1e−06", "0.2", "0.6", "0.2", "0.0002"]


def test_one_footnote_tells_why_creutz_ratios_are_missing() -> None:
    present = [entry("creutz_ratio_2x2", s, 0.4, 0.1) for s in ("hmc", "heatbath")]
    assert without_logarithm(results_of(present)) == ""
    missing = [entry("creutz_ratio_3x3", s, None, None) for s in ("heatbath", "hmc")]
    assert without_logarithm(results_of(present + missing)).startswith("– in χ(3,3) of HMC, heat bath: a Wilson loop")


@pytest.mark.parametrize(("cumulant", "said"), [(0.65, True), (0.0, False)])
def test_every_mass_between_two_vacua_is_called_a_scale_of_tunnelling(cumulant: float, *, said: bool) -> None:
    """In every table of a mass; the figure has the same words under it."""
    rows = [entry("binder_cumulant", "hmc", cumulant, 0.01)]
    rows += [entry(name, "hmc", 0.02, 0.01) for name in ("pole_mass", "pole_mass_times_length")]
    rows.append(entry("effective_mass", "hmc", (0.02, 0.03), (0.01, 0.01)))
    run = run_of(rows)
    notes = {table.title: table.note for table in [*tables.observable_tables(run)[1:], *tables.vector_tables(run)]}
    assert len(notes) == 3
    assert all(("scale of tunnelling" in note) == said for note in notes.values())


def test_chains_along_which_nothing_varies_are_uninformative() -> None:
    entry = ChainAgreement(chains=16, records=64, r_hat={}, limit=1.1, least_records=32, agree=None)
    (table,) = chains.chain_tables(Results(study="s", chains={"heatbath": entry}))
    assert table.tone == "open"
    assert "uninformative" in table.words


@pytest.mark.parametrize(
    ("start", "said"), [("mixed", "different starts"), ("cold", "one configuration"), (None, "its")]
)
def test_chains_from_one_configuration_do_not_say_that_starts_disagree(start: str | None, said: str) -> None:
    samplers = {"hmc": {} if start is None else {"start": start}}
    found = {}
    for agree in (False, True):
        entry = ChainAgreement(chains=4, records=64, r_hat={"plaquette": 2.0}, limit=1.1, agree=agree)
        (found[agree],) = chains.chain_tables(Results(study="s", chains={"hmc": entry}, samplers=samplers))
    assert said in found[False].apart
    assert ("different starts" in found[False].apart) == (start == "mixed")
    assert found[True].tone == ("open" if start == "cold" else "good")
    assert ("one configuration" in found[True].words) == (start == "cold")
