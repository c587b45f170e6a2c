# The C++ core as the Cython hot path sees it. One file, so that _hot.pyx and the headers below
# cpp/ are compared in one place. Declarations only.
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t, uintptr_t
from libcpp cimport bool as cbool
from libcpp.memory cimport shared_ptr, unique_ptr
from libcpp.pair cimport pair
from libcpp.string cimport string
from libcpp.vector cimport vector


cdef extern from *:
    """
    #include <cstddef>
    """
    ctypedef unsigned char byte_t "std::byte"

cdef extern from "base/ids.h" namespace "bolide" nogil:
    cppclass ObjectId:
        uint64_t value
    cppclass ChunkId:
        uint32_t value

cdef extern from "base/clock.h" namespace "bolide" nogil:
    int64_t now()

cdef extern from "base/location.h" namespace "bolide" nogil:
    cppclass Location:
        ChunkId chunk
        uint64_t offset
        uint64_t size

cdef extern from "base/status.h" namespace "bolide" nogil:
    cdef enum class Code "bolide::Code"(uint8_t):
        kOk, kTimeout, kInterrupted, kFull, kNotFound, kInvalid, kClosed, kCorrupt, kSystem, kExists, kLimit, kDiskFull
    cppclass Status:
        cbool is_ok()
        Code code()
        const string& message()
    cppclass Result[T]:
        cbool is_ok()
        const Status& status()
        T& value()

cdef extern from "store/object_table.h" namespace "bolide::store" nogil:
    cdef enum class Holding "bolide::store::Holding"(uint8_t):
        kNothing, kSmall, kHeap, kStored
    cppclass Presence:
        cbool pin()
        void unpin()
    cppclass ObjectEntry:
        ObjectId id
        Holding holding
        uint8_t flags
        uint8_t value_flags
        void* handle
        Presence presence
        Location where
        cbool ready()
    cppclass ValueBytes:
        const byte_t* data
        uint64_t size
    cppclass ObjectTable:
        @staticmethod
        ValueBytes inline_value(const ObjectEntry*)

cdef extern from "os/memory.h" namespace "bolide::os" nogil:
    cppclass Mapping:
        pass

cdef extern from "store/views.h" namespace "bolide::store" nogil:
    cppclass Views:
        cbool pin(ChunkId)
        cbool unpin(ChunkId)

cdef extern from "store/arena.h" namespace "bolide::store" nogil:
    cppclass Slot:
        Location where
        byte_t* data
        cbool untouched

cdef extern from "node/pump.h" namespace "bolide::node" nogil:
    cdef enum class WaitResult "bolide::node::WaitResult"(uint8_t):
        kReady, kTurnOver, kClosed, kRunTask

cdef extern from "node/client.h" namespace "bolide::node" nogil:
    cppclass SubmitRequest:
        uint64_t function
        uint64_t scheduling_class
        const uint64_t* dependencies
        const uint64_t* contained
        const byte_t* arguments
        const char* name
        uint32_t dependency_count
        uint32_t contained_count
        uint32_t argument_bytes
        uint32_t name_bytes
        uint32_t returns
        int32_t max_retries
        uint32_t flags
        uint64_t caller
        uint32_t stream_limit
    cppclass WaitMode:
        cbool runs_task
        cbool can_inline
        cbool declared
    cppclass CompletionQueue:
        int fd()
        vector[uint64_t] take()
    cppclass Client:
        ObjectEntry* find(ObjectId)
        ObjectEntry* acquire(ObjectId)
        ObjectEntry* acquire_known(ObjectId)
        void release(ObjectEntry*)
        ObjectEntry* stream_next(ObjectEntry*, uint64_t)
        void add_reference(ObjectEntry*)
        void abandon(const Slot&)
        const byte_t* resolve(const Location&)
        Views& views()
        uint64_t session()
        uint64_t inline_limit()

