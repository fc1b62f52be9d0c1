"""S02 to S04: LLaVA JSON with pictures or videos by path."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from mini_hub.case import Case, Expected, Made, Source, refused, sample
from mini_hub.files import in_files, names_of
from mini_hub.onevision import BROKEN, GOOD, onevision
from mini_hub.talk import Talk, plain, text_only, turn, with_picture


def llava(source: Source) -> Made:
    """Rows of id, image or video, and conversations."""
    default = f"{source.slug}.json"
    if names_of(source, default)[0][0].endswith(".parquet"):
        return onevision(source)
    traps = list(_text_traps(source))
    first = _text
    if "video" in source.media:
        first, traps = _video, [*traps, *_video_traps(source)]
    elif source.media != ("text",):
        first, traps = _pictured, [*traps, *_picture_traps(source), *_list_traps(source)]
    if names_of(source, default)[0][0].endswith(".jsonl"):
        traps += _line_traps(source)
    cases = source.choose(lambda: _plain(source, first), traps)
    # of the rows in a file of several sources, those without a picture of this one are nobody's
    cases += [_plain(source, first) for _ in range(15 if source.folder else 0)]
    return in_files(source, cases, default)


def _plain(source: Source, made: Callable[[Source, Talk], Case]) -> Case:
    return made(source, plain(source, int(made is not _text)))


def _text(source: Source, talk: Talk, **extra: Any) -> Case:
    row = {"id": source.random.randrange(10**6), **extra, "conversations": talk.turns}
    return Case(row, (_expected(talk),), talk.trap)


def _expected(talk: Talk, *pictures: bytes, videos: Sequence[str] = ()) -> Expected:
    if isinstance(talk.expected, str):
        return refused(talk.expected)
    return sample(talk.expected, *pictures, videos=videos)


def _pictured(source: Source, talk: Talk, kind: str = "jpeg", written: str = "{}", **extra: Any) -> Case:
    """A row with one picture; `written` is how the record spells the path."""
    path, data = source.path("png" if kind in {"png", "alpha", "palette"} else "jpg"), source.picture(kind)
    row = {"id": path.split("/")[-1][:-4], "image": written.format(path), **extra, "conversations": talk.turns}
    return Case(row, (_expected(talk, data),), talk.trap, {path: data})


def _text_traps(source: Source) -> Iterator[Case]:
    for talk in text_only(source):
        yield _text(source, talk)
    yield _text(source, plain(source, 0)._replace(trap="image_null"), image=None)
    yield _text(source, plain(source, 0)._replace(trap="image_empty_text"), image="")
    yield _text(source, plain(source, 0)._replace(trap="image_empty_list"), image=[])
    asked, answered = source.question(), source.answer()
    messages = (("user", asked), ("assistant", answered))
    roles = [{"role": role, "content": text} for role, text in messages]
    yield Case({"id": "a", "conversations": roles}, (sample(messages),), "role_and_content")
    yield Case({"conversations": [turn("human", asked), turn("gpt", answered)]}, (sample(messages),), "id_absent")
    yield Case({"id": 7, "text": "no turns here"}, (refused("missing_field"),), "conversations_absent")
    number = [turn("human", asked), turn("gpt", 7)]
    yield Case({"id": 8, "conversations": number}, (sample((("user", asked), ("assistant", "7"))),), "number_as_text")
    yield Case(["not", "an", "object"], (refused("wrong_type"),), "row_is_a_list")


def _picture_traps(source: Source) -> Iterator[Case]:
    for talk in with_picture(source):
        yield _pictured(source, talk)
    for kind in GOOD:
        yield _pictured(source, plain(source)._replace(trap=f"picture_{kind}"), kind)
    for kind, reason in BROKEN.items():
        yield _pictured(source, Talk(f"picture_{kind}", plain(source).turns, reason), kind)
    yield _pictured(source, plain(source)._replace(trap="path_with_dot"), written="./{}")
    yield from _prefix_traps(source)
    yield _pictured(source, Talk("path_upwards", plain(source).turns, "unsafe_path"), written="../{}")
    yield _pictured(source, Talk("path_upwards_inside", plain(source).turns, "unsafe_path"), written="a/../../{}")
    yield _pictured(source, Talk("path_absolute", plain(source).turns, "unsafe_path"), written="/{}")
    yield _pictured(
        source, plain(source)._replace(trap="extra_keys"), image_size=[100, 80], model="m", metadata={"a": 1}
    )
    yield _pictured(source, Talk("picture_and_video", plain(source).turns, "mixed_media"), video="clips/1.mp4")
    shared = _pictured(source, plain(source)._replace(trap="picture_shared"))
    yield shared
    again = plain(source)
    (data,) = shared.beside.values()
    yield Case({**shared.raw, "conversations": again.turns}, (_expected(again, data),), "picture_shared", shared.beside)


def _prefix_traps(source: Source) -> Iterator[Case]:
    """Paths that lack or repeat a folder name: an archive is searched for the one that fits, a folder is not."""
    found = plain(source)
    missing = Talk("", found.turns, "picture_missing")
    likely = found if source.entry.get("archive") else missing
    yield _pictured(source, likely._replace(trap="path_has_more_folders"), written="data/{}")
    case = _pictured(source, likely._replace(trap="path_has_less_folders"))
    yield replace(case, beside={f"data/{path}": data for path, data in case.beside.items()})
    case = _pictured(source, missing._replace(trap="path_fits_two"))
    yield replace(case, beside={f"{top}/{path}": data for path, data in case.beside.items() for top in ("a", "b")})
    yield replace(_pictured(source, missing._replace(trap="path_missing")), beside={})


def _list_traps(source: Source) -> Iterator[Case]:
    """S03: lists of pictures, and markers counted over the whole conversation."""
    yield _listed(source, "list_of_one", ["<image>\n{}"], 1)
    yield _listed(source, "list_of_two", ["<image>\n<image>\n{}"], 2)
    yield _listed(source, "id_called_otherwise", ["<image>\n<image>\n{}"], 2, key="sample_id")
    yield _listed(source, "markers_over_turns", ["<image>\n{}", "And now <image>: {}"], 2)
    yield _listed(source, "list_of_two_one_marker", ["<image>\n{}"], 2, "marker_mismatch")
    yield _listed(source, "list_of_two_no_marker", ["{}"], 2, "marker_mismatch")
    yield _listed(source, "list_with_missing", ["<image>\n<image>\n{}"], 2, "picture_missing", missing=1)


def _listed(
    source: Source, trap: str, asked: list[str], number: int, reason: str = "", missing: int = 0, key: str = "id"
) -> Case:
    texts = [text for ask in asked for text in (ask.format(source.question()), source.answer())]
    pictures = {source.path("png"): source.picture("png") for _ in range(number)}
    turns = [turn(("human", "gpt")[index % 2], text) for index, text in enumerate(texts)]
    messages = [(("user", "assistant")[index % 2], text) for index, text in enumerate(texts)]
    row = {key: source.random.randrange(99), "image": list(pictures), "conversations": turns}
    expected = refused(reason) if reason else sample(messages, *pictures.values())
    return Case(row, (expected,), trap, dict(list(pictures.items())[missing:]))


def _video(source: Source, talk: Talk, **extra: Any) -> Case:
    """S04: LLaVA-Video marks its videos with `<image>`."""
    path = source.path("mp4")
    messages = talk.expected
    if not isinstance(messages, str):
        messages = tuple((role, text.replace("<image>", "<video>")) for role, text in messages)
    row = {"id": path, "video": path, **extra, "conversations": talk.turns, "data_source": "0_30_s"}
    return Case(row, (_expected(talk._replace(expected=messages), videos=[path]),), talk.trap)


def _video_traps(source: Source) -> Iterator[Case]:
    for talk in with_picture(source):
        yield _video(source, talk)
    asked, answered = source.question(), source.answer()
    own = (("user", f"<video>\n{asked}"), ("assistant", answered))
    turns = [turn("human", own[0][1]), turn("gpt", answered)]
    yield Case({"id": "v", "video": "a.mp4", "conversations": turns}, (sample(own, videos=["a.mp4"]),), "video_marker")
    frames = {"id": "v", "video": "./frames/0001", "conversations": turns}
    yield Case(frames, (sample(own, videos=["frames/0001"]),), "frames_as_folder")
    yield Case({"id": "v", "video": ["a.mp4"], "conversations": turns}, (sample(own, videos=["a.mp4"]),), "video_list")
    two = {"id": "v", "video": ["a.mp4", "b.mp4"], "conversations": turns}
    yield Case(two, (refused("marker_mismatch"),), "two_videos_one_marker")
    both = {"id": "v", "video": "a.mp4", "image": "a.jpg", "conversations": turns}
    yield Case(both, (refused("mixed_media"),), "picture_and_video")


def _line_traps(source: Source) -> Iterator[Case]:
    yield Case(b'{"id": "cut", "conversations": [{"from": "hum', (refused("broken_record"),), "line_cut")
    yield Case(b'{"id": "\xff", "conversations": []}', (refused("broken_record"),), "line_not_utf8")
    half = rb'{"id": "h", "conversations": [{"from": "human", "value": "\ud83c"}, {"from": "gpt", "value": "x"}]}'
    yield Case(half, (refused("broken_record"),), "half_a_surrogate_pair")
