#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""
Holds lines of "wqmon --json" against its schema.

Usage: check_lines.py SCHEMA < LINES

Members that the schema does not have are wrong here, though other programs are to
pass over them.  Exits with 0 if all is well and there is at least one line, with 4 if
there is no jsonschema for Python, else with 1.
"""

import json
import sys

try:
    from jsonschema import Draft202012Validator
except ImportError:
    print("there is no jsonschema for Python (Debian: python3-jsonschema)")
    sys.exit(4)


def problems(validator, line):
    """What is wrong with a line."""
    try:
        value = json.loads(line)
    except ValueError as error:
        return [f"no JSON: {error}"]
    return [error.message for error in validator.iter_errors(value)]


def main():
    """Checks all lines and prints those that do not fit."""
    if len(sys.argv) != 2:
        print(__doc__.strip())
        return 2
    with open(sys.argv[1], encoding="utf-8") as file:
        schema = json.load(file)
    Draft202012Validator.check_schema(schema)
    schema["unevaluatedProperties"] = False
    validator = Draft202012Validator(schema)

    lines = bad = 0
    # A byte that is not UTF-8 is wrong, too.
    for line in sys.stdin.buffer.read().decode("utf-8").splitlines():
        lines += 1
        for problem in problems(validator, line):
            bad += 1
            print(f"{line}\n    {problem}")
    if not lines:
        print("there are no lines")
    return 1 if bad or not lines else 0


if __name__ == "__main__":
    sys.exit(main())
