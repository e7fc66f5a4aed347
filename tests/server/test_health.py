"""Live at once, ready after a first photo."""

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("prometheus_client")

from serving import Held, files, local_client, photos, wait_for

from c2m_tf.server.app import create_app
from c2m_tf.server.limits import Limits


def test_the_server_is_live_at_once_and_ready_after_a_first_photo(tiny):
    upscaler = Held(tiny)
    with local_client(create_app(upscaler, "golden", Limits(), warms_up=True)) as client:
        assert client.get("/v2/health/live").json() == {"live": True}
        answer = client.get("/v2/health/ready")
        assert answer.status_code == 503
        assert answer.json() == {"detail": "not ready: first photos are being upscaled"}
        early = client.post("/v1/upscale", files=files(*photos()))
        assert (early.status_code, early.json()) == (503, {"detail": "not ready yet: first photos are being upscaled"})
        assert int(early.headers["retry-after"]) > 0
        upscaler.free.set()
        wait_for(lambda: client.get("/v2/health/ready").status_code == 200)
        assert client.head("/v2/health/ready").status_code == 200


def test_a_server_whose_first_photo_fails_is_live_and_never_ready(tiny):
    class Broken(Held):
        def warm_up(self, progress=None):
            raise RuntimeError("the device\nis gone")

    with local_client(create_app(Broken(tiny), "golden", Limits(), warms_up=True)) as client:
        wait_for(lambda: client.get("/v2/health/ready").json() == {"detail": "not ready: the device is gone"})
        assert client.get("/v2/health/live").status_code == 200


def test_without_a_warm_up_there_is_nothing_to_wait_for(tiny):
    with local_client(create_app(Held(tiny), "golden", Limits())) as client:
        assert client.get("/v2/health/ready").json() == {"ready": True}


def test_what_runs_the_application_can_wait_for_the_first_photo(tiny):
    """As Ray Serve does."""

    class Broken(Held):
        def warm_up(self, progress=None):
            raise RuntimeError("the device is gone")

    upscaler = Held(tiny)
    upscaler.free.set()
    for app in (create_app(upscaler, "golden", Limits(), warms_up=True), create_app(Held(tiny), "golden", Limits())):
        with local_client(app) as client:
            client.portal.call(app.state.health.wait)
            assert client.get("/v2/health/ready").status_code == 200
    app = create_app(Broken(tiny), "golden", Limits(), warms_up=True)
    with local_client(app) as client, pytest.raises(RuntimeError, match="not ready: the device is gone"):
        client.portal.call(app.state.health.wait)
