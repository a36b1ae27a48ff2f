# tests/sinks/check_schema.py SCHEMA [some] - validates JSON lines from standard input, then damages each one and expects a complaint;
# without `some` every kind must be among them.
import copy
import json
import sys

import jsonschema

schema = json.load(open(sys.argv[1], encoding="utf-8"))
jsonschema.Draft202012Validator.check_schema(schema)
validator = jsonschema.Draft202012Validator(schema)


def refuse_constant(name):
    raise ValueError("not JSON: " + name)


lines = sys.stdin.buffer.read().decode("utf-8").splitlines()
kinds = set()
failed = 0


def complain(what, line):
    global failed
    failed += 1
    print(what + ": " + line[:300])


for line in lines:
    event = json.loads(line, parse_constant=refuse_constant)
    kinds.add(event["kind"])
    for error in validator.iter_errors(event):
        complain("%s: %s" % (event["kind"], error.message[:300]), line)
    for key in list(event):
        damaged = copy.deepcopy(event)
        del damaged[key]
        if key != "cut" and validator.is_valid(damaged):
            complain("valid without " + key, line)
        damaged = copy.deepcopy(event)
        damaged[key] = {"not": "this"}
        if validator.is_valid(damaged):
            complain("valid with a wrong " + key, line)
    damaged = dict(event, surprise=1)
    if validator.is_valid(damaged):
        complain("valid with an unknown field", line)

wanted = {branch["title"] for branch in schema["oneOf"]}
if kinds != wanted and sys.argv[2:] != ["some"]:
    failed += 1
    print("kinds written: %s, in the schema: %s" % (sorted(kinds), sorted(wanted)))
print("%d events of %d kinds, %d complaints" % (len(lines), len(kinds), failed))
sys.exit(1 if failed or not lines else 0)
