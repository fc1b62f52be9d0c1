"""Fifty answers, written the way each format is made to be filled in, come back as the same fifty verdicts."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from mixture_store import build_small
from test_review_scores import again, verdicts

from flows.deciding import decide
from flows.mixes import Mix
from flows.review_import import Imported, import_answers
from flows.review_scores import journal
from flows.reviewing import export_queue
from review.export import Format
from review.folder import ANSWERS_FORMAT
from shards.errors import UsageError

RULES: list[dict[str, object]] = [{"name": "doubt", "when": "answer_chars < 200", "then": "review"}]
FIFTY = 50

Fill = Callable[[Path, list[str]], Path]


@pytest.fixture
def mix(tmp_path: Path) -> Mix:
    return build_small(tmp_path, least=20, rules=RULES)


def fill_csv(folder: Path, choices: list[str]) -> Path:
    with (folder / "queue.csv").open(encoding="utf-8-sig", newline="") as handle:
        rows = list(csv.DictReader(handle))
    for row, choice in zip(rows, choices, strict=False):
        row.update(verdict=choice, reviewer="ann", note=f"said {choice}")
    with (folder / "queue.csv").open("w", encoding="utf-8-sig", newline="") as handle:
        writer = csv.DictWriter(handle, list(rows[0]), delimiter=";")  # as a spreadsheet program in Berlin does
        writer.writeheader()
        writer.writerows(rows)
    return folder / "queue.csv"


def fill_jsonl(folder: Path, choices: list[str]) -> Path:
    lines = [json.loads(line) for line in (folder / "queue.jsonl").read_text().splitlines()]
    for line, choice in zip(lines, choices, strict=False):
        line.update(verdict=choice, reviewer="ann", note=f"said {choice}")
    (folder / "queue.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return folder / "queue.jsonl"


def fill_parquet(folder: Path, choices: list[str]) -> Path:
    frame = pl.read_parquet(folder / "queue.parquet")
    padded = pl.Series("verdict", [*choices, *[""] * (frame.height - len(choices))])
    said = (padded != "").to_list()
    frame = frame.with_columns(
        padded,
        pl.Series("reviewer", ["ann" if one else "" for one in said]),
        pl.Series("note", [f"said {choice}" if choice else "" for choice in padded]),
    )
    frame.write_parquet(folder / "queue.parquet")
    return folder / "queue.parquet"


def label_studio(task: dict[str, Any], number: int, choice: str) -> dict[str, Any]:
    """A task as Label Studio 1.x exports it as JSON."""
    result = [
        {"from_name": "verdict", "to_name": "conversation", "type": "choices", "value": {"choices": [choice]}},
        {"from_name": "note", "to_name": "conversation", "type": "textarea", "value": {"text": [f"said {choice}"]}},
    ]
    annotation = {
        "id": 1000 + number,
        "completed_by": {"id": 1, "email": "ann"},
        "result": result if choice != "skip" else [],
        "was_cancelled": choice == "skip",
        "created_at": "2026-01-02T03:04:05.678901Z",
        "updated_at": f"2026-01-02T03:{number % 60:02}:05.678901Z",
    }
    return {"id": number, "annotations": [annotation], "drafts": [], "predictions": [], **task}


def fill_label_studio(folder: Path, choices: list[str]) -> Path:
    tasks = json.loads((folder / "tasks.json").read_text())
    path = folder / "project-1.json"
    done = [
        label_studio(task, number, choice) for number, (task, choice) in enumerate(zip(tasks, choices, strict=False))
    ]
    path.write_text(json.dumps(done))
    return path


def fill_label_studio_min(folder: Path, choices: list[str]) -> Path:
    tasks = json.loads((folder / "tasks.json").read_text())
    done = [
        {**task["data"], "id": number, "verdict": choice, "note": f"said {choice}", "annotator": "ann"}
        for number, (task, choice) in enumerate(zip(tasks, choices, strict=False))
    ]
    path = folder / "project-1-min.json"
    path.write_text(json.dumps(done))
    return path


def fill_html(folder: Path, choices: list[str]) -> Path:
    """What the page saves; that the page does so is shown in a browser, see tests/review/test_folder_page.py."""
    items = []
    for script in sorted((folder / "items").glob("*.js")):
        items += json.loads(script.read_text().partition(", ")[2].rstrip().removesuffix(");"))
    answers = [
        {**{name: item[name] for name in ("id", "entry", "key", "seen")}, "verdict": choice, "reviewer": "ann"}
        | {"note": f"said {choice}", "at": "2026-01-02T03:04:05.678Z", "place": 0}
        for item, choice in zip(items, choices, strict=False)
    ]
    path = folder / "answers.json"
    path.write_text(json.dumps({"format": ANSWERS_FORMAT, "version": 1, "queue": "q", "answers": answers}))
    return path


def fill_plain(folder: Path, choices: list[str]) -> Path:
    with (folder / "queue.csv").open(encoding="utf-8-sig", newline="") as handle:
        keys = [row["key"] for row in csv.DictReader(handle)]
    lines = [f"{key},{choice.upper()},ann,said {choice}" for key, choice in zip(keys, choices, strict=False)]
    path = folder / "plain.csv"
    path.write_text("\n".join(["key,verdict,reviewer,note", *lines]))
    return path


FORMATS: list[tuple[Format, Fill, bool]] = [
    ("csv", fill_csv, True),
    ("jsonl", fill_jsonl, True),
    ("parquet", fill_parquet, True),
    ("label-studio", fill_label_studio, True),
    ("label-studio", fill_label_studio_min, True),
    ("html", fill_html, True),
    ("csv", fill_plain, False),
]
"""Format, how it is filled in, and whether it remembers what the person saw."""


def filled(mix: Mix, to: Format, fill: Fill, choices: list[str]) -> Path:
    out = mix.store.root.parent / f"out-{to}-{fill.__name__}"
    done = export_queue(mix.store, "small", to=to, out=out)
    assert done.items >= FIFTY
    return fill(out, choices)


@pytest.mark.parametrize(("to", "fill", "_remembers"), FORMATS)
def test_fifty_answers_come_back_as_fifty_verdicts(mix: Mix, to: Format, fill: Fill, _remembers: bool) -> None:
    choices = ["keep", "drop", "drop", "skip", "keep"] * 10
    path = filled(mix, to, fill, choices)
    found = import_answers(mix.store, path)
    assert (found.new, found.keep, found.drop, found.skip, found.refused) == (FIFTY, 20, 20, 10, [])
    written = journal(mix.store).read()
    assert {(answer.reviewer, answer.note, answer.choice) for answer in written} == {
        ("ann", f"said {choice}" if choice != "skip" or to != "label-studio" or "min" in path.name else "", choice)
        for choice in choices
    }
    before = mix.manifest.totals
    counted = decide(str(mix.store.root.parent / "raw" / "small.yaml"), mix.store, ()).stages[0].after
    assert (counted.keep, counted.drop, counted.review) == (before.keep + 20, before.drop + 20, before.review - 40)
    made = verdicts(again(mix))
    assert {answer.key: made[answer.key][0] for answer in written} == {
        answer.key: {"skip": "review"}.get(answer.choice, answer.choice) for answer in written
    }


@pytest.mark.parametrize(("to", "fill", "_remembers"), FORMATS)
def test_the_same_file_twice_writes_nothing(mix: Mix, to: Format, fill: Fill, _remembers: bool) -> None:
    path = filled(mix, to, fill, ["keep", "drop"] * 25)
    import_answers(mix.store, path)
    content = journal(mix.store).path.read_bytes()
    second = import_answers(mix.store, path)
    assert (second.new, second.known) == (0, FIFTY)
    assert journal(mix.store).path.read_bytes() == content


@pytest.mark.parametrize(("to", "fill", "remembers"), FORMATS)
def test_a_row_that_changed_since_is_refused(mix: Mix, to: Format, fill: Fill, remembers: bool) -> None:
    choices = ["keep"] * FIFTY
    path = filled(mix, to, fill, choices)
    raw = mix.store.root.parent / "raw" / "rows.jsonl"
    key = pl.Series(answer.key for answer in [*_first(mix, path)])[0]
    row = int(key.rsplit("/", 1)[1])
    lines = raw.read_text().splitlines()
    lines[row] = json.dumps(json.loads(lines[row]) | {"q": "another question"})
    raw.write_text("\n".join(lines) + "\n")
    again(mix)
    found = import_answers(mix.store, path)
    if not remembers:
        assert found.new == FIFTY
    else:
        assert (found.new, [each.row.split(",")[0].rstrip("0123456789") for each in found.refused]) == (
            0,
            [{"html": "answer "}.get(to, "task " if to == "label-studio" else "line " if to == "jsonl" else "row ")],
        )
        assert key in found.refused[0].message and "export it again" in found.refused[0].message
        assert not journal(mix.store).path.is_file()


def _first(mix: Mix, path: Path) -> Any:
    from review.given import read_given

    return read_given(path).given


def write(folder: Path, *lines: str, head: str = "key,entry,verdict,reviewer,note,at") -> Path:
    path = folder / "given.csv"
    path.write_text("\n".join([head, *lines]) + "\n")
    return path


def some(mix: Mix) -> list[str]:
    return mix.decisions.filter(pl.col("verdict") == "review")["key"].to_list()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("nobody/train/1,,keep,ann", "no mixture of this store holds the key `nobody/train/1`; correct it"),
        ("KEY,,maybe,ann", "verdict `maybe`: expected `keep`, `drop` or `skip`"),
        ("KEY,other,keep,ann", "entry `other` does not hold"),
        (",,keep,ann", "no key"),
        (f"KEY,,keep,{'x' * 81}", "at most 80 characters"),
        ("KEY,,keep,ann,,yesterday", "time `yesterday`: expected one such as"),
        ("FIRST,,drop,ann", "row 2 says `keep` of the same sample by the same person"),
    ],
)
def test_every_refused_row_is_named_and_nothing_is_imported(mix: Mix, tmp_path: Path, line: str, words: str) -> None:
    first, second = some(mix)[:2]
    path = write(tmp_path, f"{first},,keep,ann", line.replace("KEY", second).replace("FIRST", first))
    found = import_answers(mix.store, path)
    assert (found.new, len(found.refused)) == (0, 1)
    assert found.refused[0].row == "row 3" and words in found.refused[0].message
    assert not journal(mix.store).path.is_file()


def test_an_id_that_belongs_to_another_key_is_refused(mix: Mix, tmp_path: Path) -> None:
    path = filled(mix, "csv", fill_csv, ["keep", "keep"])
    first, second = (found.key for found in _first(mix, path))
    path.write_text(path.read_text(encoding="utf-8-sig").replace(first, second, 1))
    assert any("is not that of" in each.message for each in import_answers(mix.store, path).refused)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.txt", b"x", "expected a name that ends in .csv"),
        ("a.csv", b"key,word\n", "no column `verdict`; found key, word"),
        ("a.csv", b"key,verdict,note\nk,keep,\xe4\n", "save it as `CSV UTF-8`"),
        ("a.csv", b'key,verdict\nk,"keep\n', "no CSV file"),
        ("a.jsonl", b"{\n", "line 1: not JSON"),
        ("a.jsonl", b"[]\n", "expected an object"),
        ("a.parquet", b"PAR", "no Parquet file"),
        ("a.json", b"{}", "expected answers.json"),
        ("a.json", b"nothing", "not JSON"),
    ],
)
def test_a_file_that_is_not_understood(mix: Mix, tmp_path: Path, name: str, content: bytes, words: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UsageError, match=words):
        import_answers(mix.store, tmp_path / name)
    with pytest.raises(UsageError, match="no file"):
        import_answers(mix.store, tmp_path / f"no{name}")


def test_what_was_said_later_stays(mix: Mix, tmp_path: Path) -> None:
    key = some(mix)[0]

    def said(line: str) -> Imported:
        return import_answers(mix.store, write(tmp_path, f"{key},,{line}"), reviewer="bob")

    assert said("keep,ann,,2026-01-02T00:00:00Z").new == 1
    assert said("drop,ann,,2026-01-01T00:00:00+00:00").older == 1
    assert said("keep,ann,,2026-01-05").known == 1  # the same word again
    assert said("drop,ann,,2026-01-06").new == 1
    assert said("keep").new == 1
    assert [(answer.reviewer, answer.choice) for answer in journal(mix.store).read()] == [
        ("ann", "keep"),
        ("ann", "drop"),
        ("bob", "keep"),
    ]


def test_an_old_file_that_was_imported_before_turns_nothing_back(mix: Mix, tmp_path: Path) -> None:
    key = some(mix)[0]
    for choice, new in (("keep", 1), ("drop", 1), ("keep", 0)):
        assert import_answers(mix.store, write(tmp_path, f"{key},,{choice}")).new == new
    assert verdicts(again(mix))[key][0] == "drop"


def test_a_verdict_may_settle_a_conflict(mix: Mix, tmp_path: Path) -> None:
    key = some(mix)[0]
    import_answers(mix.store, write(tmp_path, f"{key},,keep,ann", f"{key},,drop,bob"))
    assert verdicts(again(mix))[key] == ("review", "human_conflict")
    import_answers(mix.store, write(tmp_path, f"{key},,drop,eve"), settles=True)
    assert verdicts(again(mix))[key] == ("drop", "human_drop")
