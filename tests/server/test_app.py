"""The server, by real requests to a real port."""

import email
import email.policy
import errno
import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image
from skimage import data

from c2m_tf import Upscaler
from c2m_tf.photos import images

httpx = pytest.importorskip("httpx")
uvicorn = pytest.importorskip("uvicorn")
pytest.importorskip("multipart")
pytest.importorskip("prometheus_client")

from serving import Held, Running, files, local_client, photos, png, wait_for  # noqa: E402

from c2m_tf.server.app import create_app  # noqa: E402
from c2m_tf.server.limits import Limits  # noqa: E402

LIMITS = Limits(max_bytes=200_000, max_lr_pixels=40 * 40, max_ref_pixels=200 * 200, queue=3, timeout=60.0)


@pytest.fixture(scope="module")
def upscaler(tiny):
    return Upscaler(tiny)


@pytest.fixture(scope="module")
def client(upscaler):
    running = Running(upscaler, LIMITS)
    yield running.client
    running.stop()


def test_a_photo_is_upscaled_as_by_the_upscaler(client, upscaler):
    lr, ref = photos()
    answer = client.post("/v1/upscale", files=files(lr, ref))
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "image/png"
    with Image.open(io.BytesIO(answer.content)) as sr:
        np.testing.assert_array_equal(np.asarray(sr), images.as_uint8(upscaler(lr, ref).image.rgb))


def test_several_references_are_taken(client, upscaler):
    lr, ref = photos()
    _, second = photos(1)
    answer = client.post("/v1/upscale", files=files(lr, ref, second))
    with Image.open(io.BytesIO(answer.content)) as sr:
        np.testing.assert_array_equal(np.asarray(sr), images.as_uint8(upscaler(lr, [ref, second]).image.rgb))


@pytest.mark.parametrize("strength", [None, 0.0, 0.5])
def test_references_are_optional_and_their_strength_can_be_set(client, upscaler, strength):
    lr, ref = photos()
    given = files(lr) if strength is None else files(lr, ref)
    answer = client.post("/v1/upscale", files=given, data={} if strength is None else {"strength": str(strength)})
    expected = upscaler(lr).image.rgb if strength is None else upscaler(lr, ref, strength=strength).image.rgb
    with Image.open(io.BytesIO(answer.content)) as sr:
        np.testing.assert_array_equal(np.asarray(sr), images.as_uint8(expected))


def test_requests_at_one_time_give_the_same_bytes_as_alone(client):
    requests = [files(*photos(seed)) for seed in range(3)]
    alone = [client.post("/v1/upscale", files=request).content for request in requests]
    with ThreadPoolExecutor(3) as pool:
        together = list(pool.map(lambda request: client.post("/v1/upscale", files=request).content, requests))
    assert together == alone


def gray_tiff_of_floats():
    file = io.BytesIO()
    Image.fromarray(np.zeros((8, 8), np.float32)).save(file, "TIFF")
    return file.getvalue()


@pytest.mark.parametrize(
    ("lr", "status", "words"),
    [
        (b"no photo", 415, "photo is not a PNG, JPEG, WebP, BMP or TIFF photo"),
        (b"", 422, "photo is empty (0 bytes)"),
        (png(photos()[0])[:60], 422, "photo is damaged or truncated"),
        (png(np.zeros((41, 40, 3), np.uint8)), 413, "photo has 40x41 pixels, more than the limit of 1,600"),
        (png(np.zeros((2, 8, 3), np.uint8)), 422, "the LR photo has 8x2 pixels; at least 3x3 are needed"),
        (gray_tiff_of_floats(), 422, "photo has 32 bits per pixel"),
    ],
)
def test_unusable_photos_have_their_own_status(client, lr, status, words):
    answer = client.post("/v1/upscale", files=[("lr", ("lr.png", lr)), ("ref", ("ref.png", png(photos()[1])))])
    assert answer.status_code == status
    assert words in answer.json()["detail"]


