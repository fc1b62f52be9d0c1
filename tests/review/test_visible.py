import pytest

from review.visible import plain, visible


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a < b & \"c\" 'd'", "a &lt; b &amp; &#34;c&#34; &#39;d&#39;"),
        ("x\u202ey", 'x<span class="note">U+202E</span>y'),
        ("\u200b\u200b\u200b", '<span class="note">U+200B x 3</span>'),
        ("\u0915\u094d\u200d\u0937", "\u0915\u094d\u200d\u0937"),  # a joiner that joins
        ("pay\u200dpal", 'pay<span class="note">U+200D</span>pal'),
        ("<image>\n<image>", '<span class="marker">image x 2</span>'),
        ("<\\image>", "&lt;image&gt;"),
        ("a\n\n\n\nb", 'a\n<span class="note">4 line breaks</span>\nb'),
        ("\x1b[31m\x07", '<span class="note">U+001B</span>[31m<span class="note">U+0007</span>'),
        ("\ud800", '<span class="note">U+D800</span>'),
        ("a<b>&\"'", "a&lt;b&gt;&amp;&#34;&#39;"),
        ("\u202eabc", '<span class="note">U+202E</span>abc'),
        ("\u2066\u2066\u2066", '<span class="note">U+2066 x 3</span>'),
        ("\U000e0041", '<span class="note">U+E0041</span>'),
        ("a\nb\tc", "a\nb\tc"),
        ("a\n\n\n\n\nb", 'a\n<span class="note">5 line breaks</span>\nb'),
        ("<image>\n<image>x", '<span class="marker">image x 2</span>x'),
        ("<image>x", '<span class="marker">image</span>x'),
        ("\U0001f469\u200d\U0001f52c", "\U0001f469\u200d\U0001f52c"),
        ("\u05e9\u05dc\u05d5\u05dd", "\u05e9\u05dc\u05d5\u05dd"),
    ],
)
def test_what_nobody_sees_is_spelled_out_and_the_rest_escaped(text: str, expected: str) -> None:
    assert visible(text) == expected


def test_plain_text_has_no_invisible_characters() -> None:
    assert plain("a\u202eb<i>") == "a[U+202E]b<i>"
