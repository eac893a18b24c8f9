"""How a batch is spread: sizes of parts, pieces of one size, and threads that change nothing but the time."""

import os
import threading

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from latflow import execution
from latflow.actions.scalar import PhiFour
from latflow.execution import equal_pieces, group_size, map_pieces, part_size, piece_size, split, threaded
from latflow.lattice import Lattice
from latflow.samplers.chains import advance
from latflow.samplers.local import LocalMetropolis


@pytest.fixture
def accelerator(monkeypatch):
    monkeypatch.setattr(execution, "accelerated", lambda: True)


@pytest.fixture(params=[1, 2, 7])
def cores(request, monkeypatch):
    monkeypatch.setattr(execution, "cores", lambda: request.param)
    return request.param


# chains, bytes of a configuration, chains of a group: frozen, for another size is another last bit of an ensemble
GROUPS = [
    (64, 128, 64),  # 8 KB in all: one group
    (56, 8 * 36, 56),  # just below 16 KB
    (64, 8 * 36, 32),  # two groups at least
    (63, 8 * 36, 21),  # the largest divisor up to the half
    (61, 8 * 36, 61),  # a prime number of chains
    (256, 8 * 64**2, 8),  # 32 KB each: the least group
    (32, 8 * 64**2, 8),
    (16, 8 * 128**2, 16),  # not even the least group stays in a cache
    (12, 2**14, 12),  # no divisor from 8 to 6
]


@pytest.mark.parametrize(("chains", "size", "expected"), GROUPS)
def test_groups_of_chains(chains, size, expected):
    assert group_size(chains, size) == expected
    assert chains % expected == 0


def test_an_accelerator_runs_all_chains_at_once(accelerator):
    assert group_size(256, 8 * 64**2) == 256


@pytest.mark.parametrize(("batch", "volume"), [(256, 36), (256, 1024), (7, 36), (509, 100), (1, 4)])
def test_parts_divide_the_batch(batch, volume):
    assert batch % part_size(batch, volume) == 0
    assert 1 <= part_size(batch, volume) <= 64


def test_parts_fill_the_cache_and_no_more():
    """At most 4096 sites, beyond the least of 8 draws."""
    assert [part_size(256, volume) for volume in (36, 64, 196, 256, 1024, 4096)] == [64, 64, 16, 16, 8, 8]


def test_parts_fill_the_memory_of_an_accelerator(accelerator):
    """At most 2²¹ sites."""
    assert [part_size(256, volume) for volume in (36, 4096, 2**15, 2**22)] == [256, 256, 64, 1]


def test_pieces_of_one_megabyte():
    assert [piece_size(10_000, 8 * sites) for sites in (36, 1024, 2**20)] == [3640, 128, 1]
    assert piece_size(300, 8 * 36) == 300


def test_pieces_on_an_accelerator(accelerator):
    assert piece_size(10_000, 8 * 1024) == 2048


def test_cores_are_those_this_process_may_use(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 5, 6}, raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    assert execution.cores() == 3
    monkeypatch.delattr(os, "sched_getaffinity")
    assert execution.cores() == 64


def test_split_keeps_the_order():
    parts = split(jnp.arange(12).reshape(6, 2), size=2)
    assert [part.tolist() for part in parts] == [[[0, 1], [2, 3]], [[4, 5], [6, 7]], [[8, 9], [10, 11]]]


def test_results_come_in_order_whatever_ends_first():
    """Every call waits for the one after it: they end in reverse, on as many threads as there are calls."""
    ended = [threading.Event() for _ in range(4)]

    def call(i, name):
        assert i + 1 == len(ended) or ended[i + 1].wait(timeout=60)
        ended[i].set()
        return f"{name}{i}"

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(execution, "cores", lambda: 4)
        assert threaded(call, range(4), "abcd") == ["a0", "b1", "c2", "d3"]


def test_threads_are_no_more_than_cores(cores):
    names = threaded(lambda _: threading.get_ident(), range(20))
    assert len(names) == 20
    assert len(set(names)) <= cores
    assert (set(names) == {threading.get_ident()}) == (cores == 1)


def test_an_error_in_a_call_is_raised(cores):
    with pytest.raises(ZeroDivisionError):
        threaded(lambda x: 1 / x, [1, 0, 2])
    with pytest.raises(ValueError, match="zip"):
        threaded(lambda x, y: x + y, [1, 2], [3])
    assert threaded(lambda x: x, []) == []


@eqx.filter_jit
def moments(x):
    """Numbers of every configuration, once along axis 0 and once along the last axis."""
    sums = jax.vmap(lambda field: jnp.sum(jnp.sin(field)))(x)
    return {"sum": sums, "both": jnp.stack([sums, sums**2])[None]}


def test_threads_give_the_bits_of_a_loop(cores):
    parts = split(jax.random.normal(jax.random.key(1), (24, 5, 3)), size=4)
    for ours, theirs in zip(threaded(moments, parts), [moments(part) for part in parts], strict=True):
        assert all(np.array_equal(ours[name], theirs[name]) for name in theirs)


def test_chains_on_threads_have_the_bits_of_one_thread(monkeypatch):
    """64 chains of 6 × 6 are two groups."""
    kernel = LocalMetropolis(PhiFour(Lattice((6, 6)), mass_squared=-4.0, coupling=6.975), width=0.4)
    x = 0.3 * jax.random.normal(jax.random.key(2), (64, 6, 6))
    found = []
    for n in (1, 2):
        monkeypatch.setattr(execution, "cores", lambda n=n: n)
        found.append(advance(kernel, jax.random.key(3), x, first=0, n_records=2, thin=1))
    assert all(np.array_equal(a, b) for a, b in zip(*map(jax.tree.leaves, found), strict=True))


@pytest.mark.parametrize(("n", "size"), [(1, 4), (4, 4), (9, 4), (3, 1)])
def test_pieces_are_equal_and_the_last_is_filled(n, size):
    fields = np.arange(2.0 * n).reshape(n, 2)
    pieces = list(equal_pieces(fields, size=size))
    assert [len(piece) for piece in pieces] == [size] * -(-n // size)
    joined = np.concatenate(pieces)
    np.testing.assert_array_equal(joined[:n], fields)
    np.testing.assert_array_equal(joined[n:], np.broadcast_to(fields[:1], (len(joined) - n, 2)))


@pytest.mark.parametrize("n", [1, 4, 9])
def test_programs_over_pieces(n):
    """As if all went through at once: in order, of the right length, along either axis."""
    fields = np.random.default_rng(4).normal(size=(n, 5, 3))
    sums = map_pieces(lambda piece: {"sum": moments(piece)["sum"]}, fields, size=4)["sum"]
    both = map_pieces(lambda piece: moments(piece)["both"], fields, size=4, axis=-1)
    assert type(sums) is type(both) is np.ndarray
    assert both.shape == (1, 2, n)
    np.testing.assert_allclose(sums, np.sum(np.sin(fields), axis=(1, 2)), rtol=1e-13)
    np.testing.assert_array_equal(both[0, 0], sums)


def test_one_program_serves_all_pieces():
    shapes = []

    @jax.jit
    def program(x):
        shapes.append(x.shape)
        return x

    map_pieces(program, np.zeros((9, 2)), size=4)
    assert shapes == [(4, 2)]
