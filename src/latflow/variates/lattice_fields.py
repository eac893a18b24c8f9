r"""Learned velocities of a scalar field on a lattice, with closed divergences, for every lattice of a dimension.

Symmetric kernels $K_r$ of three kinds serve everything: of small displacements, propagators $\mu^2/(\hat k^2+\mu^2)$
with μ from 1 to 1/16, and projections onto the lowest modes, which grow with the lattice. Contexts are convolutions of
features of the field without the site itself, as in `latflow.bijections.ode.velocities`, so that the divergence is a
sum of partial derivatives at single sites. There are five sets of velocities, most of them odd in the field:

- linear, $K_r*\phi$;
- hidden, $\tanh(z_h+b_h)+\tanh(z_h-b_h)$ with $z_h=a_h\phi+\sum_cc_{hc}u_c$ and contexts u;
- products, $s_j\,(K_r*\tanh p\phi)$ with $s_j=2-\tanh^2(z_j+b_j)-\tanh^2(z_j-b_j)$, even in the field;
- steady, 1 and $s_j$, even in the field: they correct odd averages such as that of M;
- global, the first two times $G=VM^2$ or $\sum_x\phi_x^2$, per site, and the steady ones times the former:
  $f_{Gv}=Gf_v+v\cdot\partial G$.
"""

import functools
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from typing_extensions import override

from latflow import fourier
from latflow._typing import PRNGKey
from latflow.actions.base import AbstractAction
from latflow.fields.spaces import AbstractFieldSpace
from latflow.lattice import Lattice
from latflow.randomness import pinned, split
from latflow.variates.base import AbstractSteinFields

_SHELLS = (0, 1, 2, 4)
"""Squares of the integer wave numbers of the projections."""

_MASSES = (1.0, 0.5, 0.25, 0.125, 0.0625)
"""μ of the propagators in lattice units."""

_DEFAULTS: Mapping[str, Any] = {"contexts": 8, "hidden": 12, "products": 6, "radius": 2}
_FREQUENCIES = (1.0, 3.0)
_KERNEL_SCALE = 0.3


@functools.lru_cache
def kernel_table(lattice: Lattice, radius: int) -> Float[np.ndarray, "kernels volume"]:
    """Eigenvalues of all kernels: projections first, propagators, then small displacements."""
    squares = sum(n**2 for n in np.meshgrid(*(fourier.wave_numbers(n) for n in lattice.shape), indexing="ij"))
    shells = [np.asarray(squares).ravel() == n for n in _SHELLS]
    momenta = fourier.momentum_squared(lattice).ravel()
    propagators = [mass**2 / (momenta + mass**2) for mass in _MASSES]
    near = fourier.kernels(lattice, radius).reshape(-1, lattice.volume)
    return np.concatenate([np.array([*shells, *propagators], dtype=float), near])


class _Parts(NamedTuple):
    """Everything that the values of one configuration are made of; k-space quantities are in the real basis."""

    linear: Float[Array, "kernels volume"]
    odd: Float[Array, "hidden volume"]
    slope: Float[Array, "hidden volume"]
    even: Float[Array, "products volume"]
    even_slope: Float[Array, "products volume"]
    psi: Float[Array, " volume"]
    psi_slope: Float[Array, " volume"]


