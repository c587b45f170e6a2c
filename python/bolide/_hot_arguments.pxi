# _hot_arguments: from a task's record to the arguments of its call. Part of _hot.pyx.
#
# The values of top-level references lie behind the arguments in the record. They are decoded when
# the argument that names them is; one that is only a window's object is not decoded at all.

cdef struct Dependency:
    const uint8_t* data
    uint64_t size
    cbool stored


@cython.final
cdef class Dependencies:
    """The values of a task's top-level references, as the node appended them to its record."""

    cdef vector[Dependency] found
    cdef list owners  # the ObjectRef of each that is stored, else None

    cdef object value(self, uint32_t i):
        if i >= self.found.size():
            raise corrupt_value()
        return decode_all(self.found[i].data, self.found[i].size, 64 if self.found[i].stored else 8, self.owners[i])

    cdef ObjectRef stored(self, uint64_t i, const uint8_t** begin):
        """The reference of one that is stored, and where its bytes are."""
        if i >= self.found.size() or not self.found[i].stored:
            raise corrupt_value()
        begin[0] = self.found[i].data
        return <ObjectRef> self.owners[i]


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
            if not owner.entry.ready():
                native.set_local(session.worker, owner.entry, where)
            data = session.client.resolve(where)
            if data == NULL:
                raise corrupt_value()
            read.found.push_back(Dependency(<const uint8_t*> data, where.size, True))
            read.owners.append(owner)
        else:
            if <uint64_t> (end - at) < size:
                raise corrupt_value()
            read.found.push_back(Dependency(at, size, False))
            read.owners.append(None)
            at += (size + 7) & ~(<uint64_t> 7)
    return read


cdef tuple decode_arguments(Session session, TaskView* task):
    cdef Cursor cursor
    """Positional and named arguments, and what bolide._retries sent before them."""
    cdef Dependencies dependencies = None
    cdef uint32_t n, named, i
    cdef uint32_t first = 0
    cdef object kwargs = None
    cdef object retry_on = None
    if task.header.dependencies != 0:
        dependencies = read_dependencies(session, task)
    cursor.begin = <const uint8_t*> task.arguments
    cursor.at = cursor.begin
    cursor.end = cursor.begin + task.header.argument_bytes
    cursor.align = 8
    if task.header.flags & F_RETRY_EXCEPTIONS:
        retry_on = decode(&cursor, None, None)
    if task.header.flags & F_ACTOR_CREATION:
        first = 1
        spec = decode(&cursor, None, None)
    n = first + take_u32(&cursor)
    named = take_u32(&cursor)
    args = PyTuple_New(n)
    if first:
        Py_INCREF(spec)
        PyTuple_SET_ITEM(args, 0, spec)
    for i in range(first, n):
        cursor.begin = cursor.at  # parts are aligned to the value that they belong to
        item = decode(&cursor, dependencies, None)
        Py_INCREF(item)
        PyTuple_SET_ITEM(args, i, item)
    if named:
        kwargs = {}
        for i in range(named):
            key = decode(&cursor, None, None)
            cursor.begin = cursor.at
            kwargs[key] = decode(&cursor, dependencies, None)
    return args, kwargs, retry_on
