# _hot_get: get and put. Part of _hot.pyx.
#
# A value that is ready is decoded without a lock; anything else waits in the core without the
# GIL, in turns of at most 100 ms on the main thread, between which Python looks for signals.

cdef int64_t MAIN_TURN = 100 * 1000000
cdef int64_t OTHER_TURN = 1000 * 1000000
cdef unsigned long _main_thread = 0  # ident of the main thread, once it has been asked for


cdef int64_t deadline_of(object timeout) except -1:
    """The monotonic time at which `timeout` seconds from now are over; None: never."""
    if timeout is None:
        return FOREVER
    cdef double seconds
    if isinstance(timeout, (str, bytes, bytearray)):
        raise TypeError(f"timeout must be a number of seconds or None, not {timeout!r}")
    try:
        seconds = float(timeout)
    except (TypeError, ValueError):
        raise TypeError(f"timeout must be a number of seconds or None, not {timeout!r}") from None
    if seconds != seconds:
        raise ValueError("timeout must be a number of seconds or None, not NaN")
    if seconds < 0:
        raise ValueError(f"timeout must not be negative, but it is {timeout!r}; use 0 to look once")
    if seconds > 1e9:
        return FOREVER
    return native.now() + <int64_t> (seconds * 1e9)


cdef int64_t turn_length() except -1:
    global _main_thread
    if _main_thread == 0:
        import threading
        _main_thread = threading.main_thread().ident
    return MAIN_TURN if PyThread_get_thread_ident() == _main_thread else OTHER_TURN


cdef int wait_entries(Session session, ObjectEntry** entries, size_t n, uint32_t needed, int64_t deadline, bint can_inline) except -1:
    """Waits until `needed` of the entries are ready: 1; 0 when the deadline came first."""
    cdef WaitMode mode
    cdef WaitResult result
    cdef int64_t turn
    cdef int64_t until
    if n == 1 and session.worker == NULL and deadline == FOREVER and native.spin(session.client, entries[0]):
        return 1  # a short task: releasing the GIL would have cost as much as the wait
    turn = turn_length()
    watch = None
    if session.engine is not None and deadline == FOREVER:
        watch = session.engine.begin_wait()
        turn = MAIN_TURN
    mode.runs_task = session.running > 0 and PyThread_get_thread_ident() == session.task_thread
    mode.can_inline = mode.runs_task and can_inline and deadline == FOREVER
    mode.declared = False
    try:
        while True:
            until = native.now() + turn
            if until > deadline:
                until = deadline
            with nogil:
                result = native.wait_turn(session.client, entries, n, needed, until, &mode)
            if result == WaitResult.kReady:
                return 1
            if result == WaitResult.kClosed:
                raise_closed(session)
            if result == WaitResult.kRunTask:
                run_inline(session)
                if session.pending_interrupts is not None:
                    raise_pending(session)
                continue
            PyErr_CheckSignals()
            if not session.alive:
                raise_closed(session)
            if native.now() >= deadline:
                return 0
            if watch is not None:
                watch.check()
    finally:
        if watch is not None:
            watch.end()
        if mode.declared:
            native.end_wait(session.client, &mode)


cdef int raise_closed(Session session) except -1:
    if session is not None and session.forked:
        _auto_init(session)  # raises: it has the sentence for that
    park_unless_main()
    from .exceptions import RaySystemError
    raise RaySystemError(
        "the runtime was shut down, so this object cannot be had any more; call bolide.init() "
        "and make it again"
    )


cdef object read_value(ObjectRef ref):
    """The value of a ready reference; raises what it is if it is an error."""
    cdef ObjectEntry* entry = ref.entry
    cdef ValueBytes value
    if entry.holding == Holding.kStored:
        pin_value(ref)
        return read_pinned(ref)
    value = ObjectTable.inline_value(entry)
    if entry.value_flags == 0:
        return decode_all(<const uint8_t*> value.data, value.size, 8, None)
    raise read_error(ref.session, entry, PyBytes_FromStringAndSize(<const char*> value.data, value.size))


cdef object read_pinned(ObjectRef ref):
    """As read_value, of a stored value that is pinned; takes the pin back. Views have their own."""
    cdef ObjectEntry* entry = ref.entry
    cdef const byte_t* data
    try:
        data = ref.session.client.resolve(entry.where)
        if data == NULL:
            raise lost(ref)
        if entry.value_flags == 0:
            return decode_all(<const uint8_t*> data, entry.where.size, 64, ref)
        raise read_error(ref.session, entry, PyBytes_FromStringAndSize(<const char*> data, entry.where.size))
    finally:
        entry.presence.unpin()