def test_invalid_requests_have_their_own_status(client):
    lr, ref = photos()
    assert client.post("/v1/upscale", files=files(lr, ref)[1:]).status_code == 422
    assert client.post("/v1/upscale", files=files(lr, ref), data={"strength": "1.5"}).status_code == 422
    answer = client.post("/v1/upscale", json={"lr": "x"})
    assert answer.status_code == 415
    assert "send multipart/form-data with the files lr and ref" in answer.json()["detail"]
    too_large = [*files(lr, ref), ("ref", ("more.png", bytes(LIMITS.max_bytes)))]
    answer = client.post("/v1/upscale", files=too_large)
    assert answer.status_code == 413
    assert "the request has more than 200,000 bytes" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("data", "answer"),
    [
        ({"scale": "2"}, (20, 16)),
        ({"size": "30x"}, (30, 24)),
        ({"long_side": "40", "region": "0,2,5,3"}, (20, 12)),
        ({"region": "9,0,5,5"}, "region 9,0,5,5 reaches out of the LR photo of 10x8 pixels"),
        ({"size": "4k"}, "size 4k is none; give a width 3840x, a height x2160, or both to fit into, 3840x2160"),
        ({"size": "50x"}, "a photo of 10x8 pixels becomes 40x32 at most, asked for are 50x40; ask for less"),
        ({"scale": "5"}, "scale: Input should be less than or equal to 4"),
    ],
)
def test_sizes_and_parts_are_fields_of_the_form(client, data, answer):
    response = client.post("/v1/upscale", files=files(photos()[0]), data=data)
    if response.status_code == 200:
        with Image.open(io.BytesIO(response.content)) as picture:
            assert picture.size == answer
    else:
        assert (response.status_code, response.json()["detail"]) == (422, answer)


FIELDS = "lr, ref, album, strength, scale, size, long_side, region and evidence"


@pytest.mark.parametrize("name", ["ref[]", "refs", "reference", "Ref", "lr2", "STRENGTH"])
@pytest.mark.parametrize("as_file", [False, True])
def test_fields_that_nobody_reads_are_refused_by_name(client, name, as_file):
    lr, ref = photos()
    more = {"files": [*files(lr), (name, ("ref.png", png(ref)))]} if as_file else {"files": files(lr), "data": {name: "1"}}
    answer = client.post("/v1/upscale", **more)
    assert answer.status_code == 422
    assert answer.json()["detail"] == f"{name}: there is no such field; the fields are {FIELDS}"


@pytest.mark.parametrize(("name", "value"), [("strength", "0.5"), ("scale", "2"), ("size", "30x"), ("region", "0,0,5,5")])
def test_a_field_given_twice_is_refused(client, name, value):
    answer = client.post("/v1/upscale", files=files(photos()[0]), data={name: [value, value]})
    assert (answer.status_code, answer.json()["detail"]) == (422, f"{name} is given 2 times; give it once")


def test_parameters_of_the_address_are_refused_by_name(client):
    answer = client.post("/v1/upscale?strength=0.5", files=files(*photos()))
    assert answer.status_code == 422
    expected = f"strength: there is no such parameter; send {FIELDS} as fields of the form"
    assert answer.json()["detail"] == expected


@pytest.mark.parametrize(("number", "status"), [(errno.ENOSPC, 507), (errno.EFBIG, 507), (errno.EMFILE, 503)])
def test_an_upload_that_the_server_cannot_keep_is_not_the_client_s_fault(monkeypatch, caplog, number, status):
    def write(file, content):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("starlette.datastructures.UploadFile.write", write)
    answer = local_client(create_app(None, "none", LIMITS)).post("/v1/upscale", files=files(*photos()))
    assert answer.status_code == status
    assert "try again later" in answer.json()["detail"]
    assert os.strerror(number) in caplog.text


