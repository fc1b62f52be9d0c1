"""What a person writes: a recipe in YAML, checked word by word before any work; manifests/load.py reads it."""

from typing import Annotated, Final, Literal

from pydantic import Discriminator, Field, JsonValue, Tag, model_validator

from manifests.operators import Identifier, Slice, Take, Written
from manifests.rates import Rates
from manifests.targets import Targets

ESTIMATE: Final = "estimate"
"""Name of the built-in count of tokens: one for every four characters, and one for each CJK character."""


def _distinct(what: str, names: list[str]) -> None:
    doubles = sorted({name for name in names if names.count(name) > 1})
    if doubles:
        raise ValueError(f"{what} `{doubles[0]}` stands twice; ids must differ")


class Where(Written):
    """Entries and domains a rule applies to; an empty list means all."""

    entries: tuple[Identifier, ...] = ()
    domains: tuple[str, ...] = ()


class Exempt(Written):
    """An entry, or all entries of a domain, that a rule leaves alone, and why."""

    entry: Identifier | None = None
    domain: str | None = None
    reason: Annotated[str, Field(min_length=1)]

    @model_validator(mode="after")
    def _one_of_both(self) -> "Exempt":
        if (self.entry is None) == (self.domain is None):
            raise ValueError("an exemption names either an `entry` or a `domain`")
        return self

    def spares(self, entry: "Entry") -> bool:
        """Whether the rule leaves this entry alone."""
        return entry.id == self.entry or entry.domain == self.domain


class Spared(Written):
    """A rule that leaves this entry alone, and why."""

    rule: Identifier
    reason: Annotated[str, Field(min_length=1)]


class Rule(Written):
    """A named SQL predicate over scores and what follows when it is true; `off` removes an inherited rule."""

    name: Identifier
    when: str | None = None
    then: Literal["keep", "drop", "review", "off"]
    where: Where = Where()
    exempt: tuple[Exempt, ...] = ()
    source: str = ""
    """Where the threshold comes from: paper and section, repository and path, or `ours`."""

    @model_validator(mode="before")
    @classmethod
    def _off_is_a_word(cls, data: object) -> object:
        # YAML 1.1 reads a bare `off` as false
        if isinstance(data, dict) and data.get("then") is False:
            return {**data, "then": "off"}
        return data

    @model_validator(mode="after")
    def _predicate_present(self) -> "Rule":
        if (self.when is None) != (self.then == "off"):
            raise ValueError(f"rule `{self.name}` needs `when`, unless `then` is `off`")
        return self


class Rules(Written):
    """Rule sets in order, then local rules; a local rule replaces an inherited one of its name in place."""

    extends: tuple[str, ...] = ()
    list: tuple[Rule, ...] = ()

    @model_validator(mode="after")
    def _named_once(self) -> "Rules":
        _distinct("rule", [rule.name for rule in self.list])
        return self


class NearText(Written):
    """Which texts of samples without pictures are nearly the same."""

    similarity: Annotated[float, Field(ge=0.7, le=1)] = 0.8
    """Jaccard similarity of their shingles, of the questions or of the answers, whichever is lower."""
    same_numbers: bool = True
    """Texts in which other numbers stand are no duplicates, however similar."""


class Dedup(Written):
    """Which kept rows of a stage count as duplicates of one another.

    `pair`: same instruction, and pictures that are byte-identical, or near ones with the same answer too (a look-alike
    with another answer is another picture). `row`: same instruction and answer, and byte-identical or near pictures;
    for captions, where one prompt serves all. `picture`: pictures alone. `exact`: byte-identical pictures with the
    same instruction. Rows without pictures are duplicates when all their text is the same.
    """

    level: Literal["pair", "row", "picture", "exact", "off"] = "pair"
    distance: Annotated[int, Field(ge=0, le=16)] = 4
    """Bits of the 64-bit perceptual hash within which two pictures are near."""
    verify: bool = True
    """Compare near pictures themselves; those that show something else are no duplicates. Without, hashes decide."""
    flips: Literal["distinct", "same"] = "distinct"
    """Whether a mirrored copy counts as the same picture."""
    keep: Literal["first", "largest", "best", "none"] = "first"
    """Of duplicates the first by source name and as published, the one with most pixels, the one with the highest
    score `by` (those without one last), or none at all."""
    by: Identifier | None = None
    """Score that `best` goes by; null stands for `quality`."""
    prefer: tuple[str, ...] = ()
    """Names of sources, of which the earlier is rather kept, before `keep` is asked; those not named stand last."""
    text: NearText | None = None
    """Whether samples without pictures are duplicates when their texts are nearly the same; null asks for the same."""

    @model_validator(mode="after")
    def _by_a_score(self) -> "Dedup":
        if self.by is not None and self.keep != "best":
            raise ValueError("`by` names the score of `keep: best`, and of nothing else")
        if self.keep == "none" and self.prefer:
            raise ValueError("`keep: none` keeps no row, so that there is nothing to `prefer`")
        if len(set(self.prefer)) < len(self.prefer):
            raise ValueError("a source stands twice in `prefer`")
        return self

    @property
    def score(self) -> str | None:
        """The score that the choice goes by; null where it goes by none."""
        return (self.by or "quality") if self.keep == "best" else None

    @property
    def looks(self) -> bool:
        """Whether pictures of other bytes may be the same."""
        return self.level in {"pair", "row", "picture"}


