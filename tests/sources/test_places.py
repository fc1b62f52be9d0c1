"""Pictures are found under the names they were added with, however many there are."""

import hashlib
import random
import tracemalloc
from pathlib import Path

import pytest

from shards.pack import Image
from sources.places import Places


def image(number: int) -> Image:
    sha256 = hashlib.sha256(str(number).encode()).hexdigest()
    row = None if number % 5 == 0 else number
    pack = f"shards/s/f/pictures-{number // 1000:05d}-00000.arrow"
    return Image(sha256, pack, row, number << 20, 1000 + number, 640, 480, ("JPEG", "PNG")[number % 2])


@pytest.mark.parametrize("number", [0, 1, 4095, 4096, 4097, 50_000])
def test_all_that_was_added_is_found_and_nothing_else(tmp_path: Path, number: int) -> None:
    places = Places(tmp_path)
    for each in range(number):
        places[f"pictures/{each}.jpg"] = image(each)
    assert len(places) == number
    for each in random.Random(0).sample(range(number), min(number, 3000)):
        assert places.get(f"pictures/{each}.jpg") == image(each)
        assert f"pictures/{each}.jpg" in places
    for name in ("", "pictures/-1.jpg", f"pictures/{number}.jpg", "\ud800"):
        assert places.get(name) is None and name not in places


def test_a_name_keeps_its_first_picture(tmp_path: Path) -> None:
    places = Places(tmp_path)
    places.update((str(each), image(each)) for each in range(9000))
    places.update((str(each), image(each + 1)) for each in range(9001))
    assert len(places) == 9001
    assert [places.get(str(each)) for each in (0, 4096, 8999, 9000)] == [image(each) for each in (0, 4096, 8999, 9001)]


def test_a_picture_takes_a_hundredth_of_what_an_object_does(tmp_path: Path) -> None:
    number, at_once = 20 * 4096, 4096
    tracemalloc.start()
    places = Places(tmp_path)
    for each in range(number):
        places[str(each)] = image(each)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(places) == number and held / number < 13 + 100 * at_once / number


def test_its_file_has_no_name_and_is_closed(tmp_path: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    places = Places(tmp_path / "box")
    for each in range(5000):
        places[str(each)] = image(each)
    assert list((tmp_path / "box").iterdir()) == []
    assert len(list(Path("/proc/self/fd").iterdir())) == before + 1
    del places
    assert len(list(Path("/proc/self/fd").iterdir())) == before
