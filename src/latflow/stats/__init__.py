"""Error analysis without jax: estimates, the Γ method, weighted ratios, correlators.

Everything here is numpy on measured columns, so a report can be made on a login node. A quantity derived from means is
a plain function of those means; its error is propagated linearly from the fluctuations of the columns, by the Γ method
for Markov chains and by influence functions for independent weighted draws.
"""