class Leakage(Written):
    """Evaluation sets that the rows of a recipe are held against; `vlmix scores leakage index` reads one."""

    benchmarks: tuple[Identifier, ...] = ()

    @model_validator(mode="after")
    def _named_once(self) -> "Leakage":
        _distinct("benchmark", list(self.benchmarks))
        return self


class Frames(Written):
    """Video frames of a sample: between `least` and `most`."""

    least: Annotated[int, Field(ge=1)]
    most: Annotated[int, Field(ge=1)]


class JudgeSettings(Written):
    """Which model judges, how it is reached, and of which rows it is asked.

    A recipe holds no secret: a key for a server comes from the environment.
    """

    backend: Literal["tiny", "vllm", "http"]
    model: Annotated[str, Field(min_length=1)] | None = None
    """Of `vllm` the folder with its weights, relative to the recipe; of `http` the name that servers give it."""
    urls: tuple[Annotated[str, Field(pattern=r"^https?://[^\s@?#]+$")], ...] = ()
    """OpenAI-compatible servers of that model, such as `http://127.0.0.1:8000`."""
    dtype: Literal["auto", "bfloat16", "float16", "float32"] | None = None
    max_model_len: Annotated[int, Field(ge=256)] | None = None
    """Tokens of prompt and answer together; longer samples are cut and marked."""
    options: dict[Identifier, bool | int | float | str] = Field(default_factory=dict)
    """Further parameters of the backend, see docs/judge.md."""
    ask_when: dict[Identifier, str] = Field(default_factory=dict)
    """Criterion -> SQL predicate over cheap scores; where it is not true the judge is not asked for the criterion."""
    students: dict[Identifier, Annotated[str, Field(min_length=1)]] = Field(default_factory=dict)
    """Criterion -> file of `vlmix judge distil`, relative to the recipe; gives the cheap score `student_CRITERION`."""
    rates: Rates = Rates()
    """What `vlmix plan` charges for the calls; no mixture depends on them."""

    @model_validator(mode="after")
    def _reachable(self) -> "JudgeSettings":
        needed = {"tiny": set[str](), "vllm": {"model"}, "http": {"model", "urls"}}[self.backend]
        given = {name for name in ("model", "urls", "dtype", "max_model_len", "options") if getattr(self, name)}
        for name in sorted(needed - given):
            raise ValueError(f"judge `{self.backend}` needs `{name}`")
        allowed = {"tiny": set[str](), "vllm": given - {"urls"}, "http": given}[self.backend]
        for name in sorted(given - allowed):
            raise ValueError(f"judge `{self.backend}` takes no `{name}`")
        if any("key" in name or "token" in name.split("_") or "secret" in name for name in self.options):
            raise ValueError("a key is no option of a judge and stands in no recipe; see docs/judge.md")
        return self


def _judge_kind(value: object) -> str | None:
    """Which of the two ways to write a judge; without it a complaint would be about both."""
    if isinstance(value, dict | JudgeSettings):
        return "settings"
    return "word" if value in ("tiny", "off") else None


