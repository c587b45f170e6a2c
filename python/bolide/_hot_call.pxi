# _hot_call: calling a remote function. Part of _hot.pyx.
#
# f.remote(...) encodes the arguments, hands the task to the client and returns references. All
# that is the same for every call of a function is worked out once, in __cinit__ or on export.


# ipc::TaskFlags
cdef enum:
    F_RETRY_EXCEPTIONS = 2
    F_STREAMING = 4
    F_TRACED = 32
    F_DYNAMIC = 64
    F_NEW_DEVICES = 256
    F_CAPTURES = 512

cdef uint64_t _loading_id = 0  # in a worker: the function whose pickle is being read


@cython.final
cdef class Exported:
    """A function as the runtime knows it: its object in the current session, made on first call.

    `ref` is that object's reference. It is None for a function's handle to itself inside its own
    code (recursion): that one is valid because the running task holds the function, and holding it
    itself would keep it alive for ever.
    """

    cdef readonly object function  # None in a worker that only has a handle
    cdef readonly str name
    cdef readonly bint generator      # a function that yields
    cdef readonly uint32_t max_calls  # after which its worker ends; 0: never
    cdef uint64_t id
    cdef ObjectRef ref
    cdef Session session

    def __init__(self, function, str name, bint generator=False, uint32_t max_calls=0):
        self.function = function
        self.name = name
        self.generator = generator
        self.max_calls = max_calls

    @staticmethod
    def of_ref(ObjectRef ref not None, str name, bint generator):
        """The handle to a function that another process exported."""
        cdef Exported self = Exported(None, name, generator)
        self.ref = ref
        self.id = ref.entry.id.value
        self.session = ref.session
        return self

    @staticmethod
    def of_itself(str name, bint generator):
        """The handle of a function to itself, made while its pickle is being read in a worker."""
        cdef Exported self = Exported(None, name, generator)
        self.id = _loading_id
        self.session = _session
        return self

    def reference(self):
        """The ObjectRef of the function's object in the current session."""
        cdef ObjectId id
        cdef Session session = need_session()
        id.value = self.ensure(session)
        return self.ref if self.ref is not None else ref_of_id(id)

    cdef uint64_t ensure(self, Session session) except 0:
        if self.session is session:
            return self.id
        if self.function is None:
            raise_closed(session)
        from ._export import export_function
        self.ref = export_function(self)
        self.id = self.ref.entry.id.value
        self.session = session
        return self.id


def put_function(bytes value, list contained_refs):
    """Puts an exported function, as bolide._export encodes it; its ObjectRef."""
    return put_special(need_session(), value, contained_refs, 4)


cdef ObjectRef put_special(Session session, bytes value, list contained_refs, uint8_t flags):
    """Puts bytes that the node reads too, as the ipc::ValueFlags say; their ObjectRef."""
    cdef vector[uint64_t] contained
    cdef Slot slot
    cdef ObjectEntry* entry
    cdef ObjectRef ref
    cdef const uint8_t* data = <const uint8_t*> PyBytes_AS_STRING(value)
    for item in contained_refs:
        ref = item
        contained.push_back(ref.entry.id.value)
    if <uint64_t> len(value) <= session.inline_limit:
        entry = native.put_inline(session.client, data, len(value), contained, flags)
    else:
        reserve_slot(session, len(value), &slot)
        copy_released(<uint8_t*> slot.data, data, len(value), slot.untouched)
        entry = native.put_stored(session.client, slot, contained, flags, False)
    if entry == NULL:
        raise core_error()
    return make_ref(session, entry)


def pickle_collecting(function):
    """Pickles with `function(encoder_restart)`; gives its result and the references it contained."""
    cdef Encoder encoder = take_encoder()
    cdef void** slot = native.encoder_slot()
    cdef void* outer = slot[0]
    cdef list refs = []
    cdef size_t i
    cdef ObjectId id
    slot[0] = <void*> encoder
    try:
        result = function(lambda: forget_contained(encoder))
        for i in range(encoder.contained.size()):
            id.value = encoder.contained[i]
            refs.append(ref_of_id(id))
    finally:
        slot[0] = outer
        give_encoder(encoder)
    return result, refs


cdef object forget_contained(Encoder encoder):
    encoder.contained.clear()


cdef ObjectRef ref_of_id(ObjectId id):
    cdef ObjectEntry* entry = _session.client.acquire(id)
    if entry == NULL:
        raise corrupt_value()
    return make_ref(_session, entry)


