# _hot_actor: handles of actors and calling their methods. Part of _hot.pyx.
#
# `handle.method.remote(...)` costs what `f.remote(...)` does: the method is looked up once for each
# handle and kept in the handle's dict. A method refers to the actor and not to the handle, so there
# is no cycle, and an actor ends as soon as its last handle or method goes.

# ipc::TaskFlags
cdef enum:
    F_ACTOR_CALL = 8
    F_ACTOR_CREATION = 16
    F_ACTOR = 24


@cython.final
cdef class ActorRef:
    """An actor as its handles share it: its id, and the reference that keeps it alive.

    `ref` is None in a weak handle, which an actor has of itself: it does not keep the actor alive.
    """

    cdef ObjectRef ref
    cdef readonly uint64_t id
    cdef Session session
    cdef readonly object info  # bolide._actor_methods.ActorInfo


@cython.final
cdef class ActorHandle:
    """A handle to an actor: ``handle.method.remote(...)`` calls a method of it.

    Made by ``Class.remote(...)`` and `get_actor`; pass it to tasks and other actors. The actor ends
    when no handle is left, anywhere, after the calls that were submitted. Follows Ray's page
    "Actors".
    """

    cdef readonly ActorRef _ray_actor
    cdef dict __dict__
    cdef object __weakref__

    @classmethod
    def __class_getitem__(cls, item):
        return cls  # ActorHandle[...], in annotations

    def __init__(self):
        raise TypeError("an ActorHandle cannot be made by hand; Class.remote(...) returns one")

    def __getattr__(self, str name):
        index = self._ray_actor.info.index.get(name)
        if index is None:
            raise AttributeError(
                f"the actor {self._ray_actor.info.class_name!r} has no method {name!r}; only methods "
                "of its class can be reached through a handle"
            )
        method = make_method(self._ray_actor, index)
        setattr(self, name, method)
        return method

    def __dir__(self):
        return list(self._ray_actor.info.index)

    def __repr__(self):
        return f"Actor({self._ray_actor.info.class_name}, {self._ray_actor_id.hex()})"

    def __hash__(self):
        return <Py_hash_t> (self._ray_actor.id & 0x7fffffffffffffff)

    def __eq__(self, other):
        if type(other) is not ActorHandle:
            return NotImplemented
        cdef ActorRef that = (<ActorHandle> other)._ray_actor
        return self._ray_actor.id == that.id and self._ray_actor.session.id == that.session.id

    @property
    def _ray_actor_id(self):
        """The id of the actor, a bolide._ids.ActorID."""
        from ._ids import ActorID
        return ActorID.of(self._ray_actor.session.id, self._ray_actor.id)

    @property
    def _actor_id(self):
        return self._ray_actor_id

    def __reduce__(self):
        cdef ActorRef actor = self._ray_actor
        if actor.ref is None:
            return _rebuild_weak_handle, (actor.id, actor.session.id, actor.info.data)
        return _rebuild_handle, (actor.ref, actor.info.data)


cdef ActorHandle make_handle(ActorRef actor):
    cdef ActorHandle handle = ActorHandle.__new__(ActorHandle)
    handle._ray_actor = actor
    return handle


cdef ActorRef actor_of_ref(ObjectRef ref, object info):
    cdef ActorRef actor = ActorRef.__new__(ActorRef)
    actor.ref = ref
    actor.id = ref.entry.id.value
    actor.session = ref.session
    actor.info = info
    return actor


def _rebuild_handle(ObjectRef ref, bytes data):
    """Unpickles a handle."""
    from ._actor_methods import load_info
    return make_handle(actor_of_ref(ref, load_info(data)))


def _rebuild_weak_handle(uint64_t id, uint64_t session_id, bytes data):
    """Unpickles a handle that does not keep its actor alive. ValueError: it is of another session."""
    from ._actor_methods import load_info
    if _session is None or _session.id != session_id:
        raise ValueError(
            "an ActorHandle of another bolide session was unpickled; handles are valid only in the "
            "session that made them"
        )
    cdef ActorRef actor = ActorRef.__new__(ActorRef)
    actor.id = id
    actor.session = _session
    actor.info = load_info(data)
    return make_handle(actor)


