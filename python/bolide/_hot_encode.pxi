# _hot_encode: values -> bytes. Part of _hot.pyx; the layout is described there.
#
# An Encoder is one growing buffer. Values that are small go into it whole; the large parts of a
# value (array data, pickle buffers) are only noted, and are copied once, to where the value goes.

cdef enum Tag:
    T_NONE, T_TRUE, T_FALSE, T_INT, T_FLOAT, T_STR, T_BYTES, T_TUPLE, T_REF, T_ARRAY, T_PICKLE
    T_BYTEARRAY, T_TEXT, T_WINDOW

cdef Py_ssize_t SMALL_BYTES = 8192   # bytes up to this are part of the head
cdef Py_ssize_t LONG_TEXT = 65536    # a str from this is a part


# How a part follows what is before it.
cdef enum PartKind:
    P_ALIGNED   # at the next multiple of the alignment
    P_GLUED     # without a gap: one more piece of the part before it
    P_STRIDED   # aligned; `data` is a NumPy array whose elements are copied in C order


cdef struct Part:
    const void* data
    uint64_t size
    PartKind kind


@cython.final
cdef class Encoder:
    """One message under construction: its bytes, its references, what it keeps alive."""

    cdef uint8_t* data
    cdef size_t size
    cdef size_t capacity
    cdef vector[uint64_t] dependencies
    cdef vector[uint64_t] contained
    cdef vector[Part] parts        # of the value being encoded
    cdef vector[Py_buffer] buffers
    cdef PickleSink sink           # of its pickles; what a part points at may live in its memo
    cdef Slot slot                 # where the value lies, if it was stored
    cdef bint stored
    cdef uint8_t flags             # ipc::ValueFlags of the value
    cdef list kept                 # Python objects that must outlive the message, or None

    def __cinit__(self):
        self.capacity = 4096
        self.data = <uint8_t*> malloc(self.capacity)
        if self.data == NULL:
            raise MemoryError()

    def __dealloc__(self):
        self.drop_parts()
        free(self.data)
        if self.sink is not None:
            self.sink.pickler = None  # they refer to each other

    cdef inline bint is_clean(self):
        return (
            self.kept is None and self.sink is None and self.parts.empty()
            and self.contained.empty() and self.dependencies.empty()
        )

    cdef int clean(self) except -1:
        self.drop_parts()
        self.size = 0
        self.dependencies.clear()
        self.contained.clear()
        self.kept = None
        if self.sink is not None:
            give_sink(self.sink)
            self.sink = None
        return 0

    cdef int keep(self, object item) except -1:
        if self.kept is None:
            self.kept = []
        self.kept.append(item)
        return 0

    cdef inline int room(self, size_t more) except -1:
        if self.size + more <= self.capacity:
            return 0
        return self.grow(more)

    cdef int grow(self, size_t more) except -1:
        cdef size_t capacity = self.capacity
        while capacity < self.size + more:
            capacity *= 2
        cdef void* data = realloc(self.data, capacity)
        if data == NULL:
            raise MemoryError()
        self.data = <uint8_t*> data
        self.capacity = capacity
        return 0

    cdef inline int put_bytes(self, const void* data, size_t n) except -1:
        self.room(n)
        memcpy(self.data + self.size, data, n)
        self.size += n
        return 0

    cdef inline int put_tag(self, uint8_t tag) except -1:
        self.room(1)
        self.data[self.size] = tag
        self.size += 1
        return 0

    cdef inline int put_u32(self, uint32_t n) except -1:
        return self.put_bytes(&n, 4)

    cdef inline int put_i64(self, int64_t n) except -1:
        return self.put_bytes(&n, 8)

    cdef void drop_parts(self):
        cdef size_t i
        for i in range(self.buffers.size()):
            PyBuffer_Release(&self.buffers[i])
        self.buffers.clear()
        self.parts.clear()

    cdef int add_part(self, object owner, PartKind kind) except -1:
        """Notes the bytes of a buffer as the next part of the value."""
        cdef Py_buffer buffer
        PyObject_GetBuffer(owner, &buffer, PyBUF_SIMPLE)
        self.buffers.push_back(buffer)
        self.parts.push_back(Part(buffer.buf, <uint64_t> buffer.len, kind))
        return 0

    cdef int encode_plain(self, object obj, int depth) except -1:
        """Encodes what needs no pickle and has no parts: 1; 0 if it cannot (size unchanged)."""
        cdef int overflow
        cdef int64_t number
        cdef Py_ssize_t n, i
        cdef const char* text
        cdef double real
        cdef size_t start
        if PyLong_CheckExact(obj):
            number = PyLong_AsLongLongAndOverflow(obj, &overflow)
            if overflow != 0:
                return 0
            self.room(9)
            self.data[self.size] = T_INT
            memcpy(self.data + self.size + 1, &number, 8)
            self.size += 9
            return 1
        if PyUnicode_CheckExact(obj):
            try:
                text = PyUnicode_AsUTF8AndSize(obj, &n)
            except UnicodeEncodeError:
                return 0  # lone surrogates
            if n >= LONG_TEXT:
                return 0
            self.room(5 + n)
            self.data[self.size] = T_STR
            self.size += 1
            self.put_u32(<uint32_t> n)
            self.put_bytes(text, n)
            return 1
        if PyFloat_CheckExact(obj):
            real = PyFloat_AS_DOUBLE(obj)
            self.room(9)
            self.data[self.size] = T_FLOAT
            memcpy(self.data + self.size + 1, &real, 8)
            self.size += 9
            return 1
        if obj is None:
            self.put_tag(T_NONE)
            return 1
        if obj is True:
            self.put_tag(T_TRUE)
            return 1
        if obj is False:
            self.put_tag(T_FALSE)
            return 1
        if PyBytes_CheckExact(obj):
            n = PyBytes_GET_SIZE(obj)
            if n > SMALL_BYTES:
                return 0
            self.put_tag(T_BYTES)
            self.put_i64(n)
            self.put_bytes(PyBytes_AS_STRING(obj), n)
            return 1
        if PyTuple_CheckExact(obj) and depth < 4:
            n = PyTuple_GET_SIZE(obj)
            if n > 16:
                return 0
            start = self.size
            self.put_tag(T_TUPLE)
            self.put_u32(<uint32_t> n)
            for i in range(n):
                if not self.encode_plain(<object> PyTuple_GET_ITEM(obj, i), depth + 1):
                    self.size = start
                    return 0
            return 1
        return 0

    cdef int encode_value(self, object obj, object subject) except -1:
        """Encodes any value: head into the buffer, large parts noted. `subject` names it in errors."""
        if self.encode_plain(obj, 0):
            return 0
        cdef type kind = type(obj)
        if kind is bytes or kind is bytearray:
            self.put_tag(T_BYTES if kind is bytes else T_BYTEARRAY)
            self.put_i64(-len(obj) - 1)  # negative: the data are a part
            self.add_part(obj, P_ALIGNED)
            return 0
        if kind is str and self.encode_text(obj):
            return 0
        if _ndarray is None:
            find_numpy()
        if _ndarray is not None and kind is _ndarray and encode_array(self, obj):
            return 0
        return encode_pickle(self, obj, subject)

    cdef int encode_text(self, str text) except -1:
        """A long str: 1; 0 for what pickle has to do."""
        cdef Py_ssize_t n
        cdef const char* data
        try:
            data = PyUnicode_AsUTF8AndSize(text, &n)
        except UnicodeEncodeError:
            return 0
        self.put_tag(T_TEXT)
        self.put_i64(n)
        self.keep(text)  # it owns the UTF-8
        self.parts.push_back(Part(data, <uint64_t> n, P_ALIGNED))
        return 1

    cdef uint64_t parts_size(self, uint64_t at, uint64_t align):
        """Size of the value whose head ends at `at` bytes, parts included."""
        cdef size_t i
        for i in range(self.parts.size()):
            if self.parts[i].kind != P_GLUED:
                at = (at + align - 1) & ~(align - 1)
            at += self.parts[i].size
        return at

    cdef int write_parts(self, uint8_t* begin, uint64_t at, uint64_t align, bint fresh) except -1:
        """Copies the parts to where they belong in a value that begins at `begin`.

        Fresh: in the store, in memory that was never touched.
        """
        cdef size_t i
        cdef Part part
        for i in range(self.parts.size()):
            part = self.parts[i]
            if part.kind != P_GLUED:
                at = (at + align - 1) & ~(align - 1)
            if part.kind == P_STRIDED:
                copy_strided(begin + at, <object> (<PyObject*> part.data))
            else:
                copy_released(begin + at, <const uint8_t*> part.data, part.size, fresh)
            at += part.size
        return 0

    cdef int join_parts(self, size_t start) except -1:
        """Copies the parts behind the head of the value that began at `start`."""
        cdef uint64_t head, total
        if self.parts.empty():
            return 0
        head = self.size - start
        total = self.parts_size(head, 8)
        self.room(<size_t> (total - head))
        self.write_parts(self.data + start, head, 8, False)
        self.size = start + <size_t> total
        self.drop_parts()
        return 0

    cdef int store_value(self, Session session, size_t start, Slot* slot) except -1:
        """Writes the value that began at `start` into the store; the buffer is cut back."""
        cdef uint64_t head = self.size - start
        reserve_slot(session, self.parts_size(head, 64), slot)
        memcpy(slot.data, self.data + start, head)
        try:
            self.write_parts(<uint8_t*> slot.data, head, 64, slot.untouched)
        except BaseException:  # Ctrl-C, or what another signal's handler raised
            session.client.abandon(slot[0])
            raise
        self.drop_parts()
        self.size = start
        return 0


cdef Encoder _spare = None  # one encoder kept for the next message


cdef inline Encoder take_encoder():
    global _spare
    cdef Encoder encoder = _spare
    if encoder is None:
        return Encoder.__new__(Encoder)
    _spare = None
    return encoder


cdef inline int give_encoder(Encoder encoder) except -1:
    global _spare
    if encoder.is_clean():
        encoder.size = 0
    else:
        encoder.clean()
    if encoder.capacity <= 1 << 20:
        _spare = encoder
    return 0
