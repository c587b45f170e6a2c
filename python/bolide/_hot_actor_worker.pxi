# _hot_actor_worker: the worker of an actor. Part of _hot.pyx.
#
# An actor that runs one call at a time uses the loop and `execute` of _hot_worker.pxi; here is what
# differs. One that runs several takes each call out of the ring as an ActorCall, which a thread or
# an event loop (bolide._actor_worker, bolide._actor_async) runs and answers.

# ipc::ExitKind
cdef enum:
    EXIT_CONSTRUCTOR = 1
    EXIT_INTENDED = 2

cdef list _actor_methods = None   # of each method: (callable, name, None, whether a coroutine)
cdef object _actor_runner = None  # runs calls beside each other; None: they run one by one
cdef object _actor_label = None   # what lines of output begin with
cdef dict _error_fields = {}      # of RayTaskError, in an actor
cdef int _exit_status = 0
cdef set _cancelled_calls = set()  # sequences of calls that run and were cancelled
cdef object _call_var = None       # contextvars.ContextVar of the ActorCall that runs here


def set_actor(list methods, runner, label, dict error_fields, call_var):
    """Called by the constructor's task when the instance is made (bolide._actor_worker)."""
    global _actor_methods, _actor_runner, _actor_label, _error_fields, _call_var
    _call_var = call_var
    _actor_methods = methods
    _actor_runner = runner
    _actor_label = label
    _error_fields = error_fields


cdef tuple actor_function(Session session, TaskView* task):
    """What a record for an actor calls, as find_function gives it."""
    cdef uint64_t index
    if task.header.flags & F_ACTOR_CALL:
        index = task.header.scheduling_class & 0xffffffff
        if _actor_methods is None or index >= <uint64_t> len(_actor_methods):
            raise corrupt_value()
        return <tuple> _actor_methods[index]
    session.worker.become_actor()
    cls, name, _ = find_function(session, task.header.function)
    from ._actor_worker import Constructor
    return Constructor(cls, task.header.scheduling_class, task.header.attempt), name, None, False


cdef bint ends_actor(Session session, TaskHeader* header, object error, object function) except -1:
    """Whether an exception ends the actor: any in its constructor, SystemExit in a method.

    The call that raised it is not answered: it fails when the process is gone, as Ray's does.
    """
    global _leaving, _exit_status
    from . import _actor_worker
    in_constructor = header.flags & F_ACTOR_CREATION != 0
    name = "?" if function is None else function[1]
    kind, data, status = _actor_worker.end_of(_actor_worker.current_actor(), error, in_constructor, name)
    if kind is None:
        return False
    flush_partial_output()
    native.leave(session.worker, kind, PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data))
    _leaving = True
    _exit_status = status
    return True


cdef uint64_t current_call(Session session) except? 0:
    """The sequence of the call that runs here; 0: none does."""
    if _actor_runner is None:
        return session.current
    call = _call_var.get(None)
    return 0 if call is None else (<ActorCall> call).header.sequence


cdef int cancel_call(Session session, uint64_t sequence) except -1:
    """A call that has begun is cancelled: a coroutine is, others can ask whether they were."""
    if not session.worker.runs(sequence):
        return 0
    session.worker.note_interrupt(sequence)
    _cancelled_calls.add(sequence)
    if _actor_runner is not None:
        _actor_runner.cancel(sequence)
    return 0


cdef list end_as_cancelled(Session session, TaskHeader* header, Encoder single, list values, object name):
    """The values of a call that was cancelled while it ran: as in Ray, whatever it has returned."""
    _cancelled_calls.discard(header.sequence)
    if single is not None:
        abandon_value(session, single)
    for encoder in values or ():
        abandon_value(session, <Encoder> encoder)
    return encode_cancelled(header.returns, header.task, name)


