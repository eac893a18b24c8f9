"""The laws, shipped with the package: certify your own space, action, bijection, flow or kernel.

A law is a function that takes a key and the object under test and returns a `LawResult`: the deviation found, the
limit, and whether it passed. The package's own tests run them over a catalogue of everything it contains, and
`latflow selfcheck STUDY` runs them on a study.

```python
from latflow import testing
for result in testing.action_laws(jax.random.key(0), my_action):
    print(result.line())
```
"""

from latflow.testing.actions import ACTION_LAWS as ACTION_LAWS
from latflow.testing.actions import LOCAL_ACTION_LAWS as LOCAL_ACTION_LAWS
from latflow.testing.actions import action_laws as action_laws
from latflow.testing.actions import agrees_with as agrees_with
from latflow.testing.actions import invariant_under as invariant_under
from latflow.testing.bijections import BIJECTION_LAWS as BIJECTION_LAWS
from latflow.testing.bijections import bijection_laws as bijection_laws
from latflow.testing.bijections import equivariant_under as equivariant_under
from latflow.testing.bijections import scrambled as scrambled
from latflow.testing.bijections import spread_fields as spread_fields
from latflow.testing.distributions import density_is_normalised as density_is_normalised
from latflow.testing.distributions import log_prob_is_sampled as log_prob_is_sampled
from latflow.testing.distributions import uniform_numbers_give_the_density as uniform_numbers_give_the_density
from latflow.testing.distributions import weight_is_density_ratio as weight_is_density_ratio
from latflow.testing.distributions import weights_average_to_z as weights_average_to_z
from latflow.testing.finite import acceptance_probability as acceptance_probability
from latflow.testing.finite import detailed_balance as detailed_balance
from latflow.testing.finite import stationarity as stationarity
from latflow.testing.finite import transition_matrix as transition_matrix
from latflow.testing.invariance import invariant_in_one_step as invariant_in_one_step
from latflow.testing.kernels import HMC_LAWS as HMC_LAWS
from latflow.testing.kernels import energy_average_is_one as energy_average_is_one
from latflow.testing.kernels import energy_error_has_order as energy_error_has_order
from latflow.testing.kernels import reproduces_exactly as reproduces_exactly
from latflow.testing.link_flows import link_flow_laws as link_flow_laws
from latflow.testing.links import LINK_ACTION_LAWS as LINK_ACTION_LAWS
from latflow.testing.observables import observables_invariant_under as observables_invariant_under
from latflow.testing.result import LawResult as LawResult
from latflow.testing.spaces import SPACE_LAWS as SPACE_LAWS
from latflow.testing.spaces import space_laws as space_laws
from latflow.testing.stein import divergence_is_trace as divergence_is_trace
from latflow.testing.stein import stein_averages_vanish as stein_averages_vanish
from latflow.testing.study import selfcheck as selfcheck
from latflow.testing.study import selfchecks as selfchecks
