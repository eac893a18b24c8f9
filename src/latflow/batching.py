"""Operations whose `vmap` rules keep the batch axis last in memory.

A stencil runs fastest when the chains of a batch are the last axis, the fastest in memory: a site and its neighbour are
then vectors of chains. JAX's gathers and loops move a batch to the front, and its roll becomes a concatenation, which
XLA does not vectorise in a fused loop. Here `batch_last` moves the batch to the end; `shift` is a gather, `repeat` and
`settle` are loops that leave it there; `beside` broadcasts numbers and masks in the layout of another array; and
`trailing` makes a whole function of such arrays one operation. None of them changes a number.
"""

import functools
import inspect
import typing
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import core
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir
from jaxtyping import Array, Int, Shaped

Index = Int[Array, ""]
Carry = TypeVar("Carry")


def shift(x: Shaped[Array, "*sites"], *, axis: int, steps: int = 1) -> Shaped[Array, "*sites"]:
    r"""The field seen from `steps` sites further along `axis`: $(Tx)(n) = x(n + s\hat\mu)$, periodic.

    Args:
        x: Any array.
        axis: Direction, ``0 <= axis < x.ndim``.
        steps: May be negative.
    """
    return _shift.bind(x, axis=axis, steps=steps)


def batch_last(x: Shaped[Array, "*sites"]) -> Shaped[Array, "*sites"]:
    """The same array; under `vmap` its batch axis becomes the last one, the fastest in memory."""
    return _batch_last.bind(x)


def beside(x: float | Shaped[Array | np.ndarray, "..."], y: Shaped[Array, "*sites"]) -> Shaped[Array, "*sites"]:
    """A number or mask broadcast to the shape of `y`, with the batch axis at the same place as in `y`.

    Without this, JAX moves the batch to the front where a batched array is combined with a mask or with one number per
    chain.

    Args:
        x: Broadcastable to the shape of `y`.
        y: Only its shape and the place of its batch axis are used.
    """
    return _beside.bind(jnp.broadcast_to(x, y.shape) if jnp.ndim(x) else jnp.asarray(x), y)


def trailing(function: Callable[..., Any]) -> Callable[..., Any]:
    """Make a function of arrays one operation; under `vmap` the batch is one more axis behind the sites.

    Under `vmap` the function is given arrays with one axis more, behind the others: it must count axes from the front
    and treat all further ones alike. Any operation of JAX may be used inside; the batch stays the last axis.

    Args:
        function: Its positional arguments are arrays, its keyword-only arguments hashable. It returns one array with
            the trailing axes of its arguments, or, if the annotation says so, a tuple of such arrays.
    """
    primitive = Primitive(function.__name__)
    several = typing.get_origin(inspect.signature(function).return_annotation) is tuple
    primitive.multiple_results = several

    def batch(args: Sequence[Any], dims: Sequence[int | None], **static: Any) -> tuple[Any, Any]:
        size = next(x.shape[d] for x, d in zip(args, dims, strict=True) if d is not None)
        moved = [
            jnp.broadcast_to(x[..., None], (*x.shape, size)) if d is None else jnp.moveaxis(x, d, -1)
            for x, d in zip(args, dims, strict=True)
        ]
        out = primitive.bind(*moved, **static)
        return out, [x.ndim - 1 for x in out] if several else out.ndim - 1

    def differentiate(primals: Sequence[Any], tangents: Sequence[Any], **static: Any) -> tuple[Any, Any]:
        tangents = [ad.instantiate_zeros(t) for t in tangents]
        return jax.jvp(functools.partial(function, **static), tuple(primals), tuple(tangents))

    def abstract(*args: Any, **static: Any) -> Any:
        out = jax.eval_shape(functools.partial(function, **static), *args)
        return jax.tree.map(lambda x: core.ShapedArray(x.shape, x.dtype), out)

    names = [p.name for p in inspect.signature(function).parameters.values() if p.kind is p.KEYWORD_ONLY]
    primitive.def_impl(jax.jit(function, static_argnames=names))
    primitive.def_abstract_eval(abstract)
    mlir.register_lowering(primitive, mlir.lower_fun(function, multiple_results=several))
    ad.primitive_jvps[primitive] = differentiate
    batching.primitive_batchers[primitive] = batch

    @functools.wraps(function)
    def operation(*args: Any, **static: Any) -> Any:
        out = primitive.bind(*(jnp.asarray(x) for x in args), **static)
        return tuple(out) if several else out

    return operation


