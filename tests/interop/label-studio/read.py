"""Holds an exported queue against Label Studio's own SDK, annotates it, and exports it with its own converter.

Arguments: folder with tasks.json and config.xml, folder for the results. Every task is annotated in turn with keep,
drop and a skip. Prints one JSON line a task: its item and what was chosen. Writes `export.json`, what Label Studio
exports as JSON, and `min/result.json`, what its converter makes of that as JSON-MIN.
"""

import json
import sys
from pathlib import Path

from label_studio_sdk.converter import Converter
from label_studio_sdk.label_interface import LabelInterface

CHOICES = ("keep", "drop", "skip")


def annotation(number: int, choice: str) -> dict[str, object]:
    tags = {"to_name": "conversation", "origin": "manual"}
    verdict = {"id": "v", "from_name": "verdict", "type": "choices", "value": {"choices": [choice]}, **tags}
    note = {"id": "n", "from_name": "note", "type": "textarea", "value": {"text": [f"note {number}"]}, **tags}
    cancelled = choice == "skip"
    return {
        "id": number,
        "completed_by": {"id": 7, "email": "ann@example.org", "first_name": "", "last_name": ""},
        "result": [] if cancelled else [verdict, note],
        "was_cancelled": cancelled,
        "ground_truth": False,
        "created_at": "2026-01-02T03:04:05.678901Z",
        "updated_at": "2026-01-02T03:04:06.678901Z",
        "lead_time": 1.5,
    }


def main(folder: Path, out: Path) -> None:
    config = (folder / "config.xml").read_text()
    interface = LabelInterface(config)
    interface.validate()
    assert not interface.validate_annotation(annotation(0, "maybe")), "the check accepts anything"
    tasks = json.loads((folder / "tasks.json").read_text())
    done = []
    for number, task in enumerate(tasks, start=1):
        assert interface.validate_task(task), task["data"]["key"]
        choice = CHOICES[number % 3]
        made = annotation(number, choice)
        assert made["was_cancelled"] or interface.validate_annotation(made), number
        done.append({"id": number, "annotations": [made], "drafts": [], "predictions": [], "meta": {}, **task})
        print(json.dumps({"item": task["data"]["item"], "choice": choice}))
    out.mkdir(parents=True)
    (out / "export.json").write_text(json.dumps(done))
    converter = Converter(config, project_dir=None, download_resources=False)
    converter.convert_to_json_min(str(out / "export.json"), str(out / "min"), is_dir=False)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
