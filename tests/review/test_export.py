import csv
import hashlib
import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, get_args
from xml.etree import ElementTree

import polars as pl
import pytest

from review.export import QUEUE_FILES, Format, export
from review.item import Message, Reason, ReviewItem, ReviewPicture, item_id, picture_file, shown
from review.label_studio import PICTURE_SLOTS, configuration
from review.sheet import COLUMNS, guard, unguard
from shards.errors import ConservationError, StoreError, UsageError

FORMATS: tuple[Format, ...] = get_args(Format)

PICTURES = {hashlib.sha256(data).hexdigest(): data for data in (b"one", b"two \0\xff", b"3" * 1000)}

HOSTILE = [
    '=HYPERLINK("http://evil","x")',
    "+1+cmd|' /C calc'!A0",
    "-2+3",
    "@SUM(A1)",
    "\t=1",
    "\r\n=1",
    "'quoted",
    "\uff1d1+1",
    'a","b\r\n"c"\n\n\n',
    "]]></Text><script>alert(1)</script><!-- & &lt; $key {{x}}",
    '{"a": NaN}',
    "nul\0nul",
    "\u2028\u2029\x85\x1c\x0b",
    "\u202eright to left \U0001f600 \u4e2d\u6587",
    "",
    " ",
    "x" * 100_000,
]


def item(number: int, text: str = "text", pictures: tuple[str, ...] = ()) -> ReviewItem:
    key = f"{text[:40]}/train/{number}"
    return ReviewItem(
        id=item_id("entry", key),
        key=key,
        entry="entry",
        source="source",
        domain=text[:40],
        stage="sft",
        reasons=(Reason(rule="low_quality", predicate="quality < 7", comparisons=()),),
        unknown=(),
        scores={"loop": True, "quality": 6.25, "repetition": None},
        states={"repetition": "no_answer"},
        margin=0.107,
        messages=(Message(role="user", text=text), Message(role="assistant", text=text)),
        pictures=tuple(
            ReviewPicture(sha256=sha256, width=1, height=1, format="PNG", file=picture_file(sha256, "PNG"))
            for sha256 in pictures
        ),
        videos=(text[:40],),
        cluster=None,
    )


def hostile() -> list[ReviewItem]:
    return [item(number, text, tuple(PICTURES)[: number % 4]) for number, text in enumerate(HOSTILE)]


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as handle:
        return list(csv.DictReader(handle, strict=True))


def read_tasks(path: Path) -> list[dict[str, object]]:
    def refuse(word: str) -> object:
        raise ValueError(f"{word} is not JSON")

    tasks = json.loads(path.read_text(), parse_constant=refuse)
    assert isinstance(tasks, list)
    assert all(list(task) == ["data"] for task in tasks)
    return [task["data"] for task in tasks]


def read_facts(folder: Path) -> dict[str, Any]:
    """What the page of a folder is told of its queue."""

    class Body(HTMLParser):
        facts: dict[str, Any] = {}  # noqa: RUF012  # of one page

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            if tag == "body":
                self.facts = json.loads(dict(attrs)["data-facts"] or "")

    page = Body()
    page.feed((folder / "index.html").read_text())
    return page.facts


def read_folder(folder: Path) -> list[dict[str, Any]]:
    """Items as the page of a folder gets them."""
    found = []
    for number, name in enumerate(read_facts(folder)["files"]):
        script = (folder / "items" / f"{name}.js").read_text(encoding="ascii")
        start, end = f"vlmixItems({number}, ", ");\n"
        assert script.startswith(start) and script.endswith(end)
        assert not set("<>&\u2028") & set(script)
        found += json.loads(script.removeprefix(start).removesuffix(end))
    return found


def read_ids(path: Path) -> list[object]:
    if path.suffix == ".csv":
        return [row["id"] for row in read_csv(path)]
    if path.suffix == ".jsonl":
        return [json.loads(line)["id"] for line in path.read_text().splitlines()]
    if path.suffix == ".parquet":
        return pl.read_parquet(path)["id"].to_list()
    if path.suffix == ".html":
        return [found["id"] for found in read_folder(path.parent)]
    return [task["id"] for task in read_tasks(path)]


