import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from html.parser import HTMLParser

import polars as pl
import pytest
from PIL import Image

from flows.finding import looping
from flows.report.distribution import NUM_BINS, distributions, thresholds
from flows.report.excerpt import excerpt
from flows.report.pick import DOUBTFUL, LARGEST, MOST_SAMPLES, Member, pick
from flows.report.render import render
from flows.report.stage import dedup_words, told
from flows.report.svg import FRAME
from flows.report.thumbnail import thumbnail
from flows.report.view import ReportView, SampleView, SourceView, StageView, TruthLine, TruthView
from flows.report.went import PAGE
from manifests.account import Told, report
from manifests.clusters import CLUSTERS
from manifests.manifest import Counts, Digests, Unresolved
from manifests.mixture import DECISIONS, SourceScores, mix
from manifests.near import Compared, Evidence, Numbers, Pair, Pictures
from manifests.plan import PlannedStage, SourceFacts, plan
from manifests.recipe import Dedup, Recipe, Rule
from tests import kept

SCORES = {
    "num_images": pl.Int32,
    "num_turns": pl.Int32,
    "num_tokens": pl.Int32,
    "answer_tokens": pl.Int32,
    "question_chars": pl.Int32,
    "answer_chars": pl.Int32,
    "char_run": pl.Int32,
    "quality": pl.Float64,
    "refusal": pl.Boolean,
}
RULES = [
    {"name": "run", "when": "char_run >= 100", "then": "drop", "source": "InternVL2.5, section 4"},
    {"name": "refused", "when": "refusal", "then": "drop", "source": "ours"},
    {"name": "low_quality", "when": "quality < 7", "then": "drop", "exempt": [{"entry": "b", "reason": "captions"}]},
    {"name": "unsure", "when": "quality < 7.5 and answer_chars > 20", "then": "review", "source": "ours"},
]
HOSTILE = (
    "<script>alert(1)</script></style><!-- {{ 7 * 7 }}{% raw %} "
    "<img src=http://evil.example/x onerror=x> \u202egnp.exe\u0000"
)


def source_scores(name: str, rows: int) -> SourceScores:
    """Scores with every shape a report must show: tails, nulls with states, Booleans."""
    numbers = range(rows)
    quality = [None if n % 11 == 3 else n * 7 % 100 / 10 for n in numbers]
    frame = pl.DataFrame(
        {
            "key": [f"{name}/train/{n}" for n in numbers],
            "position": list(numbers),
            "num_images": [n % 3 for n in numbers],
            "num_turns": [2 for _ in numbers],
            "num_tokens": [9 + n for n in numbers],
            "answer_tokens": [4 for _ in numbers],
            "question_chars": [20 + n for n in numbers],
            "answer_chars": [n * 13 % 90 for n in numbers],
            "instruction_hash": [1 for _ in numbers],
            "text_hash": [1 for _ in numbers],
            "char_run": [150 if n % 17 == 5 else n % 7 for n in numbers],
            "quality": quality,
            "refusal": [n % 19 == 8 for n in numbers],
        },
        schema_overrides=SCORES,
    ).with_columns(
        *[pl.lit(None, pl.String).alias(f"{score}_state") for score in SCORES if score != "quality"],
        pl.when(pl.col("quality").is_null())
        .then(pl.when(pl.col("position") % 2 == 0).then(pl.lit("no_answer")).otherwise(pl.lit("not_applicable")))
        .alias("quality_state"),
    )
    quarantine = {"picture_missing": 3, "marker_mismatch": 2}
    return SourceScores(name, "CC-BY-4.0", "0" * 64, rows + 5, quarantine, {"marker_added": 4}, frame)


def pictures(source: str, rows: Numbers) -> Pictures:
    """Every fifth sample has the picture of its predecessor, with other bytes."""
    found = []
    for number in rows.tolist():
        picture = number - (number % 5 == 4) + 1000 * len(source)
        whole = picture * 0x9E3779B97F4A7C15 % 2**64
        found.append(kept.Item("", number, (f"{source[:8]} {number}",), (whole,), 1, 1, 100))
    return kept.pictures_of(found)


