# _hot_decode: bytes -> values. Part of _hot.pyx; the layout is described there.
#
# The bytes come from another process but are not hostile: whoever can submit a task can run code
# as you. Lengths are checked all the same, so that a bug shows as an error and not as a crash.


cdef struct Cursor:
    const uint8_t* begin   # of the value: parts are aligned to it
    const uint8_t* at
    const uint8_t* end
    uint64_t align


cdef inline int need(Cursor* cursor, uint64_t n) except -1:
    if n > <uint64_t> (cursor.end - cursor.at):
        raise corrupt_value()
    return 0


cdef object corrupt_value():
    from .exceptions import RaySystemError
    return RaySystemError("corrupt value: it is shorter than it says")


cdef inline uint32_t take_u32(Cursor* cursor) except? 0xffffffff:
    cdef uint32_t n
    need(cursor, 4)
    memcpy(&n, cursor.at, 4)
    cursor.at += 4
    return n


cdef inline int64_t take_i64(Cursor* cursor) except? -0x7fffffffffffffff:
    cdef int64_t n
    need(cursor, 8)
    memcpy(&n, cursor.at, 8)
    cursor.at += 8
    return n


cdef const uint8_t* take_part(Cursor* cursor, uint64_t size) except NULL:
    cdef uint64_t offset = <uint64_t> (cursor.at - cursor.begin)
    offset = (offset + cursor.align - 1) & ~(cursor.align - 1)
    cdef uint64_t total = <uint64_t> (cursor.end - cursor.begin)
    if offset > total or size > total - offset:
        raise corrupt_value()
    cursor.at = cursor.begin + offset + size
    return cursor.begin + offset


cdef object part_buffer(Cursor* cursor, const uint8_t* data, uint64_t size, ObjectRef owner):
    """A read-only buffer over a part: a view that keeps the stored object, or a copy."""
    if owner is None:
        return new_bytes(data, size)
    return make_view(owner, cursor.begin, <uint64_t> (data - cursor.begin), size)


cdef object decode(Cursor* cursor, Dependencies dependencies, ObjectRef owner):
    """The value at the cursor. `owner` is the reference whose stored bytes these are, if so."""
    cdef uint8_t tag
    cdef int64_t number
    cdef double real
    cdef uint32_t n, i
    cdef const uint8_t* data
    cdef object item
    need(cursor, 1)
    tag = cursor.at[0]
    cursor.at += 1
    if tag == T_INT:
        return PyLong_FromLongLong(take_i64(cursor))
    if tag == T_STR:
        n = take_u32(cursor)
        need(cursor, n)
        data = cursor.at
        cursor.at += n
        return PyUnicode_DecodeUTF8(<const char*> data, n, NULL)
    if tag == T_FLOAT:
        need(cursor, 8)
        memcpy(&real, cursor.at, 8)
        cursor.at += 8
        return PyFloat_FromDouble(real)
    if tag == T_NONE:
        return None
    if tag == T_TRUE:
        return True
    if tag == T_FALSE:
        return False
    if tag == T_TUPLE:
        n = take_u32(cursor)
        need(cursor, n)
        values = PyTuple_New(n)
        for i in range(n):
            item = decode(cursor, dependencies, owner)
            Py_INCREF(item)
            PyTuple_SET_ITEM(values, i, item)
        return values
    if tag == T_REF:
        n = take_u32(cursor)
        if dependencies is None:
            raise corrupt_value()
        return dependencies.value(n)
    if tag == T_BYTES or tag == T_BYTEARRAY:
        number = take_i64(cursor)
        if number >= 0:
            need(cursor, number)
            data = cursor.at
            cursor.at += number
        else:
            number = -number - 1
            data = take_part(cursor, number)
        return new_bytes(data, number) if tag == T_BYTES else new_bytearray(data, number)
    if tag == T_TEXT:
        number = take_i64(cursor)
        return PyUnicode_DecodeUTF8(<const char*> take_part(cursor, number), number, NULL)
    if tag == T_ARRAY:
        return decode_array(cursor, owner)
    if tag == T_WINDOW:
        return decode_window(cursor, dependencies)
    if tag == T_PICKLE:
        return decode_pickle(cursor, owner)
    raise corrupt_value()


cdef object decode_all(const uint8_t* data, uint64_t size, uint64_t align, ObjectRef owner):
    """The one value that these bytes are."""
    cdef Cursor cursor
    cursor.begin = data
    cursor.at = data
    cursor.end = data + size
    cursor.align = align
    return decode(&cursor, None, owner)


def decode_copy(bytes value not None, bint stored):
    """The value that these bytes are, in memory of its own: for tests of damaged ones.

    `stored`: its parts are aligned as in the store, else as in a record.
    """
    return decode_all(<const uint8_t*> PyBytes_AS_STRING(value), PyBytes_GET_SIZE(value), 64 if stored else 8, None)
