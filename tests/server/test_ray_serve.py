"""The application as replicas of Ray Serve: equal bytes under load, and what is lost when a replica is killed."""

import io
import os
import signal
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from PIL import Image
from ray_cluster import processes, two_cores

httpx = pytest.importorskip("httpx")
serve = pytest.importorskip("ray.serve")
pytest.importorskip("fastapi")

from serving import files, photos, png, wait_for  # noqa: E402

from c2m_tf import Upscaler  # noqa: E402
from c2m_tf.photos.pixels import as_uint8  # noqa: E402
from c2m_tf.server.ray_serve import build  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")  # Ray's own

PAIRS = 6
CLIENTS = 6
REQUESTS = 60


@pytest.fixture(scope="module")
def address(tiny, tmp_path_factory):
    """URL of two replicas with a core each."""
    path = tmp_path_factory.mktemp("model") / "light.keras"
    tiny.save(path)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    arguments = {"model": f"{path}", "cores": "1", "min_replicas": "2", "max_replicas": "2", "dtype": "float32"}
    with two_cores():
        serve.start(http_options={"host": "127.0.0.1", "port": port})
        try:
            serve.run(build({**arguments, "queue": f"{CLIENTS}", "max_bytes": "300000"}))
            yield f"http://127.0.0.1:{port}"
        finally:
            serve.shutdown()


@pytest.fixture(scope="module")
def expected(tiny):
    """The pixels of each pair's result, as this process makes them."""
    upscaler = Upscaler(tiny)
    return [as_uint8(upscaler(*photos(pair)).image.rgb).tobytes() for pair in range(PAIRS)]


def replicas():
    """Process ids of the replicas."""
    return processes(lambda title: title.startswith(b"ray::ServeReplica:"))


def post(address, pair):
    """(status, pixels, b"" where there are none); status 0 if the connection was lost."""
    try:
        answer = httpx.post(f"{address}/v1/upscale", files=files(*photos(pair)), timeout=180)
    except httpx.HTTPError:
        return 0, b""
    if answer.status_code != 200:
        return answer.status_code, b""
    with Image.open(io.BytesIO(answer.content)) as photo:
        return 200, photo.tobytes()


@pytest.mark.slow
def test_two_replicas_give_equal_bytes_and_a_killed_one_loses_only_what_it_computes(address, expected):
    assert len(replicas()) == 2
    done = threading.Semaphore(0)
    killed = []

    def kill_one():
        for _ in range(REQUESTS // 4):
            done.acquire()
        killed.append(replicas()[0])
        os.kill(killed[0], signal.SIGKILL)

    def one(number):
        answer = post(address, number % PAIRS)
        done.release()
        return answer

    killer = threading.Thread(target=kill_one)
    killer.start()
    with ThreadPoolExecutor(CLIENTS) as pool:
        answers = list(pool.map(one, range(REQUESTS)))
    killer.join()
    lost = [status for status, _ in answers if status != 200]
    assert len(lost) <= 1, lost
    for number, (status, pixels) in enumerate(answers):
        assert status != 200 or pixels == expected[number % PAIRS]

    wait_for(lambda: len(replicas()) == 2 and killed[0] not in replicas())  # Serve has started another
    assert post(address, 0) == (200, expected[0])


@pytest.mark.slow
def test_more_requests_than_there_is_room_for_are_refused(address, expected):
    count = 4 * CLIENTS
    with ThreadPoolExecutor(count) as pool:
        answers = list(pool.map(lambda number: post(address, number % PAIRS), range(count)))
    statuses = [status for status, _ in answers]
    assert set(statuses) == {200, 503}
    assert statuses.count(200) >= CLIENTS
    assert all(pixels == expected[number % PAIRS] for number, (status, pixels) in enumerate(answers) if status == 200)


@pytest.mark.slow
def test_limits_are_those_of_the_application(address):
    lr, ref = photos()
    answer = httpx.post(f"{address}/v1/upscale", files=[("lr", b"no photo"), ("ref", png(ref))], timeout=180)
    assert answer.status_code == 415
    answer = httpx.post(f"{address}/v1/upscale", files=[("lr", png(lr)), ("ref", b"a" * 300_000)], timeout=180)
    assert (answer.status_code, answer.json()["detail"]) == (
        413,
        "the request has more than 300,000 bytes; send smaller photos",
    )
    assert httpx.get(f"{address}/v2/health/ready", timeout=180).json() == {"ready": True}


@pytest.mark.slow
def test_a_client_that_leaves_frees_its_replica(address, expected):
    for pair in range(4):
        with pytest.raises(httpx.TimeoutException):
            httpx.post(f"{address}/v1/upscale", files=files(*photos(pair)), timeout=0.001)
    assert post(address, 1) == (200, expected[1])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"modle": "light"}, "unknown argument modle; choose from model dtype cores"),
        ({"cores": "two"}, "cores=two is not a whole number"),
        ({"cores": "0"}, "expected is at least one core"),
        ({"gpus": "nan"}, "no negative number"),
        ({"dtype": "half"}, "dtype=half is unknown; choose one of auto float32 bfloat16"),
        ({"ensemble": "3"}, "ensemble 3 is no number of orientations; choose one of 1, 2, 4, 8"),
        ({"min_replicas": "3", "max_replicas": "2"}, "min_replicas=3 max_replicas=2"),
        ({"timeout": "-1"}, "-1.0 is not a positive number"),
    ],
)
def test_arguments_that_cannot_be_are_refused_before_anything_starts(arguments, words):
    with pytest.raises(ValueError, match=words):
        build(arguments)
