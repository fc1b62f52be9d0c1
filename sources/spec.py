"""The declaration of a source: one catalogue entry, or the inline form inside a recipe."""

import re
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from sources.download import Downloads

SourceName = Annotated[str, Field(pattern=r"^[a-z0-9_][a-z0-9_.-]*$", max_length=120)]
Glob = Annotated[str, Field(min_length=1)]
Text = Annotated[str, Field(min_length=1)]
Count = Annotated[int, Field(ge=0)]

Status = Literal["ready", "unverified", "gated", "gone", "unpublished", "unresolved"]
"""Whether a source can be read.

`ready`: place and record layout are both known from better than memory. `unverified`: place, files and layout are named
and can be tried, but one of them was not checked. `gated`: the publisher asks for a registration first. `gone`: it was
public once. `unpublished`: its owner keeps it. `unresolved`: nobody says which files the published name means, or the
place is named and nobody says which files it has or how their records look.
"""

NO_FILES: Final = ("picture_folder",)
"""Layouts that take every file of `root`, so that a source of theirs needs no `files`."""

Basis = Literal[
    "card", "readme", "paper", "file name", "meta file", "notebook", "generator", "counted", "derived", "remembered"
]
"""Where a count was read. `remembered`: nowhere in this study, so it gates nothing."""

System = Literal[
    "instella-vl",
    "llava-onevision",
    "vila",
    "vila-1.5",
    "nvila",
    "yi-vl",
    "internvl-1.2",
    "internvl-2.5",
    "mini-internvl",
]

_INTERNVL_25: Final = "internvl2_5"
_NVILA: Final = dict.fromkeys(
    (
        "cvpr_mmmu_v13_5M",
        "llava-video-sft",
        "recipe_v13",
        "recipe_v9",
        "recipe_v9_no_video",
        "recipe_v9_no_video_20",
        "recipe_v9_no_video_30",
        "vflan",
        "vflan_no_video",
        "vflan_no_video_no_docvqa",
        "vila-v1.5-sft",
    ),
    "nvila_public_mixture_file.sft_mixture_{stage}.{domain}.{name}",
)
STAGES: Final[dict[System, dict[str, str]]] = {
    "instella-vl": {"warmup": "ivl_warmup_{name}", "pretraining": "ivl_pt_{name}", "sft": "ivl_sft_{name}"},
    "llava-onevision": {
        "projector": "lov_pretrain_{name}",
        "mid": "lov_mid_stage_{name}",
        "single-image": "lov_single_image_{name}",
        "onevision": "lov_onevision_{name}",
    },
    "vila": {
        "projector": "vila_7b_feb_2024.1_projector_init.{domain}.{name}",
        "pretraining": "vila_7b_feb_2024.2_pre_training.{domain}.{name}",
        "sft": "vila_7b_feb_2024.3_sft.{domain}.{name}",
    },
    "vila-1.5": {"stage-2": "vila_1_5.stage_2.{domain}.{name}", "stage-3": "vila_1_5.stage_3.{domain}.{name}"},
    "nvila": _NVILA,
    "yi-vl": {
        "stage-1": "yi_vl_6b_34b.1_vit_projector_224_px_1_epoch_batch_4096.{domain}.{name}",
        "stage-2": "yi_vl_6b_34b.2_vit_projector_448_px_1_epoch_batch_4096.{domain}.{name}",
        "stage-3": "yi_vl_6b_34b.3_full_model_448_px_2_epochs_batch_256.{domain}.{name}",
    },
    "internvl-1.2": {"finetune": "internvl_chat_1_2.fine_tune_public_meta_file.{domain}.{name}"},
    "internvl-2.5": {
        "stage-1": f"{_INTERNVL_25}.stage_1_mlp_warm_up_and_1_5_vit_incremental.{{domain}}.{{name}}",
        "stage-2": f"{_INTERNVL_25}.stage_2_full_model_instruction_tuning.{{domain}}.{{name}}",
    },
    "mini-internvl": {
        "medical": "mini_internvl_da_medical.domain_adaptation.{domain}.{name}",
        "bdd": "mini_internvl_da_bdd.domain_adaptation.{domain}.{name}",
    },
}
"""Stages of every published system, in order, each with the key that the survey of published tables gave its rows."""


