"""Generated files: the schema accepts what the loader does; the table has a line for each key."""

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from basins.study.generated import SECTIONS, generate, json_schema, key_table
from basins.study.keys import Strict

ROOT = Path(__file__).parents[3]
STUDIES = sorted((ROOT / "config").glob("*.yaml"))


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_schema_accepts_the_study_files(path):
    jsonschema.validate(yaml.safe_load(path.read_text()), json_schema())


@pytest.mark.parametrize(
    "change",
    [
        {"modles": []},
        {"seeds": 0},
        {"seeds": []},
        {"seeds": "many"},
        {"study": "A"},
        {"threads": 0},
    ],
    ids=str,
)
def test_schema_refuses_what_the_loader_refuses(change):
    mapping = yaml.safe_load((ROOT / "config/demo.yaml").read_text()) | change
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(mapping, json_schema())


def test_every_key_is_described_and_has_its_line():
    table = key_table()
    for _, record, prefix in SECTIONS:
        for key, field in record.model_fields.items():
            assert field.description
            assert table.count(f"| `{prefix}{key}` |") == 1


def test_generate_writes_both_files(tmp_path):
    generate(tmp_path)
    written = json.loads((tmp_path / "workflow/schemas/study.schema.json").read_text())
    assert written == json_schema()
    assert (tmp_path / "config/README.md").read_text() == key_table()


def test_every_record_of_the_schema_has_its_table():
    assert {record for _, record, _ in SECTIONS} == set(Strict.__subclasses__())