@cython.final
cdef class ActorCall:
    """A call that runs beside others: it was taken from the ring and has not been answered yet."""

    cdef Session session
    cdef TaskHeader header
    cdef int64_t began
    cdef tuple function
    cdef object args, kwargs
    cdef bytes retry_on
    cdef object task_name  # what the option `name` says, or None
    cdef object broken  # why its arguments could not be read
    cdef public object task  # of a coroutine that runs: the asyncio.Task
    cdef CreditRecord credit  # of a generator: how far it may go
    cdef uint64_t yielded

    @property
    def group(self):
        """The index of its concurrency group."""
        return self.header.scheduling_class >> 32

    @property
    def is_async(self):
        """Whether `begin` gives a coroutine."""
        return self.function[3]

    @property
    def streams(self):
        """Whether `begin` gives a generator whose items are sent one by one."""
        return self.header.flags & F_STREAMING != 0

    @property
    def sequence(self):
        """Its number among the calls of this process."""
        return self.header.sequence

    @property
    def task_id(self):
        return self.header.task

    @property
    def attempt(self):
        return self.header.attempt

    @property
    def name(self):
        return self.function[1]

    def begin(self):
        """Calls the method; what it returns, a coroutine for an ``async def``."""
        if self.broken is not None:
            raise self.broken
        args, kwargs = self.args, self.kwargs
        self.args = self.kwargs = None
        if kwargs is None:
            return PyObject_Call(self.function[0], args, <PyObject*> NULL)
        return PyObject_Call(self.function[0], args, <PyObject*> kwargs)

    def run(self):
        """Calls the method and answers."""
        try:
            result = self.begin()
            if self.streams:
                stream_items(self.session, self.header.sequence, result, self.function[1])
                result = None
        except BaseException as error:
            self.fail(error)
        else:
            self.succeed(result)

    def may_yield(self):
        """Whether the consumer of a generator lets it make its next item."""
        if self.yielded >= self.credit.upto:
            self.credit = self.session.worker.credit(self.header.sequence)
        return self.yielded < self.credit.upto

    def watch_credit(self, Completions completions not None, uint64_t token):
        """Gives `token` when `may_yield` may have become true."""
        self.session.worker.watch_credit(self.header.sequence, self.yielded, completions.queue, token)

    def send(self, item):
        """Sends the next item of a generator, which may make it."""
        if self.yielded >= self.credit.skip:
            send_item(self.session, self.header.sequence, self.yielded, item, self.function[1])
        self.yielded += 1

    def end_items(self):
        """The generator has ended."""
        check_item_count(self.yielded, self.credit.skip, self.function[1])

    def succeed(self, result):
        """Answers with what the method returned."""
        cdef Encoder single = None
        cdef list values = None
        cdef uint32_t returns = self.header.returns
        cdef bint again = may_retry(&self.header, self.retry_on)
        if self.session.forked:
            end_forked_child(None)
        try:
            if self.header.flags & F_DYNAMIC:
                result = put_items(self.session, result, self.function[1], again)
            if returns == 1 and not PyGen_CheckExact(result):
                single = encode_result(self.session, result, self.function[1])
            else:
                values = encode_results(self.session, returns, result, self.function[1], again)
        except BaseException as error:
            self.fail(error)
            return
        self.push(0, returns, single, values)

    def fail(self, error):
        """Answers with an exception, or ends the actor if it is meant so."""
        cdef uint32_t returns = self.header.returns
        cdef object function = self.function
        if self.session.forked:
            end_forked_child(error)
        if ends_actor(self.session, &self.header, error, function):
            _actor_runner.stop()
        elif self.header.sequence in _cancelled_calls and is_cancellation(error):
            self.push(0, returns, None, encode_cancelled(returns, self.header.task, function[1]))
        elif wants_retry(&self.header, error, self.retry_on):
            self.push(F_RETRYABLE, 0, None, [])
        else:
            self.push(0, returns, None, encode_failure(self.session, returns, error, function[1]))

    cdef int push(self, uint32_t flags, uint32_t returns, Encoder single, list values) except -1:
        flush_partial_output()
        if _cancelled_calls and self.header.sequence in _cancelled_calls:
            if self.task is not None:  # a coroutine has the last word
                _cancelled_calls.discard(self.header.sequence)
            else:
                values = end_as_cancelled(self.session, &self.header, single, values, self.function[1])
                single = None
                returns = self.header.returns
                flags = 0
        cdef int64_t done = native.now()
        if self.header.flags & F_TRACED:
            trace(self.session, &self.header, self.began, done, self.function)
        return push_result(self.session, self.header.sequence, returns, flags, single, values, done - self.began)


cdef bint is_cancellation(error):
    cancelled = _sys.modules.get("asyncio.exceptions")
    return cancelled is not None and isinstance(error, cancelled.CancelledError)


