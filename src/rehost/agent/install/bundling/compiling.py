"""Runs in a fresh interpreter: compiles the sources that standard input lists, each to a given file.

Input: JSON, a list of [source, name to show in tracebacks, target, optimisation]. A fresh interpreter, and
one order, make the same bytes each time; marshal's output depends on what else is alive.
"""

import json
import py_compile
import sys

for source, shown, target, optimize in json.load(sys.stdin):
    py_compile.compile(
        source,
        target,
        shown,
        doraise=True,
        optimize=optimize,
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
    )
