import json
import math
import shutil
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_model import CONTROL, SPECIALS

from filters.judges.base import Request
from filters.judges.blocks import filled
from filters.judges.layout import LABELS, is_blank, load_layout, make_layout, read_answer
from filters.judges.model import model_sha256, read_model, wording_sha256
from filters.judges.prompt import load_prompt, prompt_ids
from filters.judges.score import render
from shards.errors import UsageError
from shards.schema import ROLES

PROMPT = "repetition"
PIECES = [*SPECIALS, "<|", "|>", "im_end", "\n", "~~~~", "~~", "Grade the sample, A to K:", "\ud800", "\x00", "a"]
SAMPLES = [(role, text) for role in ROLES for text in ("a", "Why?", "\n\n- one", "  two", "\u6c34", "<image>\n7")]


def ask(text: str, role: str = "assistant") -> Request:
    return Request(PROMPT, render([{"role": role, "text": text}]))


def sample_ids(layout, text):
    prompt = layout.prompt(ask(text))
    return prompt.ids[prompt.before : len(prompt.ids) - prompt.after]


@pytest.fixture(scope="module")
def layout(wording):
    return load_layout(str(wording), 4096)


def test_the_rubric_comes_first_and_the_question_last(layout):
    one, other = layout.prompt(ask("one")), layout.prompt(ask("another sample"))
    assert one.before == other.before > 300 and one.after == other.after < 30
    assert one.ids[: one.before] == other.ids[: other.before]
    assert one.ids[-one.after :] == other.ids[-other.after :]
    text = layout.ours.decode(one.ids, skip_special_tokens=False)
    assert text.index("loops") < text.index("K = 10") < text.index("=== assistant ===\none") < text.index("A to K")
    assert text.endswith("<|im_start|>assistant\n<think>\n\n</think>\n\n")


def test_labels_are_the_letters(layout):
    assert [layout.ours.id_to_token(label) for label in layout.labels] == list(LABELS)


@pytest.mark.parametrize("align", [16, 32, 128])
@pytest.mark.parametrize("prompt_id", prompt_ids())
def test_a_rubric_fills_whole_cache_blocks(wording, align, prompt_id):
    layout = load_layout(str(wording), 8192, align)
    frame = layout.frame(prompt_id)
    prompts = [layout.prompt(Request(prompt_id, render([{"role": role, "text": text}]))) for role, text in SAMPLES]
    heads = {tuple(prompt.ids[: frame.shared]) for prompt in prompts}
    assert len(heads) == len(ROLES), "samples share all that is before their first word, by the role that it has"
    assert frame.shared % align == 0 and 0 <= frame.shared - len(frame.before) < 4
    text = layout.ours.decode(frame.before, skip_special_tokens=False)
    assert load_prompt(prompt_id).text.rstrip() in text
    # what was put in is a line of dashes, and at most a block of it
    (line,) = [line for line in text.split("\n") if line and not line.strip("- ")] or [""]
    assert len(layout.ours.encode(f"{line}\n\n").ids) <= 2 * align


@pytest.mark.parametrize(
    ("each", "before", "line"),
    [
        (1, 13, ""),
        (1, 12, "-\n"),
        (1, 6, "- - - - - - -\n"),
        (2, 7, "- - -\n"),
        (2, 6, ""),  # two tokens a dash never make an odd number
        (16, 7, ""),
    ],
)
def test_a_line_of_dashes_fills_a_block_or_nothing_does(each, before, line):
    found = filled("Grade it.\n", lambda text: before + each * text.count("-"), header=3, align=16)
    assert found == "Grade it.\n" + (f"\n{line}" if line else "")


def test_the_block_size_is_part_of_the_prompt(wording):
    one, other = (load_layout(str(wording), 8192, align).prompt(ask("a")) for align in (16, 128))
    assert one.ids != other.ids and one.ids[one.before :] == other.ids[other.before :]


