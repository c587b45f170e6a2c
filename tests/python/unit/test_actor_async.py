"""The event loop of async actors, without a runtime: calls cancelled at an exact moment."""

from __future__ import annotations

import asyncio

from bolide._actor_async import Group


class Call:
    """What a Group asks of a _hot.ActorCall."""

    sequence = 7
    is_async = True
    streams = False
    task = None
    ended: list

    def __init__(self):
        self.ended = []

    async def begin(self):
        await asyncio.sleep(3600)

    def succeed(self, result):
        self.ended.append(result)

    def fail(self, error):
        self.ended.append(type(error))


def test_a_call_that_is_cancelled_before_its_first_step_ends():
    loop = asyncio.new_event_loop()
    group = Group(loop)
    call = Call()

    async def main():
        group.begin(call)
        group.cancel(call.sequence)
        await asyncio.wait_for(group.finish(), 10)

    loop.run_until_complete(main())
    loop.close()
    assert call.ended == [asyncio.CancelledError]
