# _hot_array: NumPy arrays <-> bytes. Part of _hot.pyx.
#
# Arrays of plain dtypes are described by dtype and shape; records, objects and subclasses are
# pickled (_hot_pickle.pxi). NumPy is looked up only once the user has imported it, and its arrays
# are read and made by numpy_abi.h, since going through attributes costs more than the rest.
# reduce_array is how the pickler of a value treats arrays inside it.

cdef object _ndarray = None            # numpy.ndarray once the user has imported numpy
cdef dict _plain_dtypes = {}           # dtype -> its name in bytes, None: pickle must do it
cdef dict _named_dtypes = {}           # the name in bytes -> dtype
cdef Py_ssize_t MANY_DTYPES = 1024     # strings have one for each length

# The dtype of the last array, in either direction: most programs use one or two.
cdef object _known_dtype = None
cdef bytes _known_name = None
cdef Py_ssize_t _known_itemsize = 0
cdef object _decoded_dtype = None
cdef bytes _decoded_name = b""
cdef Py_ssize_t _decoded_itemsize = 0


cdef int find_numpy() except -1:
    """Looks whether the user has imported NumPy meanwhile."""
    global _ndarray
    cdef unsigned number = 0
    found = getattr(_sys.modules.get("numpy"), "ndarray", None)
    if found is None:
        return 0
    for name in ("numpy._core._multiarray_umath", "numpy.core._multiarray_umath"):
        module = _sys.modules.get(name)
        if module is not None:
            if not npy.load(<void**> PyCapsule_GetPointer(module._ARRAY_API, NULL), &number):
                raise ImportError(
                    f"the installed NumPy has the C interface {number:#010x}, but this version of "
                    "bolide knows those of NumPy 1 and 2; install numpy<3 or a later bolide"
                )
            _ndarray = found
            return 0
    return 0


cdef bint know_dtype(object dtype) except -1:
    """Makes `dtype` the known one; False when pickle has to do its arrays."""
    global _known_dtype, _known_name, _known_itemsize
    name = _plain_dtypes.get(dtype, dtype)
    if name is dtype:
        plain = not dtype.hasobject and dtype.names is None and dtype.kind in "biufcmMSU"
        name = dtype.str.encode() if plain else None
        if len(_plain_dtypes) >= MANY_DTYPES:
            _plain_dtypes.clear()
        _plain_dtypes[dtype] = name
    if name is None or dtype.metadata is not None:  # metadata do not count in a comparison
        return False
    _known_dtype = dtype
    _known_name = name
    _known_itemsize = dtype.itemsize
    return True


cdef int encode_array(Encoder encoder, object array) except -1:
    """A NumPy array of a plain dtype: 1; 0 for what pickle has to do."""
    cdef npy.Array* a = <npy.Array*> <PyObject*> array
    cdef uint8_t order = 0
    cdef bint strided = False
    cdef size_t start = encoder.size
    cdef uint64_t nbytes, head, at
    cdef int i
    if a.descr != <PyObject*> _known_dtype and not know_dtype(<object> a.descr):
        return 0
    nbytes = _known_itemsize
    for i in range(a.nd):
        nbytes *= a.dimensions[i]
    if not a.flags & npy.kCContiguous:
        if a.flags & npy.kFContiguous:
            order = 1
        else:
            strided = True
    if nbytes >= RESIDENT_FROM and encode_held_array(encoder, array):
        return 1
    ensure_known(a)
    put_array_head(encoder, order, a.nd, a.dimensions)
    head = encoder.size - start
    at = (head + 7) & ~(<uint64_t> 7)
    if at + nbytes <= _session.inline_limit:  # it will travel in a message: no need for a part
        if strided:
            array = array.copy()
            a = <npy.Array*> <PyObject*> array
        encoder.room(at - head + nbytes)
        memcpy(encoder.data + start + at, a.data, nbytes)
        encoder.size = start + at + nbytes
        return 1
    encoder.keep(array)
    if strided:
        encoder.parts.push_back(Part(<PyObject*> array, nbytes, P_STRIDED))
    else:
        encoder.parts.push_back(Part(a.data, nbytes, P_ALIGNED))
    return 1


cdef inline int ensure_known(npy.Array* a) except -1:
    """The array's dtype is the known one again, whatever has run since."""
    if a.descr != <PyObject*> _known_dtype:
        know_dtype(<object> a.descr)
    return 0


