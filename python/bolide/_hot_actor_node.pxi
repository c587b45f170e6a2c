# _hot_actor_node: making, finding and killing actors: what is asked of the node. Part of _hot.pyx.

# ipc::ValueFlags, ipc::QueryKind
cdef enum:
    V_ACTOR = 8
    Q_FIND_ACTOR = 1
    Q_NAMED_ACTORS = 2
    Q_PENDING_CALLS = 3
    Q_RESOURCES = 4
    Q_ASSIGNED = 5
    Q_NOTE_MEASURES = 9
    Q_MEASURES = 10


def create_actor(bytes value, ObjectRef cls not None, info, tuple scheduling_class, tuple need, tuple kept, place, object spec, tuple args, dict kwargs, subject):
    """Declares an actor and submits its constructor; its ActorHandle.

    Args:
        value: of the actor's object (bolide._actor_methods.encode_actor).
        cls: the exported class.
        info: the ActorInfo of `value`.
        scheduling_class: its class, and the key and description of the environment of that.
        need, kept, place: what the class needs, and where.
        spec: what the worker must know, sent before the arguments of the constructor.
        args, kwargs: of the constructor.
        subject: an object whose _argument_subject names the arguments in errors.
    """
    cdef Session session = need_session()
    if session.engine is not None:
        arguments = session.engine.arguments(args, kwargs, subject)
        handle = make_handle(actor_of_ref(put_special(session, value, [cls], V_ACTOR), info))
        session.engine.create_actor(handle, cls, value, spec, arguments)
        return handle
    cdef Encoder encoder = take_encoder()
    cdef SubmitRequest request
    cdef ObjectRef ref
    cdef tuple names = tuple(kwargs)
    cdef tuple all_args = (*args, *kwargs.values())
    cdef vector[PyObject*] pointers
    for item in all_args:
        pointers.push_back(<PyObject*> item)
    cdef uint64_t class_key, environment
    class_key, environment, description = scheduling_class
    group, bundle = place_numbers(session, place)
    if not native.define_actor_class(session.client, class_key, quantities(need), quantities(kept), environment, description, group, bundle):
        raise core_error()
    try:
        encoder.encode_value(spec, "the description of an actor")
        encoder.join_parts(0)
        encode_arguments(encoder, session, subject, pointers.data(), len(args), <PyObject*> names)
        ref = put_special(session, value, [cls], V_ACTOR)
        request.function = ref.entry.id.value
        request.scheduling_class = class_key
        request.dependencies = encoder.dependencies.data()
        request.contained = encoder.contained.data()
        request.arguments = <const byte_t*> encoder.data
        request.argument_bytes = <uint32_t> encoder.size
        request.dependency_count = <uint32_t> encoder.dependencies.size()
        request.contained_count = <uint32_t> encoder.contained.size()
        request.name = ""
        request.name_bytes = 0
        request.returns = 0
        request.max_retries = 0
        request.flags = F_ACTOR_CREATION | session.trace
        if place is not None and place.captures:
            request.flags |= F_CAPTURES
        native.submit(session.client, request)
        if native.last_code() != Code.kOk:
            raise core_error()
    finally:
        give_encoder(encoder)
    return make_handle(actor_of_ref(ref, info))


cdef vector[pair[string, int64_t]] quantities(tuple need):
    """What has to be counted of a need on this node."""
    from ._job import current
    from ._labels import without_those_that_fit
    cdef vector[pair[string, int64_t]] made
    cdef pair[string, int64_t] entry
    for name, amount in without_those_that_fit(need, current):
        entry.first = name.encode()
        entry.second = amount
        made.push_back(entry)
    return made


cdef tuple ask_node(Session session, uint32_t kind, bytes text):
    """The node's answer to a question: its bytes, and the ObjectRef of the answer."""
    cdef ObjectEntry* entry = native.query(session.client, kind, PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text))
    if entry == NULL:
        raise core_error()
    cdef ObjectRef ref = make_ref(session, entry)
    if not entry.ready():
        wait_entries(session, &entry, 1, 1, FOREVER, False)
    cdef ValueBytes value = ObjectTable.inline_value(entry)
    return PyBytes_FromStringAndSize(<const char*> value.data, value.size), ref


