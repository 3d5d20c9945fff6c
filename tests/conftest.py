"""Hypothesis profiles, chosen by HYPOTHESIS_PROFILE (slow machines make neither fail), and a place without a network."""

import os
import shutil
import subprocess

import pytest
from hypothesis import HealthCheck, settings

from tests.support.served import archive, buckets, served, standin  # noqa: F401 - fixtures of several rooms

settings.register_profile("default", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("default"), derandomize=True, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))

NETWORKLESS = (["unshare", "--map-root-user", "--net"], ["unshare", "--net"])


@pytest.fixture(scope="session")
def no_network():
    """The command that runs another one where there is no network interface."""
    for prefix in NETWORKLESS:
        if shutil.which(prefix[0]) and subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode == 0:
            return prefix
    pytest.skip("this machine does not permit `unshare --net`")
