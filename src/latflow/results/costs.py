"""The schema of costs: seconds of samplers, and seconds that the errors of averages take."""

from pydantic import Field

from latflow.results.base import AbstractRecord, Real


class SamplerCost(AbstractRecord):
    """What sampling cost, in seconds of wall clock."""

    seconds: Real = Field(default=None, description="in all")
    configurations: int | None = Field(default=None, description="in all")
    seconds_per_configuration: Real = Field(
        default=None, description="median over blocks after the first, without writing files where that was recorded"
    )
    compilation_included: bool = Field(default=False, description="the first block is all there is")
    tau_int: Real = Field(default=None, description="largest τ_int of a scalar estimate, in configurations")
    tau_int_of: str | None = Field(default=None, description="whose it is")
    seconds_per_independent: Real = Field(default=None, description="2 τ_int × seconds per configuration")
    measuring_seconds: Real = Field(default=None, description="of measuring, in all; null where not recorded")
    measuring_seconds_per_configuration: Real = Field(
        default=None, description="median over blocks after the first, without writing files where that was recorded"
    )
    setup_seconds: Real = Field(
        default=None,
        description="once, whatever the number of configurations: warm-up and tuning of chains, choice of the "
        "integration of draws; null where not recorded",
    )
    training_seconds: Real = Field(
        default=None,
        description="of the flow that draws, and of those that it began from, wherever that was; 0 without a flow, "
        "null where not recorded",
    )
    correction_seconds: Real = Field(
        default=None, description="of variates or Stein fields, evaluated and fitted; null without them"
    )
    correction_training_seconds: Real = Field(
        default=None,
        description="of the training of Stein fields, or of the flow that gives them, wherever that was; "
        "0 of variates; null without, or where not recorded",
    )
    scramblings: int | None = Field(default=None, description="of quasi-random draws, from whose scatter errors come")


class ErrorCost(AbstractRecord):
    """What the error of a scalar average costs; it falls with the square root of the seconds."""

    observable: str = Field(description="name of the observable")
    sampler: str = Field(description="as in `estimates`")
    corrected: bool = Field(description="with variates or Stein fields; false: the plain average of the same draws")
    seconds: Real = Field(
        default=None,
        description="t: of sampling, measuring and correction, without writing files, and without compilation where "
        "blocks tell it apart; null where not recorded",
    )
    seconds_once: Real = Field(
        default=None, description="T: of training, warm-up and tuning, whatever the error; null where not recorded"
    )
    error: Real = Field(default=None, description="σ of this average, with these seconds")
    cost: Real = Field(default=None, description="t·σ²: seconds per unit of squared error, T not included")
    goal: Real = Field(
        default=None,
        description="an error of the observable, the same for all samplers: 0.001 of its value, or 0.001 where the "
        "value is compatible with zero",
    )
    relative: bool = Field(default=True, description="whether the goal is a part of the value")
    seconds_for_goal: Real = Field(default=None, description="t·σ²/goal², T not included")
    against: str = Field(default="", description="the sampler whose plain average is compared with; empty: none")
    gain: Real = Field(
        default=None, description="cost of that average over this one; null where either is not to be relied on"
    )
    gain_error: Real = Field(
        default=None,
        description="its standard deviation, from how well both errors are known and, of two runs, their seconds",
    )
    break_even: Real = Field(
        default=None,
        description="seconds of that sampler, its own warm-up included, from which on this one, T included, has the "
        "smaller error; null where it never has, or nothing may be claimed",
    )
    doubt: str = Field(default="", description="why the cost is not to be relied on; empty if nothing is known")
