"""The HTTP application on a Ray cluster, as replicas that Ray Serve starts, watches and routes to (extra ray-serve).

    serve run c2m_tf.server.ray_serve:build max_replicas=8

Each replica is the application of `app.create_app` in a process of its own, with its own model and limits. It is sent one
request at a time; all others wait in Serve's proxy, so that a replica that dies takes no other request with it. Ray replaces
replicas that die, and changes their number with that of the requests.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import fastapi
from ray import serve

from c2m_tf.server.app import create_app
from c2m_tf.server.limits import Limits
from c2m_tf.server.middleware import ANY_HOST
from c2m_tf.startup import DTYPES, usable_cores
from c2m_tf.upscaling.plans import check_ensemble, default_max_memory
from c2m_tf.upscaling.upscaler import Upscaler


class Replicas(NamedTuple):
    """What a replica is, and how many there are.

    Attributes:
        model: as of `Upscaler.from_preset`; a file must lie at the same path on each machine.
        dtype: auto, float32 or bfloat16. What auto takes, and with it the last bits of results, may differ between machines.
        cores: of each replica.
        gpus: of each replica, or the part of one.
        max_memory: GiB that one photo may need; 0 for 75 % of the replica's share of its machine, by cores.
        ensemble: orientations of each photo whose results are averaged, 1, 2, 4 or 8.
        min_replicas, max_replicas: bounds of their number.
    """

    model: str = "auto"
    dtype: str = "auto"
    cores: int = 2
    gpus: float = 0.0
    max_memory: float = 0.0
    ensemble: int = 1
    min_replicas: int = 1
    max_replicas: int = 4

    def check(self) -> None:
        """Raises ValueError if one of them cannot be."""
        if self.dtype not in DTYPES:
            raise ValueError(f"dtype={self.dtype} is unknown; choose one of {' '.join(DTYPES)}")
        check_ensemble(self.ensemble)
        if not (self.cores >= 1 and self.gpus >= 0 and self.max_memory >= 0):
            raise ValueError(
                f"cores={self.cores} gpus={self.gpus:g} max_memory={self.max_memory:g}: expected is at least one core, and no "
                "negative number"
            )
        if not 1 <= self.min_replicas <= self.max_replicas:
            raise ValueError(
                f"min_replicas={self.min_replicas} max_replicas={self.max_replicas}: expected is one at least, and no more at "
                "the least than at the most"
            )


def build(arguments: Mapping[str, Any]) -> serve.Application:
    """The application for `serve run` or a config file of Serve.

    Args:
        arguments: fields of `Replicas` and of `limits.Limits` by name, as text or numbers; all have defaults.

    Raises:
        ValueError: an argument is unknown, or cannot be what is given.
    """
    unknown = sorted(set(arguments) - {*Replicas._fields, *Limits._fields})
    if unknown:
        raise ValueError(f"unknown argument {unknown[0]}; choose from {' '.join((*Replicas._fields, *Limits._fields))}")
    replicas = Replicas(**_given(Replicas(), arguments))
    limits = Limits(**_given(Limits(), arguments))
    replicas.check()
    limits.check()

    def make_app() -> fastapi.FastAPI:
        return _make_app(replicas, limits)

    @serve.deployment(
        name="c2m-tf",
        ray_actor_options={"num_cpus": replicas.cores, "num_gpus": replicas.gpus},
        autoscaling_config={
            "min_replicas": replicas.min_replicas,
            "max_replicas": replicas.max_replicas,
            "target_ongoing_requests": 1,
        },
        max_ongoing_requests=1,
        max_queued_requests=limits.queue,
        # So long a replica that is to end may finish what it was sent.
        graceful_shutdown_timeout_s=limits.timeout,
    )
    @serve.ingress(make_app)
    class Server:
        async def check_health(self) -> None:
            """Called by Serve, first before a replica is sent anything: waits until /v2/health/ready says so."""
            await self.app.state.health.wait()  # type: ignore[attr-defined]  # Serve's wrapper has the application

    return Server.bind()  # type: ignore[attr-defined]


def _given(defaults: Any, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """{field: value} of those fields of a named tuple that are given, of their defaults' types."""
    found = {}
    for name, default in defaults._asdict().items():
        if name in arguments:
            kind = type(default)
            try:
                found[name] = kind(arguments[name])
            except (TypeError, ValueError) as error:
                words = {int: "a whole number", float: "a number"}[kind]
                raise ValueError(f"{name}={arguments[name]} is not {words}") from error
    return found


def _make_app(replicas: Any, limits: Limits) -> Any:
    """The application, in the replica's process."""
    share = min(1.0, replicas.cores / usable_cores())
    upscaler = Upscaler.from_preset(
        replicas.model,
        dtype=DTYPES[replicas.dtype],
        max_memory=int(replicas.max_memory * 2**30) or int(default_max_memory() * share),
        threads=replicas.cores,
        ensemble=replicas.ensemble,
    )
    return create_app(upscaler, replicas.model, limits, warms_up=True, hosts=(ANY_HOST,))
