# _hot_worker: the loop of a worker process. Part of _hot.pyx.
#
# next task -> decode -> call -> encode -> push. Results are encoded completely before the record
# is begun, because pickling runs user code, which may run other tasks on top of this one.

cdef dict _functions = {}   # object id of an exported function -> (callable, name)
cdef uint64_t _last_id = 0
cdef tuple _last_function = None
cdef dict _calls = {}       # of functions with max_calls: how many this worker has run
cdef bint _leaving = False  # one of them is used up: this process ends with its next result

# ipc::ResultFlags
cdef enum:
    F_RETRYABLE = 1
    F_LEAVING = 2


def run_worker(Session session):
    """Runs tasks until the node says that it is enough. On the main thread of a worker.

    Returns:
        The status with which the process is to exit.
    """
    session.task_thread = PyThread_get_thread_ident()
    cdef TaskView task
    cdef Next next
    cdef int64_t until
    cdef int64_t began = native.now()
    cdef uint32_t since_forgetting = 0
    cdef cbool waited
    while True:
        waited = False
        next = session.worker.next_task(&task, 0, &waited)
        if next == Next.kNothing:
            until = native.now() + 10 * SECOND
            with nogil:
                next = session.worker.next_task(&task, until, &waited)
        if waited:
            began = native.now()
        if next == Next.kTask:
            began = execute(session, &task, began)
            if _leaving:
                return _exit_status
            if _actor_runner is not None:
                return _actor_runner.run(session)
            since_forgetting += 1
            if since_forgetting == 256:
                since_forgetting = 0
                forget_functions(session.worker.forgotten())
        elif next == Next.kShutdown:
            return 0
        else:
            PyErr_CheckSignals()
            forget_functions(session.worker.forgotten())
            forget_repeated(False)


cdef int forget_functions(vector[uint64_t] ids) except -1:
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
    cdef list values = None        # of Encoders, when there is not exactly one plain value
    cdef Encoder single = None
    cdef object result
    cdef tuple args
    cdef dict kwargs = None
    cdef bytes retry_on = None
    cdef Dependencies dependencies
    cdef Cursor cursor
    cdef uint32_t named = 0
    cdef bint taken = False
    cdef bint ends = False
    cdef uint32_t result_flags = 0
    cdef int64_t done
    cdef uint64_t outer = session.current
    cdef uint64_t outer_id = session.task_id
    outer_function, outer_name = session.function, session.task_name
    session.running += 1
    session.current = session.last_begun = sequence
    session.task_id = task.header.task
    try:
        try:
            if task.header.flags & (F_NEW_DEVICES | F_TRACED | F_CAPTURES):
                prepare(session, &task.header)
            if task.header.name_bytes:
                session.task_name = task.name[:task.header.name_bytes].decode("utf-8", "replace")
            else:
                session.task_name = None
            if task.header.flags & F_ACTOR:
                function = actor_function(session, task)
            else:
                function = find_function(session, function_id)
            session.function = function
            dependencies = begin_arguments(session, task, &cursor)
            retry_on = decode_retries(task, &cursor)
            args = decode_positional(task, &cursor, dependencies, &named)
            if named != 0:
                kwargs = decode_named(&cursor, dependencies, named)
            dependencies = None
            end_record(session, task)
            taken = True
            if kwargs is None:
                result = PyObject_Call(function[0], args, <PyObject*> NULL)
            else:
                result = PyObject_Call(function[0], args, <PyObject*> kwargs)
            args = kwargs = None
            if session.forked:
                end_forked_child(None)
            if task.header.flags & F_STREAMING:
                stream_items(session, sequence, result, function[1])
                result = None
            elif task.header.flags & F_DYNAMIC:
                result = put_items(session, result, function[1], may_retry(&task.header, retry_on))
            if returns == 1 and not PyGen_CheckExact(result):
                single = encode_result(session, result, function[1])
            else:
                values = encode_results(session, returns, result, function[1], may_retry(&task.header, retry_on))
            result = None
            session.current = 0
        except BaseException as error:
            session.current = 0
            if session.forked:
                end_forked_child(error)
            args = kwargs = result = dependencies = None
            end_record(session, task)
            single = None
            ends = task.header.flags & F_ACTOR != 0 and ends_actor(session, &task.header, error, function)
            if ends:
                values = None
            elif session.interrupted == sequence and (was_cancelled(error) or not taken):
                # Before the call it hit an import, which may have made another error of it.
                values = encode_cancelled(returns, task.header.task, "?" if function is None else function[1])
            elif wants_retry(&task.header, error, retry_on):
                result_flags = F_RETRYABLE
                returns = 0
                values = []
            else:
                values = encode_failure(session, returns, error, "?" if function is None else function[1])
        if _cancelled_calls and not ends and sequence in _cancelled_calls:
            values = end_as_cancelled(session, &task.header, single, values, function[1])
            single = None
            returns = task.header.returns
            result_flags = 0
        if function is not None and function[2] is not None:
            count_call(function_id, function[2])
        flush_partial_output()
    finally:
        session.running -= 1
        session.current = outer
        session.task_id = outer_id
        session.function, session.task_name = outer_function, outer_name
    done = native.now()
    if task.header.flags & (F_TRACED | F_CAPTURES):
        conclude(session, &task.header, began, done, function)
    if ends:
        return done
    if _leaving and session.running == 0:
        result_flags |= F_LEAVING
    push_result(session, sequence, returns, result_flags, single, values, done - began)
    return done


