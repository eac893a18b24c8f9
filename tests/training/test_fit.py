"""The training loop: it learns, resumes bit for bit, compiles once, stops for a reason and survives a NaN (F11)."""

import dataclasses
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from latflow.actions import exact
from latflow.actions.scalar import PhiFour
from latflow.flows.architectures import real_nvp
from latflow.lattice import Lattice
from latflow.training import descent
from latflow.training.evaluation import Evaluation
from latflow.training.fit import FitHooks, FitProgress, TrainingDiverged, fit, resume
from latflow.training.losses import AbstractLoss, ReverseKL
from latflow.training.schedules import adam, schedule
from latflow.training.steps import TrainingState
from latflow.training.stop import StopCriterion

LATTICE = Lattice((2, 2))
ACTION = PhiFour(LATTICE, mass_squared=-4.0, coupling=8.0)
LOG_Z = exact.phi_four_2x2(mass_squared=-4.0, coupling=8.0).log_z
LOSS = ReverseKL(batch_size=64)
OPTIMISER = adam(schedule("cosine", learning_rate=0.02, n_steps=60, warmup_steps=5), gradient_clip=10.0)
TIMINGS = ("seconds", "steps_per_second")


def fresh():
    return real_nvp(jax.random.key(1), LATTICE, n_layers=2, network="dense", hidden=(4,))


def train(*, steps=30, stop=None, loss=LOSS, progress=None, every=10, log_z=None, **hooks):
    settings = {
        "loss": loss,
        "optimiser": OPTIMISER,
        "stop": stop or StopCriterion(steps=steps),
        "evaluation": Evaluation(every=every, draws=256, log_z=log_z),
        "hooks": FitHooks(**hooks),
    }
    if progress is None:
        return fit(jax.random.key(2), fresh(), ACTION, **settings)
    return resume(jax.random.key(2), progress, ACTION, **settings)


class Recorder:
    """Keeps what `on_progress` was shown."""

    def __init__(self):
        self.states, self.records = [], []

    def __call__(self, state, record):
        self.states.append(state)
        self.records.append(record)


@pytest.fixture(scope="module")
def uninterrupted():
    recorder = Recorder()
    return train(on_progress=recorder), recorder


def same(a, b):
    return bool(eqx.tree_equal(a, b))


def without_timings(history):
    return [{name: value for name, value in record.items() if name not in TIMINGS} for record in history]


def test_it_learns(uninterrupted):
    result, _ = uninterrupted
    first, last = result.history[0], result.history[-1]
    assert last["kl"] < 0.2 * first["kl"]
    assert last["acceptance"] > 2 * first["acceptance"]
    assert all(record["kl"] > 0 for record in result.history)


def test_records(uninterrupted):
    result, recorder = uninterrupted
    assert [record["step"] for record in result.history] == [0, 10, 20, 30]
    assert list(result.history) == recorder.records
    assert result.stopped_by == "steps"
    assert int(result.state.step) == 30
    names = "step seconds loss kl reweighting_ess acceptance gradient_norm learning_rate steps_per_second rollbacks"
    assert set(result.history[0]) == set(names.split())
    assert result.history[2]["learning_rate"] == pytest.approx(float(OPTIMISER.learning_rate(20)))
    assert [record["seconds"] for record in result.history] == sorted(record["seconds"] for record in result.history)


def test_known_log_z_enters_kl(uninterrupted):
    result, _ = uninterrupted
    again = train(steps=0, log_z=LOG_Z).history[0]
    assert again["kl"] == pytest.approx(again["loss"] + LOG_Z, rel=1e-14)
    assert again["loss"] == result.history[0]["loss"]


@pytest.mark.parametrize("at", [0, 1, 2])
def test_resume_is_bitwise(uninterrupted, at):
    result, recorder = uninterrupted
    resumed = train(progress=FitProgress(recorder.states[at], 100.0, recorder.records[: at + 1]))
    assert same(resumed.state, result.state)
    assert without_timings(resumed.history) == without_timings(result.history)
    assert resumed.seconds > 100.0


def test_interruption_between_steps_is_repeated_after_the_restart(uninterrupted):
    """A pause that raises in the midst of an interval loses that interval and nothing else."""
    result, _ = uninterrupted
    recorder = Recorder()

    class Signal(Exception):
        pass

    def pause():
        if len(recorder.states) == 2:
            raise Signal

    with pytest.raises(Signal):
        train(on_progress=recorder, on_pause=pause)
    resumed = train(progress=FitProgress(recorder.states[-1], history=recorder.records))
    assert same(resumed.state, result.state)


