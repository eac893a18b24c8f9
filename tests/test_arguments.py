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
from latflow.errors import ConfigError, UnavailableError
from latflow.fields.gradient_flow import GradientFlow
from latflow.lattice import Lattice
from latflow.randomness import log_uniform, standard_normal, uniform

LATTICE = Lattice((4, 4))
SPACE = lf.GaugeSpace(LATTICE, lf.U1())
PHI_FOUR = lf.PhiFour(LATTICE, mass_squared=-4.0, coupling=7.0)
WILSON = lf.WilsonAction(LATTICE, lf.SU(2), beta=2.0)
HALF = lf.HMC(PHI_FOUR, lf.OMF2, step_size=0.1, n_steps=4)
KEY = jax.random.key(0)
FLOW = lf.real_nvp(KEY, LATTICE, n_layers=1, hidden=(4,))
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
    'lf.HMC(phi, "leapfrog", step_size=0.1, n_steps=4)': "hmc.scheme: 'leapfrog'; allowed: LEAPFROG, OMF2, OMF4, FORCE_GRADIENT, or Nested ones",
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
    "lf.Lattice((4, 4.5))": "lattice.shape: 4.5; allowed: a whole number",
    "lf.Lattice(4)": "lattice.shape: 4; allowed: a tuple of whole numbers, such as (8, 8)",
    "lf.Lattice([4, 4.5])": "lattice.shape: [4, 4.5]; allowed: a tuple of whole numbers, such as (8, 8)",
    "lf.run_chain(key, phi, n=10)": "kernel: PhiFour; allowed: HMC, LocalMetropolis, HeatBath or another kernel",
    "lf.run_chain(key, half, n=2.5)": "n: 2.5; allowed: a whole number",
}  # fmt: skip