cdef extern from "node/worker_client.h" namespace "bolide::node" nogil:
    cppclass TaskHeader "bolide::ipc::TaskHeader":
        uint64_t task
        uint64_t function
        uint64_t sequence
        uint64_t scheduling_class
        uint32_t dependencies
        uint32_t contained
        uint32_t argument_bytes
        uint32_t name_bytes
        uint32_t returns
        int32_t max_retries
        uint32_t attempt
        uint32_t flags
    cppclass DeviceShare "bolide::ipc::DeviceShare":
        uint32_t device
        uint32_t amount
    cppclass CreditRecord "bolide::ipc::CreditRecord":
        uint64_t upto
        uint64_t skip
    cppclass TaskView:
        TaskHeader header
        const uint64_t* dependencies
        const byte_t* arguments
        const char* name
        const byte_t* values
        uint64_t value_bytes
        cbool held
    cdef enum class Next "bolide::node::WorkerClient::Next"(uint8_t):
        kTask, kNothing, kShutdown
    cdef enum class Spin "bolide::node::WorkerClient::Spin"(uint8_t):
        kNo, kShort, kWhole
    cppclass WorkerClient(Client):
        Next next_task(TaskView*, int64_t, cbool*)
        Next inline_task(TaskView*)
        void task_taken()
        void become_actor()
        cbool hand_back_cancelled(uint64_t)
        void stop_tasks()
        void enter_loop(shared_ptr[CompletionQueue])
        int loop_fd()
        Next poll_task(TaskView*, Spin)
        cbool loop_sleeps()
        void loop_wakes()
        void read_wakes()
        const byte_t* function_value(uint64_t, uint64_t*)
        vector[uint64_t] forgotten()
        void forget_failure(const ObjectEntry*)
        uint64_t interrupt_word()
        void interrupt_done(uint64_t)
        cbool runs(uint64_t)
        void note_interrupt(uint64_t)
        vector[DeviceShare] devices()
        CreditRecord credit(uint64_t)
        void watch_credit(uint64_t, uint64_t, shared_ptr[CompletionQueue], uint64_t)
        void begin_yield(uint64_t, uint64_t)
        void end_yield()
        void begin_result(uint64_t, uint32_t, uint32_t)
        void end_result(int64_t)

# What a .pxd cannot say (spans, std::byte) is adapted here, once.
cdef extern from "bindings/hot_calls.h" namespace "bolide::hot" nogil:
    Code last_code()
    const string& last_message()
    ObjectEntry* submit(Client*, const SubmitRequest&)
    ObjectEntry* put_inline(Client*, const uint8_t*, uint64_t, const vector[uint64_t]&, uint8_t)
    cbool reserve(Client*, uint64_t, cbool, int64_t, int64_t, Slot*)
    Mapping* leave(Client*, const Slot&)
    Mapping* private_copy(const Slot&)
    cbool move_copy(Mapping*, const Slot&)
    cppclass HeldMemory:
        void add(uintptr_t, uintptr_t, void*)
        void remove(uintptr_t, void*)
        void* find(uintptr_t, uintptr_t, uintptr_t*)
        cbool empty()
    HeldMemory g_held
    ObjectEntry* put_stored(Client*, const Slot&, const vector[uint64_t]&, uint8_t, cbool)
    ObjectEntry* promise(Client*)
    cbool keep_inline(Client*, ObjectEntry*, const uint8_t*, uint64_t, const vector[uint64_t]&, uint8_t)
    cbool keep_stored(Client*, ObjectEntry*, const Slot&, const vector[uint64_t]&, uint8_t)
    cbool define_class(Client*, uint64_t, const vector[pair[string, int64_t]]&, uint64_t, const string&, uint64_t, int32_t)
    WaitResult await_credit(WorkerClient*, uint64_t, uint64_t, int64_t, WaitMode*)
    void cancel(Client*, ObjectEntry*, cbool, cbool)
    cbool is_actor_call(Client*, ObjectEntry*)
    cbool define_actor_class(Client*, uint64_t, const vector[pair[string, int64_t]]&, const vector[pair[string, int64_t]]&, uint64_t, const string&, uint64_t, int32_t)
    cbool remove_group(Client*, uint64_t)
    cbool kill_actor(Client*, uint64_t, cbool)
    ObjectEntry* query(Client*, uint32_t, const char*, size_t)
    void leave(WorkerClient*, uint32_t, const char*, size_t)
    void ask(Client*, ObjectEntry**, size_t, cbool)
    WaitResult wait_turn(Client*, ObjectEntry**, size_t, uint32_t, int64_t, WaitMode*)
    cbool spin(Client*, ObjectEntry*)
    void end_wait(Client*, WaitMode*)
    void park_waiting_threads()
    void park_if_exiting()
    void add_inline(WorkerClient*, const uint8_t*, uint64_t, const vector[uint64_t]&, uint8_t)
    void add_stored(WorkerClient*, const Slot&, const vector[uint64_t]&, uint8_t)
    void pin_argument(WorkerClient*, ObjectEntry*, const Location&)
    void expect_argument(WorkerClient*, ObjectEntry*, uint64_t)
    cbool fetch(Client*, ObjectEntry*, int64_t)
    void write_output(WorkerClient*, uint32_t, const char*, size_t)
    void note_site(Client*, ObjectEntry*, uint32_t, const char*, size_t)
    void trace(WorkerClient*, uint64_t, int64_t, int64_t, const char*, size_t)
    void copy(Client*, uint8_t*, const uint8_t*, uint64_t, cbool fresh)
    cbool equal(Client*, const uint8_t*, const uint8_t*, uint64_t)
    cbool watch(Client*, ObjectEntry*, shared_ptr[CompletionQueue], uint64_t)
    cbool watch_service(Client*, ObjectEntry*, uint64_t)
    cbool has_output(Client*)
    shared_ptr[CompletionQueue] make_queue()
    void** encoder_slot()
