import io
import json
from dataclasses import replace

import numpy as np
import pytest
from pictures import noise
from PIL import Image
from tiny_vision import PICTURE, make_vision_wording

from filters.judges.base import Request
from filters.judges.layout import load_layout, make_layout
from filters.judges.likelihood import Conversation, Likelihood, Told, conversation, likelihood_scores, weighed
from filters.judges.model import read_model
from filters.judges.prompt import load_prompt, prompt_ids
from filters.judges.score import render
from filters.judges.vision import Sight, data_url, picture_prompt, shown
from filters.judges.wire import foretell_pictures, grade_pictures, read_foretold, read_letters
from shards.errors import UsageError

AXIS = "correspondence"
SIGHT = Sight(2, 512, 100, "")


@pytest.fixture(scope="module")
def sighted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sighted")
    make_vision_wording(folder, "\n".join(load_prompt(prompt_id).text for prompt_id in prompt_ids()))
    return folder


@pytest.fixture(scope="module")
def layout(sighted):
    return load_layout(str(sighted), 4096)


def ask(*texts, images=1, role="assistant"):
    turns = [{"role": ("user", role)[place % 2], "text": text} for place, text in enumerate(texts)]
    return Request(AXIS, render(turns), tuple(noise(each) for each in range(images)))


def text_of(layout, ids):
    return layout.ours.decode(ids, skip_special_tokens=False)


def test_pictures_come_first_each_with_a_mark(layout):
    for number in range(3):
        prompt = picture_prompt(layout, SIGHT, ask("<image>What?", "A cat.", images=number))
        text = text_of(layout, prompt.ids)
        assert prompt.ids.count(layout.control[PICTURE]) == number == len(prompt.images)
        assert text.find(PICTURE * number) < text.index("one letter") < text.index("A cat.")
        assert not prompt.cut
    assert picture_prompt(layout, SIGHT, ask("<image>", "")) is None


@pytest.mark.parametrize("words", [PICTURE, f"{PICTURE}<|im_end|>", "<global-img>" * 3, "< image>"])
def test_a_sample_makes_no_mark(layout, words):
    prompt = picture_prompt(layout, SIGHT, ask(f"What {words}?", f"{words}."))
    inside = prompt.ids[prompt.before : len(prompt.ids) - prompt.after]
    assert not set(inside) & set(layout.control.values())
    # some processors write the prompt out and tokenise it again
    assert not set(layout.ours.encode(text_of(layout, inside)).ids) & set(layout.control.values())
    assert prompt.ids.count(layout.control[PICTURE]) == 1


def test_rubrics_that_speak_of_pictures_make_no_mark(layout):
    assert PICTURE in load_prompt("quality_general").text
    assert layout.control[PICTURE] not in layout.prompt(ask("q", "a", images=0)).ids


def test_what_is_left_out_is_told(layout):
    assert picture_prompt(layout, SIGHT, ask("q", "a", images=3)).cut
    long = picture_prompt(layout, SIGHT, ask("q", "word " * 5000, images=2))
    assert long.cut and len(long.ids) == 4095 - 2 * SIGHT.image_tokens


@pytest.mark.parametrize(
    ("sight", "message"),
    [
        (replace(SIGHT, max_images=40), "with 40 pictures leaves"),
        (replace(SIGHT, image_tokens=2000), "with 2 pictures leaves"),
    ],
)
def test_pictures_that_leave_no_room_are_told(layout, sight, message):
    with pytest.raises(UsageError, match=message):
        picture_prompt(layout, sight, ask("q", "a"))


TEMPLATES = {
    "strings": "{% for m in messages %}{{ '[' + m.role + '] ' + m.content }}{% endfor %}[assistant]\n",
    "prints": "{% for m in messages %}[{{ m.role }}] {{ m.content }}{% endfor %}[assistant]\n",
    "deaf": "{% for m in messages %}[{{ m.role }}] {% if m.content is string %}{{ m.content }}{% else %}"
    "{% for part in m.content %}{{ part.text }}{% endfor %}{% endif %}{% endfor %}[assistant]\n",
    "parts": "{% for m in messages %}[{{ m.role }}] {% for part in m.content %}"
    "{% if part.type == 'image' %}<image>{% else %}{{ part.text }}{% endif %}{% endfor %}{% endfor %}[assistant]\n",
}


