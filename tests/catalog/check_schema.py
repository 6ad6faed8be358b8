"""The schema of catalogues says what the reader says: our own catalogue and the good example pass,
every example that the reader refuses fails. Exit 77 (skipped) without python3-jsonschema.
    check_schema.py TEST_CATALOG_PARSE SOURCE_FOLDER"""
import json
import pathlib
import subprocess
import sys
import tempfile

try:
    import jsonschema
except ImportError:
    print("skipped: python3-jsonschema is not installed")
    sys.exit(77)

# What a schema cannot say: rules between several places of a document.
BETWEEN = ("two different files", "two ports", "as many elements")

program, source = sys.argv[1], pathlib.Path(sys.argv[2])
schema = json.loads((source / "docs/schema/catalog.schema.json").read_text())
jsonschema.Draft202012Validator.check_schema(schema)
check = jsonschema.Draft202012Validator(schema)
check.validate(json.loads((source / "models/catalog.json").read_text()))

wrong = []
with tempfile.TemporaryDirectory() as folder:
    subprocess.run([program, "--write-examples", folder], check=True)
    examples = sorted(pathlib.Path(folder).glob("*.json"))
    for path in examples:
        try:
            document = json.loads(path.read_text())
        except ValueError:
            continue
        reason = path.with_suffix(".txt").read_text()
        fine = check.is_valid(document)
        if fine != (reason == "good") and not reason.startswith(BETWEEN):
            wrong.append(f"{path.name}: the schema {'accepts' if fine else 'refuses'} it ({reason})")
if wrong or len(examples) < 30:
    sys.exit("\n".join(wrong) or "there are too few examples")
print(f"{len(examples)} examples")
