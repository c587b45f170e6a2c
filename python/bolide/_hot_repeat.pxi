# _hot_repeat: a large argument that is passed to many calls is stored once. Part of _hot.pyx.
#
# What was stored is used again only when it is certain to be what is passed now:
#
#   an array that is read-only, and is not a view of anything that can be written: the same array
#   anything else: after every byte of what would be stored was compared with what is stored
#
# The second pass over an argument finds the object while a task still uses it, and holds it from
# then on: until the argument goes, until it was not passed for a second, or until the store is full.
# An argument that is passed once is held by its task only, unless it is read-only, which says that
# it is meant to be passed again. The third pass says, once a call site, that put() would do better:
# it needs no comparison, and nothing has to be remembered.

cdef uint64_t REPEAT_FROM = 65536     # bytes; below it storing again costs less than looking
cdef uint64_t HINT_FROM = 1 << 20     # bytes from which the hint is given
cdef int HINT_AT_PASS = 3
cdef Py_ssize_t MANY_REPEATED = 256   # arguments that are remembered
cdef int64_t HELD_FOR = 1000000000    # ns after the last pass


@cython.final
cdef class Repeated:
    """A large argument that was stored."""

    cdef uint64_t object
    cdef Session session
    cdef ObjectRef ref      # from the second pass on
    cdef object argument    # weak reference to it, or None where its type has none
    cdef bytes kept         # the argument itself, if it is bytes and its object is held
    cdef int passes
    cdef int64_t last


cdef dict _repeated = {}     # id of the argument -> Repeated
cdef int _held_repeated = 0  # of those, how many hold their object


cdef ObjectRef store_argument(Encoder encoder, Session session, size_t start, size_t contained, object value, object callee, object where):
    """Stores the argument that was encoded from `start` on, or finds that it is stored already."""
    cdef uint64_t size = encoder.parts_size(encoder.size - start, 64)
    cdef Repeated known
    cdef ObjectRef ref
    if size < REPEAT_FROM:
        return store_encoded(encoder, session, start, contained)
    known = _repeated.get(id(value))
    if known is not None and not is_same_argument(known, session, value):
        forget_argument(id(value))
        known = None
    if known is None:
        ref = store_encoded(encoder, session, start, contained)
        remember_argument(value, session, ref)
        return ref
    known.passes += 1
    known.last = native.now()
    ref = known.ref if known.ref is not None else held_already(session, known.object)
    if ref is not None:
        if is_stored_as(encoder, session, start, size, ref, is_frozen(known, value)):
            encoder.drop_parts()
            encoder.size = start
            encoder.contained.resize(contained)
            hold_repeated(known, ref)
            if type(value) is bytes:
                known.kept = value
            if known.passes >= HINT_AT_PASS and size >= HINT_FROM:
                hint_at_put(callee, where, size)
            return ref
        changes = True
    else:
        changes = False
    ref = store_encoded(encoder, session, start, contained)
    known.object = ref.entry.id.value
    # If it was gone, the tasks of the last pass had ended, and the next pass would not find it.
    hold_repeated(known, None if changes else ref)
    return ref


cdef int remember_argument(object value, Session session, ObjectRef ref) except -1:
    cdef Repeated known = Repeated.__new__(Repeated)
    cdef object key = id(value)
    known.object = ref.entry.id.value
    known.session = session
    known.passes = 1
    known.last = native.now()
    try:
        known.argument = _weakref(value, lambda _: forget_argument(key))
    except TypeError:
        known.argument = None
    if len(_repeated) >= MANY_REPEATED:
        forget_argument(next(iter(_repeated)))
    _repeated[key] = known
    if is_frozen(known, value):
        hold_repeated(known, ref)
    return 0


cdef bint is_same_argument(Repeated known, Session session, object value):
    """Whether it may be the argument that was stored: not one that took its place in memory."""
    return known.session is session and (known.argument is None or known.argument() is value)


cdef object forget_argument(object key):
    cdef Repeated known = _repeated.pop(key, None)
    if known is not None:
        hold_repeated(known, None)


cdef int hold_repeated(Repeated known, ObjectRef ref) except -1:
    """Holds the object for the next pass, or (None) lets it go."""
    global _held_repeated
    if (known.ref is None) != (ref is None):
        _held_repeated += -1 if ref is None else 1
        if _held_repeated == 1 and ref is not None and _wake_service is not None:
            _wake_service()  # the service thread looks after what is held
    known.ref = ref
    if ref is None:
        known.kept = None
    return 0


