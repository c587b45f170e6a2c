# _hot_cancel: cancelling tasks, and in a worker being interrupted. Part of _hot.pyx.
#
# Thread safety: the handler of a signal runs on the main thread of the worker, between two byte
# codes of Python and never in the core, so it may call the core. It raises only while `current`
# says that the code below it is the task's; cpp/ipc/interrupt.h tells the rest.


def cancel_object(ObjectRef ref not None, bint force, bint recursive):
    """Ends the task that makes the object of `ref`: see bolide.cancel."""
    if ref.session is not _session or not ref.session.alive:
        raise_closed(ref.session)
    if force and is_actor_call(ref):
        from ._cancel import force_error
        raise force_error()
    if ref.session.engine is not None:
        ref.session.engine.cancel(ref, recursive)
    else:
        native.cancel(ref.session.client, ref.entry, force, recursive)


cdef bint is_actor_call(ObjectRef ref) except -1:
    if ref.session.engine is not None:
        return ref.session.engine.is_actor_call(ref)
    return native.is_actor_call(ref.session.client, ref.entry)


def handle_interrupt(signal, frame):
    """In a worker, on the node's signal: interrupts the task that is cancelled."""
    cdef Session session = _session
    cdef uint64_t sequence = session.worker.interrupt_word()
    if sequence == 0:
        return  # seen already
    if sequence > session.last_begun:
        if session.worker.hand_back_cancelled(sequence):
            session.worker.interrupt_done(sequence)
        return  # else it is about to begin, and the signal comes again
    session.worker.interrupt_done(sequence)
    if _actor_methods is not None:
        cancel_call(session, sequence)
        return
    if sequence == session.current:
        interrupt_current(session)
    if session.worker.runs(sequence):  # it waits, and another task runs on top of it
        if session.pending_interrupts is None:
            session.pending_interrupts = set()
        session.pending_interrupts.add(sequence)


cdef int raise_pending(Session session) except -1:
    """After a task that ran on top: raises the interrupt that has come for the one below."""
    if session.current in session.pending_interrupts:
        session.pending_interrupts.discard(session.current)
        interrupt_current(session)
    return 0


cdef int interrupt_current(Session session) except -1:
    session.interrupted = session.current
    session.worker.note_interrupt(session.current)
    raise KeyboardInterrupt


cdef bint was_cancelled(object error) except -1:
    """Whether what an interrupted task raised is its interrupt.

    One that came while a module was imported has left it half made, and may have become another
    exception on its way; then this process ends after the task.
    """
    global _leaving
    from ._cancel import broke_an_import
    if broke_an_import(error):
        _leaving = True
        return True
    return isinstance(error, KeyboardInterrupt)


def is_interrupted():
    """In a worker: whether the task or the actor's call that runs was cancelled."""
    if _actor_methods is not None:
        return current_call(_session) in _cancelled_calls
    return _session.current != 0 and _session.interrupted == _session.current