REFUSED = {
    "lf.sample(key, flow, phi6, n=8)": "ConfigError: flow: draws fields of ScalarSpace of shape (4, 4); allowed: those of the action, ScalarSpace of shape (6, 6)",
    "lf.sample(key, flow, wilson, n=8)": "ConfigError: flow: draws fields of ScalarSpace of shape (4, 4); allowed: those of the action, GaugeSpace of shape (2, 2, 2, 4, 4)",
    "lf.sample(key, flow, lf.WilsonAction, n=8)": "TypeError: action: the class WilsonAction; allowed: an action",
    "lf.sample(key, phi, phi, n=8)": "TypeError: flow: PhiFour; allowed: a flow, one of a conditional flow by .at(value), or a weighted sampler",
    "lf.sample(7, flow, phi, n=8)": "TypeError: key: int; allowed: jax.random.key(seed)",
    "lf.sample(jax.random.key(0, impl='rbg'), flow, phi, n=8)": "ConfigError: key: of the generator rbg; allowed: jax.random.key(seed), with impl=\"threefry2x32\"",
    "lf.sample(key, flow, phi, n=True)": "TypeError: n: True; allowed: a whole number",
    "lf.FlowSampler(flow, phi6)": "ConfigError: flow: draws fields of ScalarSpace of shape (4, 4)",
    "lf.FlowSampler(phi, phi)": "TypeError: flow: PhiFour; allowed: a flow",
    "lf.fit(key, flow, phi6, stop=lf.StopCriterion(steps=1))": "ConfigError: flow: draws fields of ScalarSpace of shape (4, 4)",
    "lf.fit(key, flow, phi, stop=10)": "TypeError: stop: 10; allowed: StopCriterion(steps=...), or of another limit",
    "lf.fit(key, flow, lf.PhiFour, stop=lf.StopCriterion(steps=1))": "TypeError: action: the class PhiFour; allowed: an action",
    "lf.fit(key, phi, phi, stop=lf.StopCriterion(steps=1))": "TypeError: flow: PhiFour; allowed: a flow such as real_nvp(key, lattice)",
    "lf.fit(key, flow, phi, stop=lf.StopCriterion(steps=1), loss='reverse_kl')": "TypeError: loss: 'reverse_kl'; allowed: one of AbstractLoss",
    "lf.fit(key, flow, phi, stop=lf.StopCriterion(steps=1), optimiser=1e-3)": "TypeError: optimiser: 0.001; allowed: adam(learning_rate)",
    "adam(1e-3)": "TypeError: training.learning_rate: 0.001; allowed: a function of the step",
    "lf.StopCriterion(steps=2.5)": "TypeError: training.stop.steps: 2.5; allowed: a whole number",
    "lf.StopCriterion(acceptance=70)": "ConfigError: training.stop.acceptance: 70; allowed: above 0, at most 1",
    "lf.StopCriterion(seconds=-1)": "ConfigError: training.stop.seconds: -1; allowed: at least 0",
    "lf.StopCriterion(minutes=-1)": "ConfigError: training.stop.minutes: -1; allowed: at least 0",
    "lf.ReverseKL(0)": "ConfigError: training.batch_size: 0; allowed: at least 1",
    "lf.real_nvp(key, lattice, hidden=8)": "TypeError: flow.hidden: 8; allowed: one or more positive widths",
    "lf.real_nvp(key, lattice, hidden=())": "ConfigError: flow.hidden: []; allowed: one or more positive widths",
    "lf.real_nvp(key, lattice, hidden=(8, 0))": "ConfigError: flow.hidden: 0; allowed: at least 1",
    "lf.real_nvp(key, (4, 4))": "TypeError: lattice: (4, 4); allowed: Lattice(shape)",
    "lf.real_nvp(lattice, key)": "TypeError: key: Lattice; allowed: jax.random.key(seed)",
    "lf.real_nvp(key, lattice, n_layers=0)": "ConfigError: n_layers: 0; allowed: at least 1",
    "lf.real_nvp(key, lattice, network='deep')": "ConfigError: flow.network: deep; allowed: dense, convolutional",
    "lf.u1_plaquette_flow(key, 4)": "TypeError: lattice: 4; allowed: Lattice(shape)",
    "lf.Flow(phi, phi)": "TypeError: flow.prior: PhiFour; allowed: Normal, HaarPrior or another density",
    "lf.HaarPrior(lattice)": "TypeError: flow.prior: Lattice; allowed: uniform on a space such as GaugeSpace",
    "lf.Normal(4)": "TypeError: shape: 4; allowed: positive extents",
    "lf.ScalarSpace((4, 0))": "ConfigError: shape: 0; allowed: at least 1",
    "lf.ProductSpace({'a': lattice})": "TypeError: fields.a: Lattice; allowed: ScalarSpace, GaugeSpace or another space",
    "lf.SummedAction((phi, lattice))": "TypeError: action.parts: Lattice; allowed: actions of the same fields",
    "lf.IndependenceSampler(flow, phi)": "TypeError: weighted: Flow; allowed: a weighted sampler, such as FlowSampler",
    "lf.OpenBoundaries(phi)": "TypeError: action: PhiFour; allowed: WilsonAction with open boundaries",
    "lf.Level('leapfrog')": "TypeError: level.scheme: 'leapfrog'; allowed: LEAPFROG, OMF2, OMF4, FORCE_GRADIENT",
    "lf.Nested((lf.OMF2,))": "TypeError: levels: Scheme; allowed: Level(scheme, n_steps, terms)",
    "lf.WilsonAction(lattice, lf.SU(2), beta=2.0, open_boundaries=1)": "TypeError: open_boundaries: 1; allowed: True or False",
    "lf.WilsonAction(lattice, lf.SU(2), beta=jax.numpy.ones(3))": "TypeError: action.beta: an array of float64, shape (3,); allowed: one real number",
    "lf.PhiFour(lattice, mass_squared=1.0, coupling=jax.numpy.asarray(1j))": "TypeError: action.coupling: an array of complex128, shape (); allowed: one real number",
    "lf.PhiFour(lattice, mass_squared=-1.0, coupling=0.0)": "ConfigError: action.mass_squared: -1.0; allowed: positive where the coupling is 0; else there is no ground state",
    "lf.PhiFour(lattice, mass_squared=1.0, coupling=-0.1)": "ConfigError: action.coupling: -0.1; allowed: at least 0; below, there is no ground state",
    "lf.PhiFour.factorial(lattice, mass_squared=0.0, coupling=0.0)": "ConfigError: action.mass_squared: 0.0; allowed: positive where the coupling is 0",
    "lf.PhiFour.hopping(lattice, kappa=0.0, coupling=1.0)": "ConfigError: action.kappa: 0.0; allowed: a positive number",
    "lf.FreeField(lattice, mass_squared=0.0)": "ConfigError: action.mass_squared: 0.0; allowed: a positive number",
    "phi(zeros((7, 4, 4)))": "ConfigError: configuration: shape (7, 4, 4); allowed: (4, 4)",
    "phi.force(zeros((4,)))": "ConfigError: configuration: shape (4,); allowed: (4, 4)",
    "phi(1j * zeros((4, 4)))": "ConfigError: configuration: an array of complex128; allowed: real numbers",
    "phi([[0.0] * 4] * 4)": "TypeError: configuration: ",
    "wilson(zeros((2, 4, 4)))": "ConfigError: configuration: shape (2, 4, 4); allowed: (2, 2, 2, 4, 4)",
    "wilson(zeros((2, 2, 2, 4, 4)))": "ConfigError: configuration: an array of float64; allowed: complex matrices",
    "jax.jit(jax.vmap(phi))(zeros((7, 6, 6)))": "ConfigError: configuration: shape (6, 6); allowed: (4, 4)",
    "lf.estimates(phi, numpy.zeros((20, 4, 4)))": "ConfigError: fields: shape (20, 4, 4); allowed: (record, chain, 4, 4)",
    "lf.estimates(phi6, numpy.zeros((20, 2, 4, 4)))": "ConfigError: fields: shape (20, 2, 4, 4); allowed: (record, chain, 6, 6)",
    "lf.estimates('phi4', numpy.zeros((20, 2, 4, 4)))": "TypeError: action: 'phi4'; allowed: an action",
    "lf.reweighted_estimates(phi, numpy.zeros((20, 4, 4)))": "TypeError: samples: an array of float64, shape (20, 4, 4); allowed: what sample(...) or quasi_sample(...) returned",
    "lf.run_chain(key, half, n=4, start=zeros((16, 6, 6)))": "ConfigError: configuration: shape (6, 6); allowed: (4, 4)",
    "lf.run_chain(key, half, n=4, target_acceptance='high')": "TypeError: target_acceptance: 'high'; allowed: a number",
    "lf.survey(key, flow, phi6, values=[1.0], parameter='coupling')": "ConfigError: flow: draws fields of ScalarSpace of shape (4, 4)",
    "lf.survey(key, flow, phi, values=['a'], parameter='coupling')": "TypeError: values: 'a'; allowed: a number",
    "chain_estimates({'a': [numpy.zeros(10), numpy.zeros(12)]}, dict)": "SeriesShapeError: a: chains of different lengths; allowed: equal lengths",
    "chain_estimates([numpy.zeros((2, 10))], dict)": "SeriesShapeError: series: no column; allowed: at least one, by name",
    "lf.GradientFlow(lattice)": "TypeError: space: Lattice; allowed: the space of the links, such as action.space",
    "lf.pull(1, 2)": "TypeError: estimate: 1; allowed: Estimate(value, error), or one of estimates(...)",
    "lf.transferred(5, lattice)": "TypeError: flow: 5; allowed: a trained flow",
    "lf.transferred(flow, (8, 8))": "TypeError: lattice: (8, 8); allowed: Lattice(shape)",
    "lf.read_configuration(5)": "TypeError: path: 5; allowed: the path of a gauge configuration",
    "lf.import_folder('nowhere', 'out')": "MissingInputError: nowhere: no such folder; name a folder of gauge configurations",
    "lf.plaquette(zeros((4, 4)), mu=0, nu=1)": "ConfigError: links: shape (4, 4); allowed: matrices [mu, row, column, *sites] of space.links(x)",
    "lf.stout(wilson.space, zeros((4, 4)), rho=0.1)": "ConfigError: configuration: shape (4, 4); allowed: (2, 2, 2, 4, 4)",
    "lf.write_configuration('new.lime', zeros(2), 'hdf5')": "UsageError: format: 'hdf5'; allowed: ildg, scidac, nersc, nersc-two-row, milc, openqcd",
    "lf.fit(key, flow, phi, stop=lf.StopCriterion(steps=1), optimiser='adam')": "TypeError: optimiser: 'adam'; allowed: adam(learning_rate), where the learning rate is a function: adam(lambda step: 2e-3)",
    "lf.load_model(7)": "TypeError: name: 7; allowed: \"zoo:NAME\", a run directory or a model directory",
}  # fmt: skip
"""Calls of what the facade names, and how they are refused; a message that ends early begins so."""

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
import numpy
from latflow.stats.gamma import chain_estimates
from latflow.training.schedules import adam
phi6, zeros = lf.PhiFour(lf.Lattice((6, 6)), mass_squared=-4.0, coupling=7.0), jax.numpy.zeros
flow = lf.real_nvp(key, lattice, n_layers=1, hidden=(4,))
"""


def attempt(expression):
    """A line of Python that prints the type of what an expression raises, and its message."""
    return f"try:\n    {expression}\n    print('nothing')\nexcept Exception as e:\n    print(type(e).__name__, e, sep=': ')\n"


@pytest.fixture(scope="module")
def said():
    """What every expression raises."""
    cases = [*TYPES, *REFUSED]
    program = PREAMBLE + "".join(map(attempt, cases))
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return dict(zip(cases, done.stdout.splitlines(), strict=True))


@pytest.mark.parametrize("expression", TYPES)
def test_values_of_the_wrong_type(expression, said):
    assert said[expression] == f"TypeError: {TYPES[expression]}"


@pytest.mark.parametrize("expression", REFUSED)
def test_what_does_not_fit_together_is_refused(expression, said):
    assert said[expression].startswith(REFUSED[expression])


SINGLE = {
    "uniform": lambda: uniform(KEY),
    "standard_normal": lambda: standard_normal(KEY),
    "log_uniform": lambda: log_uniform(KEY),
    "SU(2) links": lambda: lf.WilsonAction(LATTICE, lf.SU(2), beta=2.0).space.random(KEY),
    "U(1) links": lambda: SPACE.random(KEY),
    "fit": lambda: lf.fit(KEY, FLOW, PHI_FOUR, stop=lf.StopCriterion(steps=1)),
    "sample": lambda: lf.sample(KEY, FLOW, PHI_FOUR, n=8),
    "survey": lambda: lf.survey(KEY, FLOW, PHI_FOUR, values=[1.0], parameter="coupling", n=8),
    "run_chain": lambda: lf.run_chain(KEY, HALF, n=2),
}


@pytest.mark.parametrize("case", SINGLE)
def test_without_double_precision(case):
    """They gave −1 for every uniform number, NaN for normal ones and links, and float32 trainings without a word."""
    with jax.enable_x64(False), pytest.raises(UnavailableError, match=r"float64 arithmetic; allowed: .*enable_x64"):
        SINGLE[case]()


def test_traced_and_tuned_scales_pass():
    """A tuned scale is an array: nobody looks at its value."""
    assert float(HALF.with_scale(jax.numpy.asarray(0.2)).step_size) == 0.2
    assert jax.eval_shape(lambda e: HALF.with_scale(e).step_size, 0.5).shape == ()


RECORDS = {
    "Card", "Configuration", "Estimate", "FitProgress", "FitResult", "FlowSamples", "QuasiSamples", "Reading", "Regenerated",
    "Reduced", "Reliability", "Run", "RunTable", "StoredEnsemble", "SurveyPoint", "Transition", "Weighted",
}  # fmt: skip
"""What latflow hands over and takes back; nobody makes one by hand."""

TAKES = {
    "Evaluation", "FitHooks", "ForwardKL", "FreeFieldPrior", "LeastSquares", "Networks", "PathGradient", "Replicas", "ReverseKL", "SU", "SteinTraining", "U1",
    "CorrelatedAngles", "DoubleWell", "DoubleWellPairs", "LennardJones", "MuellerBrown", "RobotArm", "SphereSpace", "TurnedSphere",
    "adam", "collect_runs", "sun_log_z", "sun_wilson_loop", "u1_charge_squared", "u1_log_z", "u1_wilson_loop", "zoo",
}  # fmt: skip
"""What has no argument that must be given, or to which one of these values is a right one."""

EVERYTHING = """
import contextlib, inspect, io, warnings
warnings.simplefilter("ignore")
for name in sorted(lf._HOME):
    called = getattr(lf, name)
    given = callable(called) and name not in ("main", *records) and not name.startswith("Abstract")
    if not given or (isinstance(called, type) and issubclass(called, BaseException)):
        continue
    needs = [p for p in inspect.signature(called).parameters.values() if p.default is p.empty]
    by_name = [p.name for p in needs if p.kind is p.KEYWORD_ONLY]
    for value in (5, None, "nowhere", lattice, [], -1.5, lf.PhiFour):
        try:
            called(*[value] * (len(needs) - len(by_name)), **dict.fromkeys(by_name, value))
            said = "taken"
        except lf.LatflowError:
            said = "refused"
        except TypeError as error:
            said = "refused" if "; allowed: " in str(error) else f"TypeError: {error}"
        except Exception as error:
            said = f"{type(error).__name__}: {error}"
        print(name, "of", "a class" if value is lf.PhiFour else repr(value), said.split(chr(10))[0], sep="|")
"""


def test_nonsense_given_to_anything_public_is_refused_in_our_words():
    """Each public function with the same wrong value for all that it needs: never an error of Python, NumPy or JAX."""
    program = PREAMBLE + f"records = {sorted(RECORDS)}\n" + EVERYTHING
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    told = [line.split("|") for line in done.stdout.splitlines()]
    assert len({name for name, *_ in told}) > 80
    raw = [" ".join(line) for line in told if line[-1] not in ("refused", "taken")]
    assert raw == []
    assert {name for name, *_, said in told if said == "taken"} <= TAKES