def test_limits_hold_where_the_server_is_one_of_several_below_a_prefix(upscaler):
    app = create_app(upscaler, "golden", LIMITS)
    with local_client(app, root_path="/photos") as client:
        assert client.post("/photos/v1/upscale", files=files(*photos())).status_code == 200
        answer = client.post("/photos/v1/upscale", files=[("lr", b"a" * LIMITS.max_bytes)])
        assert answer.status_code == 413
        assert client.get("/photos/healthz").json()["status"] == "ok"


def test_a_body_of_unannounced_size_is_cut_off(client):
    def endless():
        yield b'--x\r\nContent-Disposition: form-data; name="lr"; filename="lr"\r\n\r\n'
        for _ in range(100):
            yield bytes(10_000)

    answer = client.post("/v1/upscale", content=endless(), headers={"content-type": "multipart/form-data; boundary=x"})
    assert answer.status_code == 413


def test_memory_beyond_what_is_allowed_is_refused(tiny):
    running = Running(Upscaler(tiny, max_memory=2**20), LIMITS)
    try:
        answer = running.client.post("/v1/upscale", files=files(*photos()))
    finally:
        running.stop()
    assert answer.status_code == 413
    assert "GiB, allowed are 0.0 GiB" in answer.json()["detail"]


def test_full_queues_refuse_requests_and_report_progress(tiny):
    held = Held(tiny)
    running = Running(held, LIMITS._replace(queue=1))
    client, request = running.client, files(*photos())

    def progress(name):
        answer = client.get(f"/v1/progress/{name}")
        return answer.json() if answer.status_code == 200 else None

    try:
        with ThreadPoolExecutor(2) as pool:

            def post(name):
                return pool.submit(client.post, "/v1/upscale", files=request, headers={"X-Request-ID": name})

            first = post("first")
            wait_for(lambda: progress("first") == {"state": "running", "done": 1, "total": 2})
            second = post("second")
            wait_for(lambda: progress("second") == {"state": "waiting", "done": 0, "total": 0})
            third = client.post("/v1/upscale", files=request)
            assert third.status_code == 429
            assert int(third.headers["retry-after"]) > 0
            assert "c2m_pending_requests 2.0" in client.get("/metrics").text
            held.free.set()
            assert [first.result().status_code, second.result().status_code] == [200, 200]
        wait_for(lambda: progress("first") is None)
    finally:
        running.stop()


def test_what_takes_too_long_is_ended(tiny):
    held = Held(tiny)
    running = Running(held, LIMITS._replace(timeout=2.0))
    try:
        answer = running.client.post("/v1/upscale", files=files(*photos()))
        assert answer.status_code == 503
        assert "no result within 2 seconds" in answer.json()["detail"]
        held.free.set()
        wait_for(lambda: "c2m_pending_requests 0.0" in running.client.get("/metrics").text)
    finally:
        running.stop()


def test_what_comes_from_references_comes_with_the_photo_if_asked(client, upscaler):
    lr, ref = photos()
    sent = {"files": files(lr, ref), "data": {"evidence": "true"}}
    answer = client.post("/v1/upscale", **sent)
    assert answer.status_code == 200
    parts = parts_of(answer)
    assert parts["photo"] == client.post("/v1/upscale", files=files(lr, ref)).content
    expected = upscaler(lr, ref).evidence
    report = json.loads(parts["report"])
    assert report["references"] == [{"name": "ref.png", "share": pytest.approx(expected.shares[0])}]
    assert report["model"] == "golden"
    with Image.open(io.BytesIO(parts["evidence"])) as layer:
        np.testing.assert_array_equal(np.asarray(layer), expected._replace(names=("ref.png",)).layer())
    assert set(parts_of(client.post("/v1/upscale", files=files(lr), data={"evidence": "true"}))) == {"photo", "report"}


def parts_of(answer):
    head = f"Content-Type: {answer.headers['content-type']}\r\n\r\n".encode()
    message = email.message_from_bytes(head + answer.content, policy=email.policy.HTTP)
    return {part["content-disposition"].params["name"]: part.get_payload(decode=True) for part in message.iter_parts()}


