"""Runs in the AWS command line's own Python: argument lists come as JSON on stdin, [{code, out, err}] goes to stdout.

One process for all, since it takes a second to start.
"""

import contextlib
import importlib
import io
import json
import sys


def main() -> None:
    """Run them all."""
    create_clidriver = importlib.import_module("awscli.clidriver").create_clidriver
    answers = []
    for arguments in json.load(sys.stdin):
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = create_clidriver().main(arguments)
        answers.append({"code": code, "out": out.getvalue(), "err": err.getvalue()})
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    main()
