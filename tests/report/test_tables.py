import math
from pathlib import Path

import pytest

from latflow.report import chains, data, tables
from latflow.report.cost import CostRow, cost_rows
from latflow.report.footnotes import without_logarithm
from latflow.report.numbers import ABSENT


def entry(observable: str, sampler: str, value: object, error: object, **more: object) -> dict[str, object]:
    rest = {"tau_int": 1.0, "tau_int_error": 0.1, "n": 100, "reference": None, "reference_error": None}
    return {"observable": observable, "sampler": sampler, "value": value, "error": error, **rest, **more}


def run_of(estimates: list[dict[str, object]], **results: object) -> data.Run:
    return data.Run(Path(), {"estimates": estimates, **results}, {}, (), None, {}, {})


def test_pulls_have_the_sign_of_the_difference_and_the_combined_error() -> None:
    a, b = {"value": 1.3, "error": 0.3}, {"value": 0.8, "error": 0.4}
    assert tables.pull_of(a, b) == pytest.approx(1.0)
    assert tables.pull_of(b, a) == pytest.approx(-1.0)
    assert tables.pull_of(a, {"value": 0.7, "error": None}) == pytest.approx(2.0)


@pytest.mark.parametrize(
    "other", [{}, {"value": None}, {"value": math.nan, "error": 0.1}, {"value": [1.0], "error": [0.1]}]
)
def test_no_pull_without_numbers(other: dict[str, object]) -> None:
    assert tables.pull_of({"value": 1.0, "error": 0.1}, other) is None


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
    start = {"model": "zoo:phi4-e1", "acceptance": 0.5312, "reweighting_ess": 0.667, "draws": 4096}
    flow = {"training_steps": 300, "stopped_by": "steps", "training_seconds": 12.0}
    for more, says in (
        ({}, "300 steps, stopped by steps"),
        ({"start": None}, "300 steps, stopped by steps"),
        (
            {"start": start},
            "300 steps, stopped by steps; started from zoo:phi4-e1 with acceptance 0.5312, reweighting ESS 0.667",
        ),
    ):
        (words,) = (row[2] for row in tables.headline(run_of([], flow={**flow, **more})) if row[0] == "Training")
        assert words == says


def test_the_study_is_said_in_words() -> None:
    flow = {"kind": "real_nvp", "hidden": [32, 16], "z2": False, "mixture": "none", "wide": True, "bound": -2.0}
    run = data.Run(Path(), {}, {"flow": flow, "action": {"kind": "free"}}, (), None, {}, {})
    words = dict(tables.study_lines(run))
    assert words["Flow"] == "real_nvp (hidden 32-16, wide yes, bound −2)"
    assert words["Action"] == "free"
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
            entry("effective_mass", "flow", [None, 0.65, None], [None, 0.01, None]),
            entry("effective_mass", "hmc", [None, 0.66, 0.7], [None, 0.01, 0.1]),
        ]
    )
    (table,) = tables.vector_tables(run)
    assert table.columns == ["flow", "HMC"]
    assert table.rows == [["1", "0.650(10)", "0.660(10)"], ["2", ABSENT, "0.70(10)"]]


COLLAPSED = "collapsed, lost weight ≈ 0.497(12)"


@pytest.mark.parametrize(
    ("verdict", "status", "tone"),
    [
        (None, "no verdict", "open"),
        ({}, "no verdict", "open"),
        ("no verdict", "no verdict", "open"),
        ("unresolved sectors", "unresolved sectors", "open"),
        ("exact", "exact", "good"),
        ({"status": "exact"}, "exact", "good"),
        ({"status": None}, "no verdict", "open"),
        ({"status": "collapsed", "lost_weight": 0.497, "lost_weight_error": 0.012}, COLLAPSED, "bad"),
        ("collapsed, lost weight ≈ 0.5", "collapsed, lost weight ≈ 0.5", "bad"),
        ("exactly wrong", "exactly wrong", "bad"),
    ],
)
def test_only_exact_is_shown_as_good(verdict: object, status: str, tone: str) -> None:
    found = tables.verdict_of({"verdict": verdict})
    assert (found.status, found.tone) == (status, tone)


@pytest.mark.parametrize(("status", "said"), [("collapsed", True), ("exact", False), ("no verdict", False)])
def test_the_headline_of_a_collapsed_flow_says_what_its_log_z_lacks(status: str, said: bool) -> None:
    run = run_of([], verdict=status, flow={"log_z": 29.4, "kl": 0.2})
    words = {term: meaning for term, _, meaning in tables.headline(run)}
    assert ("lacks the lost weight" in words["log Z"]) is said
    assert ("too small" in words["KL(q‖p)"]) is said


@pytest.mark.parametrize("given", [{"reason": "a"}, {"reasons": ["a"]}])
def test_reasons_are_given_one_or_many(given: dict[str, object]) -> None:
    assert tables.verdict_of({"verdict": {"status": "no verdict", **given}}).reasons == ["a"]


def test_evidence_shows_open_checks_as_open() -> None:
    items = [{"name": "a", "value": 1.0, "limit": 2, "passed": p} for p in (True, False, None)]
    found = tables.verdict_of({"verdict": {"status": "exact", "evidence": items}}).evidence
    assert [e.outcome for e in found] == ["pass", "FAIL", "open"]


