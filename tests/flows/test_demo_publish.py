"""The demo publishers: stable bytes, readable shapes, and a truth table that is true."""

import gzip
import hashlib
import io
import json
import tarfile
import urllib.error
import urllib.request
from collections import Counter, defaultdict
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from PIL import Image

from flows.demo.publish import publish
from flows.demo.server import HOST, serve

SCALE = 0.05
DEFECTS = {
    "loop_sentence",
    "loop_two_sentences",
    "loop_permuted",
    "loop_zeros",
    "char_run",
    "near_duplicate_picture",
    "exact_duplicate",
    "lookalike_ok",
    "corrupt_picture",
    "marker_mismatch",
    "empty_answer",
    "dead_link",
    "flaky_ok",
    "broken_score",
    "refusal",
    "legit_repetition_ok",
    "unreadable_script",
}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    home = tmp_path_factory.mktemp("demo") / "raw"
    publish(home, scale=SCALE)
    return home


@pytest.fixture(scope="module")
def truth(root):
    return pq.read_table(root / "truth.parquet").to_pylist()


def hashes(root):
    files = [path for path in root.rglob("*") if path.is_file()]
    return {path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def records(root, file):
    path = root / file
    if path.suffix == ".parquet":
        return pq.read_table(path).to_pylist()
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    return json.loads(path.read_text("utf-8"))


def raw_files(root):
    found = [p.relative_to(root).as_posix() for p in root.rglob("*") if p.suffix in {".parquet", ".json", ".jsonl"}]
    return sorted(set(found) - {"truth.parquet"})


def archive(root):
    pieces = sorted((root / "docstruct").glob("partial-imgs.*"))
    assert [piece.name for piece in pieces] == ["partial-imgs.00", "partial-imgs.01", "partial-imgs.02"]
    joined = gzip.decompress(b"".join(piece.read_bytes() for piece in pieces))
    with tarfile.open(fileobj=io.BytesIO(joined)) as tar:
        return {member.name: tar.extractfile(member).read() for member in tar.getmembers()}


def pictures(root, members, file, record):
    """The stored pictures of one record; None for an address without a file."""
    if file.startswith("onevision"):
        return [] if record["image"] is None else [record["image"]["bytes"]]
    if file.startswith("pixmo"):
        path = root / "pixmo_www" / record["image_url"].removeprefix(f"{HOST}/")
        return [path.read_bytes() if path.is_file() else None]
    if file.startswith("docstruct"):
        return [members[name.removeprefix("./")] for name in record["image"]]
    return [(root / "extras" / name).read_bytes() for name in record.get("image", record.get("images", [])) if name]


def replies(record):
    if "conversations" in record:
        return [turn["value"] for turn in record["conversations"] if turn["from"] == "gpt"]
    if "messages" in record:
        return [turn["content"] for turn in record["messages"] if turn["role"] == "assistant"]
    return [record.get("caption", record.get("answer", "")), *[text for text in record.get("texts", []) if text]]


def text(record):
    return json.dumps({k: v for k, v in record.items() if k not in {"image", "id", "image_url", "image_sha256"}})


def decodes(data):
    try:
        Image.open(io.BytesIO(data)).load()
    except (OSError, SyntaxError):
        return False
    return True


def test_same_seed_same_bytes(root, tmp_path):
    publish(tmp_path / "again", scale=SCALE)
    assert hashes(tmp_path / "again") == hashes(root)
    assert not list(tmp_path.glob(".*"))


def test_other_seed_other_bytes_same_files(root, tmp_path):
    publish(tmp_path / "other", seed=1, scale=SCALE)
    ours, theirs = hashes(root), hashes(tmp_path / "other")
    files = raw_files(root)
    assert raw_files(tmp_path / "other") == files
    assert all(ours[file] != theirs[file] for file in files)


def test_does_nothing_where_truth_is(tmp_path):
    (tmp_path / "truth.parquet").write_bytes(b"kept")
    publish(tmp_path, scale=SCALE)
    assert hashes(tmp_path).keys() == {"truth.parquet"}


def test_every_kind_of_defect_is_planted(truth):
    assert {line["defect"] for line in truth} == DEFECTS
    assert Counter((line["file"], line["row"]) for line in truth).most_common(1)[0][1] == 1


def test_truth_points_to_rows(root, truth):
    heights = {file: len(records(root, file)) for file in raw_files(root)}
    for line in truth:
        assert 0 <= line["row"] < heights[line["file"]]
        if "#" in line["detail"]:
            file, row = line["detail"].split("#")
            assert file == line["file"]
            assert int(row) < line["row"]


def test_pictures_decode_unless_planted(root, truth):
    members = archive(root)
    planted = {(line["file"], line["row"]): line["defect"] for line in truth}
    for file in raw_files(root):
        for row, record in enumerate(records(root, file)):
            for data in pictures(root, members, file, record):
                defect = planted.get((file, row))
                if data is None:
                    assert defect == "dead_link"
                else:
                    assert decodes(data) == (defect != "corrupt_picture"), (file, row, defect)


def test_duplicates_repeat_their_original(root, truth):
    members = archive(root)
    for line in truth:
        if line["defect"] not in {"near_duplicate_picture", "exact_duplicate", "lookalike_ok"}:
            continue
        rows = records(root, line["file"])
        mine, theirs = rows[line["row"]], rows[int(line["detail"].split("#")[1])]
        same_picture = pictures(root, members, line["file"], mine) == pictures(root, members, line["file"], theirs)
        assert same_picture == (line["defect"] == "exact_duplicate")
        assert (replies(mine) == replies(theirs)) == (line["defect"] != "lookalike_ok")


def test_rows_without_defect_differ(root, truth):
    planted = {(line["file"], line["row"]) for line in truth}
    members = archive(root)
    for file in raw_files(root):
        seen = defaultdict(list)
        for row, record in enumerate(records(root, file)):
            if (file, row) not in planted:
                seen[(text(record), *pictures(root, members, file, record))].append(row)
        assert [rows for rows in seen.values() if len(rows) > 1] == []


@pytest.mark.parametrize(
    ("defect", "shows"),
    [
        ("empty_answer", lambda reply: not reply.strip()),
        ("loop_zeros", lambda reply: reply.count("0") > 90),
        ("char_run", lambda reply: len(reply) > 200 and len(set(reply[-200:])) == 1),
        ("loop_permuted", lambda reply: len(set(reply.split("\n"))) == len(reply.split("\n")) > 30),
        ("loop_sentence", lambda reply: max(Counter(reply.split(". ")).values()) >= 5),
        ("loop_two_sentences", lambda reply: [*Counter(reply.rstrip(".").split(". ")).values()].count(2) == 2),
        ("refusal", lambda reply: "AI language model" in reply or reply.startswith("I'm sorry")),
        ("unreadable_script", lambda reply: not any(char.isalnum() for char in reply)),
    ],
)
def test_defect_shows_in_the_last_answer_only(root, truth, defect, shows):
    planted = {(line["file"], line["row"]) for line in truth if line["defect"] == defect}
    assert all(shows(replies(records(root, file)[row])[-1]) for file, row in planted)
    clean = {(line["file"], line["row"]) for line in truth}
    for file in raw_files(root):
        if file.startswith("pixmo/points"):
            continue
        for row, record in enumerate(records(root, file)):
            if (file, row) not in clean:
                assert not shows(replies(record)[-1]), (file, row)


def test_points_lie_in_the_picture_and_are_counted(root):
    rows = records(root, "pixmo/points/train-00000-of-00001.parquet")
    assert any(row["count"] == 0 for row in rows)
    assert all(row["count"] == len(row["points"]) for row in rows)
    assert all(0 < point[axis] < 100 for row in rows for point in row["points"] for axis in "xy")


def test_rows_of_captions_share_addresses(root):
    urls = [row["image_url"] for row in records(root, "pixmo/cap/train-00000-of-00001.parquet")]
    assert len(set(urls)) < len(urls)


def get(url):
    try:
        with urllib.request.urlopen(url, timeout=5) as reply:
            body = reply.read()
            assert int(reply.headers["Content-Length"]) == len(body)
            return reply.status, reply.headers["Content-Type"], body
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers["Content-Type"], error.read()


def test_server_answers_as_planned(root, truth):
    expected = {"404": (404,), "410": (410,), "html": (200,), "wrong_sha256": (200,), "500 once": (500, 200)}
    planted = {(line["file"], line["row"]): line for line in truth}
    with serve(root) as base:
        for file in [name for name in raw_files(root) if name.startswith("pixmo/")]:
            for row, record in enumerate(records(root, file)):
                detail = planted.get((file, row), {"detail": ""})["detail"]
                codes = expected.get(detail, (200,))
                answers = [get(record["image_url"].replace(HOST, base)) for _ in codes]
                assert tuple(code for code, _, _ in answers) == codes
                status, kind, body = answers[-1]
                assert kind.startswith("text/html") == (detail == "html")
                if "image_sha256" in record and status == 200 and detail != "html":
                    assert (hashlib.sha256(body).hexdigest() == record["image_sha256"]) == (detail != "wrong_sha256")


@pytest.mark.parametrize("path", ["/../truth.parquet", "/%2e%2e/truth.parquet", "//etc/passwd", "/%00", "/"])
def test_server_stays_in_its_folder(root: Path, path):
    with serve(root) as base:
        assert get(base + path)[0] == 404


def test_flaky_address_fails_once_per_server(root, truth):
    file, row = next((line["file"], line["row"]) for line in truth if line["defect"] == "flaky_ok")
    url = records(root, file)[row]["image_url"]
    for _ in range(2):
        with serve(root) as base:
            assert [get(url.replace(HOST, base))[0] for _ in range(3)] == [500, 200, 200]
