"""Downloads with the real client from a hub on this machine, with every fault we have met."""

import hashlib
import json
import logging
import resource
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hub_server import ALWAYS, GATED, GONE, UNAUTHORISED, Fault, HubServer, serve
from huggingface_hub import close_session, constants, snapshot_download

from shards.errors import CatalogError, SourceError, StoreError
from sources.hub import Downloaded, download
from sources.transfer import TransferPolicy

REPO = "lab/mix"
BIG = bytes(range(256)) * 4000
"""1,024,000 bytes: large enough that a cut leaves something behind."""
FILES = {
    "README.md": b"# Mix\n",
    ".gitattributes": b"*.parquet filter=lfs\n",
    "data/train-00000.parquet": BIG,
    "data/train-00001.parquet": b"second",
    "data/deep/train-00002.parquet": b"third",
    "data/notes.txt": b"a small file outside LFS",
    "data/empty.txt": b"",
    "chart qa(cauldron)+[v2]/train-00000.parquet": b"brackets",
}
BIG_NAME = "data/train-00000.parquet"
POLICY = TransferPolicy(timeout=2, backoff=0.01, retries=3, patience=0.2, longest_wait=1.5)

Get = Callable[..., Downloaded]


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    for name, data in FILES.items():
        path = tmp_path / "published" / REPO / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    for name in ("HF_TOKEN", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    with serve(tmp_path / "published", page=3) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        yield server
        close_session()


@pytest.fixture
def get(hub: HubServer, tmp_path: Path) -> Get:
    def run(*patterns: str, repo: str = REPO, policy: TransferPolicy = POLICY, **more: object) -> Downloaded:
        store = tmp_path / "store"
        places = {"folder": store / "raw" / "mix", "lock": store / "sources.lock"}
        return download("mix", repo=repo, patterns=patterns or (BIG_NAME,), policy=policy, **places, **more)  # type: ignore[arg-type] # keywords of one test each

    return run


def visible(tmp_path: Path) -> list[str]:
    """Files below the store that a source would see."""
    raw = tmp_path / "store" / "raw" / "mix"
    names = (path.relative_to(raw) for path in sorted(raw.rglob("*")) if path.is_file())
    return [str(name) for name in names if not any(part.startswith(".") for part in name.parts)]


def test_whole_download(hub: HubServer, get: Get, tmp_path: Path) -> None:
    heard: list[tuple[int, int]] = []
    found = get("data/*", "README.md", progress=lambda done, total: heard.append((done, total)))
    names = ["README.md", "data/empty.txt", "data/notes.txt", "data/train-00000.parquet", "data/train-00001.parquet"]
    assert [file.name for file in found.files] == names
    assert found.revision == hub.head(REPO) and found.root == tmp_path / "store" / "raw" / "mix" / found.revision
    for file in found.files:
        data = (found.root / file.name).read_bytes()
        assert data == FILES[file.name]
        assert (file.size, file.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    assert heard == sorted(heard) and heard[-1] == (sum(len(FILES[name]) for name in names),) * 2
    assert not list(found.root.rglob("*.part"))


def test_only_what_is_needed_is_asked_for(hub: HubServer, get: Get) -> None:
    get("data/*.parquet")
    asked = sorted({hit.path.split("/resolve/")[1].split("/", 1)[1] for hit in hub.asked("/resolve/")})
    assert asked == ["data/train-00000.parquet", "data/train-00001.parquet"]


def test_the_client_sends_no_telemetry(get: Get, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_TELEMETRY", False)
    get()
    assert constants.HF_HUB_DISABLE_TELEMETRY


def test_second_run_asks_nothing(hub: HubServer, get: Get) -> None:
    first = get()
    hub.log.clear()
    assert get() == first
    assert not hub.log


def test_a_file_that_was_lost_is_fetched_again_and_no_other(hub: HubServer, get: Get) -> None:
    found = get("data/*.parquet")
    (found.root / "data/train-00001.parquet").unlink()
    hub.log.clear()
    assert get("data/*.parquet") == found
    assert not hub.bodies(BIG_NAME) and hub.bodies("data/train-00001.parquet")


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("**/train-*.parquet", {name for name in FILES if "train" in name}),
        ("data/**/*.parquet", {name for name in FILES if name.startswith("data/") and "train" in name}),
        ("chart qa(cauldron)+[v2]/train-00000.parquet", {"chart qa(cauldron)+[v2]/train-00000.parquet"}),
        ("chart qa(cauldron)+[v2]/*.parquet", {"chart qa(cauldron)+[v2]/train-00000.parquet"}),
        ("data/train-0000[12].parquet", {"data/train-00001.parquet"}),
        ("*", {"README.md"}),
    ],
)
def test_globs(get: Get, pattern: str, names: set[str]) -> None:
    found = get(pattern)
    assert {file.name for file in found.files} == names
    assert all((found.root / name).read_bytes() == FILES[name] for name in names)


def test_a_glob_without_a_file_is_an_error(get: Get, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"`mix`: `lab/mix`: no file matches `nothing/\*`; check `files`"):
        get(BIG_NAME, "nothing/*")
    assert visible(tmp_path) == []


def test_resumes_after_cuts_without_a_byte_sent_twice(hub: HubServer, get: Get) -> None:
    hub.fail({f"{REPO}/{BIG_NAME}": [Fault(cut=300_000), Fault(cut=200_000)]})
    found = get()
    assert (found.root / BIG_NAME).read_bytes() == BIG
    assert [hit.range for hit in hub.bodies(BIG_NAME)] == ["", "bytes=300000-", "bytes=500000-"]
    assert sum(hit.sent for hit in hub.bodies(BIG_NAME)) == len(BIG)


def test_resumes_in_a_later_run(hub: HubServer, get: Get, tmp_path: Path) -> None:
    hub.fail({f"{REPO}/{BIG_NAME}": [Fault(cut=300_000), Fault(status=500, times=ALWAYS)]})
    with pytest.raises(SourceError, match=rf"`{BIG_NAME}`: HTTP 500: the hub has trouble; run again later"):
        get()
    assert visible(tmp_path) == []
    hub.fail({f"{REPO}/{BIG_NAME}": ()})
    hub.log.clear()
    heard: list[int] = []
    found = get(progress=lambda done, total: heard.append(done))
    assert (found.root / BIG_NAME).read_bytes() == BIG
    assert [hit.range for hit in hub.bodies(BIG_NAME)] == ["bytes=300000-"]
    assert heard[0] == 300_000 and heard[-1] == len(BIG)


def test_many_cuts_are_not_too_many_failures(hub: HubServer, get: Get) -> None:
    hub.fail({f"{REPO}/{BIG_NAME}": Fault(cut=100_000, times=ALWAYS)})
    assert (get().root / BIG_NAME).read_bytes() == BIG


def test_a_server_that_begins_again(hub: HubServer, get: Get) -> None:
    hub.fail({f"{REPO}/{BIG_NAME}": [Fault(cut=300_000), Fault(no_range=True)]})
    heard: list[int] = []
    found = get(progress=lambda done, total: heard.append(done))
    assert (found.root / BIG_NAME).read_bytes() == BIG
    assert max(heard) == heard[-1] == len(BIG)


@pytest.mark.parametrize("name", [BIG_NAME, "data/notes.txt"])
def test_wrong_bytes_once_are_repaired(hub: HubServer, get: Get, name: str) -> None:
    hub.fail({f"{REPO}/{name}": Fault(wrong=True)})
    assert (get(name).root / name).read_bytes() == FILES[name]


@pytest.mark.parametrize("name", [BIG_NAME, "data/notes.txt"])
def test_wrong_bytes_for_ever(hub: HubServer, get: Get, tmp_path: Path, name: str) -> None:
    hub.fail({f"{REPO}/{name}": Fault(wrong=True, times=ALWAYS)})
    with pytest.raises(SourceError, match=rf"`mix`: `lab/mix`: `{name}`: expected \w+, found \w+ twice; run again"):
        get(name)
    assert visible(tmp_path) == [] and len(hub.bodies(name)) == 2


@pytest.mark.parametrize("fault", [Fault(short=1000), Fault(longer=7)])
def test_wrong_lengths(hub: HubServer, get: Get, tmp_path: Path, fault: Fault) -> None:
    hub.fail({f"{REPO}/{BIG_NAME}": fault})
    assert (get().root / BIG_NAME).read_bytes() == BIG
    (tmp_path / "store" / "raw" / "mix").rename(tmp_path / "elsewhere")
    hub.fail({f"{REPO}/{BIG_NAME}": replace(fault, times=ALWAYS)})
    with pytest.raises(SourceError, match=r"the answer (ended after 4000 of|is longer than) 1024000 bytes; run again"):
        get()
    assert visible(tmp_path) == []


@pytest.mark.parametrize("place", [REPO, f"{REPO}/{BIG_NAME}", f"{REPO}@tree"])
def test_passing_trouble_is_waited_for(hub: HubServer, get: Get, place: str) -> None:
    hub.fail({place: [Fault(status=500), Fault(status=503), Fault(status=429, headers={"Retry-After": "1"})]})
    assert (get().root / BIG_NAME).read_bytes() == BIG


def test_an_hour_is_not_waited_for(hub: HubServer, get: Get) -> None:
    hub.fail({f"{REPO}/{BIG_NAME}": Fault(status=429, headers={"Retry-After": "3600"})})
    with pytest.raises(SourceError, match="HTTP 429: too many requests, the hub asks to wait 3600 s; run again then"):
        get()


@pytest.mark.parametrize(
    ("place", "fault", "token", "message"),
    [
        (
            REPO,
            GATED,
            "",
            "gated, and HF_TOKEN is not set; request access at http.*/datasets/lab/mix, then set HF_TOKEN",
        ),
        (REPO, GATED, "secret", "gated, and the account of HF_TOKEN has no access; request access"),
        (f"{REPO}@resolve", GATED, "", f"`{BIG_NAME}`: HTTP 403: gated"),
        (REPO, UNAUTHORISED, "", "HTTP 401: private or not there; check `repo`; a private one needs HF_TOKEN"),
        (REPO, UNAUTHORISED, "secret", "HTTP 401: HF_TOKEN is not accepted; make another"),
        (f"{REPO}/{BIG_NAME}", GONE, "", f"`{BIG_NAME}`: HTTP 404: listed but not there"),
        (f"{REPO}/{BIG_NAME}", Fault(status=403), "", f"`{BIG_NAME}`: HTTP 403: refused; look at"),
        (f"{REPO}@tree", Fault(status=502, times=ALWAYS), "", "revision `[0-9a-f]{40}`: HTTP 502: the hub has trouble"),
    ],
)
def test_refusals(
    hub: HubServer, get: Get, monkeypatch: pytest.MonkeyPatch, place: str, fault: Fault, token: str, message: str
) -> None:
    monkeypatch.setenv("HF_TOKEN", token)
    hub.fail({place: fault})
    with pytest.raises(SourceError, match=f"^source `mix`: `lab/mix`: .*{message}") as raised:
        get()
    assert "\n" not in str(raised.value)


def test_unknown_names(get: Get) -> None:
    with pytest.raises(SourceError, match="`lab/none`: revision `main`: HTTP 401: private or not there; check `repo`"):
        get(repo="lab/none")
    with pytest.raises(SourceError, match="revision `dev`: HTTP 404: no such revision; set another `revision`"):
        get(revision="dev")
    with pytest.raises(SourceError, match=f"revision `{'0' * 40}`: HTTP 404: no such revision"):
        get(revision="0" * 40)
    with pytest.raises(CatalogError, match="source `mix`: `repo` is `mix`, expected `owner/name`"):
        get(repo="mix")


def test_a_trickle_is_given_up_and_made_anew(hub: HubServer, get: Get, tmp_path: Path) -> None:
    trickle = Fault(drip=1, pause=0.05)
    hub.fail({f"{REPO}/{BIG_NAME}": trickle})
    assert (get().root / BIG_NAME).read_bytes() == BIG
    assert hub.bodies(BIG_NAME)[1].range.startswith("bytes=")
    (tmp_path / "store" / "raw" / "mix").rename(tmp_path / "elsewhere")
    hub.fail({f"{REPO}/{BIG_NAME}": replace(trickle, times=ALWAYS)})
    with pytest.raises(
        SourceError, match=r"bytes in 0.2.* s, less than 1000 a second; run again, what has come is kept"
    ):
        get()


def test_silence_is_given_up(hub: HubServer, get: Get) -> None:
    hub.fail({f"{REPO}/{BIG_NAME}": Fault(drip=1000, pause=60, times=ALWAYS)})
    with pytest.raises(SourceError, match=f"`{BIG_NAME}`: cannot reach http.*ReadTimeout.*; check the network"):
        get(policy=replace(POLICY, timeout=0.2, retries=0))


def test_nobody_there(get: Get, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(
        SourceError, match=r"cannot reach http://127.0.0.1:9: ConnectError.*; check the network and HF_END"
    ):
        get()


def test_an_endpoint_that_is_no_hub(hub: HubServer, get: Get, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", f"{hub.url}/datasets/lab/mix/resolve/main/README.md?")
    with pytest.raises(SourceError, match=r"does not answer like a hub: .*; check HF_ENDPOINT"):
        get()


def test_one_failure_stops_the_other_files(hub: HubServer, get: Get, tmp_path: Path) -> None:
    hub.fail({f"{REPO}/data/train-00001.parquet": GONE, f"{REPO}/{BIG_NAME}": Fault(drip=1000, pause=0.01)})
    with pytest.raises(SourceError, match=r"train-00001.parquet`: HTTP 404"):
        get("data/*.parquet")
    assert visible(tmp_path) == []


def test_the_lock_pins_a_branch_until_update(hub: HubServer, get: Get, tmp_path: Path) -> None:
    old = get("README.md")
    lock = tmp_path / "store" / "sources.lock"
    assert json.loads(lock.read_text()) == {REPO: {"main": old.revision}}
    new = hub.push(REPO, {"README.md": b"# Moved\n"})
    assert get("data/notes.txt").revision == old.revision
    moved = get("README.md", update=True)
    assert moved.revision == new == json.loads(lock.read_text())[REPO]["main"]
    assert (moved.root / "README.md").read_bytes() == b"# Moved\n"
    assert (old.root / "README.md").read_bytes() == b"# Mix\n"


def test_a_pinned_revision_needs_no_lock(hub: HubServer, get: Get, tmp_path: Path) -> None:
    pinned = hub.head(REPO)
    hub.push(REPO, {"README.md": b"# Moved\n"})
    assert (get("README.md", revision=pinned).root / "README.md").read_bytes() == b"# Mix\n"
    assert not (tmp_path / "store" / "sources.lock").exists() and not hub.asked("/revision/")


@pytest.mark.parametrize("text", ["{", "[]", '{"lab/mix": {"main": "main"}}'])
def test_a_damaged_lock_stops(get: Get, tmp_path: Path, text: str) -> None:
    lock = tmp_path / "store" / "sources.lock"
    lock.parent.mkdir()
    lock.write_text(text)
    with pytest.raises(StoreError, match=r"sources.lock`: .*; restore it from a copy, or delete it"):
        get()


@pytest.mark.parametrize("by_variable", [True, False])
def test_offline(hub: HubServer, get: Get, monkeypatch: pytest.MonkeyPatch, by_variable: bool) -> None:
    first = get()
    hub.log.clear()
    monkeypatch.setenv("HF_HUB_OFFLINE", "1" if by_variable else "0")
    policy = replace(POLICY, offline=not by_variable)
    assert get(policy=policy) == first
    with pytest.raises(SourceError, match="offline, and not all of it is on this disk; run once with the network"):
        get("README.md", policy=policy)
    with pytest.raises(SourceError, match="revision `dev`: offline"):
        get(revision="dev", policy=policy)
    assert not hub.log


def test_the_token_goes_to_the_hub_and_nowhere_else(
    hub: HubServer,
    get: Get,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("HF_TOKEN", "secret-token")
    hub.fail({f"{REPO}/{BIG_NAME}": [Fault(cut=300_000), Fault(status=500)]})
    get("data/*")
    hub.fail({REPO: GATED})
    with pytest.raises(SourceError) as raised:
        get("README.md")
    assert {hit.authorization for hit in hub.log if not hit.path.startswith("/cdn/")} == {"Bearer secret-token"}
    assert {hit.authorization for hit in hub.asked("/cdn/")} == {""}
    said = "".join(capfd.readouterr()) + caplog.text + str(raised.value)
    written = b"".join(path.read_bytes() for path in (tmp_path / "store").rglob("*") if path.is_file())
    assert "secret-token" not in said and b"secret-token" not in written


def test_a_saved_token_is_not_used(hub: HubServer, get: Get, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "token").write_text("saved-token")
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
    get()
    assert {hit.authorization for hit in hub.log} == {""}


def test_too_little_space_is_said_before(hub: HubServer, get: Get) -> None:
    hub.fail({f"{REPO}/{BIG_NAME}": Fault(size=1 << 60)})
    with pytest.raises(StoreError, match=rf"cannot write to .*: {1 << 60} bytes to come, \d+ bytes free; free space"):
        get()
    assert not hub.bodies(BIG_NAME)


def test_a_disk_that_takes_no_more(hub: HubServer, get: Get, tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, hard))
    try:
        with pytest.raises(StoreError, match=r"cannot write to .*: File too large; free space or choose another store"):
            get()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert visible(tmp_path) == []
    assert (get().root / BIG_NAME).read_bytes() == BIG
    assert sum(hit.range != "" for hit in hub.bodies(BIG_NAME)) == 1


def test_the_server_satisfies_the_whole_client(hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_TELEMETRY", True)
    snapshot_download(
        REPO,
        repo_type="dataset",
        endpoint=hub.url,
        local_dir=tmp_path / "snapshot",
        cache_dir=tmp_path / "cache",
        token=False,
        max_workers=2,
    )
    assert all((tmp_path / "snapshot" / name).read_bytes() == data for name, data in FILES.items())
