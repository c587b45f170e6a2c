// records: what travels through the rings, byte by byte. docs/protocol.md tells when.
//
// Everything is fixed width, 8-byte aligned, little-endian as the machine is; variable parts
// follow the fixed struct in the order given. A reader checks counts against the record's size
// (records_reader.h) before it uses them.
#pragma once

#include <cstdint>

#include "base/ids.h"
#include "base/location.h"

namespace bolide::ipc {

enum class RecordType : uint16_t {
  // node -> client
  kTask = 1,        // TaskHeader, ids of top-level references, contained ids, arguments, name, values
  kValue = 2,       // ValueHeader, bytes or Location, contained ids
  kReady = 3,       // ObjectList: these have a value (asked by kWait)
  kForget = 4,      // ObjectList: drop these functions
  kChunk = 5,       // ChunkNotice; the descriptor comes through the socket
  kChunkRefused = 6,  // ChunkRefusal and a sentence
  kChunkClosed = 7,   // ChunkNotice
  kFreeSpan = 8,      // Location: its writer may use it again (both directions)
  kShutdown = 9,
  kCredit = 10,  // CreditRecord
  kDevices = 11,  // DeviceList: the GPUs for the tasks that follow
  kChunkRetired = 12,  // ChunkNotice: use it for nothing more, give it back when it is empty
  kRecall = 13,        // ObjectList: forget where these lie, unless you view them
  // client -> node
  kHello = 32,       // HelloRecord
  kResult = 33,      // ResultHeader, then `returns` values, each as in kValue
  kSubmit = 34,      // as kTask
  kPut = 35,         // as kValue
  kAcquire = 36,     // ObjectList
  kRelease = 37,     // ObjectList
  kGet = 38,         // ObjectList: send me kValue when ready
  kWait = 39,        // ObjectList: send me kReady when ready
  kBlocked = 40,     // BlockedRecord
  kUnblocked = 41,   // BlockedRecord
  kHandBack = 42,    // SequenceRecord: this task was not run
  kChunkWanted = 43,  // ChunkRequest
  kChunkReturned = 44,  // ChunkNotice
  kDefineClass = 45,    // ClassHeader and resource entries
  kLog = 46,            // LogHeader and text
  kCancel = 47,         // CancelRecord
  kYield = 48,          // YieldRecord, then a value as in kResult
  kNext = 49,           // NextRecord
  kTrace = 50,          // TraceRecord and a name
  kRecalled = 51,       // ObjectList: I do not know any more where these lie
  kSite = 52,           // SiteRecord and text: where in the program these were made
  kActorExit = 56,      // ActorExit and its bytes: the actor of this worker ends
  kKillActor = 57,      // KillRecord
  kQuery = 58,          // QueryRecord and text: the answer is the value of an object
  kRemoveGroup = 59,    // GroupRecord
  // both
  kJumbo = 64,  // JumboRecord: a record too large for the ring lies in the store
};

// kTask and kSubmit. What differs for actors:
//   a call (kActorCall): `function` is the actor, `scheduling_class` a MethodIndex
//   the constructor (kActorCreation): in kSubmit `function` is the actor and its class is known
//     from there; in kTask `function` is the class and `scheduling_class` the actor
struct TaskHeader {
  uint64_t task;        // id of the first return
  uint64_t function;    // object id of the exported function
  uint64_t sequence;    // kTask: position in this worker's stream of tasks, from 1; kSubmit: of
                        // the task that calls, 0 if none does
  uint64_t scheduling_class;  // hash of resources and environment; 0: one CPU
  uint32_t dependencies;  // number of top-level references among the arguments
  uint32_t contained;     // number of references nested in the arguments
  uint32_t argument_bytes;
  uint32_t name_bytes;
  uint32_t returns;
  int32_t max_retries;  // -1: without end
  uint32_t attempt;     // from 0; kSubmit of a stream: the items that it may be ahead, 0: no limit
  uint32_t flags;       // TaskFlags
};
static_assert(sizeof(TaskHeader) == 64);
inline constexpr uint32_t kMostReturns = 1u << 24;  // of a task; what says more is malformed

enum TaskFlags : uint32_t {
  kInline = 1,       // to be run by a blocked worker on top of the task that waits for it
  kRetryExceptions = 2,  // run again after exceptions that the arguments begin with
  kStreaming = 4,        // its items are sent one by one, as it yields them
  kActorCall = 8,
  kActorCreation = 16,   // the constructor of an actor; its worker is the actor's from then on
  kTraced = 32,          // kTrace comes before its result
  kDynamic = 64,  // a generator whose items are put one by one; its return lists them
  kAfterInterrupt = 128,  // kSubmit: the task that calls had been interrupted by then
  kNewDevices = 256,  // in the worker: kDevices has come before this task
  kCaptures = 512,  // what it starts goes into its placement group too, if it says nothing else
};

// Which method of an actor, and in which of its concurrency groups.
constexpr uint64_t method_index(uint32_t method, uint32_t group) {
  return uint64_t{group} << 32 | method;
}
constexpr uint32_t group_of(uint64_t index) { return static_cast<uint32_t>(index >> 32); }
constexpr uint32_t method_of(uint64_t index) { return static_cast<uint32_t>(index); }

// How a value is stored.
enum class ValueKind : uint8_t {
  kInline = 0,  // the bytes follow
  kStored = 1,  // a Location follows
  kElsewhere = 2,  // it is not in memory; in kTask nothing follows, in kValue why it cannot be had
};

enum ValueFlags : uint8_t {
  kError = 1,        // the value is an exception
  kSystemError = 2,  // the value is a SystemError text made by the core, see system_errors.h
  kFunction = 4,     // the value is an exported function
  kActor = 8,        // the value describes an actor (node/actor_spec.h): its object is the actor
  kStream = 16,      // not a value: the object by which a consumer names its stream
  kGroup = 32,       // the value describes a placement group (node/placement_group.h), as kActor
};

// kValue, kPut and each return of kResult.
struct ValueHeader {
  uint64_t object;
  uint64_t size;       // of the value
  uint32_t contained;  // ids that follow the bytes or the Location
  ValueKind kind;
  uint8_t flags;
  uint16_t reserved;
};
static_assert(sizeof(ValueHeader) == 24);

// kResult.
struct ResultHeader {
  uint64_t sequence;
  uint64_t duration;  // ns, from taking the record to having the result
  uint32_t returns;
  uint32_t flags;  // ResultFlags
};
static_assert(sizeof(ResultHeader) == 24);

enum ResultFlags : uint32_t {
  kRetryable = 1,  // failed with an exception for which a retry was asked; no values follow
  kLeaving = 2,    // the worker ends after this result: it has begun nothing else and never will
};

// kYield: one more item of a task.
struct YieldRecord {
  uint64_t sequence;
  uint64_t index;  // from 0
};

// kCredit: how far a task that yields may go.
struct CreditRecord {
  uint64_t sequence;
  uint64_t upto;  // it may yield items below this index
  uint64_t skip;  // items below this one have come already, from an earlier attempt
};

// kNext: the next `count` items of a stream are to be the objects from `first` on.
struct NextRecord {
  uint64_t stream;
  uint64_t first;
  uint64_t taken;  // how many the consumer has taken by now
  uint32_t count;
  uint32_t reserved;
};

// kTrace: when a task ran. Monotonic nanoseconds.
struct TraceRecord {
  uint64_t task;
  uint64_t began;
  uint64_t ended;
  uint64_t bytes;  // the name follows
};

// kDevices.
struct DeviceList {
  uint64_t count;  // DeviceShare follow
};
struct DeviceShare {
  uint32_t device;
  uint32_t amount;  // in 1/10000
};

struct ObjectList {
  uint64_t count;  // ids follow
};

struct SiteRecord {
  uint64_t object;  // the first of `returns` objects of a call, or one that was put
  uint32_t returns;
  uint32_t bytes;  // of text, which follows
};
static_assert(sizeof(SiteRecord) == 16);

struct SequenceRecord {
  uint64_t sequence;
};

struct ChunkNotice {
  uint64_t size;
  uint32_t chunk;
  uint32_t writable;  // kChunk: granted to this client
};
static_assert(sizeof(ChunkNotice) == 16);

struct ChunkRequest {
  uint64_t chunk_size;
  uint64_t wanted;   // size of the object that has no room
  uint32_t control;  // for a record that is too large for the ring
  uint32_t reserved;
};

struct ChunkRefusal {
  uint64_t size;
  uint32_t text_bytes;  // the sentence follows
  uint32_t disk;        // 1: the disk is full too
};

struct BlockedRecord {
  uint32_t can_inline;  // the thread that runs the task waits without a limit in get()
  uint32_t awaited;     // ids follow
};

struct HelloRecord {
  int64_t pid;
};

struct ClassHeader {
  uint64_t scheduling_class;
  uint64_t environment;        // 0: the job's
  uint64_t group;              // the placement group of its tasks, or 0
  int32_t bundle;              // of that, from 0; -1: any
  uint32_t environment_bytes;  // its description follows
  uint32_t entries;            // then ResourceEntry
  uint32_t kept;  // of a dedicated class: as many more, what its workers keep; else kPooled
};
inline constexpr uint32_t kPooled = UINT32_MAX;

struct ResourceEntry {
  int64_t amount;  // in 1/10000
  uint32_t name_bytes;
  uint32_t reserved;  // name follows, padded to 8
};

struct CancelRecord {
  uint64_t object;  // a return of the task
  uint32_t force;
  uint32_t recursive;
};

struct LogHeader {
  uint32_t stream;  // 1 stdout, 2 stderr
  uint32_t bytes;   // text follows, without the newline
};

enum class ExitKind : uint32_t {
  kConstructor = 1,  // the constructor raised; the bytes are the error as the binding packs it
  kIntended = 2,     // the actor ends itself; the bytes are the end of a sentence
  kStatus = 3,       // it ends with a status that is not 0, and may be started again
};

struct ActorExit {
  ExitKind kind;
  uint32_t bytes;  // follow
};

struct KillRecord {
  uint64_t actor;
  uint32_t no_restart;
  uint32_t reserved;
};

struct GroupRecord {
  uint64_t group;
};

enum class QueryKind : uint32_t {
  kFindActor = 1,     // text: a key of a name; answer: the id, which the answer contains, or nothing
  kNamedActors = 2,   // answer: for each, uint32 length and key
  kPendingCalls = 3,  // text: the id (8 bytes); answer: uint64, how many of the asker's calls
  kResources = 4,     // answer: for each, uint32 length, name, double total, double free
  kAssigned = 5,      // answer: of what the asker's task holds, uint32 length, name, double amount
  kGroups = 6,        // answer: for each placement group uint64 id, uint32 state, uint32 size, value
  kFindGroup = 7,     // text: a key of a name; answer: the id, which the answer contains, and value
  kOwnGroup = 8,      // the same of the group in which the asker's task runs
  kNoteMeasures = 9,  // text: changes (node/measures.h); answer: nothing
  kMeasures = 10,     // answer: for each, uint32 length, name, double value
  kTasks = 11,        // these three: what there is of them now (node_state.cpp has the bytes)
  kActors = 12,
  kWorkers = 13,
};

struct QueryRecord {
  uint64_t object;  // of the asker's own ids: it becomes ready with the answer
  QueryKind kind;
  uint32_t bytes;  // text follows
};
static_assert(sizeof(QueryRecord) == 16);

struct JumboRecord {
  Location where;
  uint64_t size;   // of the payload
  uint16_t type;   // of the record
  uint16_t flags;
  uint32_t reserved;
};

}  // namespace bolide::ipc
