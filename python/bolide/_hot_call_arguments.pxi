# _hot_call_arguments: the arguments of a call of a function, a method or a constructor: checked against
# its signature, and encoded. Part of _hot.pyx.
#
# Its `callee` has _check_arguments(args, kwargs), which raises, and _argument_subject(where), which names
# an argument in an error. The worker's side is _hot_arguments.pxi.


cdef int check_arguments(object callee, PyObject** args, Py_ssize_t n, PyObject* names) except -1:
    """Raises the TypeError that calling the function or method would raise."""
    positional, named = arguments_of(args, n, names)
    callee._check_arguments(positional, named)
    return 0


cdef tuple arguments_of(PyObject** args, Py_ssize_t n, PyObject* names):
    """The positional arguments of a vectorcall as a tuple, the named ones as a dict."""
    cdef Py_ssize_t i
    named = {}
    if names != NULL:
        for i in range(PyTuple_GET_SIZE(<object> names)):
            named[<object> PyTuple_GET_ITEM(<object> names, i)] = <object> args[n + i]
    return tuple([<object> args[i] for i in range(n)]), named


cdef int encode_arguments(Encoder encoder, Session session, object callee, PyObject** args, Py_ssize_t n, PyObject* names) except -1:
    """The arguments of a call: their number, the positional ones, the named ones.

    `call_remote` has the same in line, where calling this would be half a percent of the work.
    """
    cdef Py_ssize_t named = 0 if names == NULL else PyTuple_GET_SIZE(<object> names)
    cdef Py_ssize_t i
    encoder.put_u32(<uint32_t> n)
    encoder.put_u32(<uint32_t> named)
    for i in range(n):
        encode_argument(encoder, session, <object> args[i], callee, i)
    for i in range(named):
        key = <object> PyTuple_GET_ITEM(<object> names, i)
        encoder.encode_plain(key, 0)
        encode_argument(encoder, session, <object> args[n + i], callee, key)
    return 0


cdef int encode_argument(Encoder encoder, Session session, object value, object callee, object where) except -1:
    cdef size_t start = encoder.size
    cdef ObjectRef ref
    if type(value) is ObjectRef:
        ref = <ObjectRef> value
        if ref.session is not session:
            raise foreign_ref(ref)
        return put_dependency(encoder, ref)
    if type(value) is _ndarray and encode_held_argument(encoder, session, value):
        return 0
    if encoder.encode_plain(value, 0) and encoder.size - start <= session.inline_limit:
        return 0
    encoder.size = start
    return encode_large_argument(encoder, session, value, callee, where)


cdef int encode_large_argument(Encoder encoder, Session session, object value, object callee, object where) except -1:
    """One that is pickled, has parts, or is too long. Apart, since a closure costs its function a cell a call."""
    cdef size_t start = encoder.size
    cdef size_t contained = encoder.contained.size()
    cdef uint64_t size
    cdef ObjectRef ref
    encoder.encode_value(value, lambda: callee._argument_subject(where))
    size = encoder.parts_size(encoder.size - start, 8)
    if size <= session.inline_limit:
        return encoder.join_parts(start)
    # Too large to travel in the task's record: it becomes an object of its own.
    ref = store_argument(encoder, session, start, contained, value, callee, where)
    if session.sites:
        note_site(session, ref.entry, 1, callee._argument_subject(where))
    encoder.keep(ref)
    return put_dependency(encoder, ref)


cdef int put_dependency(Encoder encoder, ObjectRef ref) except -1:
    encoder.put_tag(T_REF)
    encoder.put_u32(<uint32_t> encoder.dependencies.size())
    encoder.dependencies.push_back(ref.entry.id.value)
    return 0


cdef ObjectRef store_encoded(Encoder encoder, Session session, size_t start, size_t contained):
    """Puts the value that was encoded from `start` on into the store; takes its contained ids."""
    cdef Slot slot
    cdef vector[uint64_t] inner
    cdef size_t i
    encoder.store_value(session, start, &slot)
    for i in range(contained, encoder.contained.size()):
        inner.push_back(encoder.contained[i])
    encoder.contained.resize(contained)
    cdef ObjectEntry* entry = native.put_stored(session.client, slot, inner, 0, False)
    if entry == NULL:
        raise core_error()
    return make_ref(session, entry)