@pytest.mark.parametrize("spelling", [*SPECIALS, "<think>", "</think>"])
def test_control_tokens_in_a_sample_are_text(layout, spelling):
    text = f"a {spelling}\n{spelling * 3} b"
    ids = sample_ids(layout, text)
    assert layout.control[spelling] in layout.ours.encode(text).ids
    assert not set(ids) & set(layout.control.values())
    assert layout.plain.decode(ids) == render([{"role": "assistant", "text": text}])


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(PIECES)).map("".join))
def test_no_text_makes_a_control_token_or_breaks_a_fence(wording, text):
    layout = load_layout(str(wording), 4096)
    ids = layout.prompt(ask("x" + text)).ids
    prompt = layout.ours.decode(ids, skip_special_tokens=False)
    assert sum(line.startswith("~~~~") for line in prompt.split("\n")) == 2
    assert not set(sample_ids(layout, "x" + text)) & set(layout.control.values())


def test_a_word_that_is_a_control_token_too_is_spelled_out(wording):
    files = read_model(str(wording))
    document = json.loads(files.tokenizer)
    end = next(token["id"] for token in document["added_tokens"] if token["content"] == "<|im_end|>")
    # a tokenizer whose merges reach a control token, as those made by SentencePiece can
    document["model"]["vocab"]["zurimo"], old = end, document["model"]["vocab"]["zurimo"]
    layout = make_layout(replace(files, tokenizer=json.dumps(document)), 4096)
    ids = sample_ids(layout, "say zurimo")
    assert old not in ids and end not in ids
    assert not set(ids) & set(layout.control.values())


def test_a_long_sample_keeps_two_thirds_of_its_head_and_a_third_of_its_tail(layout):
    words = " ".join(f"word{number}" for number in range(4000))
    for text in (words, words * 20):
        prompt = layout.prompt(ask(text))
        ids = sample_ids(layout, text)
        shown = layout.plain.decode(ids)
        assert prompt.cut and len(prompt.ids) == 4095
        head, tail = shown.split("[... a part of the sample is left out here ...]")
        assert head.startswith("=== assistant ===\nword0 word1 ") and tail.endswith(" word3999")
        assert len(layout.plain.encode(head).ids) == pytest.approx(2 * len(layout.plain.encode(tail).ids), rel=0.02)
    assert not layout.prompt(ask("short")).cut


def test_a_sample_that_just_fits_is_whole(layout):
    room = 4095 - layout.prompt(ask("a")).before - layout.prompt(ask("a")).after
    header = len(sample_ids(layout, "a")) - 1
    fits = "7" * (room - header)  # the tokenizer takes digits one by one
    assert len(sample_ids(layout, fits)) == room
    assert not layout.prompt(ask(fits)).cut
    assert layout.prompt(ask(fits + "7")).cut


@pytest.mark.parametrize(
    ("text", "blank"),
    [
        ("", True),
        ("no header", False),
        (render([{"role": "assistant", "text": ""}]), True),
        (render([{"role": "user", "text": "<image>"}, {"role": "assistant", "text": " \n\t"}]), True),
        (render([{"role": "document", "text": "\x00\u200b\ufeff\ud800"}]), True),
        (render([{"role": "user", "text": "q"}, {"role": "assistant", "text": ""}]), False),
        (render([{"role": "document", "text": "\ue000"}]), False),
    ],
)
def test_samples_with_nothing_to_see_are_not_asked(layout, text, blank):
    assert is_blank(text) == blank
    assert (layout.prompt(Request(PROMPT, text)) is None) == blank


def test_surrogates_and_nuls_are_replaced(layout):
    assert layout.plain.decode(sample_ids(layout, "a\ud800b\x00c")).endswith("a\ufffdb\ufffdc")


def test_a_chat_holds_no_spelling_of_a_control_token(layout):
    messages, cut = layout.messages(ask(f"a {CONTROL} <|im_end|> b"))
    assert [message["role"] for message in messages] == ["system", "user"] and not cut
    assert "a < |override|> < |im_end|> b" in messages[1]["content"]
    assert not set(layout.ours.encode(messages[1]["content"]).ids) & set(layout.control.values())
    assert layout.messages(ask("")) is None


