"""What every Python program of the client matrix shares: cases, the lines they report, and expectations.

A case is a function marked with `@case`; its name is the function's. `run` calls them in the order of their
definition and prints one line for each, fields separated by tabs:

    client  NAME  VERSION
    ok      CASE
    failed  CASE  REASON

The server is named by the environment variables of libpq (PGHOST, PGPORT, PGUSER, PGDATABASE).
"""

import contextlib
import os
import sys
import traceback

HOST = os.environ["PGHOST"]
PORT = int(os.environ["PGPORT"])
USER = os.environ["PGUSER"]
DATABASE = os.environ["PGDATABASE"]

CASES = []


def case(function):
    """Adds a function to the cases of the program."""
    CASES.append(function)
    return function


def equal(found, expected):
    """Fails unless both are equal in value and in type."""
    if found != expected or type(found) is not type(expected):
        raise AssertionError(f"expected {expected!r}, found {found!r}")


@contextlib.contextmanager
def raises(exception, sqlstate, code_of):
    """Fails unless the block raises `exception` for which `code_of` returns `sqlstate`; yields a list holding it."""
    caught = []
    try:
        yield caught
    except exception as error:
        if code_of(error) != sqlstate:
            raise AssertionError(f"expected SQLSTATE {sqlstate}, found {code_of(error)}: {error}") from error
        caught.append(error)
        return
    raise AssertionError(f"expected SQLSTATE {sqlstate}, found no error")


def outcome(function):
    """Runs one case and returns the fields of its line."""
    try:
        function()
    except Exception as error:  # whatever ends a case is its reason
        program = os.path.abspath(sys.argv[0])
        frames = traceback.extract_tb(error.__traceback__)
        line = [frame.lineno for frame in frames if frame.filename == program][-1]
        reason = " ".join(f"line {line}: {type(error).__name__}: {error}".split())
        return ["failed", function.__name__, reason]
    return ["ok", function.__name__]


def run(client, version):
    """Runs all cases; ends the program with 1 if one failed."""
    print("client", client, version, sep="\t", flush=True)
    failed = False
    for function in CASES:
        fields = outcome(function)
        failed |= fields[0] == "failed"
        print(*fields, sep="\t", flush=True)
    sys.exit(1 if failed else 0)