def note_measures(bytes changes):
    """Sends changes of measures to the node (cpp/node/measures.h); does not wait for it."""
    cdef Session session = need_session()
    cdef ObjectEntry* entry = native.query(session.client, Q_NOTE_MEASURES, PyBytes_AS_STRING(changes), PyBytes_GET_SIZE(changes))
    if entry == NULL:
        raise core_error()
    make_ref(session, entry)  # dropped at once, and the answer with it


def told(uint32_t kind):
    """What there is now of tasks, actors or workers: the node's answer, packed."""
    return ask_node(need_session(), kind, b"")[0]


def measures():
    """All measures: their packed answer."""
    return ask_node(need_session(), Q_MEASURES, b"")[0]


def find_actor(bytes key):
    """The handle of the living actor with that key of a name, or None."""
    cdef Session session = need_session()
    cdef ObjectId id
    cdef ObjectRef ref
    answer, holder = ask_node(session, Q_FIND_ACTOR, key)
    if not answer:
        return None
    memcpy(&id.value, PyBytes_AS_STRING(answer), 8)
    ref = ref_of_id(id)  # while the answer is held, and with it the actor
    return make_handle(actor_of_ref(ref, read_info(session, ref)))


cdef object read_info(Session session, ObjectRef ref):
    """The ActorInfo in the value of an actor's object."""
    from ._actor_methods import decode_actor
    cdef ObjectEntry* entry = ref.entry
    cdef ValueBytes value
    if not entry.ready():
        native.ask(session.client, &entry, 1, True)
        wait_entries(session, &entry, 1, 1, FOREVER, False)
    if entry.holding != Holding.kStored:
        value = ObjectTable.inline_value(entry)
        return decode_actor(PyBytes_FromStringAndSize(<const char*> value.data, value.size))
    pin_value(ref)
    try:
        value.data = session.client.resolve(entry.where)
        if value.data == NULL:
            raise lost(ref)
        return decode_actor(PyBytes_FromStringAndSize(<const char*> value.data, entry.where.size))
    finally:
        entry.presence.unpin()


def actor_names():
    """The keys of all names of living actors."""
    cdef list keys = []
    cdef uint32_t length
    cdef Py_ssize_t at = 0
    answer, _ = ask_node(need_session(), Q_NAMED_ACTORS, b"")
    while at < len(answer):
        memcpy(&length, PyBytes_AS_STRING(answer) + at, 4)
        keys.append(answer[at + 4 : at + 4 + length])
        at += 4 + length
    return keys


def kill_actor(ActorHandle handle not None, bint no_restart):
    """Ends the process of an actor at once."""
    cdef ActorRef actor = handle._ray_actor
    if actor.session is not _session or not actor.session.alive:
        raise_closed(actor.session)
    if actor.session.engine is not None:
        actor.session.engine.kill(actor.id, no_restart)
        return
    if not native.kill_actor(actor.session.client, actor.id, no_restart):
        raise core_error()


cdef int check_pending(ActorMethod self, Session session) except -1:
    """In a worker the node counts the calls that are pending, so it is asked."""
    cdef uint64_t id = self.actor.id
    cdef uint64_t count
    answer, _ = ask_node(session, Q_PENDING_CALLS, (<char*> &id)[:8])
    memcpy(&count, PyBytes_AS_STRING(answer), 8)
    if count >= <uint64_t> self.actor.info.max_pending_calls:
        from .exceptions import PendingCallsLimitExceeded
        raise PendingCallsLimitExceeded(
            f"The actor {self.actor.info.class_name!r} has {count} pending calls of this process, as "
            f"many as max_pending_calls allows, so {self._info.name!r} was not submitted. Get some of "
            "their results first, or raise the limit."
        )
    return 0
