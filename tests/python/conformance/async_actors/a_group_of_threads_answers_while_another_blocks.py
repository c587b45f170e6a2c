"""Ray's page "Limiting Concurrency Per-Method with Concurrency Groups".

Threaded groups: a health check while a request blocks.
"""

import threading

import ray


@ray.remote(concurrency_groups={"health": 1})
class Service:
    def __init__(self):
        self.release = threading.Event()

    def serve(self):
        return self.release.wait(timeout=30)

    @ray.method(concurrency_group="health")
    def ping(self):
        return "pong"

    @ray.method(concurrency_group="health")
    def stop(self):
        self.release.set()


ray.init(num_cpus=1)
service = Service.remote()
request = service.serve.remote()
assert ray.get(service.ping.remote()) == "pong"
assert ray.wait([request], timeout=0.1) == ([], [request])
ray.get(service.stop.remote())
assert ray.get(request) is True

print("done")