def tiles(source: str, keys: pl.Series, most: int) -> pl.Series:
    """No entry of these tests asks for tiles."""
    raise AssertionError(f"{source}: {len(keys)} samples, at most {most}")


def compare(pairs: Sequence[Pair]) -> dict[Pair, Compared]:
    """Pictures of other bytes are the same but for a caption, and differ the more the later they stand."""
    return {pair: Compared(True, "edge", int(kept.name(pair.right).rsplit(" ", 1)[1]) / 1000) for pair in pairs}


def recipe(rules: Sequence[Mapping[str, object]] = RULES) -> Recipe:
    """Three entries of two sources in two domains."""
    source = {"layout": "table", "files": "x.json"}
    entries = [
        {"id": "a", "source": source, "domain": "charts", "repeat": 1.5, "cap": 8},
        {"id": "a_again", "source": source, "domain": "charts", "take": {"kind": "first", "rows": 30}},
        {"id": "b", "source": source, "domain": "captions"},
    ]
    return Recipe.model_validate({"name": "trial", "rules": {"list": list(rules)}, "entries": entries})


def staged(written: Recipe, rows: int = 120) -> tuple[PlannedStage, StageView]:
    """A real mixture of the recipe with its real manifest."""
    names = {"a": "charts_one", "a_again": "charts_one", "b": "captions_two"}
    sources = {name: source_scores(name, rows) for name in set(names.values())}
    facts = {("sft", e): SourceFacts(name=n, licence="x", rows=rows, status="resolved") for e, n in names.items()}
    stage = plan(written, facts, SCORES).stages[0]
    mixture = mix(written, stage, sources, names, Evidence(pictures, compare, kept.NoTexts()), tiles)
    digests = Digests(ids="1" * 64, decisions="2" * 64, clusters="3" * 64)
    manifest = report(written, stage, sources, names, mixture, told=Told("tiny", True), digests=digests)
    scores = pl.concat([sources[name].scores for name in sorted(sources)])
    return stage, StageView("sft", manifest, 2.0, mixture.decisions, mixture.clusters, scores)


def jpeg(width: int = 64, height: int = 48) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), (90, 140, 160)).save(buffer, "JPEG")
    return buffer.getvalue()


def viewed(stages: Sequence[StageView], text: str = "A short answer.") -> ReportView:
    """A report of stages, with a sample for every place that is asked for."""

    def samples(index: int, places: Sequence[tuple[str, str]]) -> list[SampleView]:
        assert 0 < len(places) <= MOST_SAMPLES
        assert len(set(places)) == len(places)
        decided = {(row["entry"], row["key"]): row for row in stages[index].decisions.iter_rows(named=True)}
        scores = {row["key"]: row for row in stages[index].scores.iter_rows(named=True)}
        return [
            SampleView(
                key=key,
                source=key.split("/")[0],
                entry=entry,
                domain="charts",
                messages=(("user", "<image>\nWhat is it?"), ("assistant", text)),
                pictures=(jpeg(), b"not a picture"),
                verdict=decided[entry, key]["verdict"],
                rule=decided[entry, key]["rule"],
                reasons=tuple(decided[entry, key]["reasons"]),
                scores=scores[key],
            )
            for entry, key in places
        ]

    sources = tuple(
        SourceView(name, "CC-BY-4.0", 125, {"picture_missing": 3, "marker_mismatch": 2}, 4321, 98_765_432, {"fixed": 4})
        for name in ("captions_two", "charts_one")
    )
    truth = TruthView(
        (TruthLine("loop", 40, 31, 2, "run"), TruthLine("song", 9, 0, 1, decoy=True)), 0.9, 0.775, "Planted."
    )
    return ReportView(
        "trial", "A trial.", "ab" * 32, tuple(stages), {"charts_one": 3.25}, ("a warning",), sources, samples, truth
    )


@pytest.fixture(scope="module")
def stage() -> StageView:
    return staged(recipe())[1]


@pytest.fixture(scope="module")
def page(stage: StageView) -> str:
    return render(viewed([stage]))


