"""Files of rates, and what prompts a judge is charged for."""

from pathlib import Path

import yaml
from pydantic import ValidationError

from filters.judges.base import Judge
from filters.judges.http import HttpJudge
from filters.judges.layout import Layout, load_layout
from filters.judges.vllm import VllmJudge
from manifests.operators import Written
from manifests.rates import Rates
from shards.complaint import complaint
from shards.errors import UsageError


class Measured(Written):
    """What a probe saw."""

    rows: int
    seconds: float
    samples_per_second: float
    computed_per_sample: float | None


class RatesFile(Written):
    """A file for `vlmix plan --rates`, as `vlmix judge probe --out` writes it."""

    judge: str | None = None
    """The judge that was measured; null for rates that hold for any."""
    rates: Rates
    measured: Measured | None = None


def read_rates(path: Path) -> RatesFile:
    """Rates from a YAML file.

    Raises:
        UsageError: no such file, or a word in it that is not known.
    """
    try:
        return RatesFile.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise UsageError(f"rates `{path}`: {error.strerror}; `vlmix judge probe --out` writes such a file") from error
    except yaml.YAMLError as error:
        raise UsageError(f"rates `{path}`: {str(error).partition(chr(10))[0]}") from error
    except ValidationError as error:
        raise UsageError(f"rates `{path}`: {complaint(error)}") from error


def layout_of(judge: Judge) -> Layout | None:
    """How prompts of a judge are written; None for one that is no language model.

    Raises:
        UsageError: its model or tokenizer is not on this machine.
    """
    if isinstance(judge, VllmJudge):
        return load_layout(judge.model, judge.max_model_len, judge.align)
    if isinstance(judge, HttpJudge):
        return load_layout(judge.tokenizer, judge.max_model_len, judge.align)
    return None