class Stop(Exception):
    """A planned interruption."""


class Saving(Recorder):
    """Keeps what a run saves between evaluations too, and stops it after a number of steps."""

    def __init__(self, after):
        super().__init__()
        self.after, self.ahead = after, None

    def steps(self, state, seconds):
        assert seconds > 0
        self.ahead = state
        if int(state.step) >= self.after:
            raise Stop

    def progress(self):
        return FitProgress(self.states[-1], 100.0, self.records, self.ahead)


@pytest.fixture
def single_steps(monkeypatch):
    """A pause after every step."""
    monkeypatch.setattr(descent, "_SECONDS_OF_CHUNK", 0.0)


@pytest.mark.usefixtures("single_steps")
@pytest.mark.parametrize("after", [1, 13, 20])
def test_resume_between_evaluations_is_bitwise(uninterrupted, after):
    """Wherever the save falls: the same weights, moments and records, and no step is made twice."""
    result, _ = uninterrupted
    saving = Saving(after)
    with pytest.raises(Stop):
        train(on_progress=saving, on_steps=saving.steps)
    assert int(saving.states[-1].step) < int(saving.ahead.step) < 30
    again = []
    resumed = train(progress=saving.progress(), on_steps=lambda state, _: again.append(int(state.step)))
    assert same(resumed.state, result.state)
    assert without_timings(resumed.history) == without_timings(result.history)
    assert all(step > int(saving.ahead.step) for step in again)