cdef int prepare(Session session, TaskHeader* header) except -1:
    """What is rare before a task: it has other GPUs than the last one; what it calls is traced too,
    or goes into its placement group."""
    cdef vector[DeviceShare] shares
    cdef size_t i
    if header.flags & F_CAPTURES:
        begin_capturing(session)  # first: conclude ends it, whatever fails here
    if header.flags & F_NEW_DEVICES:
        shares = session.worker.devices()
        from ._accelerators import show
        show([shares[i].device for i in range(shares.size())])
    session.trace = header.flags & F_TRACED
    return 0


cdef int conclude(Session session, TaskHeader* header, int64_t began, int64_t done, tuple function) except -1:
    """What is rare after a task. An actor captures for life."""
    if header.flags & F_TRACED:
        trace(session, header, began, done, function)
    if header.flags & F_CAPTURES and not header.flags & F_ACTOR_CREATION:
        end_capturing(session)
    return 0


cdef int trace(Session session, TaskHeader* header, int64_t began, int64_t done, tuple function) except -1:
    """Tells the node when a task ran, for `timeline`."""
    cdef bytes text = b"?" if function is None else (<str> function[1]).encode("utf-8", "replace")
    native.trace(session.worker, header.task, began, done, PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text))
    return 0


cdef int push_result(Session session, uint64_t sequence, uint32_t returns, uint32_t flags, Encoder single, list values, int64_t duration) except -1:
    """Sends a result whose values are encoded: `single`, or `values`."""
    # From here to the end of the result no Python code runs: it might run another task, or let
    # another thread, whose result would get mixed up with this one.
    session.worker.begin_result(sequence, returns, flags)
    if single is not None:
        add_value(session, single)
    else:
        for encoder in values:
            add_value(session, <Encoder> encoder)
    session.worker.end_result(duration)
    if single is not None:
        give_encoder(single)
    return 0


cdef inline bint may_retry(TaskHeader* header, bytes retry_on):
    """Whether the task may run again after an exception."""
    return retry_on is not None and (header.max_retries < 0 or header.attempt < <uint32_t> header.max_retries)


cdef bint wants_retry(TaskHeader* header, object error, bytes retry_on) except -1:
    """Whether the task is to run again after this exception."""
    if not may_retry(header, retry_on):
        return False
    from ._retries import wants_retry as wanted
    return wanted(error, retry_on)


cdef int count_call(uint64_t function, object most) except -1:
    """Counts a call of a function with max_calls; after the last one this process ends."""
    global _leaving
    calls = _calls.get(function, 0) + 1
    _calls[function] = calls
    if calls >= most:
        _leaving = True
    return 0


cdef int end_forked_child(object error) except -1:
    """A process that the task has forked comes back from it: it ends as a script would."""
    import os
    status = 0
    if isinstance(error, SystemExit):
        status = error.code
        if status is None:
            status = 0
        elif not isinstance(status, int):
            os.write(2, f"{status}\n".encode("utf-8", "replace"))
            status = 1
    elif error is not None:
        import traceback
        os.write(2, "".join(traceback.format_exception(error)).encode("utf-8", "replace"))
        status = 1
    os._exit(status & 0xff)


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
    return load_bytes(PyBytes_FromStringAndSize(<const char*> data, size), id)


cdef tuple load_bytes(bytes value, uint64_t id):
    from ._export import load_function as load
    global _loading_id
    outer = _loading_id
    _loading_id = id
    try:
        return load(value)
    finally:
        _loading_id = outer


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
    if _session.forked:  # a child that user code forked: it has no link to the driver
        import os
        os.write(stream, data)
        return
    cdef bytes text = _partial[stream] + bytes(data)
    cdef list lines = text.split(b"\n")
    _partial[stream] = lines.pop()
    _has_partial = bool(_partial[1] or _partial[2])
    for line in lines:
        send_line(stream, line)


cdef object task_label():
    """What lines of output name a task: its option `name`, else its function."""
    if _session.function is None:
        return "worker"
    return _session.task_name or _session.function[1]


cdef int send_line(int stream, bytes line) except -1:
    if _prefix_lines:
        label = task_label() if _actor_label is None else _actor_label
        line = b"(" + str(label).encode("utf-8", "replace") + _pid_text + line
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
