"""Checks workflows against the generated schema: check_schema.py SCHEMA EXAMPLE VECTORS.

Exits with 77 when the module jsonschema is not installed.
"""
import json
import sys

try:
    import jsonschema
except ImportError:
    sys.exit(77)


def load(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def main():
    schema, example, vectors = (load(path) for path in sys.argv[1:4])
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    validator.validate(example)
    for case in vectors:
        validator.validate(json.loads(case["output"]))
    wrong = [
        {},
        {"format": "nndeploy/2"},
        {"format": "nndeploy/1", "nodes": [{"id": "1", "type": "a.b"}]},
        {"format": "nndeploy/1", "nodes": [{"id": "a"}]},
        {"format": "nndeploy/1", "edges": [{"from": ["a"], "to": ["b", "c"]}]},
        {"format": "nndeploy/1", "nodes": [{"id": "a", "type": "test.filter", "params": {"width": 0}}]},
        {"format": "nndeploy/1", "nodes": [{"id": "a", "type": "test.filter@1", "params": {"widht": 1}}]},
        {"format": "nndeploy/1", "nodes": [{"id": "a", "type": "test.filter", "params": {"key": "clear"}}]},
    ]
    for document in wrong:
        if validator.is_valid(document):
            sys.exit(f"the schema accepts {document}")


main()
