import subprocess
import sys

MODULES = "estimates, propagation, gamma, weights, runs, correlators"


def test_importing_the_room_imports_neither_jax_nor_pyerrors():
    code = (
        f"from latflow.stats import {MODULES}; import sys; "
        "print([name for name in ('jax', 'equinox', 'pyerrors', 'matplotlib') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_using_pyerrors_changes_nothing_global():
    code = (
        "import numpy as np; from latflow.stats.gamma import gamma_estimate; before = np.get_printoptions(); "
        "gamma_estimate(np.random.default_rng(0).normal(size=(2, 50))); import sys; "
        "print('pyerrors' in sys.modules, np.get_printoptions() == before)"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True True"
