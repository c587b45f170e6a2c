# _hot_refs: what this process holds of the runtime. Part of _hot.pyx.
#
# Invariants
#   1. There is one ObjectRef for each object in a process (entry.handle names it), so wait() can
#      tell duplicates by a mark, and one reference of the entry stands for it.
#   2. Marks grow: those of a session are from its first_mark to its wait_mark, and no two sessions
#      share one, so one comparison tells wait() that a reference is of this session and new to it.
#   3. After a session is closed or the process forked, releasing is a no-op.


cdef uint64_t _next_first_mark = 1 << 40


@cython.final
cdef class Session:
    """One runtime, as seen by this process: a client of a node, and what the hot path caches.

    `owner` keeps the C++ object alive (a bolide._core.Node or WorkerClient); references keep the
    session, so entries stay valid as long as anybody holds one, also after shutdown.
    """

    cdef Client* client
    cdef WorkerClient* worker  # in a worker process, else NULL
    cdef object owner
    cdef readonly bint alive
    cdef bint submits            # it is alive, and calls become tasks of the client, as they are
    cdef uint32_t capturing      # tasks that run here whose children go into their placement group
    cdef readonly object engine  # bolide.engines.Engine that runs calls instead, or None
    cdef readonly bint forked
    cdef readonly uint64_t id
    cdef uint64_t inline_limit
    cdef uint64_t first_mark
    cdef uint64_t wait_mark      # of the last wait()
    cdef unsigned long task_thread  # ident of the thread that runs tasks (workers)
    cdef uint32_t running        # depth of tasks on that thread
    cdef public object function  # of the task that runs: (callable, name, ...), or None
    cdef public object task_name # what the option `name` says, or None
    cdef uint32_t trace          # F_TRACED while it is recorded when tasks run, else 0
    cdef bint sites              # the node is told where objects are made
    cdef uint64_t task_id        # in a worker: of the task that runs, or 0
    cdef uint64_t current        # in a worker: sequence of the task that an interrupt may end, or 0
    cdef uint64_t last_begun     # the newest sequence that was `current`
    cdef uint64_t interrupted    # the newest sequence that was interrupted
    cdef set pending_interrupts  # of tasks under the one that runs, or None

    def __cinit__(self, owner, bint is_worker=False):
        self.owner = owner
        cdef uintptr_t address = owner.address()
        if is_worker:
            self.worker = <WorkerClient*> address
            self.client = <Client*> self.worker
        else:
            self.client = <Client*> address
        self.alive = self.submits = True
        self.id = self.client.session()
        self.inline_limit = self.client.inline_limit()
        global _next_first_mark
        self.first_mark = self.wait_mark = _next_first_mark
        _next_first_mark += 1 << 40

    def record_tasks(self, bint wanted):
        """Whether it is recorded when tasks run that are called from now on, and what they call."""
        self.trace = F_TRACED if wanted else 0

    def note_sites(self, bint wanted):
        """Whether the node is told where in the program objects are made from now on."""
        self.sites = wanted

    def use_engine(self, engine):
        """From now on calls are run by `engine`; objects stay with the client."""
        self.engine = engine
        self.submits = False

    @property
    def is_worker(self):
        return self.worker != NULL

    def close(self):
        """After this, calls that use the session raise; references and views stay readable."""
        self.alive = self.submits = False

    def mark_forked(self):
        """This is a copy in a forked child: nothing of it may be used, nor taken down."""
        self.alive = self.submits = False
        self.forked = True
        Py_INCREF(self.owner)  # its destructor would unmap what this process does not have


cdef Session _session = None


def current_session():
    """The session of this process or None."""
    return _session


def set_session(Session session):
    """Makes `session` (or None) the one that calls use."""
    global _session
    _session = session


def park_waiting_threads():
    """At interpreter exit: threads that wait in the core stay there and end with the process."""
    native.park_waiting_threads()


