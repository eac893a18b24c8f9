"""The configuration of a study, in plain data: importable without jax.

The schema is loaded on first use: a plug-in may import `latflow.study.config.method` before the table of methods asks
for the plug-in.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from latflow.study.config.study import StudyConfig as StudyConfig
    from latflow.study.config.study import load_study as load_study

_NAMES = ("StudyConfig", "load_study")


def __getattr__(name: str) -> object:
    if name not in _NAMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from latflow.study.config import study

    return getattr(study, name)