class _Elements(HTMLParser):
    """Collects start tags with their attributes, and the text in table cells."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def elements(html: str) -> list[tuple[str, dict[str, str | None]]]:
    parser = _Elements()
    parser.feed(html)
    return parser.tags


def rows_of(html: str, table: str) -> list[list[str]]:
    """Cells of a table of the page, without markup."""
    found = re.search(rf'<table class="{table}">(.*?)</table>', html, re.S)
    assert found
    rows = re.findall(r"<tr>(.*?)</tr>", found[1], re.S)
    return [
        [re.sub(r"<[^>]*>", "", cell).strip() for cell in re.findall(r"<t[hd].*?>(.*?)</t[hd]>", r, re.S)] for r in rows
    ]


def test_page_shows_every_count_of_the_manifest(stage: StageView, page: str) -> None:
    fields = [name for name in Counts.model_fields]
    order = ["read", "quarantined", "made", "not_taken", "drop", "review", "unscored", "keep"]
    order += ["duplicates", "capped", "written", "emitted"]
    assert sorted(fields) == sorted(order)
    table = {row[0]: row for row in rows_of(page, "entries")}
    for entry in stage.manifest.entries:
        assert table[entry.id][3:15] == [f"{getattr(entry.counts, name):,}" for name in order]
    assert table["all 3"][3:15] == [f"{getattr(stage.manifest.totals, name):,}" for name in order]
    details = {row[0]: row for row in rows_of(page, "details")}
    for entry in stage.manifest.entries:
        for name, rows in {**entry.rules, **entry.quarantine, **entry.repairs}.items():
            assert f"{rows:,} {name}" in " ".join(details[entry.id + entry.source])
        assert details[entry.id + entry.source][-2:] == [f"{entry.sizes.pictures:,}", f"{entry.sizes.tokens:,}"]
    domains = {row[0]: row for row in rows_of(page, "domains")}
    for name, counts in stage.manifest.domains.items():
        assert domains[name][2] == f"{counts.made:,}"
        assert domains[name][5] == f"{counts.emitted:,}"
        assert float(domains[name][7]) == pytest.approx(counts.repeat, rel=1e-3)


def test_data_of_the_test_has_every_ending(stage: StageView) -> None:
    assert all(value > 0 for value in stage.manifest.totals.model_dump().values())


def test_funnel_names_reasons_with_their_rows(stage: StageView, page: str) -> None:
    funnel = page[page.index('<div class="funnel">') : page.index("Domains before and after")]
    decided = {name: sum(e.rules.get(name, 0) for e in stage.manifest.entries) for name in ("run", "low_quality")}
    assert f"<b>{decided['run']}</b> run <code>char_run &gt;= 100</code>" in funnel
    assert f"<b>{decided['low_quality']}</b> low_quality <code>quality &lt; 7</code>" in funnel
    assert "<b>9</b> picture_missing" in funnel
    assert f"<b>{stage.manifest.totals.duplicates}</b> near_picture" in funnel


def test_rules_table_tells_decided_true_and_undecidable(stage: StageView, page: str) -> None:
    rules = {row[1]: row for row in rows_of(page, "rules")}
    true = stage.decisions.select(pl.col("reasons").list.contains("low_quality").sum()).item()
    unknown = stage.decisions.select(pl.col("unknown").list.contains("low_quality").sum()).item()
    assert int(rules["low_quality"][5]) == true > int(rules["low_quality"][4]) > 0
    assert int(rules["low_quality"][6]) == unknown > 0
    assert rules["run"][8] == "InternVL2.5, section 4"
    assert "not b: captions" in rules["low_quality"][7]


def test_what_is_assumed_missing_or_unmet_is_told(stage: StageView, page: str) -> None:
    assert "What is assumed, missing or unmet" not in page
    assert "as published" in page
    gone = Unresolved(
        id="lost", source="x", domain="charts", take={}, repeat=1, published_rows=1234, reason="<b>withdrawn</b>"
    )
    first, *others = stage.manifest.entries
    told = {
        "faithful": False,
        "scale": 0.25,
        "assumptions": ["one epoch & a half"],
        "unmet": ["domain `charts`: too few"],
        "unresolved": [gone],
        "entries": [first.model_copy(update={"assumed": "random rows"}), *others],
    }
    html = render(viewed([replace(stage, manifest=stage.manifest.model_copy(update=told))]))
    for sentence in (
        "assumed: one epoch &amp; a half",
        "<td>random rows</td>",
        '<th>lost</th><td>charts</td><td class="n">1,234</td><td class="cite">&lt;b&gt;withdrawn&lt;/b&gt;</td>',
        "target not met: domain `charts`: too few",
        "no, scaled by 0.25",
    ):
        assert sentence in html
    assert "<details>" not in html


def test_a_long_list_of_what_is_left_out_is_folded(stage: StageView) -> None:
    lost = Unresolved(id="lost", source="x", domain="charts", take={}, repeat=1, published_rows=None, reason="gone")
    told = {"unresolved": [lost.model_copy(update={"id": f"lost_{number}"}) for number in range(13)]}
    html = render(viewed([replace(stage, manifest=stage.manifest.model_copy(update=told))]))
    assert html.count("<details>") == html.count("</details>") == 1
    assert "<summary>Entries left out <small>13</small></summary>" in html
    assert "<th>lost_12</th>" in html


def test_hostile_text_stays_text(stage: StageView) -> None:
    view = viewed([stage], HOSTILE)
    hostile = replace(view, title=HOSTILE, recipe_description=HOSTILE, warnings=(HOSTILE,))
    html = render(hostile)
    plain = render(replace(view, samples=viewed([stage]).samples))
    assert "\u202e" not in html
    assert "\x00" not in html
    assert "U+202E" in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert "{{ 7 * 7 }}{% raw %}" in html
    added = {"span", "p"}  # notes about characters
    assert {tag for tag, _ in elements(html)} <= {tag for tag, _ in elements(plain)} | added
    assert html.count("</style>") == plain.count("</style>") == 1


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"level": "off"}, "off"),
        ({}, "level pair, pictures within 4 bits, then compared, keeps the first"),
        ({"level": "exact", "keep": "none"}, "level exact, keeps none"),
        (
            {"level": "picture", "verify": False, "flips": "same", "keep": "best", "prefer": ["a", "b"], "text": {}},
            "level picture, pictures within 4 bits, by hash alone, mirrored copies are the same, "
            "texts at least 0.8 alike, keeps the best quality, rather of a, b",
        ),
    ],
)
def test_dedup_in_words(settings: dict[str, object], said: str) -> None:
    assert dedup_words(settings) == said


def test_excerpt_says_how_many_characters_it_hides() -> None:
    text = "x" * 420 + "y" * 1234 + "z" * 160
    shown = excerpt(text, 420, 160)
    assert "1,234 characters hidden" in shown
    assert "y" not in re.sub("<.*?>", "", shown).replace("1,234 characters hidden", "")
    assert excerpt("x" * 600, 420, 160) == "x" * 600
    assert "3 characters of white space" in excerpt(" \n ", 9, 9)
    assert "empty" in excerpt("", 9, 9)


@pytest.mark.parametrize(
    ("marked", "expected"),
    [
        ((2, 5), "ab<mark>cde</mark>fgh"),
        ((0, 8), "<mark>abcdefgh</mark>"),
        ((0, 0), "abcdefgh"),
        ((5, 900), "abcde<mark>fgh</mark>"),
    ],
)
def test_a_finding_is_marked(marked: tuple[int, int], expected: str) -> None:
    assert excerpt("abcdefgh", 9, 9, marked) == expected


def test_a_finding_is_marked_on_both_sides_of_what_is_hidden() -> None:
    shown = excerpt("a" * 50 + "b" * 400 + "c" * 50, 60, 60, (50, 450))
    assert shown.startswith("a" * 50 + "<mark>" + "b" * 10 + "</mark>")
    assert shown.endswith("<mark>" + "b" * 10 + "</mark>" + "c" * 50)


@pytest.mark.parametrize(("turn", "expected"), [(1, "so so so "), (0, "")])
def test_the_loop_is_found_in_the_text_with_its_markers(turn: int, expected: str) -> None:
    text = "Well, <image>so so so <video>end"
    first, last = looping(turn, text, {"loop_turn": 1, "loop_start": 6, "loop_chars": 9})
    assert text[first:last].replace("<image>", "") == expected
    assert looping(turn, text, {"loop_turn": None, "loop_start": None, "loop_chars": None}) == (0, 0)


def test_page_loads_nothing_and_runs_nothing(page: str) -> None:
    tags = elements(page)
    assert not {tag for tag, _ in tags} & {
        "script",
        "link",
        "iframe",
        "object",
        "embed",
        "base",
        "form",
        "use",
        "image",
    }
    links = [str(value) for _, attrs in tags for name, value in attrs.items() if name in {"src", "href", "srcset"}]
    assert links
    assert all(link.startswith(("#", "data:image/jpeg;base64,")) or link == PAGE for link in links)
    assert not [name for _, attrs in tags for name in attrs if name.startswith("on")]
    assert "url(" not in page
    assert "@import" not in page
    policies = [attrs["content"] for tag, attrs in tags if attrs.get("http-equiv") == "Content-Security-Policy"]
    assert policies == ["default-src 'none'; img-src data:; style-src 'unsafe-inline'"]
    places = {f"#{attrs.get('id')}" for _, attrs in tags} | {PAGE}
    assert {str(attrs["href"]) for tag, attrs in tags if tag == "a"} <= places


def test_same_rows_in_another_order_give_the_same_page(stage: StageView, page: str) -> None:
    shuffled = replace(
        stage,
        decisions=stage.decisions.sample(fraction=1, shuffle=True, seed=3),
        clusters=stage.clusters.sample(fraction=1, shuffle=True, seed=4),
        scores=stage.scores.sample(fraction=1, shuffle=True, seed=5),
    )
    assert not shuffled.decisions.equals(stage.decisions)
    assert render(viewed([shuffled])) == page


@pytest.mark.parametrize("rows", [1, 7, 150])
def test_blocks_of_rows_give_the_same_page(
    monkeypatch: pytest.MonkeyPatch, stage: StageView, page: str, rows: int
) -> None:
    monkeypatch.setattr("flows.report.blocks.ROWS", rows)
    assert render(viewed([stage])) == page


def test_another_row_gives_another_page(stage: StageView, page: str) -> None:
    assert render(viewed([replace(stage, scores=stage.scores.with_columns(pl.col("quality") / 2))])) != page


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ("quality < 7", [("<", 7.0)]),
        ("quality<=-0.5 or quality > 1e3", [("<=", -0.5), (">", 1000.0)]),
        ("3 <= quality", [(">=", 3.0)]),
        ('"quality" < 7', [("<", 7.0)]),
        ("quality_mass < 7", []),
        ("native.quality < 7", []),
        ("quality < other", []),
        ("mean_quality < 7", []),
        ("quality < 70 * weight", []),
        ("2 * quality < 7", []),
        ("2 * 3 <= quality", []),
        ("3 <= quality / 2", []),
        ("10 - quality < 3", []),
        ("x3 <= quality", []),
        ("-1 <= quality and quality < +2", [("<", 2.0), (">=", -1.0)]),
        ("other < 3 and quality >= .5", [(">=", 0.5)]),
        ("other < 3.quality", []),
    ],
)
def test_thresholds(when: str, expected: list[tuple[str, float]]) -> None:
    found = thresholds("quality", [Rule(name="r", when=when, then="drop")])
    assert [(mark.operator, mark.value) for mark in found] == expected


def test_threshold_lies_where_its_value_is(stage: StageView) -> None:
    rule = Rule(name="r", when="quality < 7", then="drop")
    values = pl.Series([float(n) for n in range(11)])
    scores = pl.DataFrame({"key": [str(n) for n in range(11)], "quality": values, "quality_state": [None] * 11})
    decisions = pl.DataFrame({"key": scores["key"], "verdict": ["drop"] * 7 + ["keep"] * 4})
    (spread,) = distributions(decisions, scores, [rule])
    assert spread.scale is not None
    # bars left of the line hold dropped rows only, bars right of it kept rows only
    from flows.report.svg import histogram

    drawn = histogram(spread)
    line = re.search(r'<line class="threshold" x1="([\d.]+)"', drawn)
    assert line
    at = float(line[1])
    width = FRAME.x(1) - FRAME.x(0)
    assert at == pytest.approx(
        FRAME.x(0) + (7 - spread.scale.low) / (spread.scale.high - spread.scale.low) * width, abs=0.01
    )
    bars = re.findall(r'<rect class="v-(\w+)" x="([\d.]+)" y="[\d.]+" width="([\d.]+)"', drawn)
    bin_width = width / NUM_BINS
    assert {kind for kind, x, _ in bars if float(x) + bin_width <= at} == {"drop"}
    assert {kind for kind, x, _ in bars if float(x) >= at} == {"keep"}
    assert "r: &lt; 7" in drawn


def test_histogram_counts_every_row_taken(stage: StageView) -> None:
    taken = stage.decisions.filter(pl.col("verdict") != "not_taken").height
    rules = [Rule.model_validate(rule) for rule in stage.manifest.rules]
    spreads = distributions(stage.decisions, stage.scores, rules)
    assert [spread.score for spread in spreads] == ["char_run", "refusal", "quality", "answer_chars"]
    for spread in spreads:
        assert sum(sum(bar.rows) for bar in spread.bars) == spread.scored
        assert spread.scored + sum(spread.nulls.values()) == taken
    quality = spreads[2]
    assert quality.nulls.keys() == {"no_answer", "not_applicable"}
    assert spreads[0].scale is not None
    assert spreads[0].scale.log
    assert [bar.label for bar in spreads[1].bars] == ["false", "true"]


def test_perceptual_hash_is_not_drawn() -> None:
    scores = pl.DataFrame({"key": ["k"], "phash": pl.Series([5], dtype=pl.UInt64), "odd": [float("nan")]})
    decisions = pl.DataFrame({"key": ["k"], "verdict": ["keep"]})
    rules = [Rule(name="r", when="phash < 3 or odd < 2", then="drop")]
    (spread,) = distributions(decisions, scores, rules)
    assert spread.score == "odd"
    assert spread.nulls == {"not a finite number": 1}
    assert spread.bars == ()


def test_dropped_rows_cover_rules_and_sources(stage: StageView) -> None:
    picks = pick(stage)
    assert len(picks.dropped) == 20
    decided = {(row["entry"], row["key"]): row["rule"] for row in stage.decisions.iter_rows(named=True)}
    assert {decided[place] for place in picks.dropped} == {"run", "refused", "low_quality"}
    assert {key.split("/")[0] for _, key in picks.dropped} == {"charts_one", "captions_two"}
    order = [str(rule["name"]) for rule in stage.manifest.rules]
    assert [order.index(decided[place] or "") for place in picks.dropped] == sorted(
        order.index(decided[place] or "") for place in picks.dropped
    )
    assert len(picks.places()) == len(set(picks.places())) <= MOST_SAMPLES


def test_clusters_that_differ_most_are_shown() -> None:
    many = staged(recipe(), 400)[1]
    doubtful = pick(many).clusters[:DOUBTFUL]
    shown = [member.difference for cluster in doubtful for member in cluster.members if member.likeness]
    found = many.clusters["difference"].drop_nulls().sort(descending=True)
    assert sorted(shown, reverse=True) == found[: len(shown)].to_list()
    assert 0 < len(shown) < len(found)


def test_the_largest_clusters_are_shown_too() -> None:
    many = staged(recipe(), 400)[1]
    keys = many.decisions.filter(pl.col("verdict") == "keep")["key"].unique().sort().to_list()
    sizes = [2] * 60 + [5, 6, 7]
    groups = [[keys.pop() for _ in range(size)] for size in sizes]
    rows = [
        {"key": key, "cluster": group[-1], "duplicate_of": of, "reason": "same_bytes" if of else "kept"}
        for group in groups
        for key, of in zip(group, [None, *[group[0]] * (len(group) - 1)], strict=True)
    ]
    clusters = pl.DataFrame(rows, schema={**CLUSTERS}, orient="row")
    found = pick(replace(many, clusters=clusters)).clusters
    assert len(found) == DOUBTFUL + LARGEST
    assert {5, 6, 7} <= {cluster.size for cluster in found}


@pytest.mark.parametrize(
    ("dedup", "kept", "other"),
    [
        ({}, "the first", "same bytes, 0 bits apart"),
        ({"keep": "largest"}, "the largest, 900 pixels", "same bytes, 0 bits apart, 900 pixels"),
        ({"keep": "best"}, "the best quality, 900 quality", "same bytes, 0 bits apart, 900 quality"),
        ({"prefer": ["t"]}, "of a preferred source, then the first", "same bytes, 0 bits apart"),
    ],
)
def test_clusters_say_why_a_row_is_kept(dedup: dict[str, object], kept: str, other: str) -> None:
    policy = Dedup.model_validate(dedup)
    first = Member(("a", "k"), None, "kept", None, None, None, 900.0)
    second = Member(("a", "l"), 0, "same_bytes", None, None, None, 900.0)
    assert [told(member, policy) for member in (first, second)] == [kept, other]


def test_clusters_of_which_none_is_kept_say_so() -> None:
    policy = Dedup(keep="none")
    first = Member(("a", "k"), None, "none_kept", None, None, None, None)
    second = Member(("a", "l"), None, "near_text", None, None, 0.875, None)
    assert [told(member, policy) for member in (first, second)] == ["none kept", "near text, texts 0.88 alike"]


def test_clusters_say_what_decided(stage: StageView, page: str) -> None:
    members = stage.clusters.drop_nulls("likeness")
    assert members.height
    for difference in members["difference"]:
        assert f"0 bits apart, only a caption at the edge differs (difference {difference:.2f})" in page


def test_clusters_show_the_kept_row_first(stage: StageView) -> None:
    clusters = pick(stage).clusters
    assert clusters
    for cluster in clusters:
        assert [member.reason == "kept" for member in cluster.members] == [True] + [False] * (len(cluster.members) - 1)


def test_broken_picture_shows_a_placeholder() -> None:
    lost = thumbnail(b"not a picture")
    assert lost.uri is None
    assert lost.caption == "no picture: picture_unknown_format"
    found = thumbnail(jpeg(1000, 500))
    assert (found.width, found.height, found.caption) == (400, 200, "1000 x 500 JPEG")


def empty_stage() -> StageView:
    manifest = staged(recipe())[1].manifest.model_copy(
        update={"entries": [], "domains": {}, "rules": [], "totals": Counts()}
    )
    scores = pl.DataFrame(schema={"key": pl.String})
    return StageView("sft", manifest, 1.0, pl.DataFrame(schema=DECISIONS), pl.DataFrame(schema=CLUSTERS), scores)


def test_empty_mixture_renders() -> None:
    def never(_index: int, _places: Sequence[tuple[str, str]]) -> list[SampleView]:
        raise AssertionError("nothing to load")

    html = render(ReportView("none", "", "0" * 64, (empty_stage(),), {}, (), (), never))
    for sentence in ("No row was dropped.", "No duplicates", "No rule reads a score.", "No source was read."):
        assert sentence in html
    assert "Planted defects" not in html
    assert "This run has no stage." in render(ReportView("none", "", "0" * 64, (), {}, (), (), never))


def test_rows_that_no_rule_touches_render() -> None:
    (none,) = [{"name": "never", "when": "char_run > 1000", "then": "drop"}]
    stage = staged(recipe([none]))[1]
    bare = replace(stage, manifest=stage.manifest.model_copy(update={"rules": []}))
    html = render(viewed([bare]))
    assert "This stage has no rule: every row taken is kept." in html
    assert "No row waits for a reviewer." in html


def test_shared_mixture_is_counted_once(stage: StageView) -> None:
    html = render(viewed([stage, replace(stage, name="anneal", epochs=3.0)]))
    assert html.count('<table class="entries">') == 1
    assert "Uses the mixture of stage <b>sft</b> with epochs 3" in html
    assert f"<b>{stage.manifest.totals.read:,}</b> read" in html
