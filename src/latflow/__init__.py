"""latflow: exact ensembles of lattice-field configurations from machine-learned flows, HMC and local updates.

The names below are loaded on first use, so that `import latflow` costs nothing and the parts that need no accelerator
(`latflow.stats`, `latflow.store`) never import one.
"""

from importlib import import_module

__version__ = "0.1.0"

_HOME = {
    "Lattice": "latflow.lattice",
    "ScalarSpace": "latflow.fields.spaces",
    "GaugeSpace": "latflow.fields.spaces",
    "ProductSpace": "latflow.fields.product",
    "SU": "latflow.groups",
    "U1": "latflow.groups",
    "AbstractFieldSpace": "latflow.fields.spaces",
    "AbstractAction": "latflow.actions.base",
    "SummedAction": "latflow.actions.sums",
    "FreeField": "latflow.actions.scalar",
    "WilsonAction": "latflow.actions.gauge",
    "ImprovedAction": "latflow.actions.gauge",
    "PhiFour": "latflow.actions.scalar",
    "SineGordon": "latflow.theories.sine_gordon.physics",
    "AbstractBijection": "latflow.bijections.base",
    "AbstractDistribution": "latflow.distributions",
    "Normal": "latflow.distributions",
    "HaarPrior": "latflow.distributions",
    "AbstractObservable": "latflow.observables.base",
    "AbstractKernel": "latflow.samplers.base",
    "AbstractWeightedSampler": "latflow.samplers.base",
    "HMC": "latflow.samplers.hmc",
    "HeatBath": "latflow.samplers.heatbath",
    "LinkMetropolis": "latflow.samplers.link_metropolis",
    "LocalMetropolis": "latflow.samplers.local",
    "IndependenceSampler": "latflow.samplers.independence",
    "OpenBoundaries": "latflow.samplers.open_boundaries",
    "LEAPFROG": "latflow.samplers.integrators",
    "OMF2": "latflow.samplers.integrators",
    "OMF4": "latflow.samplers.integrators",
    "FORCE_GRADIENT": "latflow.samplers.integrators",
    "Level": "latflow.samplers.integrators",
    "Nested": "latflow.samplers.integrators",
    "Flow": "latflow.flows.flow",
    "FlowSampler": "latflow.flows.weighted",
    "real_nvp": "latflow.flows.architectures",
    "u1_plaquette_flow": "latflow.flows.gauge",
    "ReverseKL": "latflow.training.losses",
    "StopCriterion": "latflow.training.stop",
    "fit": "latflow.training.fit",
    "load_model": "latflow.in_memory",
    "sample": "latflow.in_memory",
    "quasi_sample": "latflow.flows.quasi",
    "run_chain": "latflow.in_memory",
    "estimates": "latflow.in_memory",
    "reweighted_estimates": "latflow.in_memory",
    "survey": "latflow.surveys",
    "open_run": "latflow.archive.directory",
    "open_ensemble": "latflow.archive.directory",
    "Estimate": "latflow.stats.estimates",
    "LatflowError": "latflow.errors",
    "UnreliableWarning": "latflow.errors",
}

__all__ = ["__version__", *sorted(_HOME)]  # names are loaded lazily


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'latflow' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return __all__
