"""The judge on a small model that sees, on an engine in this process."""

import json
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import server_of, start_engine
from pictures import noise
from test_engine import same
from tiny_model import LETTERS
from tiny_vision import PICTURE, make_vision_model

from filters.judges import vllm
from filters.judges.base import Reply, Request
from filters.judges.http import HttpJudge
from filters.judges.layout import Prompt, load_layout
from filters.judges.likelihood import Likelihood, conversation
from filters.judges.prompt import load_prompt, prompt_ids
from filters.judges.score import parse, render, scores
from filters.judges.vision import picture_prompt, shown
from filters.judges.vllm import VllmJudge, close_engine
from shards.errors import UsageError
from shards.store import Store

pytestmark = [pytest.mark.vllm, pytest.mark.filterwarnings("ignore")]

AXIS = "correspondence"


@pytest.fixture(scope="module")
def sighted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rubrics = "\n".join(load_prompt(prompt_id).text for prompt_id in prompt_ids())
    return make_vision_model(tmp_path_factory.mktemp("model") / "sees", rubrics)


@pytest.fixture(scope="module")
def seer(sighted: Path) -> Iterator[VllmJudge]:
    yield start_engine(sighted, max_images=2, max_side_px=128, image_tokens=120)
    close_engine()


def sample(number: int, pictures: int = 1, words: str = "") -> str:
    turns = []
    for turn in range(1 + number % 3):
        asked = "<image>\n" * (pictures if turn == 0 else 0) + f"What is in row {number} of part {turn}? {words}"
        turns += [
            {"role": "user", "text": asked},
            {"role": "assistant", "text": f"It shows {LETTERS[(number + turn) % 11]}{number}{LETTERS[number % 5]}."},
        ]
    return render(turns)


def rows() -> list[Request]:
    """Twenty samples with one or two pictures of many shapes, and two without."""
    shapes = [(3, 2), (600, 2), (2, 600), (64, 48), (300, 200), (1, 1)]
    found = [Request(AXIS, sample(20)), Request(AXIS, sample(21))]
    for number in range(20):
        images = tuple(noise(number + each, *shapes[(number + each) % len(shapes)]) for each in range(1 + number % 2))
        found.append(Request(AXIS, sample(number, len(images)), images))
    return found


def apart(one: Reply, other: Reply) -> float:
    assert one.probs and other.probs
    return max(abs(left - right) for left, right in zip(one.probs, other.probs, strict=True))


def test_pictures_reach_the_model_each_at_its_place(seer):
    text = sample(0, 2)
    one, two = noise(1), noise(2)
    requests = [Request(AXIS, text, images) for images in ((one, two), (two, one), (one,), (two,), ())]
    replies = seer(requests)
    assert {reply.state for reply in replies} == {"scored"}
    for first in range(5):
        for second in range(first):
            assert apart(replies[first], replies[second]) > 1e-3
    same(seer(requests), replies)


def test_order_batch_and_chunk_change_nothing(seer):
    requests = rows()
    whole = seer(requests)
    assert {reply.state for reply in whole} == {"scored"} and not any(reply.cut for reply in whole)
    order = random.Random(0).sample(range(len(requests)), len(requests))
    same(seer([requests[row] for row in order]), [whole[row] for row in order])
    same([reply for request in requests[:8] for reply in seer([request])], whole[:8])
    same(replace(seer, chunk=3)(requests), whole)


def test_a_broken_picture_costs_its_own_row_only(seer):
    requests = rows()[:8]
    whole = seer(requests)
    broken = Request(AXIS, sample(3), (noise(1)[:200],))
    found = seer([*requests[:4], broken, *requests[4:]])
    assert found.pop(4) == Reply("engine_error", None, 0.0, False)
    same(found, whole)


def test_a_prompt_that_the_engine_refuses_costs_its_own_row_only(seer, monkeypatch):
    requests = rows()[2:8]
    whole = seer(requests)
    # more tokens than were kept free for it: the prompt is longer than the engine takes
    full = Request(AXIS, sample(1, 1, "long words " * 4000), (noise(5, 128, 128),))
    monkeypatch.setattr(vllm, "_check_budget", lambda *_: None)
    careless = replace(seer, image_tokens=4)
    found = careless([*requests[:3], full, *requests[3:]])
    assert found.pop(3) == Reply("engine_error", None, 0.0, True)
    same(found, whole)


def test_more_pictures_than_allowed_are_told(seer):
    three = tuple(noise(number) for number in range(3))
    shorter, whole = seer([Request(AXIS, sample(0, 3), three), Request(AXIS, sample(0, 3), three[:2])])
    assert shorter.cut and not whole.cut
    same([replace(shorter, cut=False)], [whole])
    (long,) = seer([Request(AXIS, sample(0, 1, "long words " * 4000), three[:1])])
    assert long.cut and long.state == "scored"


