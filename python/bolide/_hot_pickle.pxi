# _hot_pickle: values <-> pickles, with their large parts beside the pickle. Part of _hot.pyx.
#
# A pickle is written piece by piece into a PickleSink: the pickler hands over large bytes and text
# as they are, and buffers of protocol 5 apart from the stream, so that each is copied once, by the
# Encoder, to where the value goes. Types that pickle would copy first have reducers in
# bolide._reducers. What plain pickle refuses, or a worker could not import, is pickled by value.

cdef object _Pickler = _pickle.Pickler
cdef object _PickleBuffer = _pickle.PickleBuffer
cdef object _loads = _pickle.loads
cdef int STACK_GLOBAL = 0x93
cdef uint64_t PICKLE_IN_PLACE = 4096  # of stored pickles: shorter ones are copied before they are read


@cython.final
cdef class PickleSink:
    """What one pickler writes: the pieces of its stream, and its out-of-band buffers."""

    cdef object pickler
    cdef list pieces    # bytes, bytearray and memoryview, in order
    cdef list buffers   # PickleBuffers, in order
    cdef dict strided   # id of a PickleBuffer that stands for an array -> that array
    cdef dict reducers  # the pickler's

    def __init__(self):
        self.pieces = []
        self.buffers = []
        self.strided = {}
        self.pickler = _Pickler(self, 5, buffer_callback=self.buffers.append)

    def write(self, piece):
        """Called by the pickler."""
        self.pieces.append(piece)

    cdef int restart(self) except -1:
        self.pieces.clear()
        self.buffers.clear()
        self.strided.clear()
        return 0


cdef PickleSink _spare_sink = None


cdef inline PickleSink take_sink():
    global _spare_sink
    cdef PickleSink sink = _spare_sink
    if sink is None:
        return PickleSink()
    _spare_sink = None
    return sink


cdef int give_sink(PickleSink sink) except -1:
    global _spare_sink
    sink.restart()
    if sink.pickler is not None:
        sink.pickler.clear_memo()
        _spare_sink = sink
    return 0


class LeaveTensors(BaseException):
    """Raised by a reducer: pickle this value again, with PyTorch's own way of pickling tensors."""


cdef dict _reducers = {}                  # type -> reducer: copyreg's, then those of bolide._reducers
cdef dict _reducers_but_tensors = {}
cdef dict _copyreg_table = _copyreg.dispatch_table
cdef dict _copyreg_seen = None            # what it was when the tables were made
cdef uint64_t _copyreg_mark = 0
cdef Py_ssize_t _modules_seen = -1


cdef int refresh_reducers() except -1:
    """Makes the tables again when a module was imported or copyreg has learnt something."""
    global _modules_seen, _copyreg_seen, _copyreg_mark
    cdef PyObject* key
    cdef PyObject* function
    cdef Py_ssize_t at = 0
    cdef uint64_t mark = 0
    while PyDict_Next(_copyreg_table, &at, &key, &function):
        mark = (mark ^ <uint64_t> key ^ (<uint64_t> function << 1)) * 0x9e3779b97f4a7c15u
    if mark == _copyreg_mark and PyDict_Size(_sys.modules) == _modules_seen:
        return 0
    from ._reducers import of_loaded
    _copyreg_seen = dict(_copyreg_table)  # keeps alive what the mark was made of
    _copyreg_mark = mark
    for tensors, table in ((True, _reducers), (False, _reducers_but_tensors)):
        found = {**_copyreg_seen, **of_loaded(tensors)}
        table.clear()
        table.update(found)
    _modules_seen = PyDict_Size(_sys.modules)
    return 0


cdef int encode_pickle(Encoder encoder, object obj, object subject) except -1:
    """Any value that can be pickled: the head into the buffer, pieces and buffers noted as parts."""
    cdef void** slot = native.encoder_slot()
    cdef void* outer = slot[0]
    cdef size_t contained = encoder.contained.size()
    cdef PickleSink sink = encoder.sink
    refresh_reducers()
    if sink is None:
        sink = encoder.sink = take_sink()
    slot[0] = <void*> encoder
    try:
        try:
            fill_sink(encoder, sink, obj, subject, contained, _reducers)
        except LeaveTensors:
            fill_sink(encoder, sink, obj, subject, contained, _reducers_but_tensors)
    except BaseException:
        encoder.sink = None  # a pickler that was interrupted is not used again
        sink.pickler = None
        raise
    finally:
        slot[0] = outer
    return put_pickle(encoder, sink)


cdef int fill_sink(Encoder encoder, PickleSink sink, object obj, object subject, size_t contained, dict reducers) except -1:
    """Pickles the value, by value where a worker could not import what plain pickle names."""
    cdef bint done = False
    restart_pickle(encoder, sink, contained)
    if sink.reducers is not reducers:
        sink.pickler.dispatch_table = sink.reducers = reducers
    try:
        sink.pickler.dump(obj)
        done = can_be_imported(sink.pieces)
    except (KeyboardInterrupt, LeaveTensors):
        raise
    except BaseException:
        pass  # by value, then; what that raises is explained
    if done:
        return 0
    from ._by_value import dump_pieces
    from ._serialize import explain_unpicklable
    restart_pickle(encoder, sink, contained)
    try:
        pickler, pieces = dump_pieces(obj, sink.buffers.append, lambda: restart_pickle(encoder, sink, contained), reducers)
        encoder.keep(pickler)
        sink.pieces.extend(pieces)
    except LeaveTensors:
        raise
    except BaseException as error:
        explained = explain_unpicklable(obj, _text_of(subject), error)
        if explained is error:
            raise
        raise explained from error
    return 0


