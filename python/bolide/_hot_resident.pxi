# _hot_resident: memory that lies in the store already, and is shared instead of copied. Part of
# _hot.pyx.
#
# Two kinds of it: views of stored objects (View), and arrays made by bolide.empty, which are written
# in place (Draft). Whatever is about to be stored is looked up by its address (held_memory.h), so
# it does not matter which library holds it or how many views are between. What is found becomes a
# window: the number of the stored object, and where in it.
#
# A Draft becomes an object when the whole of it is stored: its pages turn read-only for good. A part
# of it is copied while it is still being written, since the writer goes on with the rest.

cdef uint64_t RESIDENT_FROM = 65536  # bytes; below it a copy is as cheap

# Where a window's object is named.
cdef enum Source:
    S_CONTAINED   # by its id: the value contains it
    S_DEPENDENCY  # (arguments only) by the index of a top-level reference


@cython.final
@cython.no_gc
cdef class Draft:
    """Memory of the store that is written in place, as the array's buffer; an object once it was put."""

    cdef Session session
    cdef Slot slot
    cdef uint64_t head           # bytes before the data
    cdef uint64_t size           # of the data
    cdef ObjectRef ref           # its object, once it was put
    cdef native.Mapping* left    # what is at the address then
    cdef native.Mapping* copy    # for a child that is being forked
    cdef object array            # weak reference to the array that bolide.empty returned

    def __dealloc__(self):
        if self.session is None:  # there was no room for it
            return
        native.g_held.remove(<uintptr_t> self.slot.data, <void*> self)
        _drafts.erase(<void*> self)
        if self.session.forked:
            return
        if self.ref is not None:
            self.ref.entry.presence.unpin()
        if self.left != NULL:
            del self.left
        else:
            self.session.client.abandon(self.slot)

    def __getbuffer__(self, Py_buffer* buffer, int flags):
        cdef bint readonly = self.left != NULL
        if readonly and flags & PyBUF_WRITABLE:
            raise BufferError(
                "this memory was put into the store, so it is read-only; copy the array first: "
                "array = array.copy()"
            )
        PyBuffer_FillInfo(buffer, self, self.slot.data + self.head, self.size, readonly, flags)


cdef cpp_set[void*] _drafts  # that have not been put
cdef bint _watches_forks = False


def draft_array(tuple shape, dtype, bint zeros):
    """An array whose memory lies in the store; None where that is not worth it, or cannot be.

    `shape` is a tuple of ints, `dtype` a dtype without objects.
    """
    global _watches_forks
    cdef uint64_t size = dtype.itemsize
    cdef Session session = need_session()
    cdef Encoder encoder
    cdef Draft draft
    cdef Slot slot
    cdef Py_ssize_t[64] dimensions
    cdef Py_ssize_t flat
    cdef uint64_t head
    cdef int i
    for i in range(<int> len(shape)):
        dimensions[i] = shape[i]
        size *= <uint64_t> dimensions[i]
    if size < RESIDENT_FROM:
        return None
    if not _watches_forks:
        import os
        os.register_at_fork(before=before_fork, after_in_parent=after_fork_in_parent, after_in_child=after_fork_in_child)
        _watches_forks = True
    find_numpy()
    encoder = take_encoder()
    try:
        if know_dtype(dtype):
            put_array_head(encoder, 0, <int> len(shape), dimensions)
        else:  # records: whoever puts the array describes it
            know_dtype(_sys.modules["numpy"].dtype("u1"))
            flat = size
            put_array_head(encoder, 0, 1, &flat)
        head = (encoder.size + 63) & ~(<uint64_t> 63)
        if not reserve_alone(session, head + size, &slot):
            return None
        memcpy(slot.data, encoder.data, encoder.size)
    finally:
        give_encoder(encoder)
    draft = Draft.__new__(Draft)
    draft.session = session
    draft.slot = slot
    draft.head = head
    draft.size = size
    native.g_held.add(<uintptr_t> slot.data, <uintptr_t> slot.data + head + size, <void*> draft)
    _drafts.insert(<void*> draft)
    if zeros and not slot.untouched:
        fill_zeros(<uint8_t*> slot.data + head, size)
    array = npy.new_array(
        <PyObject*> dtype, <int> len(shape), dimensions, NULL, slot.data + head, <PyObject*> draft, True
    )
    draft.array = _weakref(array)
    return array


