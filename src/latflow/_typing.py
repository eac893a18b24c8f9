"""Names of array types. Each describes one configuration, never a batch.

`*shape` are lattice sites. Batches are made by the caller, with `jax.vmap` over axis 0.
"""

from typing import TypeAlias

from jaxtyping import Array, Bool, Complex, Float, Inexact, Key, PyTree

PRNGKey: TypeAlias = Key[Array, ""]
"""A typed key, `jax.random.key(...)`; used once."""

Scalar: TypeAlias = Float[Array, ""]
"""A real number as a JAX array."""

Field: TypeAlias = Inexact[Array, "*shape"]
"""One configuration: real numbers at sites, angles or complex matrices on links."""

Configuration: TypeAlias = PyTree[Inexact[Array, "..."]]
"""One configuration of any space: one array, or several by name."""

Momentum: TypeAlias = PyTree[Float[Array, "..."]]
"""Real coordinates of a displacement of such a configuration, of the same structure."""

Matrices: TypeAlias = Complex[Array, "row column *sites"]
"""One matrix per site, indices before sites."""

Links: TypeAlias = Complex[Array, "mu row column *sites"]
"""One matrix per link; the one of direction mu at x goes from x to x + mu."""

Tangent: TypeAlias = Float[Array, "*tangent"]
"""Real coordinates of a displacement or momentum."""

Flag: TypeAlias = Bool[Array, ""]
"""A truth value as a JAX array."""
