# _hot_encode: values -> bytes. Part of _hot.pyx; the layout is described there.
#
# An Encoder is one growing buffer. Values that are small go into it whole; the large parts of a
# value (array data, pickle buffers) are only noted, and are copied once, to where the value goes.

cdef enum Tag:
    T_NONE, T_TRUE, T_FALSE, T_INT, T_FLOAT, T_STR, T_BYTES, T_TUPLE, T_REF, T_ARRAY, T_PICKLE
    T_BYTEARRAY

cdef object _dumps = _pickle.dumps
cdef object _ndarray = None          # numpy.ndarray once the user has imported numpy
cdef Py_ssize_t SMALL_BYTES = 1024   # bytes up to this are part of the head
cdef int STACK_GLOBAL = 0x93


cdef struct Part:
    const void* data
    uint64_t size


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

    cdef inline bint is_clean(self):
        return self.kept is None and self.parts.empty() and self.contained.empty() and self.dependencies.empty()

    cdef int clean(self) except -1:
        self.drop_parts()
        self.size = 0
        self.dependencies.clear()
        self.contained.clear()
        self.kept = None
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

    cdef int add_part(self, object owner) except -1:
        """Notes the bytes of a buffer as the next part of the value."""
        cdef Py_buffer buffer
        PyObject_GetBuffer(owner, &buffer, PyBUF_SIMPLE)
        self.buffers.push_back(buffer)
        self.parts.push_back(Part(buffer.buf, <uint64_t> buffer.len))
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
            if n > 0xffffffff:
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
            self.add_part(obj)
            self.keep(obj)
            return 0
        if _ndarray is None:
            find_numpy()
        if _ndarray is not None and kind is _ndarray and self.encode_array(obj):
            return 0
        return self.encode_pickle(obj, subject)

    cdef int encode_array(self, object array) except -1:
        """A NumPy array of a plain dtype: 1; 0 for what pickle has to do (objects, records)."""
        cdef object dtype = array.dtype
        if dtype.hasobject or dtype.names is not None or dtype.kind not in "biufcmMSU":
            return 0
        cdef object flags = array.flags
        cdef uint8_t order = 0
        if not flags.c_contiguous:
            if flags.f_contiguous:
                order = 1
            else:
                array = array.copy()
                if not array.flags.c_contiguous:
                    array = array.copy(order="C")
        cdef bytes name = dtype.str.encode()
        cdef tuple shape = array.shape
        cdef uint16_t length = <uint16_t> len(name)
        if dtype.metadata is not None or array.ndim > 64:
            return 0
        self.put_tag(T_ARRAY)
        self.put_tag(<uint8_t> len(shape))
        self.put_tag(order)
        self.put_bytes(&length, 2)
        self.put_bytes(PyBytes_AS_STRING(name), length)
        for n in shape:
            self.put_i64(n)
        # datetimes have no buffer of their own; the bytes are the same
        if dtype.kind in "mM":
            array = array.view("i8")
        self.keep(array)
        cdef Py_buffer buffer
        cdef int wanted = PyBUF_STRIDES
        PyObject_GetBuffer(array, &buffer, wanted)
        self.buffers.push_back(buffer)
        self.parts.push_back(Part(buffer.buf, <uint64_t> buffer.len))
        return 1

    cdef int encode_pickle(self, object obj, object subject) except -1:
        cdef void** slot = native.encoder_slot()
        cdef void* outer = slot[0]
        cdef size_t contained = self.contained.size()
        cdef list buffers = []
        cdef bytes data = None
        slot[0] = <void*> self
        try:
            try:
                data = _dumps(obj, 5, buffer_callback=buffers.append)
                if memchr(PyBytes_AS_STRING(data), STACK_GLOBAL, PyBytes_GET_SIZE(data)) != NULL:
                    if _names_unimportable is None:
                        load_names_check()
                    if _names_unimportable(data):
                        data = None
            except KeyboardInterrupt:
                raise
            except BaseException:
                data = None  # by value, then; what that raises is explained
            if data is None:
                self.contained.resize(contained)
                data, buffers = self.pickle_by_value(obj, subject, contained)
        finally:
            slot[0] = outer
        cdef uint32_t count = <uint32_t> len(buffers)
        self.put_tag(T_PICKLE)
        self.put_u32(count)
        self.put_i64(len(data))
        self.keep(data)
        self.add_part(data)
        cdef object raw
        for buffer in buffers:
            raw = buffer.raw()
            self.keep(raw)
            self.put_i64(len(raw))
            self.add_part(raw)
        return 0

    cdef tuple pickle_by_value(self, object obj, object subject, size_t contained):
        from ._serialize import dumps, explain_unpicklable
        try:
            return dumps(obj, lambda: self.restart(contained))
        except BaseException as error:
            explained = explain_unpicklable(obj, _text_of(subject), error)
            if explained is error:
                raise
            raise explained from error

    def restart(self, size_t contained):
        self.contained.resize(contained)

    cdef uint64_t parts_size(self, uint64_t at, uint64_t align):
        """Size of the value whose head ends at `at` bytes, parts included."""
        cdef size_t i
        for i in range(self.parts.size()):
            at = (at + align - 1) & ~(align - 1)
            at += self.parts[i].size
        return at

    cdef int join_parts(self, size_t start) except -1:
        """Copies the parts behind the head of the value that began at `start`."""
        cdef size_t i
        cdef size_t padded
        for i in range(self.parts.size()):
            padded = start + ((self.size - start + 7) & ~(<size_t> 7))
            self.room(padded - self.size + self.parts[i].size)
            self.size = padded
            self.put_bytes(self.parts[i].data, self.parts[i].size)
        self.drop_parts()
        return 0

    cdef int store_value(self, Session session, size_t start, Slot* slot) except -1:
        """Writes the value that began at `start` into the store; the buffer is cut back."""
        cdef uint64_t head = self.size - start
        cdef uint64_t at = head
        cdef uint64_t padded
        cdef size_t i
        reserve_slot(session, self.parts_size(head, 64), slot)
        memcpy(slot.data, self.data + start, head)
        try:
            for i in range(self.parts.size()):
                padded = (at + 63) & ~(<uint64_t> 63)
                at = padded
                copy_released(<uint8_t*> slot.data + at, <const uint8_t*> self.parts[i].data, self.parts[i].size)
                at += self.parts[i].size
        except BaseException:  # Ctrl-C, or what another signal's handler raised
            session.client.abandon(slot[0])
            raise
        self.drop_parts()
        self.size = start
        return 0


