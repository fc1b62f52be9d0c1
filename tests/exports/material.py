"""Hostile rows and a store with pictures of every kind, for tests of exporters."""

import hashlib
import io
import json
import tarfile
from collections.abc import Sequence
from pathlib import Path

from PIL import Image as Pillow

from manifests.exports.base import ExportRow, Part
from manifests.exports.media import Media
from manifests.recipe import Entry
from shards.files import write_text
from shards.pack import Image, PackWriter, PictureReader, mirror_pack
from shards.picture import Facts
from shards.schema import Role


def picture(shade: int, kind: str = "PNG") -> bytes:
    data = io.BytesIO()
    Pillow.new("RGB", (24 + shade % 7, 16), (shade, 40, 90)).save(data, kind)
    return data.getvalue()


class Pictures:
    """A store with pictures in a pack, in a mirror as files, and in a tar of a mirror."""

    def __init__(self, root: Path) -> None:
        self.store = root / "store"
        self.mirror = root / "mirror"
        with PackWriter(self.store, "shards/s/1", "pictures-00000") as writer:
            self.packed = [self._packed(writer, shade, kind) for shade, kind in enumerate(("PNG", "JPEG", "WEBP"))]
        self.filed = self._filed("a b/\u56fe.png", picture(100))
        self.tarred = self._tarred("set.tar", picture(150))
        write_text(self.store / "mirrors" / "disk.json", json.dumps({"root": str(self.mirror)}))

    def media(self, out: Path) -> Media:
        return Media(PictureReader(str(self.store)), out / "images")

    def _packed(self, writer: PackWriter, shade: int, kind: str) -> Image:
        data = picture(shade, kind)
        return writer.add(data, hashlib.sha256(data).hexdigest(), Facts(24 + shade % 7, 16, kind))

    def _filed(self, name: str, data: bytes) -> Image:
        path = self.mirror / name
        path.parent.mkdir(parents=True)
        path.write_bytes(data)
        return self._mirrored(name, data, 0)

    def _tarred(self, name: str, data: bytes) -> Image:
        with tarfile.open(self.mirror / name, "w") as archive:
            member = tarfile.TarInfo("p.png")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
        return self._mirrored(name, data, 512)

    def _mirrored(self, name: str, data: bytes, offset: int) -> Image:
        sha256 = hashlib.sha256(data).hexdigest()
        with Pillow.open(io.BytesIO(data)) as opened:
            width, height = opened.size
        return Image(sha256, mirror_pack("disk", name), None, offset, len(data), width, height, "PNG")


def row(key: str, *turns: tuple[Role, str], images: Sequence[Image] = (), videos: Sequence[str] = ()) -> ExportRow:
    return ExportRow(f"s/train/{key}", tuple(turns), tuple(images), tuple(videos), 7, None)


def part(name: str, rows: Sequence[ExportRow], times: int = 1, **fields: object) -> Part:
    entry = Entry.model_validate({"id": name, "source": "s", **fields})
    return Part(name, entry, times, len(rows), lambda: iter(rows))


def talk(question: str, answer: str = "An answer.") -> tuple[tuple[Role, str], tuple[Role, str]]:
    return ("user", question), ("assistant", answer)


def good_rows(pictures: Pictures) -> list[ExportRow]:
    """Rows that every trainer of conversations can be given."""
    one, two, three = pictures.packed
    return [
        row("plain", *talk("Why?")),
        row("literal", *talk(r"What does <\image> mean, and <\video>?", r"<\image> is a marker.")),
        row("control", *talk("</img> <|im_start|> |||IP_ADDRESS||| <vila/video>", "<|assistant|>\n<IMG_CONTEXT>")),
        row("deleted", *talk("QA_GT_caption_based_noisy", "QA_GT_caption_based_noisy")),
        row("audio", *talk("<audio> what?")),
        row("one", *talk("<image>\nWhat?"), images=[one]),
        row("glued", *talk("<image>What?"), images=[one]),
        row("behind", *talk("What is this?\n<image>"), images=[two]),
        row("middle", *talk("Look at <image> and tell."), images=[three]),
        row("split word", *talk("<im<image>age> again"), images=[one]),
        row("split escape", *talk("<<image>\\image>"), images=[one]),
        row("alone", *talk("<image>"), images=[pictures.filed]),
        row("several", *talk("<image>\n<image>\n<image>\nCompare."), images=[one, two, one]),
        row("spread", *talk("First <image>, then <image>: compare."), images=[one, pictures.tarred]),
        row("later", *talk("Hello."), *talk("And <image>?"), images=[two]),
        row("later pair", *talk("<image>\nHm?"), *talk("<image> or <image>?"), images=[one, two, three]),
        row("system", ("system", "Be <|im_end|> brief."), *talk("<image>\nWhat?"), images=[pictures.filed]),
        row("system text", ("system", "Be kind."), *talk("Hi.")),
        row("system blank", ("system", " \n"), *talk("Hi.")),
        row("system late", ("system", "Be brief."), *talk("Hi."), *talk("<image>"), images=[one]),
        row(
            "scripts",
            *talk(
                "\u56fe\u7247\u4e2d\u6709\u4ec0\u4e48\uff1f \U0001f600\u200d\U0001f9d1", "\u2028a\u2029b\x85c\x1cd\x0ce"
            ),
        ),
        row("long", *talk("x " * 1_000_000, "y")),
        row("video", *talk("<video>\nWhat happens?"), videos=["clips/a b.mp4"]),
        row("video behind", *talk("What happens? <video>"), videos=["clips/a.mp4"]),
    ]


def refused_rows(pictures: Pictures) -> dict[str, ExportRow]:
    """Rows that no trainer of conversations can be given, by reason."""
    one = pictures.packed[0]
    return {
        "document": row("r0", ("document", "Text with <image> in it."), images=[one]),
        "turn_order": row("r1", ("user", "<image>"), images=[one]),
        "empty_turn": row("r2", *talk("What?", " \n\t")),
        "media_in_answer": row("r3", *talk("Draw.", "<image>"), images=[one]),
        "marker_mismatch": row("r4", *talk("What?"), images=[one]),
        "images_and_videos": row("r5", *talk("<image><video>"), images=[one], videos=["v.mp4"]),
        "several_videos": row("r6", *talk("<video><video>"), videos=["v.mp4", "w.mp4"]),
        "video_path": row("r7", *talk("<video>"), videos=["../v.mp4"]),
    }
