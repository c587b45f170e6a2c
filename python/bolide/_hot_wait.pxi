# _hot_wait: wait, for some of many references. Part of _hot.pyx.

def wait(refs, *, num_returns=1, timeout=None, fetch_local=True):
    """Splits references into those that are ready and the others.

    Args:
        refs: a list of different ObjectRefs, and of ObjectRefGenerators, which are ready when
            their next item is.
        num_returns: how many to wait for, from 1 to ``len(refs)``.
        timeout: seconds to wait at most; None: until `num_returns` are ready; 0: only look.
        fetch_local: accepted for Ray; on one machine every ready object is local.

    Returns:
        Two lists, ready and not ready, each in the order of `refs`; the first has at most
        `num_returns`.

    Raises:
        TypeError: `refs` is not a list of references.
        ValueError: `refs` has duplicates, or `num_returns` is out of range.

    Example:
        >>> ready, rest = wait([f.remote(i) for i in range(4)], num_returns=2)

    Follows Ray's page "ray.wait".
    """
    cdef Session session = _session
    cdef list items
    cdef Py_ssize_t n, i
    cdef uint32_t needed, found
    cdef ObjectRef ref
    cdef PyObject* item
    cdef vector[ObjectEntry*] entries
    if type(refs) is ObjectRef:
        raise TypeError("wait() expected a list of ray.ObjectRef, got a single ray.ObjectRef")
    if not isinstance(refs, list):
        raise TypeError(f"wait() expected a list of ray.ObjectRef, got {type(refs)}")
    items = refs if type(refs) is list else list(refs)
    n = PyList_GET_SIZE(items)
    if n == 0:
        return [], []
    if session is None or not session.alive:
        session = session_for(refs)
    if not isinstance(num_returns, int) or isinstance(num_returns, bool):
        raise TypeError(f"num_returns must be an int, not {type(num_returns).__name__}")
    if num_returns <= 0:
        raise ValueError(f"Invalid number of objects to return {num_returns}.")
    if num_returns > n:
        raise ValueError("num_returns cannot be greater than the number of objects provided to ray.wait")
    cdef int64_t deadline = FOREVER if timeout is None else deadline_of(timeout)
    needed = num_returns
    found = 0
    session.wait_mark += 1
    cdef uint64_t first_mark = session.first_mark
    cdef uint64_t mark = session.wait_mark
    cdef uint64_t marks = mark - first_mark
    # One pass checks the list and splits it, for the case that enough is ready: a loop that waits
    # for one of many at a time costs little more than the slices of its list.
    cdef list ready = []
    cdef list rest = PyList_New(n)
    cdef PyObject** source = (<PyListObject*> items).ob_item
    cdef PyObject** target = (<PyListObject*> rest).ob_item
    cdef PyObject** end = source + n
    cdef PyTypeObject* kind = <PyTypeObject*> ObjectRef
    while source != end and found < needed:
        item = source[0]
        source += 1
        if Py_TYPE(<object> item) is not kind or (<ObjectRef> item).mark - first_mark >= marks:
            if has_generator(items):
                return wait_with_generators(items[:], num_returns, timeout)
            refuse_to_wait(session, <object> item)
        (<ObjectRef> item).mark = mark
        if is_known_ready((<ObjectRef> item).entry):
            found += 1
            ready.append(<object> item)
        else:
            Py_INCREF(<object> item)
            target[0] = item
            target += 1
    while source != end:  # the same for those that are not looked at, with nothing else in the loop
        item = source[0]
        source += 1
        if Py_TYPE(<object> item) is not kind or (<ObjectRef> item).mark - first_mark >= marks:
            if has_generator(items):
                return wait_with_generators(items[:], num_returns, timeout)
            refuse_to_wait(session, <object> item)
        (<ObjectRef> item).mark = mark
        Py_INCREF(<object> item)
        target[0] = item
        target += 1
    Py_SET_SIZE(rest, target - (<PyListObject*> rest).ob_item)
    if found < needed and deadline != 0:
        items = items[:]  # the caller's may change while this waits
        entries.reserve(n)
        for i in range(n):
            ref = <ObjectRef> PyList_GET_ITEM(items, i)
            entries.push_back(ref.entry)
        if session.worker != NULL:
            native.ask(session.client, entries.data(), n, False)
        wait_entries(session, entries.data(), n, needed, deadline, False)
        ready, rest = split_ready(items, needed)
    if _flush_output is not None:
        flush_output(session)
    return ready, rest


cdef bint has_generator(list items):
    for item in items:
        if type(item) is ObjectRefGenerator:
            return True
    return False


cdef int refuse_to_wait(Session session, object item) except -1:
    """Raises what is wrong with an item of the list of wait."""
    cdef ObjectRef ref = check_ref(item, "wait")
    if ref.session is not session:
        raise_closed(ref.session)
    raise ValueError("Wait requires a list of unique object refs.")


cdef inline bint is_known_ready(ObjectEntry* entry):
    return entry.ready() or (entry.flags & 32) != 0


cdef tuple split_ready(list items, uint32_t most):
    cdef uint32_t found = 0
    cdef list ready = []
    cdef list rest = []
    for item in items:
        if found < most and is_known_ready((<ObjectRef> item).entry):
            found += 1
            ready.append(item)
        else:
            rest.append(item)
    return ready, rest
