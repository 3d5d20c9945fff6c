"""A check of published rules: where TRAILSCAN_SIGMA_RULES names a folder of them, all for CloudTrail compile and run."""

import os
import sys
from pathlib import Path

import pytest

from tests.detect.sigma.asking import database
from tests.fixtures.invented import start
from trailscan.detect.rule import Uncompiled
from trailscan.detect.sigma.compiling import compile_sigma

FOLDER = os.environ.get("TRAILSCAN_SIGMA_RULES")


@pytest.mark.skipif(FOLDER is None, reason="TRAILSCAN_SIGMA_RULES names no folder of Sigma rules")
def test_all_published_rules_for_cloudtrail_compile_and_run(capsys):
    texts = {path: path.read_bytes() for path in sorted(Path(FOLDER).rglob("*.yml"))}
    ours = {path: text for path, text in texts.items() if b"service: cloudtrail" in text}
    found = [each for path, text in ours.items() for each in compile_sigma(text, str(path))]
    wrong = [each for each in found if isinstance(each, Uncompiled)]
    connection = database([start("start", "ana-1")])
    hits = sum(len(list(each.hits(connection))) for each in found if not isinstance(each, Uncompiled))
    with capsys.disabled():
        ran = f"{len(found) - len(wrong)} of {len(found)} rules for CloudTrail compiled and ran"
        sys.stdout.write(f"\n{ran}, out of {len(texts)} files; {hits} hits\n")
        sys.stdout.writelines(f"{each.path}: {each.reason}\n" for each in wrong)
    assert found
    assert not wrong