def repeat(body: Callable[[Index, Carry], Carry], carry: Carry, *, n: int) -> Carry:
    """Apply `body` for i = 0 … n − 1; under `vmap` the batch axis of every array in the carry stays last.

    Args:
        body: Called with i and the carry; returns arrays of the shapes and types it was given.
        carry: Any pytree of arrays.
        n: Number of applications, possibly zero.
    """
    leaves, tree = jax.tree.flatten(carry)
    traced = jax.make_jaxpr(lambda i, *c: jax.tree.leaves(body(i, jax.tree.unflatten(tree, c))))(jnp.int32(0), *leaves)
    out = _repeat.bind(*traced.consts, *leaves, jaxpr=traced.jaxpr, n=n, n_consts=len(traced.consts))
    return jax.tree.unflatten(tree, out)


def settle(body: Callable[[Shaped[Array, "*sites"]], Shaped[Array, "*sites"]], x: Shaped[Array, "*sites"]) -> Array:
    """Apply `body` until it changes nothing; under `vmap` until it changes nothing in any example of the batch.

    Further applications do not change an example at its fixed point, so no result depends on the rest of the batch. The
    batch axis stays last. Not differentiable.

    Args:
        body: Maps an array to one of the same shape and type, and reaches a fixed point from `x`.
        x: Start of the iteration.
    """
    traced = jax.make_jaxpr(body)(x)
    return _settle.bind(*traced.consts, x, jaxpr=traced.jaxpr)


# shift ----------------------------------------------------------------------------------------------------------------


def _gather(x: Any, *, axis: int, steps: int) -> Array:
    sites = (np.arange(x.shape[axis]) + steps) % x.shape[axis]
    return x.at[(slice(None),) * axis + (sites,)].get(mode="promise_in_bounds")


def _batch_shift(args: Sequence[Any], dims: Sequence[int], *, axis: int, steps: int) -> tuple[Array, int]:
    return _shift.bind(args[0], axis=axis + (dims[0] <= axis), steps=steps), dims[0]


_shift = Primitive("shift")
_shift.def_impl(functools.partial(jax.jit, static_argnames=("axis", "steps"))(_gather))
_shift.def_abstract_eval(lambda x, **_: x)
mlir.register_lowering(_shift, mlir.lower_fun(_gather, multiple_results=False))
ad.deflinear2(_shift, lambda ct, _, *, axis, steps: [_shift.bind(ct, axis=axis, steps=-steps)])
batching.primitive_batchers[_shift] = _batch_shift


# batch_last -----------------------------------------------------------------------------------------------------------


def _batch_batch_last(args: Sequence[Any], dims: Sequence[int]) -> tuple[Array, int]:
    last = args[0].ndim - 1
    return jnp.moveaxis(args[0], dims[0], last), last


_batch_last = Primitive("batch_last")
_batch_last.def_impl(lambda x: x)
_batch_last.def_abstract_eval(lambda x: x)
mlir.register_lowering(_batch_last, mlir.lower_fun(lambda x: x, multiple_results=False))
ad.deflinear2(_batch_last, lambda ct, _: [ct])
batching.primitive_batchers[_batch_last] = _batch_batch_last


# beside ---------------------------------------------------------------------------------------------------------------


def _spread(x: Any, y: Any) -> Array:
    return jnp.broadcast_to(x, y.shape)


def _batch_beside(args: Sequence[Any], dims: Sequence[int | None]) -> tuple[Array, int | None]:
    (x, y), (dx, dy) = args, dims
    size = x.shape[dx] if dx is not None else y.shape[dy]
    place = dy if dy is not None else y.ndim
    shape = [n for axis, n in enumerate(y.shape) if axis != dy]
    if dx is None and dy is None:
        return _beside.bind(x, y), None
    if dx is not None:
        x = jnp.moveaxis(x, dx, -1)
    # The axes of one example in order, leaving out the new one; a number has none of them.
    kept = [axis for axis in range(len(shape) + 1) if axis != place] if x.ndim - (dx is not None) else []
    shape.insert(place, size)
    return jax.lax.broadcast_in_dim(x, shape, [*kept, place] if dx is not None else kept), place