class Entry(Written):
    """One line of a recipe: a source, or the inline declaration of one, with what is taken from it."""

    id: Identifier
    source: str | dict[str, JsonValue]
    domain: str = "general"
    slice: Slice | None = None
    take: Take = Take()
    cap: Annotated[int, Field(ge=0)] | None = None
    """Most distinct rows written, chosen by hash after filtering and dedup."""
    repeat: Annotated[float, Field(gt=0)] = 1
    """Times each written row is emitted; of a fraction, that share of the rows (by hash) is emitted once more."""
    published: str | None = None
    """Name of the entry in the published configuration, where `id` is not that name. Different sources next to each
    other with one published name are one entry there."""
    assumed: Annotated[str, Field(min_length=1)] | None = None
    """What the publication does not say and this entry makes up; a recipe with such an entry is no reproduction."""
    withheld: Annotated[str, Field(min_length=1)] | None = None
    """What of the take is not public, such as an `exclude` list; the entry is unresolved, whatever its source."""
    exempt: tuple[Spared, ...] = ()
    languages: tuple[Annotated[str, Field(pattern=r"^[a-z]{2}$")], ...] = ()
    """ISO 639-1 codes, passed on to the manifest."""
    augment: bool | None = None
    """JPEG re-encoding at training time (InternVL's `data_augment`); null leaves it to the trainer."""
    judge_domain: Literal["disciplinary", "programming", "mathematics", "general"] | None = None
    """Domain whose prompt of quality the judge is asked; null leaves it to the score `judge_domain`."""
    max_tiles: Annotated[int, Field(ge=1)] | None = None
    """Most tiles of a sample's pictures (InternVL's `max_dynamic_patch`)."""
    frames: Frames | None = None

    @property
    def published_name(self) -> str:
        """What the published configuration calls this entry."""
        return self.published or self.id


class Stage(Written):
    """An ordered part of a recipe; it has entries of its own, or shares the mixture of an earlier stage."""

    name: Identifier
    epochs: Annotated[float, Field(gt=0)] = 1
    mixture: Identifier | None = None
    entries: tuple[Entry, ...] = ()
    rules: Rules | None = None
    dedup: Dedup | None = None
    targets: Targets | None = None

    @model_validator(mode="after")
    def _one_mixture(self) -> "Stage":
        if bool(self.mixture) == bool(self.entries):
            raise ValueError(f"stage `{self.name}` needs either `entries` or `mixture`")
        if self.mixture and (self.rules or self.dedup or self.targets):
            raise ValueError(
                f"stage `{self.name}` shares a mixture; its `rules`, `dedup` and `targets` stand at `{self.mixture}`"
            )
        _distinct(f"stage `{self.name}`: entry", [entry.id for entry in self.entries])
        return self


class Recipe(Written):
    """A whole recipe. `rules`, `dedup` and `targets` hold for every stage that has none of its own."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9_][a-z0-9_.-]*$", max_length=120)]
    description: str = ""
    seed: int = 0
    judge: Annotated[
        Annotated[Literal["tiny", "off"], Tag("word")] | Annotated[JudgeSettings, Tag("settings")],
        Discriminator(
            _judge_kind,
            custom_error_type="judge_kind",
            custom_error_message="Input should be 'tiny', 'off' or a mapping",
        ),
    ] = "tiny"
    """The embedded stand-in, no judge at all, or a model."""
    filters: tuple[str, ...] = ()
    """Filters of the user's own, as `module:Class`."""
    tokenizer: str = ESTIMATE
    """How text is counted in tokens; the manifest names it."""
    rules: Rules = Rules()
    dedup: Dedup = Dedup()
    targets: Targets | None = None
    leakage: Leakage = Leakage()
    """Which benchmarks give every row the scores `leak_*`; without one no row has them."""
    unresolved: Literal["stop", "skip"] = "stop"
    """What to do with entries whose source cannot be had: stop before any work, or leave them out and name them."""
    assumptions: tuple[str, ...] = ()
    """What the publication leaves open for the whole recipe; a recipe with one is no reproduction."""
    entries: tuple[Entry, ...] = ()
    stages: tuple[Stage, ...] = ()
    allow_passes: bool = False
    scale: Annotated[float, Field(gt=0, le=1)] = 1
    """Absolute takes, caps and targets are multiplied by this, for miniature runs; `--scale` sets it."""

    @model_validator(mode="after")
    def _consistent(self) -> "Recipe":
        if bool(self.entries) == bool(self.stages):
            raise ValueError("needs either `entries` (one stage) or `stages`")
        names = [stage.name for stage in self.stages]
        _distinct("stage", names)
        for position, stage in enumerate(self.stages):
            if stage.mixture and stage.mixture not in names[:position]:
                raise ValueError(f"stage `{stage.name}`: mixture `{stage.mixture}` is no earlier stage")
        _distinct("entry", [entry.id for entry in self.entries])
        return self

    def resolved_stages(self) -> tuple[Stage, ...]:
        """The stages as written; a recipe with `entries` has one, named `sft`."""
        return self.stages or (Stage(name="sft", entries=self.entries),)
