"""Nonsense given to the Python API: one clear line each, before anything is compiled.

Arguments of the wrong type are tried in a process of their own, without the type checker of the test suite, which
would refuse them first.
"""
# ruff: noqa: E501  (one case, one line)

import re
import subprocess
import sys

import jax
import pytest

import latflow as lf
from latflow.errors import ConfigError
from latflow.fields.gradient_flow import GradientFlow
from latflow.lattice import Lattice

LATTICE = Lattice((4, 4))
SPACE = lf.GaugeSpace(LATTICE, lf.U1())
PHI_FOUR = lf.PhiFour(LATTICE, mass_squared=-4.0, coupling=7.0)
WILSON = lf.WilsonAction(LATTICE, lf.SU(2), beta=2.0)
HALF = lf.HMC(PHI_FOUR, lf.OMF2, step_size=0.1, n_steps=4)
KEY = jax.random.key(0)
NAN, INF = float("nan"), float("inf")

NUMBERS = {
    "step size 0": (lambda: lf.HMC(PHI_FOUR, lf.OMF2, step_size=0.0, n_steps=4), "hmc.step_size: 0.0; allowed: a positive number"),
    "step size < 0": (lambda: lf.HMC(PHI_FOUR, lf.OMF2, step_size=-1, n_steps=4), "hmc.step_size: -1; allowed: a positive number"),
    "step size nan": (lambda: lf.HMC(PHI_FOUR, lf.OMF2, step_size=NAN, n_steps=4), "hmc.step_size: nan; allowed: a positive number"),
    "width 0": (lambda: lf.LinkMetropolis(WILSON, width=0.0), "metropolis.width: 0.0; allowed: a positive number"),
    "width inf": (lambda: lf.LinkMetropolis(WILSON, width=INF), "metropolis.width: inf; allowed: a positive number"),
    "local width": (lambda: lf.LocalMetropolis(PHI_FOUR, width=-0.5), "local.width: -0.5; allowed: a positive number"),
    "c1": (lambda: lf.ImprovedAction(LATTICE, lf.SU(2), beta=1.0, c1=NAN), "action.c1: nan; allowed: a finite number"),
    "coupling": (lambda: lf.PhiFour(LATTICE, mass_squared=1.0, coupling=INF), "action.coupling: inf; allowed: a finite number"),
    "mass": (lambda: lf.FreeField(LATTICE, mass_squared=NAN), "action.mass_squared: nan; allowed: a positive number"),
    "extent 1": (lambda: lf.WilsonAction(Lattice((4, 1)), lf.SU(2), beta=1.0), "lattice.shape: [4, 1]; allowed: two or more directions of 2 or more sites"),
    "extent 1, improved": (lambda: lf.ImprovedAction.iwasaki(Lattice((1, 4)), lf.U1(), beta=1.0), "lattice.shape: [1, 4]; allowed: two or more"),
    "flow step 0": (lambda: GradientFlow(SPACE).history(SPACE.cold(), step_size=0.0, n_records=2), "flow.step_size: 0.0; allowed: a positive number"),
    "flow records": (lambda: GradientFlow(SPACE).history(SPACE.cold(), step_size=0.1, n_records=-1), "flow.n_records: -1; allowed: at least 0"),
    "flow spacing": (lambda: GradientFlow(SPACE).adaptive_history(SPACE.cold(), spacing=-0.1, n_records=2, tolerance=1e-3), "flow.spacing: -0.1; allowed: a positive number"),
    "steps per record": (lambda: GradientFlow(SPACE).history(SPACE.cold(), step_size=0.1, n_records=2, steps_per_record=0), "flow.steps_per_record: 0; allowed: at least 1"),
    "no chains": (lambda: lf.run_chain(KEY, HALF, n=10, chains=0), "chains: 0; allowed: at least 1"),
    "no records": (lambda: lf.run_chain(KEY, HALF, n=0), "n: 0; allowed: at least 1"),
    "no steps": (lambda: lf.run_chain(KEY, HALF, n=10, thin=0), "thin: 0; allowed: at least 1"),
    "no warm-up": (lambda: lf.run_chain(KEY, HALF, n=10, warmup=2), "warmup: 2; allowed: at least 3"),
    "acceptance 1": (lambda: lf.run_chain(KEY, HALF, n=10, target_acceptance=1.0), "target_acceptance: 1.0; allowed: between 0 and 1"),
}  # fmt: skip