def _differentiate_beside(primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Array, Array]:
    return _beside.bind(*primals), _spread(ad.instantiate_zeros(tangents[0]), primals[1])


_beside = Primitive("beside")
_beside.def_impl(_spread)
_beside.def_abstract_eval(lambda x, y: core.ShapedArray(y.shape, x.dtype))
mlir.register_lowering(_beside, mlir.lower_fun(_spread, multiple_results=False))
ad.primitive_jvps[_beside] = _differentiate_beside
batching.primitive_batchers[_beside] = _batch_beside


# repeat ---------------------------------------------------------------------------------------------------------------


def _loop(*args: Any, jaxpr: Any, n: int, n_consts: int) -> list[Array]:
    consts, carry = args[:n_consts], list(args[n_consts:])
    return jax.lax.fori_loop(0, n, lambda i, c: core.eval_jaxpr(jaxpr, consts, i.astype(jnp.int32), *c), carry)


def _batch_repeat(
    args: Sequence[Any], dims: Sequence[int | None], *, jaxpr: Any, n: int, n_consts: int
) -> tuple[list[Array], list[int]]:
    size = next(x.shape[d] for x, d in zip(args, dims, strict=True) if d is not None)
    consts, const_dims = list(args[:n_consts]), list(dims[:n_consts])
    carry = [
        jnp.broadcast_to(x[..., None], (*x.shape, size)) if d is None else jnp.moveaxis(x, d, -1)
        for x, d in zip(args[n_consts:], dims[n_consts:], strict=True)
    ]
    body = jax.vmap(
        lambda i, consts, c: core.eval_jaxpr(jaxpr, consts, i, *c), in_axes=(None, const_dims, -1), out_axes=-1
    )
    out = repeat(lambda i, c: body(i, consts, c), carry, n=n)
    return out, [x.ndim - 1 for x in out]


def _differentiate_repeat(
    primals: Sequence[Any], tangents: Sequence[Any], **parameters: Any
) -> tuple[list[Array], list[Array]]:
    """By JAX's own loop, which is slower."""
    tangents = [ad.instantiate_zeros(t) for t in tangents]
    return jax.jvp(functools.partial(_loop, **parameters), tuple(primals), tuple(tangents))


_repeat = Primitive("repeat")
_repeat.multiple_results = True
_repeat.def_impl(functools.partial(jax.jit, static_argnames=("jaxpr", "n", "n_consts"))(_loop))
_repeat.def_abstract_eval(lambda *args, n_consts, **_: args[n_consts:])
mlir.register_lowering(_repeat, mlir.lower_fun(_loop, multiple_results=True))
ad.primitive_jvps[_repeat] = _differentiate_repeat
batching.primitive_batchers[_repeat] = _batch_repeat


# settle ---------------------------------------------------------------------------------------------------------------


def _until_settled(*args: Any, jaxpr: Any) -> Array:
    def apply(state: tuple[Array, Array]) -> tuple[Array, Array]:
        x, _ = state
        y = core.eval_jaxpr(jaxpr, args[:-1], x)[0]
        return y, jnp.any(y != x)

    return jax.lax.while_loop(lambda state: state[1], apply, (args[-1], jnp.ones((), dtype=bool)))[0]


def _batch_settle(args: Sequence[Any], dims: Sequence[int | None], *, jaxpr: Any) -> tuple[Array, int]:
    size = next(x.shape[d] for x, d in zip(args, dims, strict=True) if d is not None)
    *consts, x = args
    *const_dims, d = dims
    x = jnp.broadcast_to(x[..., None], (*x.shape, size)) if d is None else jnp.moveaxis(x, d, -1)
    body = jax.vmap(lambda consts, y: core.eval_jaxpr(jaxpr, consts, y)[0], in_axes=(const_dims, -1), out_axes=-1)
    return settle(lambda y: body(consts, y), x), x.ndim - 1


_settle = Primitive("settle")
_settle.def_impl(functools.partial(jax.jit, static_argnames="jaxpr")(_until_settled))
_settle.def_abstract_eval(lambda *args, **_: args[-1])
mlir.register_lowering(_settle, mlir.lower_fun(_until_settled, multiple_results=False))
batching.primitive_batchers[_settle] = _batch_settle