class LatticeFields(AbstractSteinFields):
    """The velocities of this module; create them with `LatticeFields.create`.

    Args:
        kernel: Weights of contexts over features and kernels.
        own: $a$ of hidden units and of products.
        mixing: $c$ of both.
        offset: $b$ of both.
        sharpness: $p$.
        lattice: Any extents.
        radius: Largest displacement of the near kernels.
        hidden: Number of hidden units; the other rows are products.
    """

    kind: ClassVar[str] = "lattice"
    kernel: Float[Array, "contexts features kernels"]
    own: Float[Array, " units"]
    mixing: Float[Array, "units contexts"]
    offset: Float[Array, " units"]
    sharpness: Float[Array, ""]
    lattice: Lattice = eqx.field(static=True)
    radius: int = eqx.field(static=True)
    hidden: int = eqx.field(static=True)

    @override
    @classmethod
    def create(cls, key: PRNGKey, space: AbstractFieldSpace, settings: Mapping[str, Any]) -> "LatticeFields":
        asked = {**_DEFAULTS, **settings}
        lattice, radius, hidden = Lattice(tuple(space.tangent_shape)), asked["radius"], asked["hidden"]
        contexts, products = asked["contexts"], asked["products"]
        kernels = len(kernel_table(lattice, radius))
        kernel_key, own_key, mixing_key = (pinned(k) for k in split(key, 3))
        features = 1 + len(_FREQUENCIES)
        scale = _KERNEL_SCALE / np.sqrt(features)
        spread = jnp.concatenate([jnp.ones(hidden), jnp.full(products, _KERNEL_SCALE)])
        own = spread * jax.random.normal(own_key, (hidden + products,))
        return cls(
            kernel=scale * jax.random.normal(kernel_key, (contexts, features, kernels)),
            own=own.at[hidden:].add(1.0),
            mixing=spread[:, None] * jax.random.normal(mixing_key, (hidden + products, contexts)),
            offset=jnp.concatenate([jnp.linspace(0.0, 1.5, hidden), jnp.linspace(0.0, 1.0, products)]),
            sharpness=jnp.asarray(1.0),
            lattice=lattice,
            radius=radius,
            hidden=hidden,
        )

    @property
    @override
    def settings(self) -> Mapping[str, Any]:
        products = len(self.own) - self.hidden
        contexts = len(self.kernel)
        return {"contexts": contexts, "hidden": self.hidden, "products": products, "radius": self.radius}

    @property
    @override
    def names(self) -> tuple[str, ...]:
        kernels = range(self.kernel.shape[2])
        plain = (*(f"linear {r}" for r in kernels), *(f"hidden {h}" for h in range(self.hidden)))
        number = len(self.own) - self.hidden
        products = (f"product {j} {r}" for j in range(number) for r in kernels)
        steady = ("steady", *(f"steady {j}" for j in range(number)))
        of_plain = (f"global {i} {name}" for i in range(_N_GLOBAL) for name in plain)
        return (*plain, *products, *of_plain, *steady, *(f"global {name}" for name in steady))

    @override
    def velocities(self, x: Float[Array, "*sites"]) -> Float[Array, "n_fields *sites"]:
        parts, tables = self._parts(x), self._tables(x)
        convolved = self._back(tables * self._to(parts.psi[None]))
        products = (parts.even[:, None] * convolved[None]).reshape(-1, x.size)
        plain = jnp.concatenate([self._back(parts.linear), parts.odd])
        quadratic, _ = self._global(self._to(x.reshape(1, -1))[0])
        of_plain = (quadratic[:, None, None] * plain[None]).reshape(-1, x.size)
        steady = self._steady(parts)
        found = [plain, products, of_plain, steady, quadratic[0] * steady]
        return jnp.concatenate(found).reshape(-1, *x.shape)

    @override
    def value(self, action: AbstractAction, x: Float[Array, "*sites"]) -> Float[Array, " n_fields"]:
        parts, tables = self._parts(x), self._tables(x)
        force = action.force(x).astype(x.dtype).ravel()
        centres = tables.mean(axis=1)
        momenta = self._to(jnp.concatenate([jnp.stack([x.ravel(), force, parts.psi]), self._rising(parts, force)]))
        phi, psi, rising = momenta[0], momenta[2], momenta[3:]
        linear = centres * x.size - parts.linear @ momenta[1]
        hidden = self.own[: self.hidden] * parts.slope.sum(axis=1) - parts.odd @ force
        products = jnp.outer(parts.even @ parts.psi_slope, centres) + (rising * psi[None]) @ tables.T
        quadratic, gradient = self._global(phi)
        plain = jnp.concatenate([linear, hidden])
        moved = jnp.concatenate([parts.linear @ gradient.T, parts.odd @ self._back(gradient).T])
        steady = jnp.concatenate([-jnp.sum(force)[None], jnp.sum(self._rising(parts, force), axis=1)])
        drift = 2 * phi[0] / x.size**1.5 * self._steady(parts).sum(axis=1)
        of_plain = (jnp.outer(quadratic, plain) + moved.T).ravel()
        return jnp.concatenate([plain, products.ravel(), of_plain, steady, quadratic[0] * steady + drift])

    def _steady(self, parts: _Parts) -> Float[Array, "steady volume"]:
        return jnp.concatenate([jnp.ones_like(parts.psi)[None], parts.even])

    def _rising(self, parts: _Parts, force: Float[Array, " volume"]) -> Float[Array, "products volume"]:
        """∂s/∂φ − s ∂S/∂φ at every site."""
        return parts.even_slope - parts.even * force[None]

    def _parts(self, x: Float[Array, "*sites"]) -> _Parts:
        tables = self._tables(x)
        phi = x.reshape(1, -1)
        features = jnp.concatenate([phi, *(phi / (1 + frequency**2 * phi**2) for frequency in _FREQUENCIES)])
        modes = self._to(features)
        eigenvalues = jnp.tensordot(self.kernel, tables - tables.mean(axis=1, keepdims=True), 1)
        contexts = self._back(jnp.sum(eigenvalues * jnp.broadcast_to(modes[None], eigenvalues.shape), axis=1))
        z = self.own[:, None] * phi + self.mixing @ contexts
        up, down = jnp.tanh(z + self.offset[:, None]), jnp.tanh(z - self.offset[:, None])
        rise, fall = 1 - up**2, 1 - down**2
        n, psi = self.hidden, jnp.tanh(self.sharpness * phi[0])
        return _Parts(
            linear=tables * modes[:1],
            odd=(up + down)[:n],
            slope=(rise + fall)[:n],
            even=(rise + fall)[n:],
            even_slope=-2 * self.own[n:, None] * (up * rise + down * fall)[n:],
            psi=psi,
            psi_slope=self.sharpness * (1 - psi**2),
        )

    def _global(self, phi: Float[Array, " volume"]) -> tuple[Float[Array, " g"], Float[Array, "g volume"]]:
        """The quadratic functions per site, and their gradients in k-space."""
        matrices = jnp.concatenate([self._tables(phi)[:1], jnp.ones_like(phi)[None]])
        applied = matrices * phi[None] / phi.size**0.5
        return applied @ phi / phi.size**0.5, 2 * applied / phi.size**0.5

    def _tables(self, x: Float[Array, "..."]) -> Float[Array, "kernels volume"]:
        return jnp.asarray(kernel_table(self.lattice, self.radius), x.dtype)

    def _to(self, x: Float[Array, "n volume"]) -> Float[Array, "n volume"]:
        return fourier.to_momentum(x.reshape(-1, *self.lattice.shape), self.lattice).reshape(x.shape)

    def _back(self, x: Float[Array, "n volume"]) -> Float[Array, "n volume"]:
        return fourier.from_momentum(x.reshape(-1, *self.lattice.shape), self.lattice).reshape(x.shape)


_N_GLOBAL = 2