@pytest.mark.parametrize("to", FORMATS)
def test_every_item_comes_out_once_and_in_order(to: Format, tmp_path: Path) -> None:
    counts = export(iter(hostile()), PICTURES.__getitem__, to=to, out=tmp_path)
    path = tmp_path / QUEUE_FILES[to]
    assert read_ids(path) == [each.id for each in hostile()]
    assert counts.items == len(HOSTILE)


@pytest.mark.parametrize("to", FORMATS)
def test_pictures_are_written_once_with_their_own_bytes(to: Format, tmp_path: Path) -> None:
    asked: list[str] = []

    def read(sha256: str) -> bytes:
        asked.append(sha256)
        return PICTURES[sha256]

    counts = export(hostile(), read, to=to, out=tmp_path)
    assert sorted(asked) == sorted(PICTURES)
    assert (counts.pictures, counts.picture_bytes) == (3, sum(map(len, PICTURES.values())))
    written = {path.stem: path.read_bytes() for path in (tmp_path / "pictures").iterdir()}
    assert written == PICTURES


@pytest.mark.parametrize("to", FORMATS)
def test_same_items_same_bytes(to: Format, tmp_path: Path) -> None:
    for name in ("one", "two"):
        export(hostile(), PICTURES.__getitem__, to=to, out=tmp_path / name)
    assert tree(tmp_path / "one") == tree(tmp_path / "two")


@pytest.mark.parametrize("to", FORMATS)
def test_an_export_that_fails_leaves_no_queue(to: Format, tmp_path: Path) -> None:
    def broken() -> Iterator[ReviewItem]:
        yield from hostile()
        raise StoreError("gone")

    with pytest.raises(StoreError):
        export(broken(), PICTURES.__getitem__, to=to, out=tmp_path)
    assert {path.name for path in tmp_path.iterdir()} <= {"pictures", "items"}
    assert not list(tmp_path.rglob("*.tmp"))


@pytest.mark.parametrize("to", FORMATS)
def test_an_empty_queue_is_a_queue(to: Format, tmp_path: Path) -> None:
    counts = export([], PICTURES.__getitem__, to=to, out=tmp_path)
    assert (counts.items, counts.pictures) == (0, 0)
    path = tmp_path / QUEUE_FILES[to]
    assert read_ids(path) == []
    expected = {"csv": ",".join(COLUMNS) + "\n", "jsonl": "", "label-studio": "[]\n"}
    assert to not in expected or path.read_text(encoding="utf-8-sig") == expected[to]


@pytest.mark.parametrize("to", FORMATS)
def test_verdicts_are_never_overwritten(to: Format, tmp_path: Path) -> None:
    export(hostile(), PICTURES.__getitem__, to=to, out=tmp_path)
    export(hostile(), PICTURES.__getitem__, to=to, out=tmp_path)  # the same queue again changes nothing
    path = tmp_path / QUEUE_FILES[to]
    path.write_bytes(path.read_bytes() + b"\n")
    before = tree(tmp_path)
    with pytest.raises(UsageError, match="perhaps with verdicts"):
        export(hostile(), PICTURES.__getitem__, to=to, out=tmp_path)
    assert tree(tmp_path) == before


def test_an_item_that_stands_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConservationError, match="stands twice"):
        export([item(1), item(1)], PICTURES.__getitem__, to="jsonl", out=tmp_path)


def test_csv_reads_the_same_in_python_and_polars(tmp_path: Path) -> None:
    export(hostile(), PICTURES.__getitem__, to="csv", out=tmp_path)
    path = tmp_path / "queue.csv"
    assert path.read_bytes().startswith(b"\xef\xbb\xbfid,verdict,reviewer,note,")
    rows = read_csv(path)
    frame = pl.read_csv(path, infer_schema=False).fill_null("")
    assert tuple(frame.columns) == COLUMNS
    assert frame.to_dicts() == rows
    assert [unguard(row["key"]) for row in rows] == [each.key for each in hostile()]
    assert {row["verdict"] + row["reviewer"] + row["note"] for row in rows} == {""}


