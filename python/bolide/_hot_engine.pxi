# _hot_engine: what an engine that runs calls itself (bolide.engines) needs of this module: to read and
# write values as tasks do. Part of _hot.pyx.


cdef object call_by_engine(Session session, object callee, PyObject** args, Py_ssize_t n, PyObject* names):
    positional, named = arguments_of(args, n, names)
    callee._check_arguments(positional, named)
    return session.engine.call(callee, session.engine.arguments(positional, named, callee))


def is_error(ObjectRef ref not None):
    """Whether a ready reference holds an exception."""
    return ref.entry.value_flags & 1 != 0


def promise():
    """An object that is pending until it is given to one of the following as `into`.

    They then keep promises in place of making objects. The first value of one stays.
    """
    cdef Session session = need_session()
    cdef ObjectEntry* entry = native.promise(session.client)
    if entry == NULL:
        raise core_error()
    return make_ref(session, entry)


def put_copy(ObjectRef ref not None, ObjectRef into=None):
    """Another object with the same exception."""
    cdef bytes value = value_bytes(ref)
    cdef Encoder encoder = Encoder.__new__(Encoder)
    encoder = encode_raw(ref.session, encoder, value, None, "?")
    encoder.flags = ref.entry.value_flags
    return put_encoded(ref.session, encoder, into)


def put_argument(value, subject):
    """An object of one argument; `subject` gives its name in errors."""
    cdef Session session = need_session()
    cdef Encoder encoder = take_encoder()
    try:
        encoder.encode_value(value, subject)
        if encoder.parts_size(encoder.size, 8) <= session.inline_limit:
            encoder.join_parts(0)
            return put_encoded(session, encoder)
        return store_encoded(encoder, session, 0, 0)
    finally:
        give_encoder(encoder)


def put_results(uint32_t returns, result, str name, bint dynamic, bint may_retry, list into=None):
    """A list of objects: what a task has returned."""
    cdef Session session = need_session()
    if dynamic:
        result = put_items(session, result, name, may_retry)
    if returns == 1 and not PyGen_CheckExact(result):
        return put_all(session, [encode_result(session, result, name)], into)
    return put_all(session, encode_results(session, returns, result, name, may_retry), into)


def put_item(item, str name, ObjectRef into=None):
    """An object of what a generator has yielded."""
    cdef Session session = need_session()
    return put_encoded(session, encode_result(session, item, name), into)


cdef list put_all(Session session, list encoders, list into):
    if into is None:
        return [put_encoded(session, <Encoder> encoder) for encoder in encoders]
    return [put_encoded(session, <Encoder> encoder, <ObjectRef> ref) for encoder, ref in zip(encoders, into)]


def put_errors(uint32_t returns, error, str name, dict fields, list into=None):
    """A list of objects: the exception that a task has raised. `fields`: of RayTaskError, in an actor."""
    global _error_fields
    cdef Session session = need_session()
    outer = _error_fields
    _error_fields = fields
    try:
        return put_all(session, encode_failure(session, returns, error, name), into)
    finally:
        _error_fields = outer


def put_system_error(bytes value, ObjectRef into=None):
    """An object whose value is an error as the core makes them (node/system_error.h)."""
    cdef Encoder encoder = Encoder.__new__(Encoder)
    encoder.put_bytes(PyBytes_AS_STRING(value), PyBytes_GET_SIZE(value))
    encoder.flags = 3  # ipc::kError | ipc::kSystemError
    return put_encoded(need_session(), encoder, into)


def load_exported(ObjectRef ref not None):
    """The callable, name and max_calls of an exported function or class, loaded as in a worker."""
    return load_bytes(value_bytes(ref), ref.entry.id.value)


cpdef bytes value_bytes(ObjectRef ref):
    """The bytes of a ready object, as they are encoded."""
    cdef ValueBytes value
    cdef const byte_t* data
    if ref.entry.holding != Holding.kStored:
        value = ObjectTable.inline_value(ref.entry)
        return PyBytes_FromStringAndSize(<const char*> value.data, value.size)
    pin_value(ref)
    try:
        data = ref.session.client.resolve(ref.entry.where)
        if data == NULL:
            raise lost(ref)
        return PyBytes_FromStringAndSize(<const char*> data, ref.entry.where.size)
    finally:
        ref.entry.presence.unpin()


def free_actor(uint64_t number):
    """An actor of an engine has ended: its name may be taken again."""
    cdef Session session = need_session()
    if not native.kill_actor(session.client, number, True):
        raise core_error()


def make_source_generator(source):
    """An ObjectRefGenerator whose references `source` makes."""
    cdef ObjectRefGenerator generator = ObjectRefGenerator.__new__(ObjectRefGenerator)
    generator.stream = put(None)
    generator._source = source
    return generator
