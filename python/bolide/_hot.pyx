# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
# cython: cdivision=True, auto_pickle=False, binding=False, embedsignature=False
# distutils: language=c++
"""The per-call path: references, calls, get, put, wait, and a worker's loop.

What costs per task is here and nowhere else; everything rarer is plain Python. The parts, in
the order in which a task meets them:

    _hot_refs.pxi     Session, ObjectRef, View: who holds what in this process
    _hot_store.pxi    room in the store, and copies
    _hot_encode.pxi   values -> bytes: small ones directly, the parts of large ones noted
    _hot_array.pxi    NumPy arrays, by dtype and shape
    _hot_pickle.pxi   everything else, by pickle
    _hot_resident.pxi arrays that are written in the store, and what lies there already
    _hot_decode.pxi   bytes -> values; stored ones become read-only views
    _hot_call.pxi     RemoteFunction: encode, submit, hand out references
    _hot_call_arguments.pxi  their arguments, and those of calls of actors
    _hot_actor.pxi    ActorHandle and ActorMethod: the same for calls of actors
    _hot_actor_node.pxi    making, finding and killing actors
    _hot_context.pxi  what running code asks about its task and the node
    _hot_repeat.pxi   large arguments that are passed again and again
    _hot_site.pxi     where objects were made, when that is recorded
    _hot_get.pxi      get, put
    _hot_wait.pxi     wait
    _hot_result.pxi   what a task returns, yields or raises -> the values of its result
    _hot_stream.pxi   tasks that yield: the consumer's generator, the worker's loop
    _hot_cancel.pxi   cancelling a task, and being interrupted
    _hot_arguments.pxi a task's record -> the arguments of its call
    _hot_worker.pxi   the loop of a worker: next task, decode, call, encode, push
    _hot_actor_worker.pxi  the same in an actor
    _hot_engine.pxi   what an engine needs that runs calls itself (bolide.engines)

A value's bytes (little-endian, one tag, then what the tag says; `align` is 64 in the store and 8
in a record):

    NONE TRUE FALSE | INT i64 | FLOAT f64 | STR u32 utf8 | BYTES u64 data | TUPLE u32 values
    TEXT u64 pad utf8     a long str
    REF u32               (arguments only) index of a top-level reference
    ARRAY u8 ndim, u8 order, u16 length of dtype, dtype, i64 shape[], pad, data
    PICKLE u32 buffers, u64 length, i64 lengths[], then each part padded to `align`; a negative
                          length -1-n is of a buffer that lies in another object: u64 id, u64 offset
    WINDOW u8 ndim, u8 source, u16 length of dtype, dtype, i64 shape[], i64 strides[], u64 id (or, in
                          arguments, index) of the object, u64 offset, u64 extent, u64 first element

Thread safety: the GIL, held everywhere but in waits and large copies. While the GIL is held no
C++ lock is held across Python code, so finalisers may run anywhere.
"""
cimport cython
from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_FromStringAndSize
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.buffer cimport PyBUF_SIMPLE, PyBUF_WRITABLE, PyBuffer_FillInfo, PyBuffer_Release, PyObject_GetBuffer
from cpython.dict cimport PyDict_GetItem, PyDict_Next, PyDict_Size
from cpython.exc cimport PyErr_CheckSignals, PyErr_Occurred
from cpython.float cimport PyFloat_AS_DOUBLE, PyFloat_CheckExact, PyFloat_FromDouble
from cpython.list cimport PyList_CheckExact, PyList_GET_ITEM, PyList_GET_SIZE, PyList_New, PyList_SET_ITEM
from cpython.long cimport PyLong_AsLongLongAndOverflow, PyLong_CheckExact, PyLong_FromLongLong
from cpython.object cimport PyObject
from cpython.pycapsule cimport PyCapsule_GetPointer
from cpython.ref cimport Py_DECREF, Py_INCREF, Py_XDECREF
from cpython.tuple cimport PyTuple_CheckExact, PyTuple_GET_ITEM, PyTuple_GET_SIZE, PyTuple_New, PyTuple_SET_ITEM
from cpython.unicode cimport PyUnicode_CheckExact, PyUnicode_DecodeUTF8
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t, uintptr_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memchr, memcmp, memcpy, memset
from libcpp cimport bool as cbool
from libcpp.pair cimport pair
from libcpp.memory cimport shared_ptr
from libcpp.set cimport set as cpp_set
from libcpp.string cimport string
from libcpp.unordered_map cimport unordered_map
from libcpp.vector cimport vector

from bolide cimport _native as native
from bolide cimport _numpy_abi as npy
from bolide._native cimport (
    byte_t, Client, CreditRecord, CompletionQueue, Code, DeviceShare, Holding, Location, Next,
    ObjectEntry, ObjectId, ObjectTable, Slot, Spin, SubmitRequest, TaskHeader, TaskView, ValueBytes, WaitMode,
    WaitResult, WorkerClient,
)

import copyreg as _copyreg
import _pickle  # not pickle: that imports re and enum, which start-up can do without
import sys as _sys
from _weakref import ref as _weakref

cdef extern from "Python.h":
    const char* PyUnicode_AsUTF8AndSize(object, Py_ssize_t*) except NULL
    void Py_SET_SIZE(object, Py_ssize_t)
    ctypedef struct PyTypeObject:
        PyObject* tp_dict
    ctypedef void* PyCFunction
    ctypedef struct PyMethodDef:
        const char* ml_name
        PyCFunction ml_meth
        int ml_flags
        const char* ml_doc
    int METH_FASTCALL
    int METH_KEYWORDS
    object PyDescr_NewMethod(PyTypeObject*, PyMethodDef*)
    void PyType_Modified(PyTypeObject*)
    ctypedef struct PyListObject:
        PyObject** ob_item
    PyTypeObject* Py_TYPE(object)
    object PyObject_Call(object, object, PyObject*)
    unsigned long PyThread_get_thread_ident()
    bint PyGen_CheckExact(object)

cdef int64_t MILLISECOND = 1000000
cdef int64_t SECOND = 1000000000
cdef int64_t FOREVER = 0x7fffffffffffffff

# Hooks that the Python layer sets once (see _runtime.py), so that this module imports none of it.
cdef object _auto_init = None
cdef object _make_system_error = None
cdef object _flush_output = None
cdef object _wake_service = None


def set_hooks(auto_init, make_system_error, flush_output, wake_service):
    """Gives the callables that the hot path falls back on. Called once by bolide._runtime."""
    global _auto_init, _make_system_error, _flush_output, _wake_service
    _auto_init = auto_init
    _make_system_error = make_system_error
    _flush_output = flush_output
    _wake_service = wake_service


include "_hot_refs.pxi"
include "_hot_store.pxi"
include "_hot_encode.pxi"
include "_hot_array.pxi"
include "_hot_pickle.pxi"
include "_hot_resident.pxi"
include "_hot_decode.pxi"
include "_hot_call.pxi"
include "_hot_call_arguments.pxi"
include "_hot_actor.pxi"
include "_hot_actor_node.pxi"
include "_hot_groups.pxi"
include "_hot_context.pxi"
include "_hot_repeat.pxi"
include "_hot_site.pxi"
include "_hot_get.pxi"
include "_hot_wait.pxi"
include "_hot_result.pxi"
include "_hot_stream.pxi"
include "_hot_cancel.pxi"
include "_hot_arguments.pxi"
include "_hot_worker.pxi"
include "_hot_actor_worker.pxi"
include "_hot_engine.pxi"