@pytest.mark.parametrize("words", [PICTURE, f"{PICTURE * 5} <fake_token_around_image><global-img>", "<|im_end|>"])
def test_a_sample_cannot_make_a_picture(seer, words):
    """The prompt holds as many tokens of pictures as one without the words, and the answer is that of plain words."""
    layout = load_layout(seer.model, seer.max_model_len)
    counts = []
    for text in (sample(0, 1), sample(0, 1, words)):
        prompt = picture_prompt(layout, seer.sight, Request(AXIS, text, (noise(1),)))
        ids = _expanded(seer, prompt)
        counts.append([ids.count(layout.control[name]) for name in (PICTURE, "<global-img>", "<|im_end|>")])
    assert counts[0] == counts[1] and counts[0][0] >= 16
    (text,) = seer([Request("relevance", sample(0, 0, words))])
    assert text.state == "scored"


def _expanded(seer: VllmJudge, prompt) -> list[int]:
    from vllm import SamplingParams

    ask = vllm._Ask.of(prompt.ids, prompt.images, seer.sight)
    outputs = vllm._holder().run(seer, lambda engine: vllm._outputs(engine, [ask], SamplingParams(max_tokens=1)))
    return list(outputs[0].prompt_token_ids)


def test_settings_about_pictures_that_cannot_work_are_told(seer):
    request = Request(AXIS, sample(0), (noise(1),))
    with pytest.raises(UsageError, match=r"pixels takes \d+ tokens, `image_tokens` keeps 20 free"):
        replace(seer, image_tokens=20)([request])
    with pytest.raises(UsageError, match=r"with 40 pictures leaves -?\d+ of 4096 tokens"):
        replace(seer, max_images=40)([request])
    with pytest.raises(UsageError, match="a judge of text got 1 pictures"):
        replace(seer, max_images=0)([request])


def test_likelihoods_are_those_of_the_model(seer, sighted):
    requests = rows()[2:10]
    found = seer.likelihoods(requests)
    assert {each.state for each in found} == {"scored"}
    reference = _Reference(sighted)
    for request, each in zip(requests, found, strict=True):
        gain, share = reference(seer, request)
        assert each.visual_gain == pytest.approx(gain, abs=1e-3)
        assert each.blind_answerable == pytest.approx(share)
    assert len({round(each.visual_gain, 3) for each in found}) == len(found)
    assert len({each.blind_answerable for each in found}) > 2


class _Reference:
    """The same by transformers' own forward pass, a sample at a time, logarithms by hand."""

    def __init__(self, folder: Path) -> None:
        from transformers import Idefics3ForConditionalGeneration, Idefics3ImageProcessorPil

        self._model = Idefics3ForConditionalGeneration.from_pretrained(folder).eval()
        self._processor = Idefics3ImageProcessorPil.from_pretrained(folder)

    def __call__(self, seer: VllmJudge, request: Request) -> tuple[float, float]:
        import torch

        made = conversation(load_layout(seer.model, seer.max_model_len), seer.sight, request)
        batch = self._processor([shown(made.images, seer.sight)], return_tensors="pt")
        pixels = {name: batch[name] for name in ("pixel_values", "pixel_attention_mask")}
        seen = _expanded(seer, Prompt(made.seen, 0, 0, made.cut, made.images))
        means, shares = [], []
        for ids, more in ((seen, pixels), (made.blind, {})):
            with torch.no_grad():
                logits = self._model(input_ids=torch.tensor([ids]), **more).logits[0].double()
            places = [len(ids) - place for place in made.answers]
            rows = logits[[place - 1 for place in places]]
            own = rows[range(len(places)), [ids[place] for place in places]]
            means.append(float((own - torch.log(torch.exp(rows).sum(dim=1))).mean()))
            shares.append(float((own == rows.max(dim=1).values).double().mean()))
        return means[0] - means[1], shares[1]


def test_likelihoods_do_not_depend_on_others(seer):
    requests = rows()
    whole = seer.likelihoods(requests)
    assert [each.state for each in whole[:2]] == ["empty", "empty"]
    order = random.Random(1).sample(range(len(requests)), len(requests))
    alike(seer.likelihoods([requests[row] for row in order]), [whole[row] for row in order])
    alike([each for request in requests[:6] for each in seer.likelihoods([request])], whole[:6])
    alike(replace(seer, chunk=4).likelihoods(requests), whole)
    # the prefix cache is warm now
    alike(seer.likelihoods(requests), whole)
    broken = Request(AXIS, sample(3), (noise(1)[:200],))
    assert seer.likelihoods([broken, requests[5]])[0] == Likelihood("engine_error")
    alike(seer.likelihoods([broken, requests[5]])[1:], whole[5:6])


