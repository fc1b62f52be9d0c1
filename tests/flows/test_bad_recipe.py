"""Wrong recipes: one clear message each, exit code 2, before any work."""

from pathlib import Path

import pytest
from commands import Vlmix

pytestmark = pytest.mark.integration

ENTRY = "{id: a, source: {layout: table, files: rows.jsonl, columns: {user: [q], assistant: [a]}}}"

BAD = {
    "unknown key": ("name: x\nentrys: []\n", "unknown key"),
    "unknown source": ("name: x\nentries: [{id: a, source: demo.chart}]\n", "no source `demo.chart`"),
    "unknown layout": (
        "name: x\nentries: [{id: a, source: {layout: lava, files: rows.jsonl}}]\n",
        "unknown layout `lava`",
    ),
    "unknown score": (
        f"name: x\nrules: {{list: [{{name: r, when: qualty < 7, then: drop}}]}}\nentries: [{ENTRY}]\n",
        "did you mean `quality`?",
    ),
    "not Boolean": (
        f"name: x\nrules: {{list: [{{name: r, when: quality + 1, then: drop}}]}}\nentries: [{ENTRY}]\n",
        "must give one true or false",
    ),
    "aggregate": (
        f"name: x\nrules: {{list: [{{name: r, when: quality < avg(quality), then: drop}}]}}\nentries: [{ENTRY}]\n",
        "rule `r`",
    ),
    "threshold typo": (
        f"name: x\nrules: {{list: [{{name: r, when: quality < seven, then: drop}}]}}\nentries: [{ENTRY}]\n",
        "no filter writes score `seven`",
    ),
    "unknown rule set": (f"name: x\nrules: {{extends: [strict]}}\nentries: [{ENTRY}]\n", "no rule set `strict`"),
    "unknown verdict": (
        f"name: x\nrules: {{list: [{{name: r, when: quality < 7, then: delete}}]}}\nentries: [{ENTRY}]\n",
        "`rules.list.0.then`",
    ),
    "judge is off": (
        f"name: x\njudge: 'off'\nrules: {{extends: [default]}}\nentries: [{ENTRY}]\n",
        "needs score `quality_jump`, but the recipe says `judge: off`",
    ),
    "key that stands twice": (f"name: x\nname: y\nentries: [{ENTRY}]\n", "`name` stands twice"),
    "name that leaves the store": (f"name: ..\nentries: [{ENTRY}]\n", "`name`"),
    "not YAML": ("name: [x\n", "is not YAML"),
    "extends nothing": ("name: x\nextends: nobody\n", "no recipe `nobody`; built in: "),
    "extends itself": ("name: x\nextends: recipe.yaml\n", "extends itself"),
    "no scale": (f"name: x\nscale: 3\nentries: [{ENTRY}]\n", "`scale`"),
    "unknown domain": (
        f"name: x\ntargets: {{amounts: {{chart: 5}}}}\nentries: [{ENTRY}]\n",
        "a target for domain `chart`, of which it has no entry",
    ),
    "top by a judge": (
        f"name: x\nentries: [{ENTRY[:-1]}, take: {{kind: top, by: quality, rows: 3}}}}]\n",
        "which a judge gives only to rows that are taken",
    ),
    "missing list of rows": (
        f"name: x\nentries: [{ENTRY[:-1]}, take: {{kind: exclude, file: gone.json}}}}]\n",
        "list of excluded rows",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_one_message_and_exit_code_two(case: str, vlmix: Vlmix, tmp_path: Path) -> None:
    text, words = BAD[case]
    (tmp_path / "rows.jsonl").write_text('{"q": "Why?", "a": "Because."}\n')
    (tmp_path / "recipe.yaml").write_text(text)
    done = vlmix("run", "build-sft-mix", "--recipe", tmp_path / "recipe.yaml", "--store", tmp_path / "store")
    assert done.code == 2
    assert words in done.err
    assert done.err.startswith("vlmix: ") and done.out == ""
    assert not (tmp_path / "store" / "scans").exists()


@pytest.mark.parametrize("scale", ["0", "1.5", "nan", "-1", "half"])
@pytest.mark.parametrize("command", [("plan", "demo"), ("run", "build-sft-mix")])
def test_a_wrong_scale_exits_with_two(vlmix: Vlmix, tmp_path: Path, command: tuple[str, ...], scale: str) -> None:
    done = vlmix(*command, f"--scale={scale}", "--store", tmp_path / "store")
    assert done.code == 2
    assert "scale" in done.err or "scale" in done.out
    if scale != "half":
        assert done.err.startswith("vlmix: ") and done.err.count("\n") == 1
    assert not (tmp_path / "store" / "scans").exists()


def test_wrong_options_exit_with_two(vlmix: Vlmix) -> None:
    assert vlmix("run", "build-sft-mix", "--recip", "demo").code == 2
    assert vlmix("explain").code == 2
    assert vlmix("report", "nothing", "--store", "no-such-store").code == 2