class Use(BaseModel):
    """One row of a published training table, or one entry of a published configuration, that a source stands for.

    Several sources may share one row: Instella-VL's `AI2D` means three subsets.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    system: System
    stage: Text
    name: Text
    """As the table writes it."""
    domain: Text | None = None
    """Domain row of the table; absent where the table gives totals per stage only, or the row stands in no table."""
    entries: tuple[Text, ...] = ()
    """Names in the system's configuration file, where they differ from `name`."""
    rows: Count | None = None
    """Rows that this use counts where it is not the whole source, such as `choose: 913`."""
    part: bool = False
    """The name is a part of the source that no file or column cuts out; its rows count where the whole stands."""
    row_key: Text | None = None
    """Key of the row in the survey, where it does not follow from the other fields."""

    @model_validator(mode="after")
    def _stage_exists(self) -> "Use":
        if self.stage not in STAGES[self.system]:
            raise ValueError(f"system `{self.system}` has no stage `{self.stage}`")
        return self

    @property
    def key(self) -> str:
        """Key of the row in the survey of published tables (`ivl_sft_chartqa`)."""
        stage, domain, name = (_slug(word) for word in (self.stage, self.domain or "", self.name))
        return self.row_key or STAGES[self.system][self.stage].format(stage=stage, domain=domain, name=name)


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")


class Columns(BaseModel):
    """Which columns of a `table` make a sample; a dot reaches into nested objects (`answers.0.text`).

    Several columns of one role are joined by one newline, empty ones left out. `images` holds column names, or a
    template such as `tables/{id}.png` with column names in braces.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str | None = None
    system: tuple[str, ...] = ()
    user: tuple[str, ...] = ()
    assistant: tuple[str, ...] = ()
    document: tuple[str, ...] = ()
    images: tuple[str, ...] = ()
    meta: tuple[str, ...] = ()


class Only(BaseModel):
    """Which rows of files that several sources share belong to this one.

    A row belongs to the source where the text in `column` matches one of the globs `like`, case counts and `*` crosses
    `/`. A dot in `column` reaches into nested objects; of a list the first item counts, of an object with a `path` the
    path. Everything else (null, a number, no such column) matches nothing.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    column: Text = "image"
    like: Annotated[tuple[Glob, ...], Field(min_length=1)]


class Reading(BaseModel):
    """How the raw files of a source are read, apart from their layout.

    `files` are globs relative to the source's base folder (the recipe's folder for an inline source), or absolute.
    `root` is the folder, relative to the same base or absolute, that picture paths in records are joined to. `archive`
    is a glob of tar or zip archives, whole or in pieces, that hold the pictures instead.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    downloads: Downloads = ()
    """Files to be fetched by address; the base folder is then the one that they are fetched to."""
    files: tuple[Glob, ...] = ()
    root: str = "."
    archive: Glob | None = None
    split: Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$")] = "train"
    columns: Columns | None = None
    prompt: str | None = None
    """Question asked where the publisher gives an answer only (captions)."""
    only: Only | None = None
    """The rows of the files that are this source's; rows of other sources keep their numbers and are counted apart."""
    pairs: Literal["apart", "join"] = "apart"
    """Whether several questions of one row are samples of their own or one dialogue (`cauldron`, `mtvqa`)."""
    native: tuple[str, ...] = ()
    """Published numeric columns offered as scores `native_NAME`."""
    licence: str = "unknown"
    rows: Count | None = None
    """Rows expected; another count stops the flow."""
    rows_basis: Basis | None = None
    quarantine_limit: Annotated[float, Field(ge=0, le=1)] = 0.2
    """Share of rows in quarantine above which the flow stops."""

    @model_validator(mode="before")
    @classmethod
    def _one_glob_is_a_list(cls, data: object) -> object:
        # YAML writers put one glob as a string; this is the one place where two spellings are allowed, because the
        # recipes in the documentation of every trainer do it.
        if isinstance(data, dict) and isinstance(data.get("files"), str):
            return {**data, "files": (data["files"],)}
        return data

    @model_validator(mode="after")
    def _memory_is_no_gate(self) -> "Reading":
        if self.rows is not None and self.rows_basis == "remembered":
            raise ValueError("a remembered count cannot gate; write it as `published_rows`")
        return self


