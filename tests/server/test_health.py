"""Live at once, ready after a first photo."""

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("prometheus_client")
testclient = pytest.importorskip("fastapi.testclient")

from serving import Held, wait_for  # noqa: E402

from c2m_tf.server.app import create_app  # noqa: E402
from c2m_tf.server.limits import Limits  # noqa: E402


def test_the_server_is_live_at_once_and_ready_after_a_first_photo(light):
    upscaler = Held(light)
    with testclient.TestClient(create_app(upscaler, "golden", Limits(), warms_up=True)) as client:
        assert client.get("/v2/health/live").json() == {"live": True}
        answer = client.get("/v2/health/ready")
        assert answer.status_code == 503
        assert answer.json() == {"detail": "not ready: the first photo is being upscaled"}
        upscaler.free.set()
        wait_for(lambda: client.get("/v2/health/ready").status_code == 200)
        assert client.head("/v2/health/ready").status_code == 200


def test_a_server_whose_first_photo_fails_is_live_and_never_ready(light):
    class Broken(Held):
        def upscale(self, lr, refs, progress=None, **options):
            raise RuntimeError("the device\nis gone")

    with testclient.TestClient(create_app(Broken(light), "golden", Limits(), warms_up=True)) as client:
        wait_for(lambda: client.get("/v2/health/ready").json() == {"detail": "not ready: the device is gone"})
        assert client.get("/v2/health/live").status_code == 200


def test_without_a_warm_up_there_is_nothing_to_wait_for(light):
    with testclient.TestClient(create_app(Held(light), "golden", Limits())) as client:
        assert client.get("/v2/health/ready").json() == {"ready": True}


def test_what_runs_the_application_can_wait_for_the_first_photo(light):
    """As Ray Serve does."""

    class Broken(Held):
        def upscale(self, lr, refs, progress=None, **options):
            raise RuntimeError("the device is gone")

    upscaler = Held(light)
    upscaler.free.set()
    for app in (create_app(upscaler, "golden", Limits(), warms_up=True), create_app(Held(light), "golden", Limits())):
        with testclient.TestClient(app) as client:
            client.portal.call(app.state.health.wait)
            assert client.get("/v2/health/ready").status_code == 200
    app = create_app(Broken(light), "golden", Limits(), warms_up=True)
    with testclient.TestClient(app) as client, pytest.raises(RuntimeError, match="not ready: the device is gone"):
        client.portal.call(app.state.health.wait)