def park_unless_main():
    """At interpreter exit: a daemon thread that comes here stays and ends with the process."""
    with nogil:
        native.park_if_exiting()


cdef Session need_session():
    """The live session, made by auto-init on first use."""
    if _session is None or not _session.alive:
        _auto_init(_session)
    return _session


cdef object core_error():
    """The exception for the core's last failed call in this thread."""
    return _make_system_error(<int> native.last_code(), native.last_message())


JOB = b"\x01\0\0\0"  # a session has one job


cdef bytes id_bytes(Session session, uint64_t id):
    """What Ray calls the id of a task: 24 bytes, session (8), object (12), job (4)."""
    return int(session.id).to_bytes(8, "big") + int(id).to_bytes(12, "big") + JOB


@cython.final
@cython.no_gc
@cython.freelist(1024)
cdef class ObjectRef:
    """A reference to the result of a task or to an object that was put.

    Made by `f.remote(...)` and `put(...)`; pass it to `get`, `wait` or another task. It is
    hashable, comparable, awaitable and small; the object lives as long as one reference to it
    does, anywhere. Follows Ray's page "Objects".
    """

    cdef ObjectEntry* entry
    cdef Session session
    cdef uint64_t mark  # the last wait() that saw it

    @classmethod
    def __class_getitem__(cls, item):
        return cls  # ObjectRef[...], in annotations

    def __init__(self):
        raise TypeError(
            "an ObjectRef cannot be made by hand; f.remote(...) and bolide.put(...) return them"
        )

    def __dealloc__(self):
        if self.entry == NULL or self.session.forked:
            return
        self.entry.handle = NULL
        self.session.client.release(self.entry)

    def __hash__(self):
        return <Py_hash_t> (self.entry.id.value & 0x7fffffffffffffff)

    def __eq__(self, other):
        if not isinstance(other, ObjectRef):
            return NotImplemented
        cdef ObjectRef that = <ObjectRef> other
        return self.entry.id.value == that.entry.id.value and self.session.id == that.session.id

    def __repr__(self):
        return f"ObjectRef({self.hex()})"

    def binary(self):
        """The id as 28 bytes: session (8), object (12), job (4), and 4 that are the same for all."""
        return id_bytes(self.session, self.entry.id.value) + b"\x01\0\0\0"

    def hex(self):
        """The id as 56 hexadecimal digits."""
        return self.binary().hex()

    @property
    def _id(self):
        return self.entry.id.value

    def task_id(self):
        """The id of the task whose first return this is; of other objects, one of their own."""
        from ._ids import TaskID
        return TaskID(id_bytes(self.session, self.entry.id.value))

    def job_id(self):
        """The id of the job, of which a session has one."""
        from ._ids import JobID
        return JobID(JOB)

    def owner_address(self):
        """Empty: objects belong to the node, which is in the driver's process."""
        return b""

    def call_site(self):
        """Empty: with BOLIDE_RECORD_REF_CREATION_SITES=on errors say where an object was made."""
        return ""

    def tensor_transport(self):
        """None: tensors travel as other values do."""

    def _on_completed(self, callback):
        """Calls ``callback(value)`` when there is one, with the exception if it is that."""
        from ._futures import on_completed
        on_completed(self, callback)

    def is_ready(self):
        """True when `get` would return at once in the process that owns the node."""
        return self.entry.ready()

    def __reduce__(self):
        return _rebuild_ref, note_pickled(self)

    def __await__(self):
        from ._futures import await_ref
        return await_ref(self).__await__()

    def future(self):
        """A concurrent.futures.Future that gets this object's value or error."""
        from ._futures import future_of
        return future_of(self)

    def as_future(self):
        """An asyncio future of the running loop that gets this object's value or error."""
        from ._futures import asyncio_future_of
        return asyncio_future_of(self)


