# _hot_arguments: from a task's record to the arguments of its call. Part of _hot.pyx.
#
# The values of top-level references lie behind the arguments in the record. They are decoded when
# the argument that names them is; one that is only a window's object is not decoded at all. Those
# that are stored are pinned until the call has its arguments.

cdef struct Dependency:
    const uint8_t* data  # NULL: it is not in memory yet
    uint64_t size
    cbool stored


@cython.final
@cython.no_gc
cdef class Dependencies:
    """The values of a task's top-level references, as the node appended them to its record."""

    cdef vector[Dependency] found
    cdef list owners  # the ObjectRef of each that is stored, else None
    cdef bytes record  # what was copied out of the task's record

    def __dealloc__(self):
        cdef size_t i
        for i in range(self.found.size()):
            if self.found[i].stored and self.found[i].data != NULL:
                (<ObjectRef> self.owners[<Py_ssize_t> i]).entry.presence.unpin()

    cdef object value(self, uint32_t i):
        if i >= self.found.size():
            raise corrupt_value()
        return decode_all(self.found[i].data, self.found[i].size, 64 if self.found[i].stored else 8, self.owners[i])

    cdef ObjectRef stored(self, uint64_t i):
        """The reference of one that is stored."""
        if i >= self.found.size() or not self.found[i].stored:
            raise corrupt_value()
        return <ObjectRef> self.owners[<Py_ssize_t> i]


cdef Dependencies read_dependencies(Session session, TaskView* task):
    cdef const uint8_t* at = <const uint8_t*> task.values
    cdef const uint8_t* end = at + task.value_bytes
    cdef Dependencies read = Dependencies.__new__(Dependencies)
    cdef uint32_t i
    cdef uint64_t id, size
    cdef uint8_t kind
    cdef Location where
    cdef ObjectRef owner
    cdef const byte_t* data
    cdef bint all_here = True
    read.owners = []
    for i in range(task.header.dependencies):
        if end - at < 24:
            raise corrupt_value()
        memcpy(&id, at, 8)
        memcpy(&size, at + 8, 8)
        kind = at[20]
        at += 24
        if kind == 1:
            if <size_t> (end - at) < sizeof(Location):
                raise corrupt_value()
            memcpy(&where, at, sizeof(Location))
            at += sizeof(Location)
            owner = contained_ref(id)
            data = session.client.resolve(where)
            if data == NULL:
                raise corrupt_value()
            read.owners.append(owner)
            native.pin_argument(session.worker, owner.entry, where)
            read.found.push_back(Dependency(<const uint8_t*> data, where.size, True))
        elif kind == 2:
            all_here = False
            owner = contained_ref(id)
            native.expect_argument(session.worker, owner.entry, size)
            read.owners.append(owner)
            read.found.push_back(Dependency(NULL, size, True))
        else:
            if <uint64_t> (end - at) < size:
                raise corrupt_value()
            read.found.push_back(Dependency(at, size, False))
            read.owners.append(None)
            at += (size + 7) & ~(<uint64_t> 7)
    if not all_here:
        bring_back(session, task, read)
    return read


cdef int bring_back(Session session, TaskView* task, Dependencies read) except -1:
    """Waits for the dependencies that are not in memory; the node has begun to read them."""
    cdef const uint8_t* values = <const uint8_t*> task.values
    cdef uint64_t size = task.header.argument_bytes
    cdef const uint8_t* copy
    cdef ObjectRef owner
    cdef size_t i
    if task.held:  # they come through the ring, so the record must leave it first
        read.record = PyBytes_FromStringAndSize(<const char*> task.arguments, size)
        read.record += PyBytes_FromStringAndSize(<const char*> values, task.value_bytes)
        copy = <const uint8_t*> PyBytes_AS_STRING(read.record)
        task.arguments = <const byte_t*> copy
        for i in range(read.found.size()):
            if not read.found[i].stored:
                read.found[i].data = copy + size + (read.found[i].data - values)
        end_record(session, task)
    for i in range(read.found.size()):
        if read.found[i].data == NULL:
            owner = <ObjectRef> read.owners[<Py_ssize_t> i]
            pin_value(owner)
            read.found[i].data = <const uint8_t*> session.client.resolve(owner.entry.where)
            if read.found[i].data == NULL:
                owner.entry.presence.unpin()  # else `read` does that
                raise lost(owner)
    return 0


cdef inline int end_record(Session session, TaskView* task) except -1:
    """The bytes of a task's record are not needed any more."""
    if task.held:
        task.held = False
        session.worker.task_taken()
    return 0


# What a record has of a call's arguments, in this order; `dependencies` are those that begin_arguments
# gave. Several functions, since a tuple of the results would cost as much as all the rest.

cdef Dependencies begin_arguments(Session session, TaskView* task, Cursor* cursor):
    """The dependencies of the task, None if it has none; the cursor stands before the arguments."""
    cdef Dependencies dependencies = None
    if task.header.dependencies != 0:
        dependencies = read_dependencies(session, task)
    cursor.begin = <const uint8_t*> task.arguments
    cursor.at = cursor.begin
    cursor.end = cursor.begin + task.header.argument_bytes
    cursor.align = 8
    return dependencies


cdef inline object decode_retries(TaskView* task, Cursor* cursor):
    """What bolide._retries sent, or None."""
    if task.header.flags & F_RETRY_EXCEPTIONS:
        return decode(cursor, None, None)
    return None


cdef tuple decode_positional(TaskView* task, Cursor* cursor, Dependencies dependencies, uint32_t* named):
    """The positional arguments; how many named ones follow."""
    cdef uint32_t n, i
    cdef uint32_t first = 0
    if task.header.flags & F_ACTOR_CREATION:
        first = 1
        spec = decode(cursor, None, None)
    n = first + take_u32(cursor)
    named[0] = take_u32(cursor)
    args = PyTuple_New(n)
    if first:
        Py_INCREF(spec)
        PyTuple_SET_ITEM(args, 0, spec)
    for i in range(first, n):
        cursor.begin = cursor.at  # parts are aligned to the value that they belong to
        item = decode(cursor, dependencies, None)
        Py_INCREF(item)
        PyTuple_SET_ITEM(args, i, item)
    return args


cdef dict decode_named(Cursor* cursor, Dependencies dependencies, uint32_t named):
    cdef dict kwargs = {}
    cdef uint32_t i
    for i in range(named):
        key = decode(cursor, None, None)
        cursor.begin = cursor.at
        kwargs[key] = decode(cursor, dependencies, None)
    return kwargs
