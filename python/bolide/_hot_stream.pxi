# _hot_stream: tasks that yield: the consumer's generator of references, and the loop of the worker.
# Part of _hot.pyx.
#
# The consumer always holds the object that its next item will be (`head`), so that it can be waited
# for as any other; it asks for the one after when it has taken it. The stream lives as long as the
# generator holds its object (`stream`), which is not a value.


@cython.final
cdef class ObjectRefGenerator:
    """The references of what a task yields, each as soon as it is there.

    Made by calling a remote generator function. Iterate over it with ``for`` or ``async for``; each
    item is an ObjectRef whose value is there. If the function raises, the last item holds the
    exception. When the generator goes, what was not taken from it is freed. It cannot be passed to
    tasks. Not thread-safe. Follows Ray's page "Ray Generators".

    Example:
        >>> for ref in count.remote(3):
        ...     print(get(ref))
    """

    cdef ObjectRef end     # ready when the task has ended; holds its exception
    cdef ObjectRef stream
    cdef ObjectRef head    # the next item; None: not asked for yet
    cdef uint64_t taken
    cdef bint error_given
    cdef readonly object _source  # where an engine runs the task: what makes the items, else None

    @classmethod
    def __class_getitem__(cls, item):
        return cls  # ObjectRefGenerator[...], in annotations

    def __init__(self):
        raise TypeError("an ObjectRefGenerator is made by calling a remote generator function")

    cdef int ask(self) except -1:
        cdef Session session = self.stream.session
        if not session.alive:
            raise_closed(session)
        if self._source is not None:
            self.head, self.end = self._source.next(self.taken)
            return 0
        self.head = make_ref(session, session.client.stream_next(self.stream.entry, self.taken))
        return 0

    cdef ObjectRef take(self):
        """The head, which is ready, and not the end."""
        cdef ObjectRef item = self.head
        self.taken += 1
        self.ask()
        return item

    cdef bint at_end(self):
        return is_end_of_stream(self.head.entry)

    cdef ObjectRef last(self):
        """At the end: the reference that holds the task's exception, once, or None."""
        if self.error_given or self.outcome_is_good():
            return None
        self.error_given = True
        return self.end

    cdef bint outcome_is_good(self) except -1:
        cdef Session session = self.end.session
        cdef ObjectEntry* entry = self.end.entry
        if not entry.ready():  # in a worker
            native.ask(session.client, &entry, 1, True)
            wait_entries(session, &entry, 1, 1, FOREVER, False)
        return entry.value_flags == 0

    def __iter__(self):
        return self

    def __next__(self):
        cdef ObjectRef item = self._next_sync(None)
        if item is None:
            raise RuntimeError("the wait for an item ended without one")
        return item

    def _next_sync(self, timeout_s=None):
        """The next reference; None if there is none within `timeout_s` seconds."""
        cdef ObjectEntry* entry
        cdef ObjectRef item
        if self.head is None:
            self.ask()
        if not self.head.entry.ready():
            entry = self.head.entry
            deadline = FOREVER if timeout_s is None or timeout_s < 0 else deadline_of(timeout_s)
            if not wait_entries(self.stream.session, &entry, 1, 1, deadline, False):
                return None
        if not self.at_end():
            return self.take()
        item = self.last()
        if item is None:
            raise StopIteration
        return item

    def __aiter__(self):
        return self

    def __anext__(self):
        from ._futures import next_item
        return next_item(self)

    def _head(self):
        """The object of the next item, which may be pending, or the end."""
        if self.head is None:
            self.ask()
        return self.head

    def completed(self):
        """A reference that is ready when the task has ended; `get` raises what the task raised."""
        if self._source is not None:
            self.end = self._source.finish()
        return self.end

    def next_ready(self):
        """Whether `next` would give a reference at once."""
        return not self.is_finished() and self._head().is_ready()

    def is_finished(self):
        """Whether all items were taken and the task has ended, so that `next` raises."""
        if self.head is None:
            self.ask()
        if not self.head.entry.ready() or not self.at_end():
            return False
        return self.error_given or self.outcome_is_good()

    def task_id(self):
        """The id of the task."""
        return self.stream.task_id() if self.end is None else self.end.task_id()

    def send(self, value):
        raise NotImplementedError("`gen.send` is not supported.")

    def throw(self, value):
        raise NotImplementedError("`gen.throw` is not supported.")

    def close(self):
        raise NotImplementedError("`gen.close` is not supported.")

    def asend(self, value):
        raise NotImplementedError("`gen.asend` is not supported.")

    def athrow(self, value):
        raise NotImplementedError("`gen.athrow` is not supported.")

    def aclose(self):
        raise NotImplementedError("`gen.aclose` is not supported.")

    def __reduce__(self):
        raise TypeError(
            "You cannot return or pass a generator to other task. Serializing a "
            "ObjectRefGenerator is not allowed; pass the references that it gives."
        )

    def __repr__(self):
        return f"ObjectRefGenerator({self.task_id().hex()})"