def test_numbers_of_the_evidence_have_their_digits_and_true_minus_signs() -> None:
    items = [{"name": "a", "value": value, "limit": "≤ 1.1"} for value in (1.0004, 64, -0.12)]
    verdict = tables.verdict_of(
        {"verdict": {"status": "exact", "evidence": items, "reasons": ["z = -1.2e-05 in a-b-2"]}}
    )
    assert [item.value for item in verdict.evidence] == ["1.00", "64", "−0.120"]
    assert verdict.reasons == ["z = −1.2e−05 in a-b-2"]


def test_evidence_without_a_limit_has_no_outcome() -> None:
    items = [{"name": "a", "value": 0.123456, "limit": "", "passed": True}]
    (found,) = tables.verdict_of({"verdict": {"status": "exact", "evidence": items}}).evidence
    assert (found.value, found.limit, found.outcome) == ("0.123", ABSENT, ABSENT)


def test_cost_lists_training_first_and_skips_totals(full_run: Path) -> None:
    rows = cost_rows(data.load(full_run).results)
    assert [row.label for row in rows] == ["training the flow", "flow", "reweighted", "HMC", "local"]
    assert rows[0].time == "2 min 8 s"
    assert rows[1] == CostRow("flow", "3.2 s", "6\u202f000", ABSENT, ABSENT, "1.1 ms")


def test_cost_names_whose_tau_counts_with_two_digits_and_says_if_compilation_is_in_it() -> None:
    entry = {"tau_int": 1.2345, "tau_int_of": "wilson_loop_2x2", "seconds_per_independent": 3.4567e-4}
    one = {**entry, "compilation_included": True}
    hmc, heatbath = cost_rows({"cost": {"heatbath": one, "hmc": entry}})
    assert (heatbath.tau_int, heatbath.slowest, heatbath.per_independent) == ("1.2", "W(2,2)", "350 µs")
    assert (heatbath.compilation_included, hmc.compilation_included) == (True, False)


def test_provenance_shows_every_leaf() -> None:
    rows = tables.provenance_rows({"provenance": {"a": {"b": 1, "c": [1, 2]}, "d": None, "e": {}}})
    assert rows == [("a · b", "1"), ("a · c", "1, 2"), ("d", ABSENT)]


def test_headline_of_a_run_without_a_flow_claims_nothing() -> None:
    found = tables.headline(run_of([]))
    assert [value for _, value, _ in found] == [ABSENT] * 5
    assert "no trained flow" in found[-1][2]


@pytest.mark.parametrize(
    ("agree", "tone", "words"),
    [
        (True, "good", "agree"),
        (False, "bad", "do not agree"),
        (None, "open", "are too short to say whether they agree: 8 records each, at least 32 wanted"),
    ],
)
def test_short_chains_are_not_called_in_agreement(agree: bool | None, tone: str, words: str) -> None:
    entry = {
        "chains": 16,
        "records": 8,
        "r_hat": {"plaquette": 1.02},
        "limit": 1.1,
        "least_records": 32,
        "agree": agree,
    }
    (table,) = chains.chain_tables({"chains": {"heatbath": entry}})
    assert (table.tone, table.words) == (tone, words)


def test_a_scale_beyond_the_end_of_the_flow_is_not_a_dash() -> None:
    rows = [entry("t0", "hmc", None, None), entry("t0", "heatbath", 1.25, 0.02), entry("w0", "hmc", 0.9, 0.1)]
    run = run_of(rows, gradient_flow={"times": [0.0, 0.5, 1.0], "kind": "wilson", "records": 2})
    first, second = tables.observable_tables(run)
    assert [row.value for row in first.rows] == ["not reached", "1.250(20)"]
    assert first.note == "Not reached: t²⟨E⟩ of the clover stays below 0.3 until t = 1, the end of the flow (HMC)."
    assert (second.note, second.rows[0].value) == ("", "0.90(10)")


def test_the_distribution_of_the_charge_has_the_exact_column_and_no_rows_of_noise() -> None:
    value, known = [0.0] * 21, [1e-6] * 21
    value[9:12], known[9:12], known[13], value[5] = [0.2, 0.5, 0.29], [0.2, 0.6, 0.2], 2e-4, 0.01
    known[14] = 1e-4
    seen = entry(
        "topological_charge_distribution", "hmc", value, [0.01] * 21, reference=known, reference_source="exact"
    )
    (table,) = tables.vector_tables(run_of([seen]))
    assert table.columns == ["HMC", "exact"]
    assert [row[0] for row in table.rows] == ["−5", "−1", "0", "1", "3"]
    assert [row[2] for row in table.rows] == ["1e−06", "0.2", "0.6", "0.2", "0.0002"]


def test_one_footnote_tells_why_creutz_ratios_are_missing() -> None:
    present = [entry("creutz_ratio_2x2", s, 0.4, 0.1) for s in ("hmc", "heatbath")]
    assert without_logarithm({"estimates": present}) == ""
    missing = [entry("creutz_ratio_3x3", s, None, None) for s in ("heatbath", "hmc")]
    assert without_logarithm({"estimates": present + missing}).startswith(
        "– in χ(3,3) of HMC, heat bath: a Wilson loop"
    )
