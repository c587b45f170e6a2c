# _hot_worker: the loop of a worker process. Part of _hot.pyx.
#
# next task -> decode -> call -> encode -> push. Results are encoded completely before the record
# is begun, because pickling runs user code, which may run other tasks on top of this one.

cdef dict _functions = {}   # object id of an exported function -> (callable, name)
cdef uint64_t _last_id = 0
cdef tuple _last_function = None


def run_worker(Session session):
    """Runs tasks until the node says that it is enough. On the main thread of a worker."""
    import _thread
    global _get_ident
    turn_length()
    session.wait_thread = _thread.get_ident()
    cdef TaskView task
    cdef Next next
    cdef int64_t until
    cdef int64_t began = native.now()
    cdef vector[uint64_t] forgotten
    while True:
        next = session.worker.next_task(&task, 0)
        if next == Next.kNothing:
            until = native.now() + 10 * SECOND
            with nogil:
                next = session.worker.next_task(&task, until)
            began = native.now()
        if next == Next.kTask:
            began = execute(session, &task, began)
        elif next == Next.kShutdown:
            return
        else:
            PyErr_CheckSignals()
            forgotten = session.worker.forgotten()
            forget_functions(forgotten)


cdef int forget_functions(vector[uint64_t]& ids) except -1:
    global _last_id, _last_function
    cdef size_t i
    for i in range(ids.size()):
        _functions.pop(ids[i], None)
        if _last_id == ids[i]:
            _last_id = 0
            _last_function = None
    return 0


cdef int run_inline(Session session) except -1:
    """Runs the task for which a wait returned kRunTask, on top of the one that waits."""
    cdef TaskView task
    cdef Next next = session.worker.inline_task(&task)
    if next == Next.kTask:
        execute(session, &task, native.now())
    return 0


cdef int64_t execute(Session session, TaskView* task, int64_t began) except -1:
    """Runs one task and pushes its result; the time at which it was done."""
    cdef uint64_t sequence = task.header.sequence
    cdef uint32_t returns = task.header.returns
    cdef uint64_t function_id = task.header.function
    cdef tuple function = None
    cdef object result = None
    cdef object failure = None
    cdef object args, kwargs
    cdef bint taken = False
    cdef int64_t done
    outer_name = session.task_name
    session.running += 1
    try:
        try:
            function = find_function(session, function_id)
            session.task_name = function[1]
            args, kwargs = decode_arguments(session, task)
            session.worker.task_taken()
            taken = True
            if kwargs is None:
                result = PyObject_Call(function[0], args, <PyObject*> NULL)
            else:
                result = PyObject_Call(function[0], args, <PyObject*> kwargs)
            args = kwargs = None
            encode_results(session, sequence, returns, result, function[1])
        except BaseException as error:
            if not taken:
                session.worker.task_taken()
            failure = error
            args = kwargs = None
            push_failure(session, sequence, returns, error, "?" if function is None else function[1])
        flush_partial_output()
    finally:
        session.running -= 1
        session.task_name = outer_name
    done = native.now()
    session.worker.end_result(done - began)
    return done


cdef tuple find_function(Session session, uint64_t id):
    global _last_id, _last_function
    if id == _last_id:
        return _last_function
    function = _functions.get(id)
    if function is None:
        function = load_function(session, id)
        _functions[id] = function
    _last_id = id
    _last_function = function
    return function


cdef tuple load_function(Session session, uint64_t id):
    cdef uint64_t size = 0
    cdef const byte_t* data = session.worker.function_value(id, &size)
    if data == NULL:
        raise corrupt_value()
    value = PyBytes_FromStringAndSize(<const char*> data, size)
    from ._export import load_function as load
    global _loading_id
    outer = _loading_id
    _loading_id = id
    try:
        return load(value)
    finally:
        _loading_id = outer


cdef tuple decode_arguments(Session session, TaskView* task):
    cdef Cursor cursor
    cdef list dependencies = None
    cdef uint32_t n, named, i
    cdef object kwargs = None
    if task.header.dependencies != 0:
        dependencies = decode_dependencies(session, task)
    cursor.begin = <const uint8_t*> task.arguments
    cursor.at = cursor.begin
    cursor.end = cursor.begin + task.header.argument_bytes
    cursor.align = 8
    n = take_u32(&cursor)
    named = take_u32(&cursor)
    args = PyTuple_New(n)
    for i in range(n):
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
    return args, kwargs


cdef list decode_dependencies(Session session, TaskView* task):
    """The values of the top-level references, as the node appended them to the record."""
    cdef const uint8_t* at = <const uint8_t*> task.values
    cdef const uint8_t* end = at + task.value_bytes
    cdef list values = []
    cdef uint32_t i
    cdef uint64_t id, size
    cdef uint8_t kind
    cdef Location where
    cdef ObjectId object_id
    cdef ObjectRef owner
    cdef const byte_t* data
    for i in range(task.header.dependencies):
        if end - at < 24:
            raise corrupt_value()
        memcpy(&id, at, 8)
        memcpy(&size, at + 8, 8)
        kind = at[20]
        at += 24
        if kind == 1:
            memcpy(&where, at, sizeof(Location))
            at += sizeof(Location)
            object_id.value = id
            owner = ref_of_id(object_id)
            if not owner.entry.ready():
                native.set_local(session.worker, owner.entry, where)
            data = session.client.resolve(where)
            if data == NULL:
                raise corrupt_value()
            values.append(decode_all(<const uint8_t*> data, where.size, 64, None, owner))
        else:
            if <uint64_t> (end - at) < size:
                raise corrupt_value()
            values.append(decode_all(at, size, 8, None, None))
            at += (size + 7) & ~(<uint64_t> 7)
    return values


