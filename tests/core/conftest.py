"""How many examples hypothesis tries: HYPOTHESIS_PROFILE=deep tries fifty times as many, at random."""

import os

from hypothesis import HealthCheck, settings

SLOW_IS_NO_FAILURE = [HealthCheck.too_slow]

# Reproducible by default: a run that fails by chance teaches people to press the button again.
settings.register_profile(
    "quick",
    max_examples=40,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=SLOW_IS_NO_FAILURE,
)
settings.register_profile(
    "deep", max_examples=2000, deadline=None, database=None, suppress_health_check=SLOW_IS_NO_FAILURE
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))
