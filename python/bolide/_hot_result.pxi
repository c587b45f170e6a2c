# _hot_result: from what a function returns, yields or raises to the values of a result. Part of
# _hot.pyx.
#
# Values are encoded completely before the record of the result is begun: see _hot_worker.pxi.

cdef Encoder encode_result(Session session, object result, object name):
    """One value, complete: its bytes in the encoder, or in the store with the place noted."""
    cdef Encoder encoder = take_encoder()
    if encoder.encode_plain(result, 0) and encoder.size <= session.inline_limit:
        return encoder
    encoder.size = 0
    encode_large_result(session, encoder, result, name)
    return encoder


cdef int encode_large_result(Session session, Encoder encoder, object result, object name) except -1:
    """One that is pickled, has parts, or is too long. Apart, as encode_large_argument is."""
    encoder.encode_value(result, lambda: f"the result of {name!r}")
    if encoder.parts_size(encoder.size, 8) <= session.inline_limit:
        return encoder.join_parts(0)
    encoder.store_value(session, 0, &encoder.slot)
    encoder.stored = True
    return 0


cdef list encode_results(Session session, uint32_t returns, object result, object name, bint may_retry):
    """The values of a task that returns several, or none, or of a generator."""
    cdef list encoders = []
    cdef bint too_many = False
    if returns == 0:
        return encoders
    try:
        values = iter(result)
    except TypeError:
        raise wrong_count(returns, name, f"a {type(result).__name__}") from None
    try:
        for value in values:
            if <uint32_t> len(encoders) == returns:
                too_many = True
                count = len(result) if hasattr(result, "__len__") else f"more than {returns}"
                raise wrong_count(returns, name, count)
            encoders.append(encode_result(session, value, name))
            value = None
        if <uint32_t> len(encoders) != returns:
            raise wrong_count(returns, name, len(encoders))
    except BaseException as error:
        if too_many or may_retry or not PyGen_CheckExact(result) or not isinstance(error, Exception):
            for encoder in encoders:
                abandon_value(session, <Encoder> encoder)
            raise
        keep_what_was_yielded(session, returns, encoders, error, name)
    return encoders


cdef object wrong_count(uint32_t returns, object name, object count):
    return ValueError(
        f"the task {name!r} has num_returns={returns}, so it must return {returns} values, "
        f"but it returned {count}"
    )


cdef int keep_what_was_yielded(Session session, uint32_t returns, list encoders, object error, object name) except -1:
    """A generator has failed: its first values stay, the others are the error, as in Ray."""
    cdef uint32_t missing = returns - <uint32_t> len(encoders)
    if missing > 0:
        encoders.extend(encode_failure(session, missing, error, name))
        return 0
    _sys.stderr.write(f"bolide: the task {name!r} has yielded its {returns} values, then raised {error!r}\n")
    return 0


cdef object put_items(Session session, object result, object name, bint may_retry):
    """num_returns="dynamic": each item is put as it comes; the value is the list of references."""
    from ._generators import DynamicObjectRefGenerator, items_of
    cdef list refs = []
    try:
        for item in items_of(result):
            refs.append(put(item))
            item = None
    except BaseException as error:
        if may_retry or not isinstance(error, Exception):
            raise
        refs.append(put_failure(session, error, name))
    return DynamicObjectRefGenerator(refs)


cdef ObjectRef put_failure(Session session, object error, object name):
    """An object whose value is the exception."""
    return put_encoded(session, <Encoder> encode_failure(session, 1, error, name)[0])


cdef ObjectRef put_encoded(Session session, Encoder encoder, ObjectRef promised=None):
    """An object of what was encoded for a result; the promised one, if there is one."""
    cdef ObjectEntry* entry
    cdef cbool kept
    if promised is not None:
        if encoder.stored:
            encoder.stored = False
            kept = native.keep_stored(session.client, promised.entry, encoder.slot, encoder.contained, encoder.flags)
        else:
            kept = native.keep_inline(session.client, promised.entry, encoder.data, encoder.size, encoder.contained, encoder.flags)
        if not kept:
            raise core_error()
        return promised
    if encoder.stored:
        encoder.stored = False
        entry = native.put_stored(session.client, encoder.slot, encoder.contained, encoder.flags, False)
    else:
        entry = native.put_inline(session.client, encoder.data, encoder.size, encoder.contained, encoder.flags)
    if entry == NULL:
        raise core_error()
    return make_ref(session, entry)


cdef inline int add_value(Session session, Encoder encoder) except -1:
    if encoder.stored:
        encoder.stored = False
        native.add_stored(session.worker, encoder.slot, encoder.contained, encoder.flags)
    else:
        native.add_inline(session.worker, encoder.data, encoder.size, encoder.contained, encoder.flags)
    return 0


cdef int abandon_value(Session session, Encoder encoder) except -1:
    if encoder.stored:
        encoder.stored = False
        session.client.abandon(encoder.slot)
    return 0


cdef list encode_failure(Session session, uint32_t returns, object error, object name):
    """The exception as the value of every return."""
    import os
    if session.worker != NULL and os.environ.get("BOLIDE_POST_MORTEM") == "on":
        from ._debugger import look_after
        look_after(error)
    from ._serialize import pack_error
    cdef Encoder encoder = take_encoder()
    cdef void** slot = native.encoder_slot()
    cdef void* outer = slot[0]
    cdef bytes data
    cdef uint32_t i
    cdef list encoders = []
    slot[0] = <void*> encoder
    try:
        data = pack_error(error, name, os.getpid(), **_error_fields)
    finally:
        slot[0] = outer
    for i in range(returns):
        if i > 0:
            encoders.append(encode_raw(session, Encoder.__new__(Encoder), data, error, name))
        else:
            encoders.append(encode_raw(session, encoder, data, error, name))
    return encoders


cdef list encode_cancelled(uint32_t returns, uint64_t task, object name):
    """The values of a task that was interrupted by cancel(): as the node makes them."""
    cdef bytes text = f"{task:016x}It is a call of {name!r} that was running.".encode("utf-8", "replace")
    cdef uint32_t[2] head
    cdef uint32_t i
    cdef Encoder encoder
    cdef list encoders = []
    head[0] = 6  # node::SystemErrorKind::kTaskCancelled
    head[1] = 0
    for i in range(returns):
        encoder = Encoder.__new__(Encoder)
        encoder.put_bytes(head, sizeof(head))
        encoder.put_bytes(PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text))
        encoder.flags = 3  # ipc::kError | ipc::kSystemError
        encoders.append(encoder)
    return encoders


cdef Encoder encode_raw(Session session, Encoder encoder, bytes data, object error, object name):
    """A record of an error, stored if it is large; cut short if there is no room for it."""
    cdef Py_ssize_t size = PyBytes_GET_SIZE(data)
    encoder.flags = 1  # ipc::kError; such an encoder is not used for another message
    if <uint64_t> size > session.inline_limit:
        try:
            reserve_slot(session, size, &encoder.slot)
            copy_released(<uint8_t*> encoder.slot.data, <const uint8_t*> PyBytes_AS_STRING(data), size)
            encoder.stored = True
            return encoder
        except Exception:
            import os
            from ._serialize import pack_error
            short = RuntimeError(f"{type(error).__name__}, whose text found no room in the object store")
            data = pack_error(short, name, os.getpid(), **_error_fields)
            size = PyBytes_GET_SIZE(data)
            encoder.contained.clear()
    encoder.put_bytes(PyBytes_AS_STRING(data), size)
    return encoder


