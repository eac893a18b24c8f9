"""What plug-ins bring is made once before anything is sampled, so that their mistakes cost no computing time."""

from collections.abc import Sequence
from typing import Any

import jax

from latflow.errors import ConfigError, LatflowError
from latflow.fields.spaces import AbstractFieldSpace
from latflow.observables.base import AbstractObservable, require_value
from latflow.plugins import brought_by
from latflow.study.config import StudyConfig
from latflow.study.config.methods import method_of
from latflow.study.methods import build_kernel, build_sampler
from latflow.study.theories import study_physics
from latflow.theories.further import GROUP, further


def rehearse(config: StudyConfig, *, stages: Sequence[str], samplers: Sequence[str]) -> None:
    """Build the kernels and samplers of a study that need no trained flow, and look at what its observables give.

    Args:
        config: The study.
        stages: What is to be done; nothing is built that no stage of it needs.
        samplers: For which samplers.

    Raises:
        ConfigError: If a method or an observable cannot be made, or makes what cannot be used.
    """
    if "sample" in stages:
        for name in samplers:
            _build(config, name)
    if {"sample", "measure"} & set(stages):
        physics = study_physics(config)
        for observable in physics.observables:
            if observable.name in further():
                _look(observable, physics.action.space)


def _build(config: StudyConfig, name: str) -> None:
    method = method_of(name)
    if method.stage == "chains":
        build_kernel(config, name)
    elif method.stage == "draws" and not method.trained:
        build_sampler(config, name)


def _look(observable: AbstractObservable, space: AbstractFieldSpace) -> None:
    """Refuse an observable that fails on a configuration, or whose values cannot be a column of an estimate."""
    x = jax.eval_shape(space.random, jax.random.key(0))
    try:
        value: Any = jax.eval_shape(lambda x: observable(x), x)
    except LatflowError:
        raise
    except Exception as error:  # whatever a foreign function does
        whose = brought_by(GROUP, observable.name)
        reason = f"{type(observable).__name__} fails, {type(error).__name__}: {error}"
        raise ConfigError([f"measure.observables: {observable.name!r}; {whose}{reason}"]) from error
    require_value(observable, value)
    if value.ndim and observable.words is not None and observable.words.axis is None:
        what = f"{observable.name} is an array of {value.size} entries and its words have no axis"
        raise ConfigError([f"{what}; allowed: ObservableWords(…, axis=AxisWords(…)), or a single number"])