class SourceBody(Reading):
    """A source as a recipe declares it inline."""

    layout: str


class Source(Reading):
    """One published subset, as the catalogue declares it."""

    name: SourceName
    layout: str | None = None
    """On-disk shape of its records (`sources/layouts`); absent where nobody has looked at them."""
    layout_evidence: Literal["real rows", "upstream code", "card", "remembered"] | None = None
    """What the layout was read from."""
    host: Literal["hf", "github", "http", "demo", "none"] | None = None
    repo: str | None = None
    """Hub id, or `demo` for the embedded publishers."""
    config: Text | None = None
    """Configuration, file or folder of the repository that this subset is."""
    url: Text | None = None
    """Page of the publisher where it is not on the hub."""
    revision: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")] | None = None
    pictures_from: Text | None = None
    """Picture sets of other publishers that records name, where they lie apart.

    `root` then starts from the folder of picture sets that a user names, not from the source's own folder.
    """
    pictures: Literal["pack", "reference"] = "pack"
    """`reference`: picture bytes stay where they are (registered mirrors)."""
    status: Status = "ready"
    status_reason: Text | None = None
    """Why it is not ready."""
    published_rows: Count | None = None
    """Rows that a paper, a file name or memory gives; says nothing of what the files hold, so it gates nothing."""
    published_rows_basis: Basis | None = None
    languages: tuple[Annotated[str, Field(pattern=r"^[a-z]{2}$")], ...] = ()
    """ISO 639-1 codes, where the publisher names them."""
    media: tuple[Literal["text", "image", "multi-image", "video", "interleaved"], ...] = ()
    """What rows hold besides text; `text` is rows without pictures."""
    aliases: tuple[Text, ...] = ()
    """Further names of this source, and of no other."""
    used_by: tuple[Use, ...] = ()
    notes: Text | None = None
    """Corrected links, known defects, and what else a user must know before a fetch."""

    @model_validator(mode="after")
    def _is_as_ready_as_it_says(self) -> "Source":
        if self.status == "ready" and (self.layout is None or self.layout_evidence == "remembered"):
            raise ValueError("a ready source needs a `layout` not from memory; write `status` and `status_reason`")
        # an inline source has no host; what is missing from it is told when its files are looked for
        tried = self.status == "unverified" or (self.status == "ready" and self.host is not None)
        if tried and (self.layout is None or not (self.files or self.layout in NO_FILES)):
            raise ValueError(f"a source of status `{self.status}` needs `layout` and `files`; else it is `unresolved`")
        if (self.status == "ready") != (self.status_reason is None):
            takes = "takes no" if self.status == "ready" else "needs"
            raise ValueError(f"status `{self.status}` {takes} `status_reason`")
        if (self.published_rows is None) != (self.published_rows_basis is None):
            raise ValueError("`published_rows` and `published_rows_basis` stand together")
        return self

    @model_validator(mode="after")
    def _pictures_are_at_one_place(self) -> "Source":
        if self.pictures_from and (self.archive or self.pictures == "reference"):
            raise ValueError("`pictures_from` and `archive` or `pictures: reference` say different things")
        return self