cdef ObjectRef make_ref(Session session, ObjectEntry* entry):
    """The ObjectRef of an entry that carries one reference for us."""
    cdef ObjectRef ref
    if entry.handle != NULL:
        session.client.release(entry)
        return <ObjectRef> <object> (<PyObject*> entry.handle)
    ref = ObjectRef.__new__(ObjectRef)
    ref.entry = entry
    ref.session = session
    ref.mark = session.first_mark
    entry.handle = <void*> ref
    return ref


def _rebuild_ref(uint64_t id, uint64_t session_id):
    """Unpickles a reference. Raises ValueError for one of another session."""
    cdef Session session = _session
    cdef ObjectId object_id
    if session is None or session.id != session_id:
        raise ValueError(
            "an ObjectRef of another bolide session was unpickled; references are valid only in "
            "the session that made them"
        )
    object_id.value = id
    cdef ObjectEntry* entry = session.client.acquire(object_id)
    if entry == NULL:
        from .exceptions import ReferenceCountingAssertionError
        raise ReferenceCountingAssertionError(
            f"the object {id:016x} is gone: all references to it were dropped before this one "
            "was unpickled; keep a reference while copies of it travel outside bolide"
        )
    return make_ref(session, entry)


cdef list _pinned = []   # references that were pickled outside bolide: valid for the whole job
cdef bint _warned_pinned = False


cdef tuple note_pickled(ObjectRef ref):
    """Records in the running encoder that its value contains `ref`; gives what to pickle."""
    global _warned_pinned
    cdef void* slot = native.encoder_slot()[0]
    cdef Encoder encoder
    if slot != NULL:
        if ref.session is not _session:
            raise foreign_ref(ref)
        encoder = <Encoder> <object> (<PyObject*> slot)
        encoder.contained.push_back(ref.entry.id.value)
        encoder.keep(ref)  # it may exist only while this value is pickled
    else:
        _pinned.append(ref)
        if not _warned_pinned:
            _warned_pinned = True
            import warnings
            warnings.warn(
                f"{ref!r} was pickled outside bolide (by pickle or cloudpickle itself); its "
                "object is kept until shutdown, because bolide cannot know when the copy is used",
                RuntimeWarning,
                stacklevel=3,
            )
    return (ref.entry.id.value, ref.session.id)


def drop_pinned():
    """Forgets the references that were pickled outside bolide (at shutdown)."""
    global _warned_pinned
    _pinned.clear()
    _warned_pinned = False


@cython.final
@cython.no_gc
cdef class View:
    """A read-only buffer over a stored object's bytes; keeps the object, its place and its mapping."""

    cdef const byte_t* data
    cdef uint64_t size
    cdef ObjectRef ref
    cdef uintptr_t held  # where its object begins, if it is listed as a holder of memory

    def __dealloc__(self):
        if self.held != 0:
            native.g_held.remove(self.held, <void*> self)
        if self.ref is not None and not self.ref.session.forked:
            self.ref.session.client.views().unpin(self.ref.entry.where.chunk)
            self.ref.entry.presence.unpin()

    def __getbuffer__(self, Py_buffer* buffer, int flags):
        if flags & PyBUF_WRITABLE:
            raise BufferError(
                "objects in the store are read-only, because other processes see them too; "
                "copy the array first: array = array.copy()"
            )
        PyBuffer_FillInfo(buffer, self, <void*> self.data, self.size, 1, flags)


cdef View make_view(ObjectRef ref, const uint8_t* begin, uint64_t offset, uint64_t size):
    """A view of some bytes of a stored object that is pinned and begins at `begin` in this process."""
    cdef View view = View.__new__(View)
    cdef uint64_t whole = ref.entry.where.size
    if offset > whole or size > whole - offset:
        raise corrupt_value()
    view.data = <const byte_t*> begin + offset
    view.size = size
    if not ref.session.client.views().pin(ref.entry.where.chunk):
        raise lost(ref)
    ref.entry.presence.pin()
    view.ref = ref
    if whole >= RESIDENT_FROM:
        view.held = <uintptr_t> begin
        native.g_held.add(view.held, view.held + whole, <void*> view)
    return view
