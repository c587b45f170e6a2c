# What the hot path uses of NumPy, as cpp/bindings/numpy_abi.h declares it.
from cpython.object cimport PyObject
from libcpp cimport bool as cbool

cdef extern from "bindings/numpy_abi.h" namespace "bolide::numpy":
    cppclass Array:
        char* data
        int nd
        Py_ssize_t* dimensions
        Py_ssize_t* strides
        PyObject* base
        PyObject* descr
        int flags
    int kCContiguous
    int kFContiguous
    int kWriteable
    cbool load(void**, unsigned*)
    object new_array(PyObject*, int, const Py_ssize_t*, const Py_ssize_t*, const void*, PyObject*, cbool)
    int copy_into(PyObject*, PyObject*) except -1