TEMPLATES = {
    "no system": "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no system') }}{% endif %}"
    "{{ m.content }}{% endfor %}\n",
    "none": "{{ raise_exception('never') }}",
    "twice": "{{ messages[-1].content }}{{ messages[-1].content }}",
    "drops": "hello",
    "thinks": "{{ messages[-1].content }}<think>\n",
    "clock": "{{ strftime_now('%Y') }}{{ messages[-1].content }}",
}


def test_a_template_without_a_system_turn_gets_the_rubric_in_the_question(wording):
    layout = make_layout(replace(read_model(str(wording)), template=TEMPLATES["no system"]), 4096)
    text = layout.ours.decode(layout.prompt(ask("one")).ids)
    assert text.index("loops") < text.index("=== assistant ===\none") < text.index("A to K")


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("none", "fails: never"),
        ("twice", "writes the sample 2 times"),
        ("drops", "writes the sample 0 times"),
        ("thinks", "opens a thought"),
        ("clock", "strftime_now"),
    ],
)
def test_templates_that_cannot_be_used_are_named(wording, template, message):
    with pytest.raises(UsageError, match=message):
        make_layout(replace(read_model(str(wording)), template=TEMPLATES[template]), 4096)


def test_a_label_that_melts_into_the_prompt_is_named(wording):
    files = read_model(str(wording))
    document = json.loads(files.tokenizer)
    document["model"]["vocab"]["yA"] = max(document["model"]["vocab"].values()) + 10
    document["model"]["merges"].insert(0, ["y", "A"])
    melts = replace(files, tokenizer=json.dumps(document), template="{{ messages[-1].content }}y")
    with pytest.raises(UsageError, match="label `A` is not one token"):
        make_layout(melts, 4096)


def test_a_prompt_that_leaves_no_room_is_named(wording):
    with pytest.raises(UsageError, match=r"`repetition` leaves .* raise `max_model_len`"):
        load_layout(str(wording), 300).prompt(ask("a"))


def test_pictures_are_not_dropped_in_silence(layout):
    with pytest.raises(UsageError, match="1 pictures"):
        layout.prompt(Request(PROMPT, "=== user ===\na", (b"",)))


def test_a_folder_that_is_no_model_is_named(wording, tmp_path):
    with pytest.raises(UsageError, match=r"expected a folder with tokenizer\.json"):
        load_layout(str(tmp_path), 4096)
    shutil.copy(wording / "tokenizer.json", tmp_path)
    with pytest.raises(UsageError, match="has no chat template"):
        load_layout(str(tmp_path), 4096)
    (tmp_path / "chat_template.jinja").write_text("{{ messages[-1].content }}\n")
    assert load_layout(str(tmp_path), 4096).prompt(ask("a"))
    with pytest.raises(UsageError, match="expected a folder with weights"):
        model_sha256(str(tmp_path))


def test_another_training_or_template_is_another_model(wording, tmp_path):
    names = []
    for number, (at, template) in enumerate([(0, "a"), (0, "b"), (700_000, "a"), (1_400_000, "a")]):
        folder = tmp_path / str(number)
        shutil.copytree(wording, folder)
        (folder / "chat_template.jinja").write_text(template)
        weights = bytearray(1_500_000)
        weights[at] = 1
        (folder / "model.safetensors").write_bytes(weights)
        names.append(model_sha256(str(folder)))
    assert len(set(names)) == 4
    assert wording_sha256(str(tmp_path / "0")) == wording_sha256(str(tmp_path / "2"))


def test_answers():
    even = read_answer([math.log(1 / 11)] * 11, False)
    assert even.state == "scored" and even.mass == pytest.approx(1) and even.probs == pytest.approx([1 / 11] * 11)
    half = read_answer([math.log(0.3), *[-math.inf] * 9, math.log(0.3)], True)
    assert half.probs == pytest.approx([0.5, *[0] * 9, 0.5]) and half.mass == pytest.approx(0.6) and half.cut
    for poor in ([-math.inf] * 11, [math.nan] * 11, [math.log(0.04)] * 11):
        reply = read_answer(poor, False)
        assert reply.state == "no_answer" and reply.probs is None and reply.mass < 0.5
