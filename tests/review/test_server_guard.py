"""Which requests are refused, as a table; tests/review/test_server.py asks the real server."""

import pytest

from review.page_guard import Access, csrf, is_session, new_session, new_token, read_cookies

SESSION = new_session()
TOKEN = "a token that nobody guesses"
GOOD = {
    "host": "127.0.0.1:8765",
    "origin": "http://127.0.0.1:8765",
    "sec-fetch-site": "same-origin",
    "x-csrf-token": csrf(SESSION),
    "content-type": "application/json",
}
COOKIES = {"vlmix_session_8765": SESSION}


def status(access: Access, method: str, change: dict[str, str | None], cookies: dict[str, str] = COOKIES) -> int:
    headers = {name: value for name, value in {**GOOD, **change}.items() if value is not None}
    refusal = access.refusal(method, "/answer", headers, cookies)
    return refusal.status if refusal else 200


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, 200),
        ({"content-type": "application/json; charset=utf-8"}, 200),
        ({"origin": None}, 200),  # the browser vouches for the site
        ({"sec-fetch-site": None}, 200),  # an old browser: the origin is ours
        ({"origin": None, "sec-fetch-site": None}, 403),
        ({"origin": "http://evil.invalid"}, 403),
        ({"origin": "http://127.0.0.1:9999"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://["}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"x-csrf-token": None}, 403),
        ({"x-csrf-token": csrf(new_session())}, 403),
        ({"x-csrf-token": "\xff"}, 403),
        ({"content-type": "text/plain"}, 415),
        ({"content-type": None}, 415),
        ({"host": "evil.invalid", "origin": "http://evil.invalid"}, 421),
        ({"host": "127.0.0.1.evil.invalid", "origin": None}, 421),
        ({"host": None}, 421),
        ({"host": "[::1", "origin": None}, 421),
        ({"host": "192.168.1.5:8765", "origin": None}, 421),
        ({"host": "[::1]:8765", "origin": None}, 200),
        ({"host": "localhost:9000", "origin": "http://localhost:9000"}, 200),  # through a tunnel
    ],
)
def test_writing_needs_our_own_page(change: dict[str, str | None], expected: int) -> None:
    assert status(Access(8765), "POST", change) == expected


@pytest.mark.parametrize("cookies", [{}, {"vlmix_session_8765": "short"}, {"vlmix_session_1": SESSION}])
def test_writing_needs_the_session(cookies: dict[str, str]) -> None:
    assert status(Access(8765), "POST", {}, cookies) == 403


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"])
def test_other_methods_are_refused(method: str) -> None:
    assert status(Access(8765), method, {}) == 405


def test_other_sites_may_link_to_the_page_and_nothing_else() -> None:
    link = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
    assert status(Access(8765), "GET", dict(link)) == 200
    assert status(Access(8765), "GET", {**link, "sec-fetch-dest": "iframe"}) == 403
    assert status(Access(8765), "GET", {**link, "sec-fetch-mode": "no-cors", "sec-fetch-dest": "image"}) == 403


@pytest.mark.parametrize(
    ("host", "expected"), [("192.168.1.5:8765", 200), ("box.example:8765", 200), ("evil.invalid", 421)]
)
def test_everywhere_means_addresses_and_named_hosts(host: str, expected: int) -> None:
    access = Access(8765, TOKEN, frozenset({"box.example"}), everywhere=True)
    assert status(access, "GET", {"host": host}, {"vlmix_token_8765": TOKEN}) == expected


@pytest.mark.parametrize("given", [None, "", "a token that nobody guesse", TOKEN + "x", "\u00e9"])
def test_a_token_is_needed_where_there_is_one(given: str | None) -> None:
    access = Access(8765, TOKEN)
    cookies = {} if given is None else {"vlmix_token_8765": given}
    assert status(access, "GET", {}, cookies) == 401
    assert status(access, "GET", {}, {"vlmix_token_8765": TOKEN}) == 200
    assert status(access, "POST", {}, {**COOKIES, "vlmix_token_8765": TOKEN}) == 200


def test_secrets_differ_and_have_their_form() -> None:
    assert len({new_session() for _ in range(100)} | {new_token() for _ in range(100)}) == 200
    assert is_session(new_session()) and not is_session(new_session() + "\n")
    assert csrf(SESSION) != csrf(new_session()) and SESSION not in csrf(SESSION)


def test_cookies_of_others_are_left_out() -> None:
    assert read_cookies("a=1; b=x y; c; d=<script>; e=ok-_9") == {"a": "1", "e": "ok-_9"}