@pytest.mark.parametrize("case", NUMBERS)
def test_numbers_out_of_range(case):
    make, says = NUMBERS[case]
    with pytest.raises(ConfigError, match=re.escape(says)):
        make()


TYPES = {
    'lf.HMC(phi, "leapfrog", step_size=0.1, n_steps=4)': "hmc.scheme: 'leapfrog'; allowed: a table such as LEAPFROG or SCHEMES[name], or Nested ones",
    'lf.HMC("phi4", lf.OMF2, step_size=0.1, n_steps=4)': "hmc.action: 'phi4'; allowed: an action",
    'lf.HMC(phi, lf.OMF2, step_size="0.1", n_steps=4)': "hmc.step_size: '0.1'; allowed: a number",
    "lf.HMC(phi, lf.OMF2, step_size=0.1, n_steps=2.5)": "hmc.n_steps: 2.5; allowed: a whole number",
    'lf.HMC(phi, lf.OMF2, step_size=0.1, n_steps=4, jitter="0")': "hmc.jitter: '0'; allowed: a number",
    "lf.HeatBath(phi)": "heatbath.action: PhiFour; allowed: WilsonAction; other actions have hmc or metropolis",
    "lf.LinkMetropolis(phi, width=0.5)": "metropolis.action: PhiFour; allowed: WilsonAction, ImprovedAction or your own",
    "lf.LocalMetropolis(wilson, width=0.5)": "local.action: WilsonAction; allowed: PhiFour, FreeField or another AbstractLocalAction",
    "WolffMetropolis(wilson, width=0.5)": "cluster.action: WilsonAction; allowed: PhiFour, FreeField or another AbstractLocalAction",
    'lf.WilsonAction(lattice, "SU(2)", beta=2.0)': "group: 'SU(2)'; allowed: U1(), SU(n), or groups.named(text)",
    "lf.WilsonAction((4, 4), lf.SU(2), beta=2.0)": "lattice: (4, 4); allowed: Lattice(shape)",
    'lf.WilsonAction(lattice, lf.SU(2), beta="2")': "action.beta: '2'; allowed: a number",
    "lf.PhiFour((4, 4), mass_squared=1.0, coupling=0.1)": "lattice: (4, 4); allowed: Lattice(shape)",
    "lf.SU(2.5)": "group: N of SU(N): 2.5; allowed: a whole number from 2 to 8",
    "named(3)": 'group: 3; allowed: "U(1)" or "SU(N)" with N = 2 ... 8',
    "lf.Lattice((4, 4.5))": "lattice.shape: 4.5; allowed: whole numbers",
    "lf.Lattice(4)": "lattice.shape: 4; allowed: a tuple of extents",
    "lf.run_chain(key, phi, n=10)": "kernel: PhiFour; allowed: HMC, LocalMetropolis, HeatBath or another kernel",
    "lf.run_chain(key, half, n=2.5)": "n: 2.5; allowed: a whole number",
}  # fmt: skip

PREAMBLE = """
import sys
import jax
import latflow as lf
from latflow.groups import named
from latflow.samplers.wolff import WolffMetropolis
jax.config.update("jax_enable_x64", True)
key, lattice = jax.random.key(0), lf.Lattice((4, 4))
phi, wilson = lf.PhiFour(lattice, mass_squared=-4.0, coupling=7.0), lf.WilsonAction(lattice, lf.SU(2), beta=2.0)
half = lf.HMC(phi, lf.OMF2, step_size=0.1, n_steps=4)
"""


def attempt(expression):
    """A line of Python that prints the type of what an expression raises, and its message."""
    return f"try:\n    {expression}\n    print('nothing')\nexcept Exception as e:\n    print(type(e).__name__, e, sep=': ')\n"


@pytest.fixture(scope="module")
def said():
    """What every expression raises."""
    program = PREAMBLE + "".join(map(attempt, TYPES))
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return dict(zip(TYPES, done.stdout.splitlines(), strict=True))


@pytest.mark.parametrize("expression", TYPES)
def test_values_of_the_wrong_type(expression, said):
    assert said[expression] == f"TypeError: {TYPES[expression]}"


def test_traced_and_tuned_scales_pass():
    """A tuned scale is an array: nobody looks at its value."""
    assert float(HALF.with_scale(jax.numpy.asarray(0.2)).step_size) == 0.2
    assert jax.eval_shape(lambda e: HALF.with_scale(e).step_size, 0.5).shape == ()