cdef ObjectRefGenerator make_generator(Session session, ObjectEntry* first):
    cdef ObjectRefGenerator generator = ObjectRefGenerator.__new__(ObjectRefGenerator)
    cdef ObjectId id = first.id
    id.value += 1
    generator.stream = make_ref(session, session.client.find(id))
    generator.end = make_ref(session, first)
    return generator


cdef inline bint is_end_of_stream(ObjectEntry* entry):
    """Whether a ready object is the end of a stream: a system error of the core of kind 8."""
    cdef ValueBytes value
    cdef uint32_t kind
    if entry.value_flags != 3:
        return False
    value = ObjectTable.inline_value(entry)
    memcpy(&kind, value.data, 4)
    return kind == 8


def wait_with_generators(list items, num_returns, timeout):
    """`wait` for a list that has generators: each is as ready as its next item."""
    cdef list refs = []
    cdef ObjectRefGenerator generator
    for item in items:
        if type(item) is ObjectRefGenerator:
            generator = <ObjectRefGenerator> item
            refs.append(generator._head())
        else:
            refs.append(item)
    ready, _ = wait(refs, num_returns=num_returns, timeout=timeout)
    ready = set(ready)
    found = [item for item, ref in zip(items, refs) if ref in ready]
    return found, [item for item, ref in zip(items, refs) if ref not in ready]


# ---- in a worker

cdef int stream_items(Session session, uint64_t sequence, object result, object name) except -1:
    """Sends what a generator yields, item by item, as far as the consumer lets it."""
    from ._generators import items_of
    cdef CreditRecord credit = session.worker.credit(sequence)
    cdef uint64_t index = 0
    items = items_of(result)
    advance = type(items).__next__
    while True:
        if index >= credit.upto:
            await_credit(session, sequence, index)
            credit = session.worker.credit(sequence)
        if _cancelled_calls and sequence in _cancelled_calls:
            return 0
        try:
            item = advance(items)
        except StopIteration:
            break
        if index >= credit.skip:
            send_item(session, sequence, index, item, name)
            item = None
        index += 1
    return check_item_count(index, credit.skip, name)


cdef inline int send_item(Session session, uint64_t sequence, uint64_t index, object item, object name) except -1:
    cdef Encoder encoder = encode_result(session, item, name)
    if _has_partial:
        flush_partial_output()
    session.worker.begin_yield(sequence, index)
    add_value(session, encoder)
    session.worker.end_yield()
    give_encoder(encoder)
    return 0


cpdef int check_item_count(uint64_t count, uint64_t before, object name) except -1:
    """Raises if a task has ended before the items that an earlier attempt of it has sent."""
    if count < before:
        from .exceptions import StreamingGeneratorReplayInconsistentError
        raise StreamingGeneratorReplayInconsistentError(
            f"the task {name!r} yielded {count} items when it ran again, but {before} in the "
            "attempt before; make it deterministic, or set max_retries=0"
        )
    return 0


cdef int await_credit(Session session, uint64_t sequence, uint64_t index) except -1:
    """Waits until the consumer has taken so much that item `index` may be made."""
    cdef WaitMode mode
    cdef WaitResult result
    cdef int64_t turn = turn_length()
    cdef int64_t until
    mode.runs_task = PyThread_get_thread_ident() == session.task_thread
    mode.can_inline = False
    mode.declared = False
    try:
        while True:
            until = native.now() + turn
            with nogil:
                result = native.await_credit(session.worker, sequence, index, until, &mode)
            if result == WaitResult.kReady:
                return 0
            if result == WaitResult.kClosed:
                raise_closed(session)
            PyErr_CheckSignals()
            if _cancelled_calls and sequence in _cancelled_calls:
                return 0
    finally:
        if mode.declared:
            native.end_wait(session.client, &mode)