cdef object restart_pickle(Encoder encoder, PickleSink sink, size_t contained):
    """Drops what was pickled so far, and the references that it met."""
    encoder.contained.resize(contained)
    sink.restart()
    sink.pickler.clear_memo()


cdef int put_pickle(Encoder encoder, PickleSink sink) except -1:
    """Head and parts of the value that the sink holds."""
    cdef int64_t total = 0
    cdef Py_ssize_t n
    cdef PartKind kind = P_ALIGNED
    for piece in sink.pieces:
        total += len(piece)
    encoder.put_tag(T_PICKLE)
    encoder.put_u32(<uint32_t> len(sink.buffers))
    encoder.put_i64(total)
    for piece in sink.pieces:
        encoder.add_part(piece, kind)
        kind = P_GLUED
    for buffer in sink.buffers:
        array = sink.strided.get(id(buffer))
        if array is not None:
            encoder.put_i64(array.nbytes)
            encoder.parts.push_back(Part(<PyObject*> array, array.nbytes, P_STRIDED))
            encoder.keep(array)
            continue
        raw = buffer.raw()
        if put_held_buffer(encoder, raw):
            continue
        n = len(raw)
        encoder.put_i64(n)
        encoder.add_part(raw, P_ALIGNED)
    return 0


cdef bint put_held_buffer(Encoder encoder, object raw) except -1:
    """Names a buffer by the object that it lies in; False where it has to be copied."""
    cdef Py_buffer buffer
    cdef uint64_t offset
    cdef ObjectRef ref
    if native.g_held.empty() or <uint64_t> len(raw) < RESIDENT_FROM:
        return False
    PyObject_GetBuffer(raw, &buffer, PyBUF_SIMPLE)
    ref = held_object(_session, buffer.buf, <uint64_t> buffer.len, &offset)
    PyBuffer_Release(&buffer)
    if ref is None or not is_worth_holding(<uint64_t> buffer.len, ref):
        return False
    if _ndarray is not None:
        forbid_writing(raw.obj)
    encoder.put_i64(-1 - <int64_t> len(raw))
    encoder.put_i64(ref.entry.id.value)
    encoder.put_i64(offset)
    encoder.contained.push_back(ref.entry.id.value)
    encoder.keep(ref)
    return True


cdef bint can_be_imported(list pieces) except -1:
    """Whether a worker can import what the pickle names, as far as its text shows."""
    cdef bint is_data = False
    for piece in pieces:
        if is_data:  # large bytes or text: no opcodes
            is_data = False
            continue
        if memchr(PyBytes_AS_STRING(piece), STACK_GLOBAL, PyBytes_GET_SIZE(piece)) != NULL:
            if _names_unimportable is None:
                load_names_check()
            if _names_unimportable(piece):
                return False
        is_data = announces_data(piece)
    return True


cdef bint announces_data(bytes piece):
    """Whether a piece ends with the opcode and the length of the large item that follows it."""
    cdef Py_ssize_t n = PyBytes_GET_SIZE(piece)
    cdef const uint8_t* data = <const uint8_t*> PyBytes_AS_STRING(piece)
    cdef uint8_t opcode
    cdef uint32_t short_length
    cdef uint64_t length
    if n >= 9:
        opcode = data[n - 9]
        if opcode == 0x8d or opcode == 0x8e or opcode == 0x96:  # BINUNICODE8, BINBYTES8, BYTEARRAY8
            memcpy(&length, data + n - 8, 8)
            return length >= 65536
    if n >= 5:
        opcode = data[n - 5]
        if opcode == 0x58 or opcode == 0x42:  # BINUNICODE, BINBYTES
            memcpy(&short_length, data + n - 4, 4)
            return short_length >= 65536
    return False


cdef object _names_unimportable = None  # bolide._importable's, on first need


cdef int load_names_check() except -1:
    global _names_unimportable
    from ._importable import names_unimportable
    _names_unimportable = names_unimportable
    return 0


cdef object _text_of(object subject):
    return subject if isinstance(subject, str) else subject()


cdef struct PickledBuffer:
    int64_t size     # negative: -1 - size, and it lies in another object
    uint64_t object
    uint64_t offset


cdef object decode_pickle(Cursor* cursor, ObjectRef owner):
    cdef uint32_t count = take_u32(cursor)
    cdef int64_t size = take_i64(cursor)
    cdef uint32_t i
    cdef const uint8_t* data
    cdef PickledBuffer buffer
    cdef vector[PickledBuffer] described
    cdef ObjectRef ref
    need(cursor, 8 * <uint64_t> count)
    for i in range(count):
        buffer.size = take_i64(cursor)
        if buffer.size < 0:
            buffer.object = <uint64_t> take_i64(cursor)
            buffer.offset = <uint64_t> take_i64(cursor)
        described.push_back(buffer)
    if size < 0:
        raise corrupt_value()
    data = take_part(cursor, size)
    cdef object pickled = part_buffer(cursor, data, size, owner if <uint64_t> size >= PICKLE_IN_PLACE else None)
    if count == 0:
        return _loads(pickled)
    cdef list buffers = []
    for i in range(count):
        buffer = described[i]
        if buffer.size < 0:
            size = -1 - buffer.size
            buffers.append(stored_view(contained_ref(buffer.object), buffer.offset, <uint64_t> size))
        else:
            data = take_part(cursor, buffer.size)
            buffers.append(part_buffer(cursor, data, buffer.size, owner))
    return _loads(pickled, buffers=buffers)
