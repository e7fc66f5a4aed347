"""Foreign pages cannot use the server, its own pages load nothing from elsewhere, and each request has a line and a name."""

import logging
import re

import pytest

for name in ("httpx", "uvicorn", "fastapi", "multipart", "prometheus_client"):
    pytest.importorskip(name)

from serving import local_client  # noqa: E402

from c2m_tf.server.app import create_app  # noqa: E402
from c2m_tf.server.limits import Limits  # noqa: E402


class Strengths:
    def check_strength(self, strength):
        pass


@pytest.fixture(scope="module")
def client():
    return local_client(create_app(Strengths(), "none", Limits()))


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1", 200),
        ("127.0.0.1:8000", 200),
        ("localhost:8000", 200),
        ("LOCALHOST", 200),
        ("photos.localhost", 200),
        ("192.168.1.5:8000", 200),
        ("[::1]:8000", 200),
        ("[fe80::1]", 200),
        ("rebound.example:8000", 403),
        ("rebound.example", 403),
        ("127.0.0.1.rebound.example", 403),
        ("localhost.example", 403),
    ],
)
@pytest.mark.parametrize("path", ["/healthz", "/metrics", "/", "/openapi.json", "/v1/progress/a"])
def test_names_that_nobody_has_allowed_are_refused(client, host, status, path):
    answer = client.get(path, headers={"Host": host})
    assert answer.status_code == (404 if status == 200 and path.endswith("/a") else status)


def test_names_that_are_allowed_are_answered():
    for hosts in (("photos.example",), ("*",)):
        client = local_client(create_app(None, "none", Limits(), hosts=hosts))
        assert client.get("/healthz", headers={"Host": "Photos.Example:80"}).status_code == 200
        other = client.get("/healthz", headers={"Host": "other.example"})
        assert other.status_code == (200 if hosts == ("*",) else 403)


@pytest.mark.parametrize(
    ("headers", "foreign"),
    [
        ({}, False),
        ({"Origin": "http://127.0.0.1"}, False),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "https://photos.example"}, False),  # a proxy has changed the name
        ({"Sec-Fetch-Site": "none"}, False),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "http://evil.example"}, True),
        ({"Sec-Fetch-Site": "same-site", "Origin": "http://localhost:3000"}, True),
        ({"Origin": "http://evil.example"}, True),
        ({"Origin": "http://127.0.0.1:3000"}, True),
        ({"Origin": "null"}, True),
    ],
)
def test_what_other_pages_send_is_not_worked_on(client, headers, foreign):
    answer = client.post("/v1/upscale", files={"lr": ("lr", b"no photo")}, headers=headers)
    assert answer.status_code == (403 if foreign else 415)
    assert client.get("/healthz", headers=headers).status_code == 200


@pytest.mark.parametrize("path", ["/", "/docs", "/healthz", "/compare-slider.js", "/nothing", "/v1/upscale"])
def test_every_response_says_what_browsers_may_do_with_it(client, path):
    headers = client.get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_pages_load_nothing_from_elsewhere(client, path):
    page = client.get(path)
    assert page.status_code == 200
    assert "//" not in re.sub(r"//\s", "", re.sub(r"<!--.*?-->", "", page.text))
    assert not re.search(r"\s(style|on\w+)=", page.text)  # what the policy forbids


def test_the_description_names_every_path_field_and_status(client):
    page, described = client.get("/docs").text, client.get("/openapi.json").json()
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            assert f"{method.upper()} {path}" in page
            assert all(f"<td>{status}</td>" in page for status in operation["responses"])
    for field in ("lr", "ref", "strength", "x-request-id"):
        assert f"<td>{field}</td>" in page
    assert client.get("/redoc").status_code == 404


def test_each_request_is_a_line_with_the_identifier_of_its_response(client, caplog):
    caplog.set_level(logging.INFO, "c2m_tf.server")
    answer = client.get("/healthz", headers={"X-Request-ID": "mine"})
    assert answer.headers["x-request-id"] == "mine"
    other = client.get("/nothing/%0d%0aa%1b[31m")
    named = other.headers["x-request-id"]
    assert re.fullmatch("[0-9a-f]{32}", named)
    lines = [record.message for record in caplog.records if record.name == "c2m_tf.server"]
    assert re.fullmatch(r"\S+ GET /healthz 200 \d+\.\d\ds mine", lines[0])
    assert lines[1].endswith(named)
    assert " 404 " in lines[1]
    assert lines[1].isprintable()
    assert len(lines) == 2


@pytest.mark.parametrize("name", ["a" * 65, "two words", "\x7f"])
def test_names_that_would_spoil_the_log_are_replaced(client, name):
    assert re.fullmatch("[0-9a-f]{32}", client.get("/healthz", headers={"X-Request-ID": name}).headers["x-request-id"])
