"""Modules compile plain code; some, and all with `--optimised`, as users do."""

from pathlib import Path

import jax
import jax.numpy as jnp
import pytest
from jax._src import compiler

import compilation


def asked_of_xla(monkeypatch: pytest.MonkeyPatch, *, optimised: bool) -> dict:
    """The options that come with one new program."""
    seen, x = {}, jnp.zeros(3)

    def options(*_, env_options_overrides, **__):
        seen.update(env_options_overrides)
        raise StopIteration

    monkeypatch.setattr(compiler, "get_compile_options", options)
    this = compilation.Compiler()
    this.install()
    this.optimised = optimised
    with pytest.raises(StopIteration):
        jax.jit(lambda x: x + 1.25, compiler_options={"xla_cpu_use_fusion_emitters": True})(x)
    return seen


def test_options_go_with_every_program(monkeypatch: pytest.MonkeyPatch) -> None:
    own = {"xla_cpu_use_fusion_emitters": True}
    assert asked_of_xla(monkeypatch, optimised=True) == own
    assert asked_of_xla(monkeypatch, optimised=False) == compilation.PLAIN | own


def test_listed_modules_compile_as_users_do() -> None:
    tests = Path(__file__).parent
    assert all((tests / name).exists() for name in compilation.OPTIMISED_MODULES)
    assert not any(compilation.plain(tests / name) for name in compilation.OPTIMISED_MODULES)
    assert compilation.plain(tests / "laws/test_action_laws.py")
    assert compilation.plain(tests.parent / "src/latflow/training/fit.py")


def test_this_module_compiles_as_users_do(request: pytest.FixtureRequest) -> None:
    assert request.getfixturevalue("compiler").optimised