cdef ActorCall take_call(Session session, TaskView* task):
    """The call in a record, with its arguments; the record may go."""
    cdef ActorCall call = ActorCall.__new__(ActorCall)
    cdef Dependencies dependencies = None
    cdef Cursor cursor
    cdef uint32_t named = 0
    call.session = session
    call.header = task.header
    call.began = native.now()
    if task.header.sequence > session.last_begun:
        session.last_begun = task.header.sequence
    if task.header.name_bytes:
        call.task_name = task.name[:task.header.name_bytes].decode("utf-8", "replace")
    try:
        call.function = actor_function(session, task)
        dependencies = begin_arguments(session, task, &cursor)
        call.retry_on = decode_retries(task, &cursor)
        call.args = decode_positional(task, &cursor, dependencies, &named)
        if named != 0:
            call.kwargs = decode_named(&cursor, dependencies, named)
    except BaseException as error:
        if session.forked:
            end_forked_child(error)
        call.broken = error
        if call.function is None:
            call.function = (None, "?", None, False)
    end_record(session, task)
    return call


def end_feeding():
    """Lets `feed_calls` return: nothing more is taken. From any thread."""
    _session.worker.stop_tasks()


def feed_calls(Session session, start):
    """Gives each call to ``start(call)`` until the actor is to end; then its exit status."""
    cdef TaskView task
    cdef Next next
    cdef int64_t until
    cdef cbool waited = False
    while True:
        next = session.worker.next_task(&task, 0, &waited)
        if next == Next.kNothing:
            until = native.now() + 10 * SECOND
            with nogil:
                next = session.worker.next_task(&task, until, &waited)
        if next == Next.kTask:
            start(take_call(session, &task))
        elif next == Next.kShutdown:
            return _exit_status
        else:
            PyErr_CheckSignals()
            forget_functions(session.worker.forgotten())


@cython.final
cdef class LoopFeed:
    """What an event loop's selector calls instead of its own select: it takes calls between turns.

    Args of the constructor: the session; ``start(call)``; ``end()``, called once when the actor is to end;
    ``select(timeout)``, which sleeps on descriptors, `fds` among them.
    """

    cdef Session session
    cdef object start, end, base
    cdef Completions wakes
    cdef uint32_t since_forgetting

    def __init__(self, Session session not None, start, end, base):
        self.session = session
        self.start = start
        self.end = end
        self.base = base
        self.wakes = Completions()
        session.worker.enter_loop(self.wakes.queue)

    @property
    def fds(self):
        """Descriptors that end a sleep."""
        return self.session.worker.loop_fd(), self.wakes.fileno()

    def clear(self):
        """Called when one of `fds` was readable."""
        self.session.worker.read_wakes()
        self.wakes.take()

    def select(self, timeout=None):
        """Takes what has come; else sleeps until something comes, for `timeout` seconds at most."""
        cdef Next next
        cdef TaskView task
        if self.take() or (timeout is not None and timeout <= 0):
            return self.base(0)
        next = self.session.worker.poll_task(&task, Spin.kShort)
        if next == Next.kNothing:
            with nogil:
                next = self.session.worker.poll_task(&task, Spin.kWhole)
        if next == Next.kTask:
            self.start(take_call(self.session, &task))
            return self.base(0)
        if next == Next.kShutdown or not self.session.worker.loop_sleeps():
            return self.base(0)
        try:
            return self.base(timeout)
        finally:
            self.session.worker.loop_wakes()

    cdef bint take(self) except -1:
        """Starts the calls that are there; whether there were any, or the actor is to end."""
        cdef Next next
        cdef TaskView task
        cdef uint32_t taken = 0
        while taken < 256:
            next = self.session.worker.poll_task(&task, Spin.kNo)
            if next == Next.kNothing:
                break
            if next == Next.kShutdown:
                end = self.end
                self.end = None
                if end is not None:
                    end()
                return True
            self.start(take_call(self.session, &task))
            taken += 1
        self.since_forgetting += 1
        if self.since_forgetting == 256:
            self.since_forgetting = 0
            forget_functions(self.session.worker.forgotten())
        return taken != 0


def exit_status():
    """The status with which the process of this actor is to exit."""
    return _exit_status
