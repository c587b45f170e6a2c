# _hot_groups: placement groups, as the node is told and asked of them. Part of _hot.pyx.

# ipc::ValueFlags, ipc::QueryKind
cdef enum:
    V_GROUP = 32
    Q_GROUPS = 6
    Q_FIND_GROUP = 7
    Q_OWN_GROUP = 8


def put_group(bytes value):
    """Makes a placement group (bolide._placement has its bytes); the ObjectRef that names it."""
    return put_special(need_session(), value, [], V_GROUP)


def remove_group(ObjectRef ref not None):
    """Ends a placement group, with what waits or runs in it."""
    if ref.session is not _session or not ref.session.alive:
        raise_closed(ref.session)
    if not native.remove_group(ref.session.client, ref.entry.id.value):
        raise core_error()


def groups():
    """All placement groups: (number of the object, sched::GroupState, value)."""
    cdef list found = []
    cdef uint64_t number
    cdef uint32_t state, size
    cdef Py_ssize_t at = 0
    answer, _ = ask_node(need_session(), Q_GROUPS, b"")
    cdef const char* data = PyBytes_AS_STRING(answer)
    while at < len(answer):
        memcpy(&number, data + at, 8)
        memcpy(&state, data + at + 8, 4)
        memcpy(&size, data + at + 12, 4)
        found.append((number, state, answer[at + 16 : at + 16 + size]))
        at += 16 + size
    return found


def find_group(bytes key):
    """The living placement group with that key of a name: (ObjectRef, value), or None."""
    return group_of(Q_FIND_GROUP, key)


def own_group():
    """The placement group in which the task that asks runs: (ObjectRef, value), or None."""
    return group_of(Q_OWN_GROUP, b"")


cdef object group_of(uint32_t kind, bytes text):
    cdef ObjectId id
    answer, holder = ask_node(need_session(), kind, text)
    if not answer:
        return None
    memcpy(&id.value, PyBytes_AS_STRING(answer), 8)
    return ref_of_id(id), answer[8:]  # while the answer is held, and with it the group


cdef tuple place_numbers(Session session, place):
    """The group (0: none) and bundle of a bolide._place.Place, or of None."""
    cdef ObjectRef ref
    if place is None or place.group is None:
        return 0, -1
    ref = place.group._ref
    if ref.session is not session:
        raise ValueError(
            f"{place.group!r} belongs to a bolide session that was shut down; make a placement "
            "group in this one"
        )
    return ref.entry.id.value, place.bundle


cdef object captured(called, options):
    """What a task that captures really calls: see bolide._placement.captured."""
    from ._placement import captured as in_own_group
    return in_own_group(called, options)


def captures():
    """Whether what this task or actor starts goes into its placement group."""
    return _session is not None and _session.capturing != 0


cdef int begin_capturing(Session session) except -1:
    """From now on calls take the way of those that are rare, and find out about the group there."""
    session.capturing += 1
    session.submits = False
    return 0


cdef int end_capturing(Session session) except -1:
    session.capturing -= 1
    if session.capturing == 0:
        session.submits = session.alive
        from ._placement import forget_captured
        forget_captured()
    return 0