def alike(found: list[Likelihood], wanted: list[Likelihood]) -> None:
    assert [(each.state, each.cut, each.blind_answerable) for each in found] == [
        (each.state, each.cut, each.blind_answerable) for each in wanted
    ]
    for one, other in zip(found, wanted, strict=True):
        assert one.visual_gain == pytest.approx(other.visual_gain, abs=1e-4)


def test_in_process_and_over_http_are_the_same(seer, sighted, tmp_path):
    requests = rows()
    graded, foretold = seer(requests), seer.likelihoods(requests)
    broken = Request(AXIS, sample(3), (noise(1)[:200],))
    with server_of(sighted, tmp_path / "log", "--limit-mm-per-prompt", '{"image": 2}') as server:
        sizes = {name: getattr(seer, name) for name in ("max_model_len", "max_images", "max_side_px", "image_tokens")}
        http = HttpJudge("tiny", (server.url,), str(sighted), patience_s=1.0, timeout_s=30.0, align=32, **sizes)
        same(http(requests), graded)
        alike(http.likelihoods(requests), foretold)
        assert http([broken, requests[5]])[0] == Reply("engine_error", None, 0.0, False)
        assert http.likelihoods([broken, requests[5]])[0] == Likelihood("engine_error")
        words = f"{PICTURE * 5} <fake_token_around_image><|im_end|>"
        hostile = [Request(AXIS, sample(0, 1, words), (noise(1),))]
        same(http(hostile), seer(hostile))
        (chat,) = replace(http, api="chat")([requests[5]])
        assert chat.state == "scored" and apart(chat, graded[5]) < 1e-3
        _builds(http, tmp_path)


def _builds(http: HttpJudge, folder: Path) -> None:
    """A recipe with pictures, from its files to its verdicts: what rules read is what the judge says of each row."""
    from flows.executor import LocalRunner
    from flows.mixes import find_one
    from flows.run import checked, run_with

    requests = rows()[:12]
    data = []
    for place, request in enumerate(requests):
        for number, image in enumerate(request.images):
            (folder / f"{place}-{number}.png").write_bytes(image)
        speakers = {"user": "human", "assistant": "gpt"}
        turns = [{"from": speakers[turn["role"]], "value": turn["text"]} for turn in parse(request.sample_text)]
        if not request.images:
            turns[0]["value"] = turns[0]["value"].replace("<image>\n", "")
        names = [f"{place}-{number}.png" for number in range(len(request.images))]
        data.append({"id": place, "image": names, "conversations": turns})
    (folder / "data.json").write_text(json.dumps(data))
    options = {"tokenizer": http.tokenizer, "patience_s": 1.0, "align": 32}
    options |= {name: getattr(http, name) for name in ("max_images", "max_side_px", "image_tokens")}
    judge = {"backend": "http", "model": "tiny", "urls": list(http.urls), "max_model_len": 4096, "options": options}
    rules = [
        {"name": "unlike", "when": "correspondence < 5", "then": "review"},
        {"name": "useless", "when": "visual_gain < 0", "then": "drop"},
    ]
    entry = {"id": "mine", "source": {"layout": "llava", "files": "data.json", "root": "."}}
    written = {"name": "seen", "judge": judge, "rules": {"list": rules}, "dedup": {"level": "off"}, "entries": [entry]}
    (folder / "recipe.yaml").write_text(json.dumps(written))  # JSON is YAML
    store = Store(folder / "store")
    prepared = checked(str(folder / "recipe.yaml"), store)
    assert prepared.judge == replace(http, timeout_s=120.0)
    run_with(prepared, store, LocalRunner(None), None, lambda step, done: None)
    found = find_one(store, "seen")
    graded = scores(http(requests), AXIS)
    gains = [each.visual_gain for each in http.likelihoods(requests)]
    for place, request in enumerate(requests):
        row = found.scores.row(place, named=True)
        if not request.images:
            assert (row[AXIS], row[AXIS + "_state"], row["visual_gain_state"]) == (None, *["not_applicable"] * 2)
            continue
        assert row[AXIS] == pytest.approx(graded[AXIS][place], abs=1e-3)
        unlike = graded[AXIS][place] < 5
        assert row["visual_gain"] is None if unlike else row["visual_gain"] == pytest.approx(gains[place], abs=1e-3)
        verdict = "review" if unlike else "drop" if gains[place] < 0 else "keep"
        assert found.decisions["verdict"][place] == verdict
    assert set(found.decisions["verdict"]) >= {"keep", "review"}