cdef int put_array_head(Encoder encoder, uint8_t order, int nd, const Py_ssize_t* dimensions) except -1:
    """What comes before the data of an array of the known dtype."""
    cdef uint16_t length = <uint16_t> PyBytes_GET_SIZE(_known_name)
    cdef size_t n = 5 + <size_t> length + 8 * <size_t> nd
    encoder.room(n)
    cdef uint8_t* to = encoder.data + encoder.size
    to[0] = T_ARRAY
    to[1] = <uint8_t> nd
    to[2] = order
    memcpy(to + 3, &length, 2)
    memcpy(to + 5, PyBytes_AS_STRING(_known_name), length)
    memcpy(to + 5 + length, dimensions, 8 * <size_t> nd)
    encoder.size += n
    return 0


cdef int named_dtype(const uint8_t* name, uint16_t length) except -1:
    """Makes the dtype of that name the decoded one."""
    global _decoded_dtype, _decoded_name, _decoded_itemsize
    if length == PyBytes_GET_SIZE(_decoded_name) and memcmp(name, PyBytes_AS_STRING(_decoded_name), length) == 0:
        return 0
    cdef bytes key = PyBytes_FromStringAndSize(<const char*> name, length)
    dtype = _named_dtypes.get(key)
    if dtype is None:
        import numpy
        find_numpy()
        dtype = numpy.dtype(key.decode())
        if dtype.hasobject:  # these bytes are no pointers
            raise corrupt_value()
        if len(_named_dtypes) >= MANY_DTYPES:
            _named_dtypes.clear()
        _named_dtypes[key] = dtype
    _decoded_dtype = dtype
    _decoded_name = key
    _decoded_itemsize = dtype.itemsize
    return 0


cdef object decode_array(Cursor* cursor, ObjectRef owner):
    """An array, read-only: a view of the stored object, or one over bytes of its own."""
    cdef uint8_t nd, order
    cdef uint16_t length
    cdef int i
    cdef uint64_t size
    cdef const uint8_t* data
    cdef Py_ssize_t[64] shape
    cdef Py_ssize_t[64] fortran
    cdef Py_ssize_t* strides = NULL
    need(cursor, 4)
    nd = cursor.at[0]
    order = cursor.at[1]
    memcpy(&length, cursor.at + 2, 2)
    cursor.at += 4
    need(cursor, length + 8 * <uint64_t> nd)
    if nd > 64:
        raise corrupt_value()
    named_dtype(cursor.at, length)
    cursor.at += length
    memcpy(shape, cursor.at, 8 * <size_t> nd)
    cursor.at += 8 * <size_t> nd
    size = _decoded_itemsize
    if order:
        strides = fortran
    for i in range(nd):
        fortran[i] = size
        size *= <uint64_t> shape[i]
    data = take_part(cursor, size)
    dtype = _decoded_dtype  # what follows may decode something else
    buffer = part_buffer(cursor, data, size, owner)
    if owner is None:
        data = <const uint8_t*> PyBytes_AS_STRING(buffer)
    return npy.new_array(
        <PyObject*> dtype, nd, shape, strides, data, <PyObject*> buffer, False
    )


cdef Py_ssize_t NO_BUFFER_BELOW = 1024  # bytes of a strided array that is copied into the pickle
cdef object _frombuffer = None          # NumPy's function that makes an array from a pickled buffer


def reduce_array(array):
    """Pickles an exact ndarray so that its data are out of band, whatever its strides.

    NumPy does so itself but for two cases, in which it copies: strides, and datetimes, of which it
    makes no buffer.
    """
    global _frombuffer
    cdef npy.Array* a = <npy.Array*> <PyObject*> array
    cdef bint contiguous = a.flags & (npy.kCContiguous | npy.kFContiguous)
    cdef object dtype = <object> a.descr
    cdef object kind = dtype.kind
    if contiguous and kind not in "mM" or dtype.hasobject or kind not in "biufcmMSUV" or array.nbytes < NO_BUFFER_BELOW:
        return array.__reduce_ex__(5)
    if _frombuffer is None:
        _frombuffer = _ndarray(1).__reduce_ex__(5)[0]
    if contiguous:
        order = "C" if a.flags & npy.kCContiguous else "F"
        return _frombuffer, (_PickleBuffer(array.view("i8")), dtype, array.shape, order)
    cdef void* slot = native.encoder_slot()[0]
    if slot == NULL:
        return array.__reduce_ex__(5)
    stand_in = _PickleBuffer(b"")
    (<Encoder> <object> (<PyObject*> slot)).sink.strided[id(stand_in)] = array
    return _frombuffer, (stand_in, dtype, array.shape, "C")


def claim_writeable(array):
    """The same array, claiming that it may be written: for libraries that know no read-only memory."""
    if _ndarray is None:
        find_numpy()
    cdef npy.Array* a = <npy.Array*> <PyObject*> array
    return npy.new_array(a.descr, a.nd, a.dimensions, a.strides, a.data, <PyObject*> array, True)