cdef int encode_results(Session session, uint64_t sequence, uint32_t returns, object result, object name) except -1:
    cdef list values
    if returns == 1 and encode_one(session, sequence, result):
        return 0
    if returns == 1:
        values = [result]
    elif returns == 0:
        values = []
    else:
        values = split_results(result, returns, name)
    cdef list encoders = []
    cdef Encoder encoder
    cdef list slots = []
    cdef vector[Slot] stored
    cdef Slot slot
    cdef size_t i
    cdef list is_stored = []
    try:
        for value in values:
            encoder = take_encoder()
            encoders.append(encoder)
            encoder.encode_value(value, lambda: f"the result of {name!r}")
            if encoder.parts_size(encoder.size, 8) <= session.inline_limit:
                encoder.join_parts(0)
                is_stored.append(False)
                stored.push_back(slot)
            else:
                encoder.store_value(session, 0, &slot)
                is_stored.append(True)
                stored.push_back(slot)
        session.worker.begin_result(sequence, returns)
        for i in range(stored.size()):
            encoder = encoders[i]
            if is_stored[i]:
                native.add_stored(session.worker, stored[i], encoder.contained, 0)
            else:
                native.add_inline(session.worker, encoder.data, encoder.size, encoder.contained, 0)
    except BaseException:
        for i in range(stored.size()):
            if is_stored[i]:
                session.client.abandon(stored[i])
        raise
    finally:
        for encoder in encoders:
            give_encoder(encoder)
    return 0


cdef int encode_one(Session session, uint64_t sequence, object result) except -1:
    """The usual case, one small plain value: 1; 0 when it is another case."""
    cdef Encoder encoder = take_encoder()
    cdef bint fits = encoder.encode_plain(result, 0) and encoder.size <= session.inline_limit
    if fits:
        session.worker.begin_result(sequence, 1)
        native.add_inline(session.worker, encoder.data, encoder.size, encoder.contained, 0)
    give_encoder(encoder)
    return fits


cdef list split_results(object result, uint32_t returns, object name):
    try:
        values = list(result)
    except TypeError:
        raise ValueError(
            f"the task {name!r} has num_returns={returns}, so it must return {returns} values, "
            f"but it returned a {type(result).__name__}"
        ) from None
    if len(values) != returns:
        raise ValueError(
            f"the task {name!r} has num_returns={returns}, so it must return {returns} values, "
            f"but it returned {len(values)}"
        )
    return values


cdef int push_failure(Session session, uint64_t sequence, uint32_t returns, object error, object name) except -1:
    import os
    from ._serialize import pack_error
    cdef Encoder encoder = take_encoder()
    cdef void** slot = native.encoder_slot()
    cdef void* outer = slot[0]
    cdef Slot place
    cdef bytes data
    cdef uint32_t i
    slot[0] = <void*> encoder
    try:
        data = pack_error(error, name, os.getpid())
    finally:
        slot[0] = outer
    session.worker.begin_result(sequence, returns)
    try:
        for i in range(returns):
            if <uint64_t> len(data) <= session.inline_limit:
                native.add_inline(session.worker, <const uint8_t*> PyBytes_AS_STRING(data), len(data), encoder.contained, 1)
            else:
                reserve_slot(session, len(data), &place)
                copy_released(<uint8_t*> place.data, <const uint8_t*> PyBytes_AS_STRING(data), len(data))
                native.add_stored(session.worker, place, encoder.contained, 1)
    finally:
        give_encoder(encoder)
    return 0


# ---- output: sys.stdout and sys.stderr of a worker are text layers over these

cdef dict _partial = {1: b"", 2: b""}
cdef bint _has_partial = False
cdef bint _prefix_lines = True
cdef bytes _pid_text = b""


def set_output_prefix(bint wanted):
    """Whether lines begin with the task's name and the worker's pid."""
    global _prefix_lines, _pid_text
    import os
    _prefix_lines = wanted
    _pid_text = b" pid=%d) " % os.getpid()


def write_output(int stream, data):
    """Takes what Python code writes, and hands it to the driver line by line."""
    global _has_partial
    cdef bytes text = _partial[stream] + bytes(data)
    cdef list lines = text.split(b"\n")
    _partial[stream] = lines.pop()
    _has_partial = bool(_partial[1] or _partial[2])
    for line in lines:
        send_line(stream, line)


cdef int send_line(int stream, bytes line) except -1:
    if _prefix_lines:
        line = b"(" + str(_session.task_name or "worker").encode("utf-8", "replace") + _pid_text + line
    native.write_output(_session.worker, stream, PyBytes_AS_STRING(line), PyBytes_GET_SIZE(line))
    return 0


cdef int flush_partial_output() except -1:
    """A line without an end is a line all the same when its task is over."""
    global _has_partial
    if not _has_partial:
        return 0
    _has_partial = False
    for stream in (1, 2):
        line = _partial[stream]
        if line:
            _partial[stream] = b""
            send_line(stream, line)
    return 0