def test_references_are_chosen_out_of_photos_that_are_sent(upscaler):
    lr = images.downsample(data.coffee()[:120, :160])
    album = {"detail.png": data.coffee()[:120, :160], "other.png": data.chelsea()[:120, :160]}
    sent = [("lr", ("lr.png", png(lr))), *(("album", (name, png(photo))) for name, photo in album.items())]
    # In this process: the network that describes photos takes long to load where a machine is busy.
    with local_client(create_app(upscaler, "golden", LIMITS._replace(timeout=300.0))) as local:
        answer = local.post("/v1/upscale", files=sent, data={"evidence": "true"})
        assert (answer.status_code, answer.text[:200] * (answer.status_code != 200)) == (200, "")
        assert "of 2 photos" in json.loads(parts_of(answer)["report"])["album"]
        both = local.post("/v1/upscale", files=[*sent, ("ref", ("ref.png", png(photos()[1])))])
        assert both.status_code == 422
        assert "ref and album are given; send references, or photos to choose them from" in both.json()["detail"]


def test_health_metrics_page_and_description(client):
    health = client.get("/healthz").json()
    assert (health["status"], health["model"], health["limits"]["queue"]) == ("ok", "golden", 3)
    assert re.search(r'c2m_requests_total\{status="200"\} \d', client.get("/metrics").text)
    assert "reference" in client.get("/").text
    slider = client.get("/compare-slider.js")
    assert slider.headers["content-type"].startswith("text/javascript")
    assert "customElements.define" in slider.text
    assert "/v1/upscale" in client.get("/openapi.json").json()["paths"]


# c2m-tf serve around an upscaler that works on each photo of more than 64 pixels until the file "free" is there.
SERVE = """
import pathlib, sys, time
from plain_upscaler import PlainUpscaler
from c2m_tf.cli import main
from c2m_tf.server import running
from c2m_tf.upscaling import opening

class Held(PlainUpscaler):
    def restore(self, lr, *arguments, **options):
        if max(lr.shape) > 64:
            print("working", flush=True)
            while not pathlib.Path("free").exists():
                time.sleep(0.01)
        return super().restore(lr, *arguments, **options)

opening.open_model = lambda source, **settings: Held()
running.GRACE_SECONDS = 300.0  # the ten seconds are another test's
main(["serve", "--model", "light", "--port", "0"])
"""


def test_the_command_answers_what_it_accepted_and_ends_well(tmp_path):
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    pipes = {"stdout": subprocess.PIPE, "text": True, "cwd": tmp_path, "env": environment}
    with subprocess.Popen([sys.executable, "-c", SERVE], **pipes) as process:
        try:
            address = re.search(r"http://\S+", process.stdout.readline())[0]
            wait_for(lambda: httpx.get(f"{address}/v2/health/ready").status_code == 200)
            with ThreadPoolExecutor(1) as pool:
                lr, ref = (np.tile(photo, (9, 9, 1)) for photo in photos())
                answer = pool.submit(httpx.post, f"{address}/v1/upscale", files=files(lr, ref), timeout=300)
                assert process.stdout.readline() == "working\n"
                process.send_signal(signal.SIGTERM)
                wait_for(lambda: not _listens(address))
                (tmp_path / "free").touch()
                assert answer.result().status_code == 200
            assert process.wait(120) == 0
        finally:
            process.kill()


def _listens(address):
    try:
        socket.create_connection(re.fullmatch(r"http://(.*):(\d+)", address).groups(), timeout=10).close()
    except ConnectionRefusedError:
        return False
    return True


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--port", "99999999"], "--port 99999999 is not a port number"),
        (["--host", "203.0.113.1"], "cannot listen on 203.0.113.1 port 8000"),
        (["--queue", "0"], "--queue 0 is not a positive number"),
        (["--model", "huge"], "unknown preset 'huge'"),
    ],
)
def test_faults_are_reported_in_one_line(arguments, words, capsys):
    from c2m_tf.cli import main

    assert main(["serve", *arguments]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