@pytest.mark.parametrize("template", ["strings", "prints", "deaf"])
def test_a_template_that_marks_no_pictures_needs_a_placeholder(sighted, template):
    layout = make_layout(replace(read_model(str(sighted)), template=TEMPLATES[template]), 4096)
    for made in (picture_prompt, conversation):
        with pytest.raises(UsageError, match=r"image_placeholder|template fails"):
            made(layout, SIGHT, ask("q", "a"))
    named = replace(SIGHT, image_placeholder="<global-img>")
    prompt = picture_prompt(layout, named, ask("<image><global-img>q", "a", images=2))
    assert prompt.ids.count(layout.control["<global-img>"]) == 2
    assert conversation(layout, named, ask("q", "a", images=2)).seen.count(layout.control["<global-img>"]) == 2


def test_a_template_of_parts_serves_text_too(sighted):
    layout = make_layout(replace(read_model(str(sighted)), template=TEMPLATES["parts"]), 4096)
    assert "A cat." in text_of(layout, layout.prompt(ask("q", "A cat.", images=0)).ids)
    assert picture_prompt(layout, SIGHT, ask("q", "a")).ids.count(layout.control[PICTURE]) == 1


@pytest.mark.parametrize(
    ("size", "wanted"),
    [((3, 2), (3, 2)), ((600, 2), (512, 6)), ((2, 600), (6, 512)), ((1024, 512), (512, 256)), ((512, 512), (512, 512))],
)
def test_pictures_are_shrunk_and_long_ones_get_a_margin(size, wanted):
    (picture,) = shown((noise(1, *size),), SIGHT)
    assert picture.mode == "RGB" and picture.size == wanted


def test_a_picture_that_does_not_decode_is_none(layout):
    assert shown((noise(1), noise(2)[:100]), SIGHT) is None
    assert shown((), SIGHT) == []


def test_an_address_holds_the_very_pixels():
    import base64

    (picture,) = shown((noise(1, 40, 30, "JPEG"),), SIGHT)
    head, _, body = data_url(picture).partition(",")
    assert head == "data:image/png;base64"
    again = Image.open(io.BytesIO(base64.b64decode(body)))
    assert np.array_equal(np.asarray(again), np.asarray(picture))


def test_the_name_of_a_sight_follows_what_changes_a_reply():
    others = [replace(SIGHT, **change) for change in ({"max_images": 1}, {"max_side_px": 9}, {"image_tokens": 9})]
    names = {each.name for each in (SIGHT, replace(SIGHT, image_placeholder="x"), *others)}
    assert len(names) == 5 and replace(SIGHT, max_images=0).name == ""


def test_answers_are_found_from_the_end(layout):
    request = ask("<image>\nWhat?", "A red cat.", "And there <image>?", "Two dogs & a cow.", images=2)
    made = conversation(layout, SIGHT, request)
    assert isinstance(made, Conversation) and not made.cut
    assert made.seen.count(layout.control[PICTURE]) == 2 and layout.control[PICTURE] not in made.blind
    for ids in (made.seen, made.blind):
        assert "".join(layout.ours.decode([ids[-place]]) for place in sorted(made.answers, reverse=True)) == (
            "A red cat.Two dogs & a cow."
        )
    seen = text_of(layout, made.seen)
    assert seen.startswith("<|im_start|>user\n<image><image>What?<|im_end|>") and seen.endswith("cow.<|im_end|>\n")
    assert seen.replace(PICTURE, "") == text_of(layout, made.blind)


@pytest.mark.parametrize(
    ("request_", "found"),
    [
        (ask("What?", "A cat.", images=0), Likelihood("empty")),
        (ask("<image>", ""), Likelihood("empty")),
        (ask("<image>What?"), Likelihood("empty")),
    ],
)
def test_without_pictures_or_answers_nothing_is_foretold(layout, request_, found):
    assert conversation(layout, SIGHT, request_) == found


def test_a_document_is_an_answer(layout):
    made = conversation(layout, SIGHT, Request(AXIS, "=== document ===\n<image> A cat.", (noise(1),)))
    assert (
        text_of(layout, made.seen) == "<|im_start|>user\n<image><|im_end|>\n<|im_start|>assistant\nA cat.<|im_end|>\n"
    )
    assert len(made.answers) == len(layout.plain_ids("A cat."))


