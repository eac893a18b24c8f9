"""What a type checker sees of `import latflow as lf`: read by pyright in `make lint`, never run."""

from typing import Any, assert_type

import jax
import numpy as np

import latflow as lf
from latflow.flows.conditional import FlowModel
from latflow.store.gauge_files.folders import Written
from latflow.study.checks import Check
from latflow.study.foreign import AbstractCollection

key = jax.random.key(0)
lattice = lf.Lattice((4, 4))
action = lf.PhiFour(lattice, mass_squared=-4.0, coupling=8.0)
flow = assert_type(lf.real_nvp(key, lattice, hidden=(8,)), lf.Flow)
trained = assert_type(
    lf.fit(key, flow, action, stop=lf.StopCriterion(steps=10), loss=lf.PathGradient(64)), lf.FitResult
)
assert_type(trained.flow, FlowModel)

samples = assert_type(lf.sample(key, flow, action, n=100), lf.FlowSamples)
assert_type(samples.log_z, lf.Estimate)
assert_type(samples.reliability, lf.Reliability)
assert_type(samples.acceptance, float)
assert_type(lf.reweighted_estimates(action, samples), dict[str, list[lf.Estimate]])
assert_type(lf.estimates(action, np.zeros((8, 2, 4, 4))), dict[str, list[lf.Estimate]])
assert_type(lf.survey(key, flow, action, values=[6.0, 7.0], parameter="coupling"), list[lf.SurveyPoint])
assert_type(lf.load_model("zoo:phi4-e1"), FlowModel)

kernel = assert_type(lf.HMC(action, lf.OMF2, step_size=0.1, n_steps=5), lf.HMC)
chain: Any = lf.run_chain(key, kernel, n=10)
wilson = assert_type(lf.WilsonAction(lattice, lf.SU(3), beta=6.0), lf.WilsonAction)
assert_type(lf.HeatBath(wilson, n_overrelaxation=2), lf.HeatBath)

run = assert_type(lf.open_run("runs/phi4-e1"), lf.Run)
assert_type(run.ensemble("hmc"), lf.StoredEnsemble)
assert_type(lf.collect_runs(["runs"]), lf.RunTable)
assert_type(lf.read_configuration("cfg.ildg"), lf.Configuration)
assert_type(lf.open_configurations("B22"), AbstractCollection)
assert_type(lf.convert_folder("B22", "nersc-files", "nersc"), Written)
assert_type(lf.verify("runs/phi4-e1"), list[Check])
assert_type(lf.zoo(), tuple[lf.Card, ...])