cdef ObjectRef seal_draft(Draft draft):
    """Ends the writing and makes the memory an object; None where it cannot be, and is copied."""
    cdef vector[uint64_t] contained
    cdef ObjectEntry* entry
    if draft.left != NULL:  # it was tried before, and failed after the writing had ended
        return None
    draft.left = native.leave(draft.session.client, draft.slot)
    if draft.left == NULL:
        return None
    _drafts.erase(<void*> draft)
    forbid_writing(draft.array())
    entry = native.put_stored(draft.session.client, draft.slot, contained, 0, True)
    if entry == NULL:
        raise core_error()
    draft.ref = make_ref(draft.session, entry)
    return draft.ref


cdef int forbid_writing(object array) except -1:
    """Takes the flag from an array and from those that it is a view of: an error is better than SIGSEGV."""
    cdef npy.Array* a
    while isinstance(array, _ndarray):
        a = <npy.Array*> <PyObject*> array
        a.flags &= ~npy.kWriteable
        if a.base == NULL:
            return 0
        array = <object> a.base
    return 0


cdef ObjectRef held_object(Session session, const void* low, uint64_t size, uint64_t* offset):
    """The stored object that these bytes of our memory belong to, and where in it they are; or None."""
    cdef uintptr_t begin = 0
    cdef Draft draft
    cdef ObjectRef ref
    cdef void* holder = native.g_held.find(<uintptr_t> low, <uintptr_t> low + size, &begin)
    if holder == NULL:
        return None
    found = <object> (<PyObject*> holder)
    if type(found) is View:
        ref = (<View> found).ref
    else:
        draft = <Draft> found
        if draft.session is not session:
            return None
        ref = draft.ref
        if ref is None and size == draft.size:
            ref = seal_draft(draft)
    if ref is None or ref.session is not session:
        return None
    offset[0] = <uintptr_t> low - begin
    return ref


cdef struct Span:
    const uint8_t* low
    uint64_t extent  # bytes from the lowest to the end of the highest
    uint64_t nbytes  # of the elements


cdef bint span_of(npy.Array* a, Span* span) except -1:
    """What memory an array of the known dtype shows; False when it is too little to care."""
    cdef int64_t below = 0
    cdef int64_t above = _known_itemsize
    cdef int i
    span.nbytes = _known_itemsize
    for i in range(a.nd):
        span.nbytes *= <uint64_t> a.dimensions[i]
        if a.strides[i] < 0:
            below += a.strides[i] * (a.dimensions[i] - 1)
        else:
            above += a.strides[i] * (a.dimensions[i] - 1)
    span.low = <const uint8_t*> a.data + below
    span.extent = <uint64_t> (above - below)
    return span.nbytes >= RESIDENT_FROM


cdef bint is_worth_holding(uint64_t size, ObjectRef ref):
    """Whether a value that lives on may hold the whole object for the sake of a part of it."""
    return size >= ref.entry.where.size // 4


cdef bint encode_held_array(Encoder encoder, object array) except -1:
    """An array that lies in the store, as a window; False where it has to be copied."""
    cdef npy.Array* a = <npy.Array*> <PyObject*> array
    cdef Span span
    cdef uint64_t offset
    cdef ObjectRef ref
    if native.g_held.empty() or not span_of(a, &span):
        return False
    ref = held_object(_session, span.low, span.extent, &offset)
    if ref is None or not is_worth_holding(span.nbytes, ref):
        return False
    ensure_known(a)
    put_window(encoder, a, S_CONTAINED, ref.entry.id.value, offset, &span)
    encoder.contained.push_back(ref.entry.id.value)
    encoder.keep(ref)
    return True