def test_what_does_not_fit_is_left_out_at_the_end(layout):
    whole = conversation(layout, SIGHT, ask("q", "one two", "q", "three"))
    cut = conversation(layout, SIGHT, ask("q", "one two", "q " * 8000, "three"))
    assert cut.cut and len(cut.seen) == 4095 - SIGHT.image_tokens and cut.seen[:9] == whole.seen[:9]
    words = [layout.ours.decode([cut.seen[-place]]) for place in sorted(cut.answers, reverse=True)]
    assert "".join(words) == "one two"
    assert conversation(layout, SIGHT, ask("q " * 8000, "three")) == Likelihood("no_answer", cut=True)
    assert conversation(layout, SIGHT, ask("q", "a", images=3)).cut


def test_turns_that_a_template_refuses_have_no_answer(sighted):
    strict = (
        "{% for m in messages %}{% if m.role != ('user', 'assistant')[loop.index0 % 2] %}"
        "{{ raise_exception('turns must alternate') }}{% endif %}{% endfor %}"
    )
    files = read_model(str(sighted))
    layout = make_layout(replace(files, template=strict + files.template), 4096)
    twice = [{"role": role, "text": "t"} for role in ("user", "user", "assistant")]
    assert conversation(layout, SIGHT, Request(AXIS, render(twice), (noise(1),))) == Likelihood("no_answer")
    assert isinstance(conversation(layout, SIGHT, ask("q", "a")), Conversation)


MADE = Conversation([7, 8, 9, 5], [7, 9, 5], [1, 2], (b"",), (("user", "q"), ("assistant", "a")), False)


def test_scores_of_what_an_engine_told():
    seen, blind = [Told(-1.0, 1), Told(-2.0, 3)], [Told(-3.0, 1), Told(-5.0, 2)]
    assert weighed(MADE, seen, blind) == Likelihood("scored", 2.5, 0.5, False)
    assert weighed(MADE, None, blind).state == weighed(MADE, seen, None).state == "engine_error"
    assert weighed(MADE, [], blind).state == "no_answer"
    states = [weighed(MADE, seen, blind), Likelihood("empty"), Likelihood("engine_error"), Likelihood("no_answer")]
    frame = likelihood_scores(states)
    assert frame.rows() == [
        (2.5, 0.5, False, None),
        (None, None, None, "not_applicable"),
        (None, None, None, "error"),
        (None, None, False, "no_answer"),
    ]


def test_a_server_with_other_tokens_at_their_places_tells_nothing():
    def answer(*tokens):
        steps = [None, *({str(token): {"logprob": -1.5, "rank": 2}} for token in tokens)]
        return json.dumps({"choices": [{}], "prompt_logprobs": steps}).encode()

    read = read_foretold(MADE)
    assert read(answer(3, 3, 9, 5)) == [Told(-1.5, 2)] * 2
    assert read(answer(3, 3, 9, 6)) == [] == read(answer(5))
    assert read(b'{"choices": [{}]}') is None
    told = [None, {"9": {"logprob": -1, "rank": 1}}, {"5": {"logprob": -2, "rank": 1}}]
    assert read(json.dumps({"choices": [{"prompt_logprobs": told}]}).encode()) == [Told(-2, 1), Told(-1, 1)]


def test_a_chat_with_pictures(layout):
    prompt = picture_prompt(layout, SIGHT, ask(f"{PICTURE}What {PICTURE}?", "A cat.", images=2))
    body = grade_pictures(layout, SIGHT, AXIS, prompt, ["data:1", "data:2"], ids=True)
    system, user = body["messages"]
    assert [part["type"] for part in user["content"]] == ["image_url", "image_url", "text"]
    assert PICTURE not in system["content"] + user["content"][2]["text"]
    assert body["logprob_token_ids"] == list(layout.labels)
    top = [{"token": f"token_id:{label}", "logprob": -float(place)} for place, label in enumerate(layout.labels)]
    answer = json.dumps({"choices": [{"logprobs": {"content": [{"top_logprobs": top}]}}]}).encode()
    assert read_letters(layout)(answer) == [-float(place) for place in range(11)]
    assert read_letters(layout)(answer.replace(b"token_id:", b"")) is None
    assert foretell_pictures(SIGHT, MADE, ["data:1"])["messages"][0]["content"][0]["image_url"] == {"url": "data:1"}
