# _hot_context: what the code that runs asks about its task and about the node. Part of _hot.pyx.


def running_task():
    """(number, name, function) of the task or call that runs here: 0 and None in the driver."""
    cdef ActorCall call
    if _session is not None and _session.engine is not None:
        return _session.engine.running()
    if _session is None or not _session.is_worker:
        return 0, None, None
    if _actor_runner is not None and _call_var.get(None) is not None:
        call = _call_var.get(None)
        return call.header.task, call.task_name, call.function[1]
    if _session.function is None:
        return 0, None, None
    return _session.task_id, _session.task_name, _session.function[1]


def task_id_bytes(uint64_t number):
    """The id of a task of this session from its number."""
    return id_bytes(need_session(), number)


def resources():
    """(name, total, free) of the node's resources, in a worker too."""
    cdef list found = []
    cdef bytes answer = ask_node(need_session(), Q_RESOURCES, b"")[0]
    cdef Py_ssize_t at = 0
    cdef uint32_t length
    cdef double[2] amounts
    while at < len(answer):
        memcpy(&length, PyBytes_AS_STRING(answer) + at, 4)
        at += 4
        memcpy(amounts, PyBytes_AS_STRING(answer) + at + length, 16)
        found.append((answer[at : at + length].decode(), amounts[0], amounts[1]))
        at += length + 16
    return found


def assigned_resources():
    """(name, amount) of what the task or actor of this worker holds."""
    cdef list found = []
    cdef bytes answer = ask_node(need_session(), Q_ASSIGNED, b"")[0]
    cdef Py_ssize_t at = 0
    cdef uint32_t length
    cdef double amount
    while at < len(answer):
        memcpy(&length, PyBytes_AS_STRING(answer) + at, 4)
        at += 4
        memcpy(&amount, PyBytes_AS_STRING(answer) + at + length, 8)
        found.append((answer[at : at + length].decode(), amount))
        at += length + 8
    return found