cdef bint encode_held_argument(Encoder encoder, Session session, object array) except -1:
    """An argument that lies in the store: its object as a dependency, and if need be a window on it."""
    cdef npy.Array* a = <npy.Array*> <PyObject*> array
    cdef Span span
    cdef uint64_t offset
    cdef ObjectRef ref
    if native.g_held.empty() or (a.descr != <PyObject*> _known_dtype and not know_dtype(<object> a.descr)):
        return False
    if not span_of(a, &span):
        return False
    ref = held_object(session, span.low, span.extent, &offset)
    if ref is None:
        return False
    ensure_known(a)
    if is_whole(encoder, a, &span, offset, ref):
        put_dependency(encoder, ref)
    else:
        put_window(encoder, a, S_DEPENDENCY, encoder.dependencies.size(), offset, &span)
        encoder.dependencies.push_back(ref.entry.id.value)
    encoder.keep(ref)
    return True


cdef bint is_whole(Encoder encoder, npy.Array* a, Span* span, uint64_t offset, ObjectRef ref) except -1:
    """Whether the object is this array and nothing else: its head is the one we would write."""
    cdef size_t start = encoder.size
    cdef size_t head
    cdef bint same
    if not a.flags & (npy.kCContiguous | npy.kFContiguous):
        return False
    put_array_head(encoder, 0 if a.flags & npy.kCContiguous else 1, a.nd, a.dimensions)
    head = encoder.size - start
    encoder.size = start
    same = offset == ((head + 63) & ~(<uint64_t> 63)) and offset + span.nbytes == ref.entry.where.size
    return same and memcmp(span.low - offset, encoder.data + start, head) == 0


cdef ObjectRef put_draft(Session session, object array):
    """The object of an array of bolide.empty that is being put as it is; None: it is something else."""
    cdef npy.Array* a = <npy.Array*> <PyObject*> array
    cdef Span span
    cdef uint64_t offset
    cdef ObjectRef ref
    cdef Encoder encoder
    cdef uintptr_t begin
    if _drafts.empty() or (a.descr != <PyObject*> _known_dtype and not know_dtype(<object> a.descr)):
        return None
    if not span_of(a, &span):
        return None
    holder = native.g_held.find(<uintptr_t> span.low, <uintptr_t> span.low + span.extent, &begin)
    if holder == NULL or _drafts.count(holder) == 0:
        return None
    ref = held_object(session, span.low, span.extent, &offset)
    if ref is None:
        return None
    encoder = take_encoder()
    ensure_known(a)
    try:
        return ref if is_whole(encoder, a, &span, offset, ref) else None
    finally:
        give_encoder(encoder)


cdef int put_window(Encoder encoder, npy.Array* a, Source source, uint64_t name, uint64_t offset, Span* span) except -1:
    cdef uint16_t length = <uint16_t> PyBytes_GET_SIZE(_known_name)
    encoder.put_tag(T_WINDOW)
    encoder.put_tag(<uint8_t> a.nd)
    encoder.put_tag(<uint8_t> source)
    encoder.put_bytes(&length, 2)
    encoder.put_bytes(PyBytes_AS_STRING(_known_name), length)
    encoder.put_bytes(a.dimensions, 8 * <size_t> a.nd)
    encoder.put_bytes(a.strides, 8 * <size_t> a.nd)
    encoder.put_i64(name)
    encoder.put_i64(offset)
    encoder.put_i64(span.extent)
    encoder.put_i64(<const uint8_t*> a.data - span.low)
    return 0


cdef int need_inside(int nd, Py_ssize_t* shape, Py_ssize_t* strides, uint64_t first, uint64_t extent) except -1:
    """Raises unless all elements of the decoded dtype lie in the window.

    In floating point, which is exact below 2**53, and what is larger is outside anyway.
    """
    cdef double low = first
    cdef double high = low + _decoded_itemsize
    cdef double reach
    cdef int i
    for i in range(nd):
        if shape[i] <= 0:
            break  # it has no elements, or NumPy refuses it
        reach = (<double> shape[i] - 1) * strides[i]
        if reach < 0:
            low += reach
        else:
            high += reach
    else:
        if low < 0 or high > extent:
            raise corrupt_value()
    return 0


