"""The vocabulary of array types; one configuration each, never a batch.

`*shape` are lattice sites. Batches appear only outside, through `jax.vmap` over axis 0.
"""

from typing import TypeAlias

from jaxtyping import Array, Bool, Float, Key

PRNGKey: TypeAlias = Key[Array, ""]
"""A typed key, `jax.random.key(...)`; used once."""

Scalar: TypeAlias = Float[Array, ""]
"""A real number on the device."""

Field: TypeAlias = Float[Array, "*shape"]
"""One configuration of a real scalar field, one number per site."""

Tangent: TypeAlias = Float[Array, "*tangent"]
"""Real coordinates of a displacement or momentum."""

Flag: TypeAlias = Bool[Array, ""]
"""A truth value on the device."""