cdef int pin_value(ObjectRef ref) except -1:
    """Pins a stored value, so that it stays where it is; first brings it back if it is elsewhere."""
    cdef ObjectEntry* entry = ref.entry
    cdef Session session = ref.session
    cdef int64_t turn, until
    cdef cbool got
    if entry.presence.pin():
        return 0
    turn = turn_length()
    while True:
        until = native.now() + turn
        with nogil:
            got = native.fetch(session.client, entry, until)
        if got:
            return 0
        if native.last_code() != Code.kTimeout:
            break
        PyErr_CheckSignals()
    if native.last_code() == Code.kClosed:
        raise_closed(session)
    if native.last_code() == Code.kNotFound:
        raise lost(ref, native.last_message().decode("utf-8", "replace"))
    raise core_error()


cdef object lost(ObjectRef ref, str reason=""):
    from .exceptions import ObjectLostError
    return ObjectLostError(ref.hex(), reason=reason)


cdef object read_error(Session session, ObjectEntry* entry, bytes data):
    if _flush_output is not None:
        flush_output(session)  # what the task wrote comes before its error
    if entry.value_flags & 2:
        return _make_system_error(-1, data)
    from ._serialize import unpack_error
    return unpack_error(data)


cdef ObjectRef check_ref(object item, str function):
    if type(item) is not ObjectRef:
        if function == "wait":
            raise TypeError(
                f"wait() expected a list of ray.ObjectRef, got list containing {type(item)}"
            )
        raise TypeError(
            f"Attempting to call `{function}` on the value {_shorten(item)}, which is not an "
            "ray.ObjectRef; references come from f.remote(...) and put(...)"
        )
    cdef ObjectRef ref = <ObjectRef> item
    return ref


cdef str _shorten(object item):
    try:
        text = repr(item)
    except Exception:
        text = "an object whose repr raises"
    return text if len(text) <= 80 else text[:77] + "..."


cdef object get_one(Session session, ObjectRef ref, int64_t deadline):
    cdef ObjectEntry* entry = ref.entry
    if not entry.ready():
        if ref.session is not session or not session.alive:
            raise_closed(session)
        if session.worker != NULL:
            native.ask(session.client, &entry, 1, True)
        if not wait_entries(session, &entry, 1, 1, deadline, True):
            raise timed_out(1, 1)
    elif not ref.session.alive:
        raise_closed(session)
    return read_value(ref)


cdef object timed_out(Py_ssize_t missing, Py_ssize_t total):
    from .exceptions import GetTimeoutError
    return GetTimeoutError(
        f"Get timed out: {missing} of {total} objects were not ready in time; they are still "
        "being made and can be got later"
    )


def get(refs, *, timeout=None):
    """The value of a reference, or the values of a list of them; waits until they are there.

    Args:
        refs: an ObjectRef, or a list of them.
        timeout: seconds to wait at most; None: without limit; 0: only look.

    Returns:
        The value, or a list of values in the order of `refs`. Arrays that lie in the object store
        are read-only views of it, without a copy; everything else is a fresh copy.

    Raises:
        RayTaskError: the task raised; the exception is also an instance of what it raised.
        WorkerCrashedError: its worker died more than `max_retries` times.
        GetTimeoutError: it was not ready in time.
        ValueError: `refs` is neither a reference nor a list.
        TypeError: the list has something else than references.

    Example:
        >>> get(put(42))
        42

    Follows Ray's page "Fetching Object Data".
    """
    cdef Session session = _session
    if session is None or not session.alive:
        session = session_for(refs)
    cdef int64_t deadline = FOREVER if timeout is None else deadline_of(timeout)
    cdef ObjectRef ref
    cdef Py_ssize_t i, n
    cdef ObjectEntry* entry
    cdef vector[ObjectEntry*] pending
    if type(refs) is ObjectRef:
        result = get_one(session, <ObjectRef> refs, deadline)
        if _flush_output is not None:
            flush_output(session)
        return result
    if not isinstance(refs, list):
        if hasattr(type(refs), "_ray_get"):  # of a compiled graph
            return refs._ray_get(timeout)
        raise ValueError(
            f"Invalid type of object refs, {type(refs)}, is given. 'object_refs' must either be an "
            "ObjectRef or a list of ObjectRefs."
        )
    cdef list items = list(refs)  # the caller's may change while this waits
    n = PyList_GET_SIZE(items)
    if n != 0 and type(items[0]) is not ObjectRef and hasattr(type(items[0]), "_ray_get"):
        return type(items[0])._ray_get_all(items, timeout)
    for i in range(n):
        ref = check_ref(items[i], "get")
        if ref.session is not session:
            raise_closed(ref.session)
        if not ref.entry.ready():
            pending.push_back(ref.entry)
    if session.worker != NULL and pending.size() > 0:
        native.ask(session.client, pending.data(), pending.size(), True)
    cdef list values = [None] * n
    try:
        for i in range(n):
            ref = <ObjectRef> items[i]
            entry = ref.entry
            if not entry.ready():
                # In a worker the rest of the list may be what it runs itself, so all is waited for.
                if session.worker != NULL:
                    if not wait_entries(session, pending.data(), pending.size(), <uint32_t> pending.size(), deadline, True):
                        raise timed_out(count_pending(items), n)
                elif not wait_entries(session, &entry, 1, 1, deadline, True):
                    raise timed_out(count_pending(items), n)
            values[i] = read_value(ref)
    except BaseException:
        if session.worker != NULL:
            for item in items:
                ref = <ObjectRef> item
                session.worker.forget_failure(ref.entry)
        raise
    if _flush_output is not None:
        flush_output(session)
    return values


