# _hot_site: tells the node where in the program objects are made. Part of _hot.pyx.
#
# Only sessions that record it come here: elsewhere it costs the look at one word of the session.


cdef int note_site(Session session, ObjectEntry* first, uint32_t returns, str how) except -1:
    from ._call_sites import describe
    cdef bytes text = f"{how} at {describe(_sys._getframe())}".encode("utf-8", "replace")
    native.note_site(session.client, first, returns, PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text))
    return 0