@cython.final
cdef class RemoteFunction:
    """A function that runs in a worker when called as `f.remote(...)`.

    Made by `@remote`; `.options(...)` gives one with other options. Calling it directly is an
    error, as in Ray. Follows Ray's page "Tasks".
    """

    cdef readonly Exported exported
    cdef readonly object _options         # bolide._options.TaskOptions
    cdef readonly object _make            # (exported, options) -> RemoteFunction
    cdef uint32_t returns
    cdef uint32_t flags
    cdef int32_t max_retries
    cdef uint32_t stream_limit
    cdef uint64_t scheduling_class
    cdef bytes task_name
    cdef Session class_session
    cdef readonly Py_ssize_t fewest, most  # positional arguments that need no closer look
    cdef dict __dict__

    @classmethod
    def __class_getitem__(cls, item):
        return cls  # RemoteFunction[...], in annotations

    def __init__(self, Exported exported, options, uint64_t scheduling_class, bounds):
        self.exported = exported
        self._options = options
        num_returns = options.num_returns
        if num_returns is None:
            num_returns = "streaming" if exported.generator else 1
        if num_returns == "streaming":
            self.returns = 1
            self.flags = F_STREAMING
            self.stream_limit = options.stream_limit
        elif num_returns == "dynamic":
            self.returns = 1
            self.flags = F_DYNAMIC
        else:
            self.returns = num_returns
        if options.retry_exceptions:
            self.flags |= F_RETRY_EXCEPTIONS
        if options.place is not None and options.place.captures:
            self.flags |= F_CAPTURES
        self.max_retries = options.max_retries
        self.scheduling_class = scheduling_class
        self.task_name = b"" if options.name is None else options.name.encode("utf-8", "replace")
        self.fewest, self.most = bounds

    @property
    def _function(self):
        return self.exported.function

    def __call__(self, *args, **kwargs):
        raise TypeError(
            f"Remote functions cannot be called directly. Instead of running '{self.exported.name}()', "
            f"try '{self.exported.name}.remote()'."
        )

    def __repr__(self):
        return f"RemoteFunction({self.exported.name})"

    def options(self, **options):
        """The same function with other options, e.g. ``f.options(num_returns=2).remote(...)``.

        Args:
            **options: those of ``@remote``; they override the decorator's one by one.

        Returns:
            A RemoteFunction.

        Raises:
            ValueError, TypeError: an option is unknown or its value out of range.
        """
        from ._remote import with_options
        return with_options(self, options)

    def bind(self, *args, **kwargs):
        """A node of a graph that calls this function when the graph is executed: see bolide.dag.

        Args:
            *args, **kwargs: as the function takes them; nodes among them stand for their values.

        Returns:
            A bolide.dag.FunctionNode.

        Follows Ray's page "Lazy Computation Graphs with the Ray DAG API".
        """
        from .dag import FunctionNode
        return FunctionNode(self, args, kwargs)

    def _check_arguments(self, args, kwargs):
        from ._export import check_signature
        check_signature(self.exported.function, self.exported.name, args, kwargs)

    def _fields(self):
        """For engines: (returns, flags, max_retries, stream_limit, name, classes to retry after, index of the group)."""
        retry_on = self._options.retry_classes() if self.flags & F_RETRY_EXCEPTIONS else None
        return self.returns, self.flags, self.max_retries, self.stream_limit, self.task_name, retry_on, 0

    def _argument_subject(self, where):
        """How to name an argument in a sentence."""
        from ._export import argument_subject
        return argument_subject(self.exported.function, self.exported.name, where)

    def __reduce__(self):
        from ._export import reduce_remote_function
        return reduce_remote_function(self)


