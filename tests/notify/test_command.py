"""Notices for programs: a command gets JSON on stdin and never a shell; its failing and its slowness are told."""

import json
import os
import stat
import time

import pytest

from tests.notify.making import SHELL, notice
from trailscan.notify.command import Command, Stdout
from trailscan.notify.notifier import NotSent


@pytest.fixture
def script(tmp_path):
    """A command made of a shell script's text."""

    def make(body, arguments="", **more):
        path = tmp_path / "notify.sh"
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return Command("exec:x", f"{path} {arguments}", **more)

    return make


def test_a_command_gets_the_notice_as_json_and_its_arguments_as_they_are(script, tmp_path):
    script(f'cat > {tmp_path}/in; printf %s "$1" > {tmp_path}/argument', "'$(touch pwned); *'").send(notice())
    assert json.loads((tmp_path / "in").read_text())["detail"] == SHELL
    assert (tmp_path / "argument").read_text() == "$(touch pwned); *"


def test_a_command_that_reads_nothing_and_says_much_is_fine(script, capfd):
    script("echo said on stdout; exit 0").send(notice())
    assert capfd.readouterr().out == ""


def test_a_command_that_fails_is_quoted_safely(script):
    with pytest.raises(NotSent, match=r"^it ended with exit code 3: no \\x1b\[31mluck$"):
        script("printf 'no \\033[31mluck\\n' >&2; exit 3").send(notice())


def test_a_command_that_takes_too_long_is_ended_with_all_that_it_started(script, tmp_path):
    started = time.monotonic()
    with pytest.raises(NotSent, match=r"did not end within 0\.3 s"):
        script(f"sleep 30 & echo $! > {tmp_path}/child; wait", patience=0.3).send(notice())
    assert time.monotonic() - started < 5
    child = int((tmp_path / "child").read_text())
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline and _runs(child):
        time.sleep(0.02)
    assert not _runs(child)


def test_a_command_that_went_away_is_told(script, tmp_path):
    command = script("exit 0")
    (tmp_path / "notify.sh").unlink()
    with pytest.raises(NotSent, match="cannot be started"):
        command.send(notice())


def test_stdout_gets_a_line_of_json(capsys):
    Stdout().send(notice())
    Stdout().send(notice())
    lines = capsys.readouterr().out.splitlines()
    assert [json.loads(line)["detail"] for line in lines] == [SHELL, SHELL]


def _runs(process):
    """Whether a process runs; one that only waits to be buried does not."""
    try:
        os.kill(process, 0)
        with open(f"/proc/{process}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False
