"""Where the chains of a sampler began: what their agreement, or disagreement, can mean depends on it."""

from latflow.results import Results

_MANY = ("mixed", "hot")


def of_one_configuration(results: Results, sampler: str) -> bool:
    """Whether all chains of a sampler began in one configuration, read from a file, or near the cold one."""
    start = results.samplers.get(sampler, {}).get("start")
    return start is not None and start not in _MANY


def apart(results: Results, sampler: str) -> str:
    """What chains that do not agree have failed to do, in words."""
    if sampler not in results.samplers or "start" not in results.samplers[sampler]:
        return "its chains have not come together"
    if of_one_configuration(results, sampler):
        return "chains that all began in or near one configuration have drifted to different places"
    return "chains from different starts have not come together"