cdef object call_remote(RemoteFunction self, PyObject** args, Py_ssize_t n, PyObject* names):
    """`f.remote`, by the vectorcall convention: `n` positional arguments, then those of `names`."""
    cdef Session session = _session
    if session is None or not session.submits:
        session = need_session()
        if session.engine is not None:
            return call_by_engine(session, self, args, n, names)
        if session.capturing != 0:
            self = captured(self, self._options)
    cdef uint64_t function = self.exported.ensure(session)
    cdef Py_ssize_t named = 0 if names == NULL else PyTuple_GET_SIZE(<object> names)
    if named != 0 or n < self.fewest or n > self.most:
        check_arguments(self, args, n, names)
    if self.scheduling_class != 0 and self.class_session is not session:
        define_class(self, session)

    cdef Encoder encoder = take_encoder()
    cdef SubmitRequest request
    cdef ObjectEntry* first
    cdef Py_ssize_t i
    try:
        if self.flags & F_RETRY_EXCEPTIONS:
            encode_retries(encoder, self._options.retry_classes())
        encoder.put_u32(<uint32_t> n)
        encoder.put_u32(<uint32_t> named)
        for i in range(n):
            encode_argument(encoder, session, <object> args[i], self, i)
        for i in range(named):
            key = <object> PyTuple_GET_ITEM(<object> names, i)
            encoder.encode_plain(key, 0)
            encode_argument(encoder, session, <object> args[n + i], self, key)
        request.function = function
        request.scheduling_class = self.scheduling_class
        request.dependencies = encoder.dependencies.data()
        request.contained = encoder.contained.data()
        request.arguments = <const byte_t*> encoder.data
        request.argument_bytes = <uint32_t> encoder.size
        request.dependency_count = <uint32_t> encoder.dependencies.size()
        request.contained_count = <uint32_t> encoder.contained.size()
        request.name = PyBytes_AS_STRING(self.task_name)
        request.name_bytes = <uint32_t> PyBytes_GET_SIZE(self.task_name)
        request.returns = self.returns
        request.max_retries = self.max_retries
        request.flags = self.flags | session.trace
        if _actor_runner is not None:
            request.caller = current_call(session)
        request.stream_limit = self.stream_limit
        first = native.submit(session.client, request)
        if first == NULL and native.last_code() != Code.kOk:
            raise core_error()
    finally:
        give_encoder(encoder)
    if session.sites and first != NULL:
        note_site(session, first, self.returns, f"{self.exported.name}.remote()")
    if self.flags & F_STREAMING:
        return make_generator(session, first)
    if self.returns == 1:
        return make_ref(session, first)
    return make_refs(session, first, self.returns)


cdef object remote_method(PyObject* self, PyObject** args, Py_ssize_t n, PyObject* names):
    return call_remote(<RemoteFunction> self, args, n, names)


# Cython makes a tuple and a dict for *args and **kwargs; a method by the vectorcall convention
# costs neither. So `remote` is added to the class by hand.
cdef PyMethodDef _remote_method = PyMethodDef(
    "remote", <PyCFunction> <void*> remote_method, METH_FASTCALL | METH_KEYWORDS,
    "remote(*args, **kwargs)\n"
    "\n"
    "Submits one call and returns its ObjectRef at once.\n"
    "\n"
    "Args:\n"
    "    *args, **kwargs: as the function takes them. An ObjectRef among them is replaced by its\n"
    "        value; one nested in a list or another object stays a reference.\n"
    "\n"
    "Returns:\n"
    "    An ObjectRef; a list of them for ``num_returns > 1``; None for ``num_returns=0``; an\n"
    "    ObjectRefGenerator for a generator function.\n"
    "\n"
    "Raises:\n"
    "    TypeError: the arguments do not fit the function, or one cannot be sent to a worker.\n"
)
(<dict> (<PyTypeObject*> RemoteFunction).tp_dict)["remote"] = PyDescr_NewMethod(
    <PyTypeObject*> RemoteFunction, &_remote_method
)
PyType_Modified(<PyTypeObject*> RemoteFunction)


cdef int encode_retries(Encoder encoder, bytes classes) except -1:
    """What the arguments of a task with retry_exceptions begin with: see bolide._retries."""
    encoder.put_tag(T_BYTES)
    encoder.put_i64(PyBytes_GET_SIZE(classes))
    return encoder.put_bytes(PyBytes_AS_STRING(classes), PyBytes_GET_SIZE(classes))


cdef object make_refs(Session session, ObjectEntry* first, uint32_t count):
    if count == 0:
        return None
    cdef ObjectId id = first.id
    cdef uint64_t base = id.value
    cdef list refs = []
    cdef uint32_t i
    for i in range(count):
        id.value = base + i
        refs.append(make_ref(session, session.client.find(id)))
    return refs


cdef object foreign_ref(ObjectRef ref):
    return ValueError(
        f"{ref!r} belongs to a bolide session that was shut down; references are valid only in "
        "the session that made them"
    )


cdef int define_class(RemoteFunction self, Session session) except -1:
    # Which class it is depends on the session if the function has a runtime environment.
    from ._remote import class_in_session
    cdef uint64_t environment
    self.scheduling_class, environment, description = class_in_session(self._options)
    group, bundle = place_numbers(session, self._options.place)
    if not native.define_class(session.client, self.scheduling_class, quantities(self._options.resources), environment, description, group, bundle):
        raise core_error()
    self.class_session = session
    return 0
