"""Pole masses of theories with two vacua, in words: what decays there is the memory of the vacuum."""

from latflow.report.names import sampler_style
from latflow.report.numbers import plain
from latflow.results import Results

TWO_VACUA = 0.62
"""Binder cumulants beyond are those of two vacua: 2/3 deep in the broken phase; 0 for one vacuum at zero, and 0.611 at
the critical point of two dimensions on a square, in more dimensions less."""

MASSES = ("pole_mass", "pole_mass_times_length", "effective_mass")


def tunnelling(results: Results, observable: str) -> str:
    """A sentence on samplers whose mass is a scale of tunnelling; empty for other observables, or with one vacuum."""
    if observable not in MASSES:
        return ""
    found = [row for row in results.of("binder_cumulant") if row.number is not None and row.number.value > TWO_VACUA]
    if not found:
        return ""
    cumulants = [(row.sampler, row.number.value) for row in found if row.number is not None]
    named = ", ".join(f"{sampler_style(sampler).label} {plain(value, 3)}" for sampler, value in cumulants)
    return (
        f"Two vacua (Binder cumulant {named}): unless all fields lie in one, the correlator decays as they change "
        "to the other, so this is a scale of tunnelling and not the mass of a particle."
    )