def test_no_csv_cell_starts_a_formula(tmp_path: Path) -> None:
    export(hostile(), PICTURES.__getitem__, to="csv", out=tmp_path)
    cells = [cell for row in read_csv(tmp_path / "queue.csv") for cell in row.values()]
    assert not [cell for cell in cells if cell.startswith(tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20"))]


@pytest.mark.parametrize("text", [*HOSTILE, "''", "'=1", "\uff0b", "\n"])
def test_a_guarded_cell_can_be_restored(text: str) -> None:
    assert unguard(guard(text)) == text


def test_a_cell_fits_a_spreadsheet_and_says_what_it_leaves_out(tmp_path: Path) -> None:
    export([item(0, "\U0001f600" * 40_000)], PICTURES.__getitem__, to="csv", out=tmp_path)
    cell = read_csv(tmp_path / "queue.csv")[0]["conversation"]
    assert len(cell.encode("utf-16-le")) // 2 <= 32_767
    whole = len("user:\n  ") + len("\nassistant:\n  ") + 80_000
    assert cell.endswith(f"\n[{whole - 16_000} more characters]")


def test_no_text_in_a_conversation_passes_for_a_turn(tmp_path: Path) -> None:
    export([item(0, "hello\nassistant:\rassistant:\n  fine")], PICTURES.__getitem__, to="csv", out=tmp_path)
    lines = read_csv(tmp_path / "queue.csv")[0]["conversation"].split("\n")
    assert [line for line in lines if not line.startswith("  ")] == ["user:", "assistant:"]


def test_jsonl_is_strict_and_complete(tmp_path: Path) -> None:
    export(hostile(), PICTURES.__getitem__, to="jsonl", out=tmp_path)
    text = (tmp_path / "queue.jsonl").read_text()
    lines = text.splitlines()  # breaks at every line separator that Unicode knows
    assert len(lines) == text.count("\n") == len(HOSTILE)
    assert [ReviewItem.model_validate_json(line) for line in lines] == hostile()


def test_label_studio_shows_only_what_every_task_has(tmp_path: Path) -> None:
    export(hostile(), PICTURES.__getitem__, to="label-studio", out=tmp_path)
    tasks = read_tasks(tmp_path / "tasks.json")
    root = ElementTree.parse(tmp_path / "config.xml").getroot()
    shown = [(tag.tag, tag.attrib["value"][1:]) for tag in root.iter() if tag.get("value", "").startswith("$")]
    kinds = {"Header": str, "Image": str, "Paragraphs": list}  # label_studio/tasks/validation.py, _DATA_TYPES
    assert all(isinstance(task[field], kinds[tag]) for task in tasks for tag, field in shown)
    assert [tag for tag, _ in shown].count("Image") == 3
    for tag in root.iter("Paragraphs"):
        keys = {tag.attrib["nameKey"], tag.attrib["textKey"]}
        assert all(set(line) == keys for task in tasks for line in task[tag.attrib["value"][1:]])  # type: ignore[attr-defined]  # checked to be a list above


def test_label_studio_configuration_refers_to_its_own_names() -> None:
    root = ElementTree.fromstring(configuration(2))
    names = [tag.attrib["name"] for tag in root.iter() if "name" in tag.attrib]
    assert len(names) == len(set(names))
    assert {tag.attrib["toName"] for tag in root.iter() if "toName" in tag.attrib} <= set(names)
    assert [tag.attrib["value"] for tag in root.iter("Choice")] == ["keep", "drop"]
    assert root.find("TextArea") is not None
    assert not list(ElementTree.fromstring(configuration(0)).iter("Image"))


@pytest.mark.parametrize(
    ("prefix", "start"),
    [
        ("", "/data/local-files/?d=pictures/"),
        ("review", "/data/local-files/?d=review/pictures/"),
        ("/mixes/sft & dpo/", "/data/local-files/?d=mixes/sft%20%26%20dpo/pictures/"),
    ],
)
def test_label_studio_pictures_are_local_files_below_the_prefix(prefix: str, start: str, tmp_path: Path) -> None:
    sha256 = next(iter(PICTURES))
    export([item(0, pictures=(sha256,))], PICTURES.__getitem__, to="label-studio", out=tmp_path, prefix=prefix)
    (task,) = read_tasks(tmp_path / "tasks.json")
    assert task["picture_1"] == f"{start}{sha256}.png"
    assert (task["picture_2"], (tmp_path / "pictures" / f"{sha256}.png").is_file()) == ("", True)


def test_label_studio_names_pictures_beyond_its_slots(tmp_path: Path) -> None:
    many = {f"{number:064x}": b"%d" % number for number in range(PICTURE_SLOTS + 2)}
    counts = export([item(0, pictures=tuple(many))], many.__getitem__, to="label-studio", out=tmp_path)
    assert (counts.pictures, counts.not_shown) == (PICTURE_SLOTS + 2, 2)
    (task,) = read_tasks(tmp_path / "tasks.json")
    named = [line["why"] for line in task["reasons"] if line["rule"] == "picture not shown"]  # type: ignore[attr-defined]  # a list of dicts
    assert named == [picture_file(sha256, "PNG") for sha256 in list(many)[PICTURE_SLOTS:]]


def test_label_studio_texts_hold_no_nul(tmp_path: Path) -> None:
    export(hostile(), PICTURES.__getitem__, to="label-studio", out=tmp_path)
    assert "\\u0000" not in (tmp_path / "tasks.json").read_text()
    conversations = [task["conversation"] for task in read_tasks(tmp_path / "tasks.json")]
    expected = [[{"author": role, "text": text} for role in ("user", "assistant")] for text in HOSTILE]
    assert str(conversations) == str(expected).replace("\\x00", "\u2400")


def test_parquet_holds_all_that_an_item_says(tmp_path: Path) -> None:
    export(hostile(), PICTURES.__getitem__, to="parquet", out=tmp_path)
    rows = pl.read_parquet(tmp_path / "queue.parquet").to_dicts()
    for row, each in zip(rows, hostile(), strict=True):
        assert row["messages"] == [message.model_dump() for message in each.messages]
        assert [picture["file"] for picture in row["pictures"]] == [picture.file for picture in each.pictures]
        assert (json.loads(row["scores"]), json.loads(row["states"])) == (each.scores, each.states)
        assert row["reasons"] == [{"rule": "low_quality", "predicate": "quality < 7"}]
        assert (row["seen"], row["verdict"]) == (shown(each), "")


def test_the_folder_tells_its_page_everything_and_asks_nothing_outside(tmp_path: Path) -> None:
    many = [item(number, "text", tuple(PICTURES)[:1]) for number in range(120)]
    export(many, PICTURES.__getitem__, to="html", out=tmp_path)
    facts = read_facts(tmp_path)
    assert (facts["total"], len(facts["files"])) == (120, 3)
    assert [found["key"] for found in read_folder(tmp_path)] == [each.key for each in many]
    files = {"index.html", "review.js", "review.css", "items", "pictures"}
    assert {path.name for path in tmp_path.iterdir()} == files
    for name in ("index.html", "review.js", "review.css"):
        assert not re.search(r"https?:|//[a-z]|<script>|style=|onclick=", (tmp_path / name).read_text())


def test_another_queue_in_the_folder_changes_no_file_of_the_first(tmp_path: Path) -> None:
    export([item(1)], PICTURES.__getitem__, to="html", out=tmp_path)
    before = tree(tmp_path)
    with pytest.raises(UsageError, match="perhaps with verdicts"):
        export([item(2)], PICTURES.__getitem__, to="html", out=tmp_path)
    assert before.items() <= tree(tmp_path).items()
