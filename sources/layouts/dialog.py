"""Dialogues that a publisher packed into one text."""

import re


def unpack(text: str, asked: str, answered: str) -> tuple[str, tuple[str, ...]]:
    """What stands before the first `asked`, and the texts behind each `asked` and `answered`, stripped.

    There are no texts where the two do not alternate, beginning with `asked`: then one of them is a word of the
    dialogue, and nobody knows which.
    """
    heading, *rest = re.split(rf"(?<!\w)({re.escape(asked)}|{re.escape(answered)})", text)
    marks, texts = rest[::2], rest[1::2]
    alternate = all(mark == (asked, answered)[index % 2] for index, mark in enumerate(marks))
    return heading.strip(), tuple(text.strip() for text in texts) if alternate else ()


def unpack_history(text: str, answer: str) -> tuple[str, ...]:
    """The turns of `HEADING Question: q Answer: a Question: q` and the answer to the last, empty if it is no such text.

    The heading (instruction and description of the picture) goes before the first question.

    Source: mit-han-lab/VILA, llava/data/dataset.py, `LazyVFlanDataset`, which drops the heading.
    """
    heading, texts = unpack(text, "Question:", "Answer:")
    if texts and len(texts) % 2 == 0 and not texts[-1]:  # an empty `Answer:` at the end asks for it
        texts = texts[:-1]
    if len(texts) < len(("question", "answer", "question")) or len(texts) % 2 == 0:
        return ()
    return ("\n".join(piece for piece in (heading, texts[0]) if piece), *texts[1:], answer)
