r"""Exponential-map sums: a unit vector moves along the gradient of a sum of bumps on the sphere.

$$f(x)=\exp_x v(x),\qquad v(x)=P_x\sum_i\alpha_ie^{\beta_i(x\cdot\mu_i-1)}\mu_i,$$

with positive shares α whose sum is below one, β > 0 and unit vectors μ; $P_x$ projects on the tangent space. With one
term it is a radial map: the angle ϑ to μ becomes $\vartheta-\alpha e^{\beta(\cos\vartheta-1)}\sin\vartheta$. Below one
the map is invertible, but it has no inverse in closed form: Newton steps along great circles find it, and where they do
not, to `TOLERANCE`, the log-det is NaN, so that no density passes for one. The log-det is
$\tfrac12\log\det J^TJ$ in orthonormal frames of the tangent spaces, D² derivatives, so D should be small.

Flows of splines (`latflow.bijections.autoregression`) are better and cheaper. These are here to compare with.

References:
    arXiv:2002.02428, section 2.3.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float
from typing_extensions import override

from latflow._typing import PRNGKey, Scalar
from latflow.arguments import count
from latflow.bijections.base import AbstractBijection
from latflow.errors import ConfigError
from latflow.fields.compact import SphereSpace, normalised
from latflow.randomness import standard_normal

TOLERANCE = 1e-11
"""Largest distance of the image of a pre-image."""
MOST_DIMENSIONS = 3
_STEPS = 60
_LONGEST = 0.4
"""Of a Newton step."""


class ExponentialMapSum(AbstractBijection):
    """A map of one unit vector.

    Args:
        space: Of it.
        logits: Of α; the last one is that of what is missing to one.
        log_beta: ln β.
        centres: Vectors along μ, not zero; one column each.
    """

    space: SphereSpace
    logits: Float[Array, " m"]
    log_beta: Float[Array, " k"]
    centres: Float[Array, "n k"]

    @classmethod
    def untrained(cls, key: PRNGKey, space: SphereSpace, n_terms: int) -> "ExponentialMapSum":
        """Random centres, and a hundredth of the sum of α that is allowed.

        Args:
            key: Randomness of the centres.
            space: `SphereSpace` of one vector with D ≤ 3.
            n_terms: Bumps.

        Raises:
            TypeError: If the number is something else.
            ConfigError: If there are several vectors or more dimensions, or no bump.
        """
        if space.sites or space.dimension > MOST_DIMENSIONS:
            raise ConfigError(
                [f"space: {space.summary}; allowed: one vector of at most {MOST_DIMENSIONS + 1} components"]
            )
        k = count("n_terms", n_terms)
        logits = jnp.concatenate([jnp.zeros(k), jnp.log(jnp.asarray([99.0 * k]))])
        return cls(space, logits, jnp.zeros(k), standard_normal(key, (space.dimension + 1, k)))

    @override
    def forward_and_log_det(self, x: Float[Array, " n"]) -> tuple[Float[Array, " n"], Scalar]:
        y = self._image(x)
        frame = self._frame(x, y)
        return y, 0.5 * jnp.linalg.slogdet(frame.T @ frame)[1]

    @override
    def inverse_and_log_det(self, y: Float[Array, " n"]) -> tuple[Float[Array, " n"], Scalar]:
        fixed, target = jax.lax.stop_gradient((self, y))

        def goes_on(state: tuple[Array, Array, Array]) -> Array:
            return (state[0] < _STEPS) & (state[2] > TOLERANCE / 10)

        def step(state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
            n, x, _ = state
            p, rest = fixed._newton(x, target)
            length = jnp.sqrt(jnp.sum(p**2))
            return n + 1, fixed.space.move(x, p * jnp.minimum(1.0, _LONGEST / jnp.maximum(length, 1e-30))), rest

        x = jax.lax.stop_gradient(jax.lax.while_loop(goes_on, step, (jnp.asarray(0), target, jnp.asarray(jnp.inf)))[1])
        # one more step, which carries the derivatives of the implicit function
        p, rest = self._newton(x, y)
        x = self.space.move(x, p)
        return x, jnp.where(rest < TOLERANCE, -self.forward_and_log_det(x)[1], jnp.nan)

    def _image(self, x: Float[Array, " n"]) -> Float[Array, " n"]:
        directions = normalised(self.centres)
        shares = jax.nn.softmax(self.logits)[:-1]
        pulls = shares * jnp.exp(jnp.exp(self.log_beta) * (x @ directions - 1))
        return self.space.move(x, self.space.coordinates(x, directions @ pulls))

    def _frame(self, x: Float[Array, " n"], y: Float[Array, " n"]) -> Float[Array, "d d"]:
        """Derivatives of the image in orthonormal frames at x and at y."""

        def row(p: Float[Array, " d"]) -> Float[Array, " d"]:
            return self.space.coordinates(y, jax.jvp(self._image, (x,), (self.space.displace(x, p),))[1])

        return jax.vmap(row)(jnp.eye(self.space.dimension)).T

    def _newton(self, x: Float[Array, " n"], target: Float[Array, " n"]) -> tuple[Float[Array, " d"], Scalar]:
        """The step from x to where the image is the target, and the distance of the image."""
        y = self._image(x)
        rest = self.space.coordinates(y, target - y)
        frame = jax.lax.stop_gradient(self._frame(x, y))
        return jnp.linalg.solve(frame, rest), jnp.max(jnp.abs(target - y))