@pytest.mark.usefixtures("single_steps")
def test_a_fault_after_a_resume_between_evaluations_returns_to_the_evaluation():
    fraction = 0.02
    fault = first_fault(jax.random.key(2), fraction, 100)
    steps = 10 * (fault // 10 + 2)
    whole = train(steps=steps, loss=faulty("loss", fraction))
    for after in (10 * (fault // 10) + 1, fault + 2):  # before the fault, and after the return
        saving = Saving(after)
        with pytest.raises(Stop):
            train(steps=steps, loss=faulty("loss", fraction), on_progress=saving, on_steps=saving.steps)
        resumed = train(steps=steps, loss=faulty("loss", fraction), progress=saving.progress())
        assert same(resumed.state, whole.state)
        assert without_timings(resumed.history) == without_timings(whole.history)


def test_a_finished_training_goes_on_to_higher_limits(uninterrupted):
    """Where the learning rate does not depend on the limit, the bits are those of one training."""
    result, _ = uninterrupted
    further = train(progress=train(steps=13), steps=30)
    assert [record["step"] for record in further.history] == [0, 10, 13, 20, 30]
    assert same(further.state, result.state)


def test_resume_of_a_finished_training_does_nothing(uninterrupted):
    result, _ = uninterrupted
    again = train(progress=FitProgress(result.state, history=result.history))
    assert again.history == result.history
    assert again.stopped_by == "steps"


def test_limit_between_evaluations_is_kept():
    assert [record["step"] for record in train(steps=13).history] == [0, 10, 13]


def test_stream_of_steps_is_not_that_of_evaluations(uninterrupted):
    """Evaluating more often changes no step."""
    result, _ = uninterrupted
    assert same(train(every=3).state, result.state)


class CountingLoss(AbstractLoss):
    """Counts how often it is traced."""

    batch_size: int = 8
    traces: ClassVar[list[int]] = []

    def __call__(self, flow, action, key):
        self.traces.append(1)
        return ReverseKL(self.batch_size)(flow, action, key)


def test_nothing_is_compiled_after_the_first_chunk():
    counts = []
    train(steps=25, loss=CountingLoss(), on_pause=lambda: counts.append(len(CountingLoss.traces)))
    assert len(counts) > 3
    assert counts[0] > 0
    assert set(counts) == {counts[0]}


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        ({"acceptance": 0.05}, "acceptance"),
        ({"ess": 0.05}, "ess"),
        ({"minutes": 0.0}, "minutes"),
        ({"steps": 10}, "steps"),
    ],
)
def test_reasons(limits, reason):
    assert train(stop=StopCriterion(**limits)).stopped_by == reason


def test_plateau():
    result = train(stop=StopCriterion(plateau=2, steps=1000))
    assert result.stopped_by == "plateau"
    losses = [record["loss"] for record in result.history]
    assert min(losses) == losses[-3]


FAULTS = ("loss", "gradient", "weights")


class FaultyLoss(AbstractLoss):
    """The reverse KL with a fault in one of its numbers, at a fraction of all keys.

    What and how often are arrays, so that one program serves all.
    """

    where: jax.Array
    fraction: jax.Array

    def __call__(self, flow, action, key):
        loss, log_weights = LOSS(flow, action, key)
        faulty = jax.random.uniform(jax.random.fold_in(key, 1)) < self.fraction
        in_loss, in_gradient, in_weights = (faulty & (self.where == FAULTS.index(name)) for name in FAULTS)
        # A square root at zero: a finite value with an infinite slope, and infinity times zero after it.
        zero = jnp.where(in_gradient, 0.0, 1.0) * (1.0 + flow.bijection.bijections[-1].log_scale)
        loss = loss + jnp.where(in_gradient, 1.0, 0.0) * jnp.sqrt(zero**2)
        loss = loss * jnp.where(in_loss, jnp.nan, 1.0)
        return loss, log_weights.at[0].multiply(jnp.where(in_weights, jnp.nan, 1.0))


def faulty(where, fraction):
    return FaultyLoss(jnp.asarray(FAULTS.index(where)), jnp.asarray(fraction))


def finite(tree):
    return all(bool(jnp.all(jnp.isfinite(leaf))) for leaf in jax.tree.leaves(eqx.filter(tree, eqx.is_inexact_array)))


@pytest.mark.parametrize("where", FAULTS)
def test_lasting_nan_stops_and_no_bad_state_is_shown(where):
    recorder = Recorder()
    with pytest.raises(TrainingDiverged, match="not finite") as caught:
        train(loss=faulty(where, 0.5), on_progress=recorder)
    assert caught.value.exit_code == 70
    assert recorder.states
    assert all(finite(state) for state in recorder.states)
    assert finite([record["loss"] for record in recorder.records])


def first_fault(root, fraction, stop):
    """The first step at which `FaultyLoss` breaks."""
    for step in range(stop):
        key = jax.random.fold_in(jax.random.fold_in(root, step), 1)
        if float(jax.random.uniform(key)) < fraction:
            return step
    return None


def test_single_nan_is_survived_once():
    """The first bad step goes back to the last evaluation; half the learning rate and other draws from there."""
    fraction = 0.02
    fault = first_fault(jax.random.key(2), fraction, 100)
    assert fault is not None
    steps = 10 * (fault // 10 + 1)
    result = train(steps=steps, loss=faulty("loss", fraction))
    assert int(result.state.rollbacks) == 1
    assert float(result.state.learning_rate_scale) == 0.5
    assert [record["rollbacks"] for record in result.history][-2:] == [0, 1]
    assert result.history[-1]["learning_rate"] == pytest.approx(0.5 * float(OPTIMISER.learning_rate(steps)))
    assert finite(result.state)


def test_resume_after_a_rollback_is_bitwise():
    fraction = 0.02
    steps = 10 * (first_fault(jax.random.key(2), fraction, 100) // 10 + 2)
    recorder = Recorder()
    result = train(steps=steps, loss=faulty("loss", fraction), on_progress=recorder)
    progress = FitProgress(recorder.states[-2], history=recorder.records[:-1])
    resumed = train(steps=steps, loss=faulty("loss", fraction), progress=progress)
    assert same(resumed.state, result.state)


def test_flow_that_is_broken_from_the_start():
    flow = fresh()
    broken = eqx.tree_at(lambda f: f.bijection.bijections[-1].log_scale, flow, jnp.asarray(jnp.nan))
    with pytest.raises(TrainingDiverged, match="step 0"):
        train(progress=FitProgress(TrainingState.start(broken, OPTIMISER)))


def test_state_holds_what_the_next_step_needs():
    fields = {field.name for field in dataclasses.fields(TrainingState)}
    assert fields == {"flow", "optimiser_state", "step", "learning_rate_scale", "rollbacks"}
    state = TrainingState.start(fresh(), OPTIMISER)
    assert np.asarray(state.step) == 0


def test_a_time_limit_acts_between_steps(uninterrupted):
    """Time that is up after the first step ends the training there; going on gives the bits of one sitting."""
    short = train(stop=StopCriterion(minutes=0.0), every=10)
    assert (short.stopped_by, [record["step"] for record in short.history]) == ("minutes", [0, 1])
    whole = train(progress=FitProgress(short.state, short.seconds, short.history))
    assert same(whole.state, uninterrupted[0].state)