@cython.final
cdef class ActorMethod:
    """A method of an actor: ``handle.method.remote(...)`` calls it there.

    `.options(...)` gives the same method with other options. Calling it directly is an error.
    """

    cdef ActorRef actor
    cdef readonly object _info      # bolide._actor_methods.MethodInfo
    cdef readonly dict _options     # of this and earlier .options()
    cdef uint64_t method            # ipc::method_index
    cdef uint32_t returns
    cdef uint32_t flags
    cdef int32_t max_retries
    cdef uint32_t stream_limit
    cdef bytes task_name
    cdef bytes retry_on
    cdef bint limited               # the actor has max_pending_calls
    cdef Py_ssize_t fewest, most

    def __init__(self):
        raise TypeError("an ActorMethod cannot be made by hand; it is an attribute of a handle")

    def __call__(self, *args, **kwargs):
        raise TypeError(
            "Actor methods cannot be called directly. Instead of running "
            f"'object.{self._info.name}()', try 'object.{self._info.name}.remote()'."
        )

    def __repr__(self):
        return f"ActorMethod({self._argument_subject(None)})"

    def options(self, **options):
        """The same method with other options, e.g. ``handle.f.options(num_returns=2).remote(...)``.

        Args:
            **options: num_returns, max_task_retries, retry_exceptions, concurrency_group, name,
                _generator_backpressure_num_objects.

        Returns:
            An ActorMethod.

        Raises:
            ValueError, TypeError: an option is unknown or its value out of range.
        """
        from ._actor_options import check_method_options
        checked = check_method_options(options, True)
        cdef ActorMethod changed = make_method(self.actor, self.method & 0xffffffff)
        changed.change({**self._options, **checked})
        return changed

    def _remote(self, args=(), kwargs=None, **options):
        """As ``.options(**options).remote(*args, **kwargs)``; libraries for Ray use it."""
        method = self.options(**options) if options else self
        return method.remote(*(args or ()), **(kwargs or {}))

    def bind(self, *args, **kwargs):
        """A node of a graph that calls this method when the graph is executed: see bolide.dag.

        Args:
            *args, **kwargs: as the method takes them; nodes among them stand for their values.

        Returns:
            A bolide.dag.ClassMethodNode.

        Follows Ray's page "ray.actor.ActorMethod.bind".
        """
        from .dag import ClassMethodNode
        return ClassMethodNode(self, args, kwargs)

    @property
    def _actor(self):
        """A handle of the actor."""
        return make_handle(self.actor)

    def __reduce__(self):
        return _rebuild_method, (make_handle(self.actor), self._info.name, self._options)

    @property
    def _actor_number(self):
        return self.actor.id

    def _check_arguments(self, args, kwargs):
        from ._actor_methods import check_call
        check_call(self._argument_subject(None), self._info.parameters, args, kwargs)

    def _fields(self):
        """As RemoteFunction._fields."""
        return self.returns, self.flags, self.max_retries, self.stream_limit, self.task_name, self.retry_on, self.method >> 32

    def _argument_subject(self, where):
        """How to name the method, or an argument of it, in a sentence."""
        name = f"{self.actor.info.class_name}.{self._info.name}"
        if where is None:
            return name
        if isinstance(where, int) and self._info.parameters and where < len(self._info.parameters):
            where = self._info.parameters[where][0]
        return f"argument {where!r} of {name!r}"

    cdef int change(self, dict options) except -1:
        """Sets what options say; they were checked."""
        info = self._info
        self._options = options
        returns = options.get("num_returns", info.num_returns)
        self.flags = F_ACTOR_CALL
        if isinstance(returns, str):
            returns = self.generator_returns(returns)
        self.returns = returns
        limit = options.get("_generator_backpressure_num_objects", info.stream_limit)
        self.stream_limit = max(0, limit if limit is not None else self.actor.info.stream_limit)
        retries = options.get("max_task_retries", info.max_task_retries)
        self.max_retries = self.actor.info.max_task_retries if retries is None else retries
        self.retry_on = info.retry
        if "retry_exceptions" in options:
            from ._retries import encode
            self.retry_on = encode(options["retry_exceptions"]) if options["retry_exceptions"] else None
        if self.retry_on is not None:
            self.flags |= F_RETRY_EXCEPTIONS
        self.task_name = options.get("name", "").encode("utf-8", "replace")
        group = options.get("concurrency_group", info.group)
        groups = self.actor.info.groups
        if group not in groups:
            raise ValueError(
                f"concurrency_group is {group!r}, but {self.actor.info.class_name!r} has "
                f"{', '.join(map(repr, groups[1:])) or 'none'}; define it with "
                "@remote(concurrency_groups={...})."
            )
        self.method = <uint64_t> groups.index(group) << 32 | (self.method & 0xffffffff)
        return 0

    cdef object generator_returns(self, str returns):
        if not self._info.generator:
            raise ValueError(
                f"num_returns='{returns}' can only be used with generator functions (functions that "
                f"use 'yield'), but {self._argument_subject(None)!r} is not one."
            )
        self.flags |= F_DYNAMIC if returns == "dynamic" else F_STREAMING
        return 1