cdef uint64_t COPY_AT_ONCE = 64 << 20  # fresh memory takes some 60 ms; Ctrl-C is seen in between


cdef int copy_released(uint8_t* to, const uint8_t* source, uint64_t size) except -1:
    cdef uint64_t part
    if size < 65536:
        memcpy(to, source, size)
        return 0
    while True:
        part = min(size, COPY_AT_ONCE)
        with nogil:
            native.copy(to, source, part)
        size -= part
        if size == 0:
            return 0
        to += part
        source += part
        PyErr_CheckSignals()


cdef int reserve_slot(Session session, uint64_t size, Slot* slot) except -1:
    """Room in the store; waits while it is full, up to the session's time-out."""
    cdef int64_t limit = native.now() + <int64_t> (session.store_timeout * SECOND)
    cdef int64_t turn
    cdef cbool got
    while True:
        turn = min(limit, native.now() + 50 * MILLISECOND)
        with nogil:
            got = native.reserve(session.client, size, turn, slot)
        if got:
            return 0
        if native.last_code() != Code.kFull or native.now() >= limit:
            raise core_error()
        PyErr_CheckSignals()


cdef object _names_unimportable = None  # bolide._importable's, on first need


cdef int load_names_check() except -1:
    global _names_unimportable
    from ._importable import names_unimportable
    _names_unimportable = names_unimportable
    return 0


cdef object _text_of(object subject):
    return subject if isinstance(subject, str) else subject()


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


cdef int find_numpy() except -1:
    """Looks whether the user has imported NumPy meanwhile."""
    global _ndarray
    numpy = _sys.modules.get("numpy")
    if numpy is not None:
        _ndarray = getattr(numpy, "ndarray", None)
    return 0