def forget_repeated(bint all=True):
    """Lets go of what is held for arguments that were not passed for a second, or of everything.

    Returns the seconds until there may be more to let go of; -1: nothing is held.
    """
    cdef int64_t now = native.now()
    cdef int64_t wait = -1
    cdef Repeated known
    if _held_repeated == 0 and not all:
        return -1.0
    for key, item in list(_repeated.items()):
        known = <Repeated> item
        if all or now - known.last >= HELD_FOR:
            forget_argument(key)
        elif known.ref is not None and (wait < 0 or known.last + HELD_FOR - now < wait):
            wait = known.last + HELD_FOR - now
    return -1.0 if wait < 0 else wait / 1e9


cdef ObjectRef held_already(Session session, uint64_t id):
    """The reference of an object if this process still knows it."""
    cdef ObjectId object_id
    object_id.value = id
    cdef ObjectEntry* entry = session.client.acquire_known(object_id)
    return None if entry == NULL else make_ref(session, entry)


cdef bint is_frozen(Repeated known, object value) except -1:
    """Whether nobody can have written the argument since, as far as NumPy knows."""
    cdef npy.Array* a
    if type(value) is bytes:
        return known.kept is value
    if type(value) is not _ndarray or known.argument is None:
        return False
    while True:
        a = <npy.Array*> <PyObject*> value
        if a.flags & npy.kWriteable:
            return False
        if a.base == NULL:
            return True
        value = <object> a.base
        if type(value) is bytes:
            return True
        if type(value) is not _ndarray:
            return False


cdef bint is_stored_as(Encoder encoder, Session session, size_t start, uint64_t size, ObjectRef ref, bint frozen) except -1:
    """Whether the object is what would be stored now. One that is not in memory is not looked at."""
    if not ref.entry.ready() or not ref.entry.presence.pin():
        return False
    try:
        return (
            frozen and same_here_and_there(encoder, start, ref)
            or equals_stored(encoder, session, start, size, ref)
        )
    finally:
        ref.entry.presence.unpin()


cdef bint same_here_and_there(Encoder encoder, size_t start, ObjectRef ref) except -1:
    """A look at some places of a frozen array: who turned its flag back on, wrote it and turned the
    flag off again is not found out for certain, but hardly ever gets away with it."""
    cdef const uint8_t* stored = <const uint8_t*> ref.session.client.resolve(ref.entry.where)
    cdef uint64_t head = encoder.size - start
    cdef uint64_t at, step
    if stored == NULL or encoder.parts.size() != 1 or encoder.parts[0].kind != P_ALIGNED:
        return False
    if encoder.parts_size(head, 64) != ref.entry.where.size or memcmp(stored, encoder.data + start, head) != 0:
        return False
    stored += (head + 63) & ~(<uint64_t> 63)
    step = max(encoder.parts[0].size // 32, 64)
    for at in range(0, encoder.parts[0].size - 63, step):
        if memcmp(stored + at, <const uint8_t*> encoder.parts[0].data + at, 64) != 0:
            return False
    return True


cdef bint equals_stored(Encoder encoder, Session session, size_t start, uint64_t size, ObjectRef ref) except -1:
    """Whether the stored object has exactly the bytes that would be stored now."""
    cdef const uint8_t* stored = <const uint8_t*> session.client.resolve(ref.entry.where)
    cdef uint64_t at = encoder.size - start
    cdef Part part
    cdef size_t i
    if stored == NULL or size != ref.entry.where.size or memcmp(stored, encoder.data + start, at) != 0:
        return False
    for i in range(encoder.parts.size()):
        part = encoder.parts[i]
        if part.kind == P_STRIDED:
            return False
        if part.kind == P_ALIGNED:
            at = (at + 63) & ~(<uint64_t> 63)
        if not equal_released(session, stored + at, <const uint8_t*> part.data, part.size):
            return False
        at += part.size
    return True


cdef int hint_at_put(object callee, object where, uint64_t size) except -1:
    """One warning for each line that passes the same large argument again and again."""
    from ._hints import hint_at_put as hint
    hint(_sys._getframe(), callee._argument_subject(where), size)
    return 0
