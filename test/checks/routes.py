#!/usr/bin/env python3
"""manager/API.md is whole: it has each route of the program with its role, no other one, and names each field that a
body may have."""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
ROUTE = re.compile(r'\{"([A-Z]+)", "([^"]+)", ROLE_([A-Z]+),')
FIELD = re.compile(r'\.name = "([a-z_]+)", \.type = FIELD_')
ROW = re.compile(r"^\| `([A-Z]+) (/[^`]+)` \| ([a-z]+) \|(.*)\|$", re.MULTILINE)
NAMES = re.compile(r"(?<=/)[A-Z][A-Z@]*(?=/|$)")


def main():
    page = (ROOT / "manager/API.md").read_text()
    source = (ROOT / "manager/api.c").read_text()
    has = {f"{method} {path}": role.lower() for method, path, role in ROUTE.findall(source)}
    says = {f"{method} {NAMES.sub('*', path)}": role for method, path, role, _ in ROW.findall(page)}
    wrong = [f"{route} ({role}) is missing" for route, role in has.items() if route not in says]
    wrong += [f"{route}: there is no such route" for route in says if route not in has]
    wrong += [f"{route}: it takes {has[route]}" for route in says if has.get(route, says[route]) != says[route]]
    wrong += [f"the field `{field}` is in no row" for field in fields() if f"`{field}`" not in page]
    print("\n".join(f"manager/API.md: {fault}" for fault in wrong) or f"all {len(has)} routes are told")
    return 1 if wrong else 0


def fields():
    found = set()
    for path in (ROOT / "manager").glob("api_*.c"):
        found.update(FIELD.findall(path.read_text()))
    return sorted(found)


sys.exit(main())