cdef ActorMethod make_method(ActorRef actor, uint64_t index):
    cdef ActorMethod method = ActorMethod.__new__(ActorMethod)
    method.actor = actor
    method._info = actor.info.methods[index]
    method.method = index
    method.fewest = method._info.fewest
    method.most = method._info.most
    method.limited = actor.info.max_pending_calls >= 0
    method.change({})
    return method


def _rebuild_method(ActorHandle handle, str name, dict options):
    method = getattr(handle, name)
    return method.options(**options) if options else method


cdef object call_method(ActorMethod self, PyObject** args, Py_ssize_t n, PyObject* names):
    """`handle.method.remote`, by the vectorcall convention."""
    cdef Session session = _session
    if session is not self.actor.session or not session.submits:
        if session is not self.actor.session or not session.alive:
            raise_closed(self.actor.session)
        if session.engine is not None:
            return call_by_engine(session, self, args, n, names)
    cdef Py_ssize_t named = 0 if names == NULL else PyTuple_GET_SIZE(<object> names)
    if named != 0 or n < self.fewest or n > self.most:
        check_arguments(self, args, n, names)
    if self.limited and session.worker != NULL:
        check_pending(self, session)

    cdef Encoder encoder = take_encoder()
    cdef SubmitRequest request
    cdef ObjectEntry* first
    cdef Py_ssize_t i
    try:
        if self.retry_on is not None:
            encode_retries(encoder, self.retry_on)
        encode_arguments(encoder, session, self, args, n, names)
        request.function = self.actor.id
        request.scheduling_class = self.method
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
        request.stream_limit = self.stream_limit
        if _actor_runner is not None:
            request.caller = current_call(session)
        first = native.submit(session.client, request)
        if first == NULL and native.last_code() != Code.kOk:
            raise core_error()
    finally:
        give_encoder(encoder)
    if session.sites and first != NULL:
        note_site(session, first, self.returns, f"{self._argument_subject(None)}.remote()")
    if self.flags & F_STREAMING:
        return make_generator(session, first)
    if self.returns == 1:
        return make_ref(session, first)
    return make_refs(session, first, self.returns)


cdef object actor_method_remote(PyObject* self, PyObject** args, Py_ssize_t n, PyObject* names):
    return call_method(<ActorMethod> self, args, n, names)


cdef PyMethodDef _actor_method_remote = PyMethodDef(
    "remote", <PyCFunction> <void*> actor_method_remote, METH_FASTCALL | METH_KEYWORDS,
    "remote(*args, **kwargs)\n"
    "\n"
    "Submits one call of the method to its actor and returns its ObjectRef at once.\n"
    "\n"
    "Args:\n"
    "    *args, **kwargs: as the method takes them. An ObjectRef among them is replaced by its\n"
    "        value; one nested in a list or another object stays a reference.\n"
    "\n"
    "Returns:\n"
    "    An ObjectRef; a list of them for ``num_returns > 1``; None for ``num_returns=0``; an\n"
    "    ObjectRefGenerator for a generator method.\n"
    "\n"
    "Raises:\n"
    "    TypeError: the arguments do not fit the method, or one cannot be sent to a worker.\n"
    "    PendingCallsLimitExceeded: as many calls wait as the actor's max_pending_calls allows.\n"
)
(<dict> (<PyTypeObject*> ActorMethod).tp_dict)["remote"] = PyDescr_NewMethod(
    <PyTypeObject*> ActorMethod, &_actor_method_remote
)
PyType_Modified(<PyTypeObject*> ActorMethod)