cdef Py_ssize_t count_pending(list items):
    cdef Py_ssize_t missing = 0
    cdef ObjectRef ref
    for item in items:
        ref = <ObjectRef> item
        if not ref.entry.ready():
            missing += 1
    return missing


cdef Session session_for(object refs):
    """For get and wait without a live session: says so where references of an ended one are used."""
    cdef ObjectRef ref
    first = refs[0] if isinstance(refs, list) and refs else refs
    if type(first) is ObjectRefGenerator:
        first = first.completed()
    if type(first) is ObjectRef:
        ref = <ObjectRef> first
        raise_closed(ref.session)
    return need_session()


cdef int flush_output(Session session) except -1:
    """Prints what workers wrote before the results that were just got (driver only)."""
    if session.worker == NULL and native.has_output(session.client):
        _flush_output()
    return 0


def put(value):
    """Stores a value and returns a reference to it.

    Args:
        value: anything that can be pickled, but not an ObjectRef.

    Returns:
        An ObjectRef. Pass it to tasks instead of the value when many of them need it.

    Raises:
        TypeError: `value` is an ObjectRef, or cannot be sent to another process.
        ObjectStoreFullError: there was no room in time.

    Example:
        >>> ref = put([1, 2])
        >>> get(ref)
        [1, 2]

    Follows Ray's page "Objects".
    """
    cdef Session session = _session
    if session is None or not session.alive:
        session = need_session()
    if type(value) is ObjectRef:
        raise TypeError(
            "Calling 'put' on an ObjectRef is not allowed: the object is in the store already. If "
            "you really want a reference to a reference, wrap it in a list."
        )
    cdef ObjectRef ref = put_value(session, value)
    if session.sites:
        note_site(session, ref.entry, 1, "put()")
    return ref


cdef ObjectRef put_value(Session session, object value):
    cdef Encoder encoder
    cdef ObjectEntry* entry
    cdef ObjectRef ref
    if type(value) is _ndarray and (ref := put_draft(session, value)) is not None:
        return ref
    encoder = take_encoder()
    try:
        encoder.encode_value(value, "the value of put()")
        if encoder.parts_size(encoder.size, 8) <= session.inline_limit:
            encoder.join_parts(0)
            entry = native.put_inline(session.client, encoder.data, encoder.size, encoder.contained, 0)
            if entry == NULL:
                raise core_error()
            return make_ref(session, entry)
        return store_encoded(encoder, session, 0, 0)
    finally:
        give_encoder(encoder)


@cython.final
cdef class Completions:
    """Tokens of references that have become ready, behind a file descriptor an event loop can watch."""

    cdef shared_ptr[CompletionQueue] queue

    def __cinit__(self):
        self.queue = native.make_queue()
        if self.queue.get() == NULL:
            raise core_error()

    def fileno(self):
        return self.queue.get().fd()

    def take(self):
        """The tokens since the last call."""
        return self.queue.get().take()

    def watch(self, ObjectRef ref not None, uint64_t token):
        """Gives `token` when the reference is ready."""
        if ref.session.worker != NULL:
            native.ask(ref.session.client, &ref.entry, 1, True)
        if not native.watch(ref.session.client, ref.entry, self.queue, token):
            raise core_error()


def watch_service(ObjectRef ref not None, uint64_t token):
    """As Completions.watch, for the queue of the node's service thread (driver only)."""
    if not native.watch_service(ref.session.client, ref.entry, token):
        raise core_error()
