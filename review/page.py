"""The review page without its server: which item a reviewer sees, what it looks like, and what an answer does."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from review.answer import Answer, Choice, Journal
from review.item import ReviewItem
from review.page_answers import DROP, KEEP, SKIP, Answers
from review.page_filter import STATUSES, FacetKind, Facets, GroupKind, Mask, Wanted, following, preceding
from review.page_picture import Served, Size, served
from review.page_text import PART, Mark
from review.page_told import MAX_BULK, ChangedError, Given, GivenGroup, Move, NotInQueueError, Reply, TakenBack
from review.page_view import lines, marks, part_of, rules_of, turns
from review.stored import StoredQueue
from review.visible import plain, visible

FOLDER: Final = Path(__file__).parent


@dataclass(frozen=True)
class Page:
    """The page of one queue. `hits` finds what rules look for in an item; `title` names the mixture."""

    queue: StoredQueue
    journal: Journal
    hits: Callable[[ReviewItem], Sequence[Mark]]
    title: str

    @cached_property
    def facets(self) -> Facets:
        """What can be filtered by."""
        return Facets(self.queue.table)

    @cached_property
    def answers(self) -> Answers:
        """What stands of the answers of all reviewers."""
        return Answers(self.queue.table["item"].to_list(), self.queue.table["seen"].to_list(), self.journal)

    def warm(self) -> None:
        """Read the journal and all that the first visitor would wait for.

        Raises:
            StoreError: a line of the journal is no answer.
        """
        self.answers.refresh()
        self.facets.mask(Wanted())
        for template in ("page.html", "item.html", "group.html", "none.html", "fold.html", "name.html"):
            self._templates.get_template(template)

    def whole(self, reviewer: str, wanted: Wanted, item: str | None, secret: str) -> str:
        """The document; without an item, with the first one that is wanted."""
        reply = self.show(reviewer, wanted, item)
        options = {kind: self.facets.options(kind)[:_MOST_OPTIONS] for kind in _FACETS}
        context = {"title": self.title, "reviewer": reviewer, "wanted": wanted, "options": options}
        return self.render("page.html", **context, reply=reply, secret=secret)

    def show(self, reviewer: str, wanted: Wanted, item: str | None, said: str = "") -> Reply:
        """The named item, or the first one that is wanted.

        Raises:
            NotInQueueError: no such item.
        """
        self.answers.refresh()
        place = self.place(item) if item else following(self._mask(reviewer, wanted), -1)
        return self._reply(reviewer, wanted, place, said)

    def move(self, reviewer: str, wanted: Wanted, item: str, to: Move) -> Reply:
        """The item before or behind another one, or the first of the next cluster; the same where there is none.

        Raises:
            NotInQueueError: no such item.
        """
        self.answers.refresh()
        place = self.place(item)
        if to == "previous":
            found = preceding(self.facets.mask(wanted), place)
        else:
            mask = self._mask(reviewer, wanted)
            found = following(mask & self.facets.other_group(place) if to == "group" else mask, place)
        told = "" if found is not None else "no other cluster" if to == "group" else "no other item"
        return self._reply(reviewer, wanted, place if found is None else found, told)

    def answer(self, reviewer: str, given: Given) -> Reply:
        """Write one answer and show the next item.

        Raises:
            NotInQueueError: no such item.
            ChangedError: the row reads otherwise now.
            StoreError: the answer is not written.
        """
        place = self.place(given.item)
        if given.seen != self.queue.table["seen"][place]:
            raise ChangedError("the row reads otherwise by now; load the page again and answer what it shows")
        note, settles = given.note.strip(), given.settles
        self.answers.give([self._answer(reviewer, place, given.answer_id, given.choice, note=note, settles=settles)])
        return self._after(reviewer, given.wanted, place, f"{_DONE[given.choice]}.")

    def answer_group(self, reviewer: str, given: GivenGroup) -> Reply:
        """Write one answer for many items and show the next one.

        Raises:
            NotInQueueError: no such item, or one that is not of the group.
            StoreError: the answer is not written.
        """
        place = self.place(given.item)
        places = [self.place(item) for item in given.items]
        if not set(places) <= set(self.facets.members(place, given.by)):
            raise NotInQueueError(f"an item is not of the same {given.by}; open the preview again")
        bulk = given.answer_id
        told = [self._answer(reviewer, each, bulk, given.choice, bulk=bulk) for each in dict.fromkeys(places)]
        self.answers.give(told)
        return self._after(reviewer, given.wanted, place, f"{_DONE[given.choice]} {len(told):,} items.")

    def take_back(self, reviewer: str, given: TakenBack) -> Reply:
        """Take back what stands of an act and show its first item; an act that was taken back stays so.

        Raises:
            StoreError: nothing was taken back.
        """
        with self.answers.lock:
            places = self.answers.standing(reviewer, given.act)
            self.answers.give([self._answer(reviewer, place, given.answer_id, "undo") for place in places])
            back = places or self.answers.undone(reviewer, given.answer_id)
        if not back:
            return self.show(reviewer, given.wanted, None, "Nothing to take back.")
        said = "Taken back." if len(back) == 1 else f"Taken back for {len(back):,} items."
        return self._reply(reviewer, given.wanted, min(back), said)

    def group(self, reviewer: str, item: str, by: GroupKind) -> str:
        """The preview of an answer for a whole cluster or template: the items that the reviewer has not answered.

        Raises:
            NotInQueueError: no such item.
        """
        place = self.place(item)
        codes = self.answers.codes(reviewer)
        members = self.facets.members(place, by)
        unanswered = [each for each in members if codes[each] not in (KEEP, DROP)]
        rows = [self.queue.item(each) for each in unanswered[:MAX_BULK]]
        more = len(unanswered) - len(rows)
        answered = len(members) - len(unanswered)
        return self.render("group.html", rows=rows, by=by, more=more, answered=answered, limit=MAX_BULK)

    def part(self, item: str, turn: int, start: int, end: int) -> str:
        """Characters of a message behind a button, at most `PART` of them, with a button for the rest.

        Raises:
            NotInQueueError: no such item, message or part.
        """
        shown = self.queue.item(self.place(item))
        try:
            end = min(end, len(shown.messages[turn].text))
            stop = min(end, start + PART)
            part = part_of(shown, marks(shown, self.hits(shown)), turn, start, stop)
        except IndexError as error:
            raise NotInQueueError(f"item `{item}` has no such part") from error
        return self.render("fold.html", part=part, turn_number=turn, rest=(stop, end) if stop < end else None)

    def text(self, item: str, turn: int) -> str:
        """The whole text of a message, as it is stored.

        Raises:
            NotInQueueError: no such item or message.
        """
        messages = self.queue.item(self.place(item)).messages
        if not 0 <= turn < len(messages):
            raise NotInQueueError(f"item `{item}` has {len(messages)} messages")
        return messages[turn].text

    def picture(self, item: str, sha256: str, size: Size) -> Served:
        """A picture of an item, encoded anew.

        Raises:
            NotInQueueError: the item has no such picture.
            PictureError: it does not decode.
            StoreError: its bytes are gone or changed.
        """
        if sha256 not in {picture.sha256 for picture in self.queue.item(self.place(item)).pictures}:
            raise NotInQueueError(f"item `{item}` has no such picture")
        return served(self.queue.picture(sha256), size)

    def place(self, item: str) -> int:
        """Place of an item in the queue.

        Raises:
            NotInQueueError: no such item.
        """
        try:
            return self.queue.place(item)
        except KeyError as error:
            raise NotInQueueError(f"the queue has no item `{item}`; load the page again") from error

    def render(self, template: str, **context: object) -> str:
        """A template as HTML; every text in it is escaped."""
        return self._templates.get_template(template).render(**context)

    @cached_property
    def _templates(self) -> Environment:
        templates = Environment(
            loader=FileSystemLoader(FOLDER / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        templates.filters |= {"visible": visible, "plain": plain, "count": lambda number: f"{number:,}"}
        templates.globals |= {"statuses": STATUSES, "most": PART, "breakable": Markup("_<wbr>")}
        return templates

    def _mask(self, reviewer: str, wanted: Wanted) -> Mask:
        mask = self.facets.mask(wanted)
        if wanted.status == "all":
            return mask
        if wanted.status == "split":
            return np.asarray(mask & self.answers.split())
        if wanted.status == "nobody":
            return np.asarray(mask & ~self.answers.answered())
        done = self.answers.codes(reviewer) > 0
        return np.asarray(mask & (done if wanted.status == "done" else ~done))

    def _after(self, reviewer: str, wanted: Wanted, place: int, said: str) -> Reply:
        mask = self._mask(reviewer, wanted)
        found = following(mask, place)
        return self._reply(reviewer, wanted, None if found == place else found, said)

    def _answer(
        self,
        reviewer: str,
        place: int,
        act: str,
        choice: Choice,
        *,
        note: str = "",
        settles: bool = False,
        bulk: str | None = None,
    ) -> Answer:
        row = self.queue.table.row(place, named=True)
        return Answer(
            answer_id=act,
            item=row["item"],
            entry=row["entry"],
            key=row["key"],
            seen=row["seen"],
            choice=choice,
            reviewer=reviewer,
            at=datetime.now(UTC),
            via="page",
            note=note,
            settles=settles,
            bulk=bulk,
        )

    def _reply(self, reviewer: str, wanted: Wanted, place: int | None, said: str) -> Reply:
        context = {"progress": self._progress(reviewer, wanted), "act": self.answers.last_act(reviewer), "said": said}
        if place is None:
            html = self.render("none.html", **context, wanted=wanted)
            return Reply(html=html, url=_url(wanted), title=f"Nothing left - {_TITLE}", said=f"{said} Nothing left.")
        item = self.queue.item(place)
        fixed = self.facets.mask(wanted)
        number, of = int(fixed[: place + 1].sum()), int(fixed.sum())
        codes = self.answers.codes(reviewer)
        found = marks(item, self.hits(item))
        html = self.render(
            "item.html",
            **context,
            item=item,
            seen=self.queue.table["seen"][place],
            number=number,
            of=of,
            rules=rules_of(item),
            lines=lines(item),
            turns=turns(item, found),
            groups={kind: len(self.facets.members(place, kind)) for kind in _GROUPS},
            mine=_CHOICES[codes[place]],
            note=self.answers.note(reviewer, place),
            others=self.answers.others(reviewer, place) if codes[place] or wanted.status == "split" else [],
            may_settle=bool(self.answers.split()[place]) or wanted.status == "split",
        )
        title = f"Item {number:,} of {of:,} - {_TITLE}"
        return Reply(
            html=html, url=_url(wanted, item.id), title=title, said=f"{said} Item {number:,} of {of:,}.".strip()
        )

    def _progress(self, reviewer: str, wanted: Wanted) -> dict[str, object]:
        codes = self.answers.codes(reviewer)
        return {
            **{
                name: int((codes == code).sum())
                for name, code in (("kept", KEEP), ("dropped", DROP), ("skipped", SKIP))
            },
            "left": int((self.facets.mask(wanted) & (codes == 0)).sum()),
            "all": len(codes),
            "answered": int(self.answers.answered().sum()),
            "split": int(self.answers.split().sum()),
            "agreements": self.answers.agreements(reviewer),
        }


_TITLE: Final = "vlmix review"
_FACETS: Final[tuple[FacetKind, ...]] = ("rule", "source", "domain")
_GROUPS: Final[tuple[GroupKind, ...]] = ("cluster", "template")
_MOST_OPTIONS: Final = 500
_DONE: Final = {"keep": "Kept", "drop": "Dropped", "skip": "Skipped"}
_CHOICES: Final = ("", "keep", "drop", "skip")


def _url(wanted: Wanted, item: str = "") -> str:
    asked = {"item": item, **wanted.model_dump(exclude_defaults=True)}
    query = urlencode({name: value for name, value in asked.items() if value})
    return f"/?{query}" if query else "/"
