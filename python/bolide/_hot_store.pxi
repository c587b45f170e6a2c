# _hot_store: room in the store and copies into it. Part of _hot.pyx.
#
# Copies of 64 KiB and more give up the GIL. Long ones are cut into pieces, between which Python
# looks for signals, so that Ctrl-C ends them.

cdef uint64_t COPY_AT_ONCE = 64 << 20  # fresh memory takes some 60 ms; Ctrl-C is seen in between
cdef uint64_t COPY_RELEASED = 65536


cdef int copy_released(uint8_t* to, const uint8_t* source, uint64_t size, bint fresh=False) except -1:
    cdef uint64_t part
    cdef Session session = _session
    if size < COPY_RELEASED or session is None:
        memcpy(to, source, size)
        return 0
    while True:
        part = min(size, COPY_AT_ONCE)
        with nogil:
            native.copy(session.client, to, source, part, fresh)
        size -= part
        if size == 0:
            return 0
        to += part
        source += part
        PyErr_CheckSignals()


cdef int copy_strided(uint8_t* to, object array) except -1:
    """Copies the elements of a NumPy array in C order: one copy, whatever its strides are."""
    cdef npy.Array* source = <npy.Array*> <PyObject*> array
    cdef uint64_t row, rows, i
    row = array.nbytes
    if row <= COPY_AT_ONCE:
        copy_elements(to, array)
        return 0
    rows = source.dimensions[0]
    row //= rows
    if row > COPY_AT_ONCE:
        for i in range(rows):
            copy_strided(to + i * row, array[i])
        return 0
    cdef uint64_t many = COPY_AT_ONCE // row
    for i in range(0, rows, many):
        copy_elements(to + i * row, array[i:i + many])
        PyErr_CheckSignals()
    return 0


cdef int copy_elements(uint8_t* to, object array) except -1:
    cdef npy.Array* source = <npy.Array*> <PyObject*> array
    target = npy.new_array(source.descr, source.nd, source.dimensions, NULL, to, NULL, True)
    return npy.copy_into(<PyObject*> target, <PyObject*> array)


cdef int fill_zeros(uint8_t* to, uint64_t size) except -1:
    cdef uint64_t part
    while size > 0:
        part = min(size, COPY_AT_ONCE)
        with nogil:
            memset(to, 0, part)
        to += part
        size -= part
        PyErr_CheckSignals()
    return 0


cdef bint equal_released(Session session, const uint8_t* a, const uint8_t* b, uint64_t size) except -1:
    cdef uint64_t part
    cdef cbool same
    while size > 0:
        part = min(size, COPY_AT_ONCE)
        with nogil:
            same = native.equal(session.client, a, b, part)
        if not same:
            return False
        a += part
        b += part
        size -= part
        PyErr_CheckSignals()
    return True


cdef bytes new_bytes(const uint8_t* data, uint64_t size):
    """The same bytes as an object of Python's own."""
    cdef bytes made
    if size < COPY_RELEASED:
        return PyBytes_FromStringAndSize(<const char*> data, size)
    made = PyBytes_FromStringAndSize(NULL, size)
    copy_released(<uint8_t*> PyBytes_AS_STRING(made), data, size)
    return made


cdef bytearray new_bytearray(const uint8_t* data, uint64_t size):
    cdef bytearray made = PyByteArray_FromStringAndSize(NULL, size)
    copy_released(<uint8_t*> PyByteArray_AS_STRING(made), data, size)
    return made


cdef int reserve_slot(Session session, uint64_t size, Slot* slot) except -1:
    """Room in the store; waits while it is full and memory comes back."""
    reserve_room(session, size, False, slot)
    return 0


cdef bint reserve_alone(Session session, uint64_t size, Slot* slot) except -1:
    """The same in a chunk of its own; False when this process has too many of those."""
    return reserve_room(session, size, True, slot)


cdef bint reserve_room(Session session, uint64_t size, bint alone, Slot* slot) except -1:
    cdef int64_t since = native.now()
    cdef int64_t turn
    cdef cbool got
    while True:
        turn = native.now() + 50 * MILLISECOND
        with nogil:
            got = native.reserve(session.client, size, alone, since, turn, slot)
        if got:
            return True
        if alone and native.last_code() == Code.kNotFound:
            return False
        if native.last_code() != Code.kTimeout:
            raise core_error()
        if _held_repeated > 0:
            forget_repeated()
        PyErr_CheckSignals()
