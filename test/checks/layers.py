#!/usr/bin/env python3
"""Includes point down only, and each outside library stays in its place.

Both rules are read from ARCHITECTURE.md: the block ```layers has a line `folder: folders it may
include`, the block ```libraries has lines `start of a header's path: paths that may include it`.
A file belongs to the longest folder that it lies in. Tests may use any library.
"""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
INCLUDE = re.compile(r'\s*#\s*include\s*(["<])([^">]+)[">]')


def main():
    layers, libraries = block("layers"), block("libraries")
    wrong = []
    for path in sources():
        for number, kind, header in includes(path):
            fault = own(path, header, layers) if kind == '"' else library(path, header, libraries)
            if fault:
                wrong.append(f"{path}:{number}: {fault}")
    print("\n".join(wrong) or "every include points down")
    return 1 if wrong else 0


def block(name):
    text = (ROOT / "ARCHITECTURE.md").read_text()
    found = re.search(rf"^```{name}\n(.*?)^```", text, re.M | re.S)
    if not found:
        sys.exit(f"ARCHITECTURE.md: no block ```{name}")
    rows = (line.split(":", 1) for line in found[1].splitlines() if line.strip())
    return {key.strip(): value.split() for key, value in rows}


def sources():
    for path in sorted(ROOT.rglob("*.[ch]")):
        path = path.relative_to(ROOT)
        if path.parts[0] != "build":
            yield path.as_posix()


def includes(path):
    for number, line in enumerate((ROOT / path).read_text().splitlines(), 1):
        found = INCLUDE.match(line)
        if found:
            yield number, *found.groups()


def own(path, header, layers):
    if not (ROOT / header).is_file():
        return f'"{header}" is no file (paths start at the project\'s folder)'
    source, target = folder(path, layers), folder(header, layers)
    if not source or not target:
        return f"{path if not source else header} is in no folder of ARCHITECTURE.md's layers"
    if source != target and target not in layers[source] and "*" not in layers[source]:
        return f'{source}/ may not include {target}/ ("{header}")'
    return None


def folder(path, layers):
    inside = [name for name in layers if path.startswith(name + "/")]
    return max(inside, key=len, default=None)


def library(path, header, libraries):
    places = [place for start in libraries if header.startswith(start) for place in libraries[start]]
    if places and not path.startswith(("test/", *places)):
        return f"<{header}> belongs in {' or '.join(places)} only"
    return None


sys.exit(main())
