// numpy_abi: the few fields and functions of NumPy's C interface that the hot path needs.
//
// Not NumPy's own headers: with them NumPy would be needed to build bolide, and a wheel would be
// bound to the versions that they know. The fields of an array and the places of these functions
// in the table are part of NumPy's stable interface: the same in 1.x and 2.x. load() looks at the
// interface's number before anything is used, so a later NumPy gives a sentence and no crash.
//
// Thread safety: the GIL.
#pragma once

#include <Python.h>

#include <cstdint>

namespace bolide::numpy {

// PyArrayObject_fields of ndarraytypes.h.
struct Array {
  PyObject_HEAD
  char* data;
  int nd;
  Py_ssize_t* dimensions;
  Py_ssize_t* strides;
  PyObject* base;
  PyObject* descr;
  int flags;
};

enum ArrayFlags : int {
  kCContiguous = 0x0001,
  kFContiguous = 0x0002,
  kAligned = 0x0100,
  kWriteable = 0x0400,
};

inline void** g_table = nullptr;

// load takes the table of NumPy's capsule `_ARRAY_API`. False: a NumPy of another interface;
// `number` is its number in either case, 0x01...... for NumPy 1 and 0x02...... for NumPy 2.
inline bool load(void** table, unsigned* number) {
  *number = reinterpret_cast<unsigned (*)()>(table[0])();
  if (const unsigned major = *number >> 24; major != 1 && major != 2) return false;
  g_table = table;
  return true;
}

// new_array makes an array over memory that `base` keeps alive (no base: the caller does).
// Without strides it is in C order. A new reference, or nullptr with an exception set.
inline PyObject* new_array(PyObject* descr, int nd, const Py_ssize_t* dimensions,
                           const Py_ssize_t* strides, const void* data, PyObject* base,
                           bool writeable) {
  using NewFromDescr = PyObject* (*)(PyTypeObject*, PyObject*, int, const Py_ssize_t*,
                                     const Py_ssize_t*, void*, int, PyObject*);
  using UpdateFlags = void (*)(PyObject*, int);
  using SetBase = int (*)(PyObject*, PyObject*);
  Py_INCREF(descr);  // the call takes it, also when it fails
  PyObject* array = reinterpret_cast<NewFromDescr>(g_table[94])(
      static_cast<PyTypeObject*>(g_table[2]), descr, nd, dimensions, strides,
      const_cast<void*>(data), writeable ? kWriteable : 0, nullptr);
  if (array == nullptr) return nullptr;
  reinterpret_cast<UpdateFlags>(g_table[92])(array, kCContiguous | kFContiguous | kAligned);
  if (base != nullptr) {
    Py_INCREF(base);  // taken too
    if (reinterpret_cast<SetBase>(g_table[282])(array, base) != 0) {
      Py_DECREF(array);
      return nullptr;
    }
  }
  return array;
}

// copy_into copies element by element between arrays of one shape; -1 with an exception set.
inline int copy_into(PyObject* target, PyObject* source) {
  using CopyInto = int (*)(PyObject*, PyObject*);
  return reinterpret_cast<CopyInto>(g_table[50])(target, source);
}

}  // namespace bolide::numpy
