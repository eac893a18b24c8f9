"""The configuration of a study, in plain data: importable without jax."""

from latflow.study.config.study import StudyConfig as StudyConfig
from latflow.study.config.study import load_study as load_study
