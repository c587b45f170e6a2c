"""`init(local_mode=True)`: a wait that nothing can end is an error and does not hang."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

import bolide

NEVER = "waits for what nothing can bring any more.*local_mode=True.*Make that call first"


@bolide.remote
class Signal:
    def __init__(self):
        self.event = asyncio.Event()

    async def wait(self):
        await self.event.wait()
        return "sent"

    async def pass_on(self, boxed):
        return await boxed[0]

    async def wait_long(self):
        await asyncio.sleep(0.7)
        return "slept"

    async def read(self, port):
        reader, _ = await asyncio.open_connection("127.0.0.1", port)
        return await reader.read()

    def send(self):
        self.event.set()


@bolide.remote
def waits_for(boxed):
    return bolide.get(boxed[0])


@bolide.remote
def waits_for_some(boxed):
    return bolide.wait(boxed)


@pytest.fixture
def signal(local):
    return Signal.remote()


def test_a_task_that_waits_for_a_later_call_is_told_so(local, signal):
    waiting = signal.wait.remote()
    for task in (waits_for, waits_for_some):
        with pytest.raises(RuntimeError, match=f"'{task.__name__}' {NEVER}"):
            local.get(task.remote([waiting]))
    signal.send.remote()
    assert local.get(waits_for.remote([waiting])) == "sent"


def test_a_method_that_waits_for_a_later_call_is_told_so(local, signal):
    @local.remote
    class Waits:
        def wait(self, signal):
            return bolide.get(signal.wait.remote())

    waits = Waits.remote()
    with pytest.raises(RuntimeError, match=f"'Waits.wait' {NEVER}"):
        local.get(waits.wait.remote(signal))
    signal.send.remote()
    assert local.get(waits.wait.remote(signal)) == "sent"


def test_the_constructor_of_an_actor_is_told_so(local, signal):
    @local.remote
    class Waits:
        def __init__(self, boxed):
            bolide.get(boxed)

        def get(self):
            return 1

    with pytest.raises(bolide.exceptions.ActorDiedError, match=NEVER):
        local.get(Waits.remote([signal.wait.remote()]).get.remote())


def test_so_is_the_driver(local, signal):
    with pytest.raises(RuntimeError, match=f"The driver {NEVER}"):
        local.get(signal.wait.remote())


def test_a_wait_through_other_actors_and_threads_is_told(local, signal):
    """Nearest to the cause: the driver gets what the thread gets."""

    @local.remote(max_concurrency=2)
    class Threads:
        def __init__(self):
            self.event = threading.Event()

        def wait_for(self, boxed):
            return bolide.get(boxed[0])

        def wait(self):
            self.event.wait()

        def send(self):
            self.event.set()

    threads = Threads.remote()
    passed_on = signal.pass_on.remote([signal.wait.remote()])
    with pytest.raises(RuntimeError, match=f"'Threads.wait_for' {NEVER}") as caught:
        local.get(threads.wait_for.remote([passed_on]))
    assert isinstance(caught.value, bolide.exceptions.RayTaskError)
    with pytest.raises(RuntimeError, match=f"'waits_for' {NEVER}"):
        local.get(waits_for.remote([threads.wait.remote()]))
    local.get(threads.send.remote())
    signal.send.remote()
    assert local.get(threads.wait_for.remote([passed_on])) == "sent"


def test_a_generator_that_waits_is_told(local, signal):
    @local.remote
    def items(boxed):
        yield 1
        yield bolide.get(boxed[0])

    made = items.remote([signal.wait.remote()])
    assert local.get(next(made)) == 1
    with pytest.raises(RuntimeError, match=f"'.*items' {NEVER}"):
        local.get(next(made))


def test_what_takes_its_time_is_waited_for(local, signal):
    @local.remote(max_concurrency=2)
    class Threads:
        def sleep(self):
            time.sleep(0.7)
            return "slept"

        def wait(self):
            return threading.Event().wait(0.7)

    threads = Threads.remote()
    calls = [signal.wait_long.remote(), threads.sleep.remote(), threads.wait.remote()]
    assert [local.get(waits_for.remote([ref])) for ref in calls] == ["slept", "slept", False]


def test_another_thread_may_make_the_call(local, signal):
    waiting = signal.wait.remote()
    timer = threading.Timer(0.7, lambda: signal.send.remote())
    timer.start()
    assert local.get(waits_for.remote([waiting])) == "sent"
    timer.join()


def test_a_socket_may_bring_it(local, signal):
    async def serve():
        async def answer(_, writer):
            await asyncio.sleep(0.7)
            writer.write(b"read")
            writer.close()

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        reading = signal.read.remote(port)
        found = await asyncio.to_thread(lambda: local.get(waits_for.remote([reading])))
        server.close()
        return found

    assert asyncio.run(serve()) == b"read"


def test_a_limited_wait_ends_by_itself(local, signal):
    with pytest.raises(bolide.exceptions.GetTimeoutError):
        local.get(signal.wait.remote(), timeout=0.5)