cdef object decode_window(Cursor* cursor, Dependencies dependencies):
    """The array: a view of the object that it lies in."""
    cdef uint8_t nd, source
    cdef uint16_t length
    cdef Py_ssize_t[64] shape
    cdef Py_ssize_t[64] strides
    cdef uint64_t name, offset, extent, first
    cdef ObjectRef ref
    cdef View buffer
    need(cursor, 4)
    nd = cursor.at[0]
    source = cursor.at[1]
    memcpy(&length, cursor.at + 2, 2)
    cursor.at += 4
    need(cursor, length + 16 * <uint64_t> nd)
    if nd > 64:
        raise corrupt_value()
    named_dtype(cursor.at, length)
    cursor.at += length
    memcpy(shape, cursor.at, 8 * <size_t> nd)
    memcpy(strides, cursor.at + 8 * <size_t> nd, 8 * <size_t> nd)
    cursor.at += 16 * <size_t> nd
    name = <uint64_t> take_i64(cursor)
    offset = <uint64_t> take_i64(cursor)
    extent = <uint64_t> take_i64(cursor)
    first = <uint64_t> take_i64(cursor)
    if source == S_CONTAINED:
        ref = contained_ref(name)
    elif dependencies is not None:
        ref = dependencies.stored(name)
    else:
        raise corrupt_value()
    buffer = stored_view(ref, offset, extent)
    dtype = _decoded_dtype  # a wait may have decoded something else
    if first >= extent:
        raise corrupt_value()
    need_inside(nd, shape, strides, first, extent)
    return npy.new_array(
        <PyObject*> dtype, nd, shape, strides, <void*> (buffer.data + first), <PyObject*> buffer, False
    )


cdef ObjectRef contained_ref(uint64_t id):
    cdef ObjectId object_id
    object_id.value = id
    return ref_of_id(object_id)


cdef View stored_view(ObjectRef ref, uint64_t offset, uint64_t size):
    """A view of some bytes of a stored object. It has its value; a worker may have to ask for it."""
    cdef const byte_t* data
    pin_ready(ref)
    try:
        data = ref.session.client.resolve(ref.entry.where)
        if data == NULL:
            raise lost(ref)
        return make_view(ref, <const uint8_t*> data, offset, size)
    finally:
        ref.entry.presence.unpin()


cdef int pin_ready(ObjectRef ref) except -1:
    """Pins a stored object of which this process may not know yet that it has its value."""
    cdef ObjectEntry* entry = ref.entry
    if not entry.ready():
        native.ask(ref.session.client, &entry, 1, True)
        wait_entries(ref.session, &entry, 1, 1, FOREVER, False)
    if entry.holding != Holding.kStored or entry.value_flags != 0:
        raise lost(ref)
    return pin_value(ref)


# ---- forks: a child gets its own copy of what is being written, as it does of all other memory

def before_fork():
    cdef Draft draft
    for holder in _drafts:
        draft = <Draft> <object> (<PyObject*> holder)
        if not draft.session.forked:
            draft.copy = native.private_copy(draft.slot)


def after_fork_in_parent():
    for holder in _drafts:
        drop_copy(<Draft> <object> (<PyObject*> holder))


def after_fork_in_child():
    cdef Draft draft
    for holder in _drafts:
        draft = <Draft> <object> (<PyObject*> holder)
        if draft.copy != NULL:
            native.move_copy(draft.copy, draft.slot)
            draft.copy = NULL  # it stays for as long as the process


cdef int drop_copy(Draft draft) except -1:
    if draft.copy != NULL:
        del draft.copy
        draft.copy = NULL
    return 0
