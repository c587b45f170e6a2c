// node_inspect: what `bolide memory` shows - the objects, their sizes and why they are alive - and
// the pipe by which other processes ask for it (ipc/inquiry.h). The report is JSON:
//
//   {"pid": .., "session": .., "objects": .., "store": {..}, "largest": [
//     {"id": .., "size": .., "where": "memory", "kind": "value", "site": "..", "holders": [
//       {"why": "reference", "pid": .., "name": ".."}, ..]}, ..]}
#include <algorithm>
#include <array>
#include <cstdio>

#include "ipc/inquiry.h"
#include "node/node.h"
#include "os/file.h"
#include "os/memory.h"
#include "os/pipe.h"
#include "os/process.h"

namespace bolide::node {
namespace {

using store::Holding;

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out.push_back('\\');
      out.push_back(c);
    } else if (static_cast<unsigned char>(c) < 0x20) {
      char code[8];
      std::snprintf(code, sizeof code, "\\u%04x", static_cast<unsigned>(c));
      out += code;
    } else {
      out.push_back(c);
    }
  }
  out.push_back('"');
  return out;
}

std::string field(const char* name, uint64_t value) {
  return quoted(name) + ":" + std::to_string(value);
}

// holder is a row: `why` it is alive, in which process, and the actor, task or object that is meant.
std::string holder(const char* why, int pid, std::string_view name) {
  return std::string("{\"why\":\"") + why + "\"," + field("pid", static_cast<uint64_t>(pid)) +
         ",\"name\":" + quoted(name) + "}";
}

uint64_t size_of(const ObjectEntry* entry) {
  return entry->ready() ? store::ObjectTable::value_size(entry) : 0;
}

const char* where_is(const ObjectEntry* entry) {
  if (!entry->ready()) return "pending";
  if (entry->holding != Holding::kStored) return "table";
  return entry->presence.is_away() ? "disk" : "memory";
}

const char* kind_of(const ObjectEntry* entry) {
  if ((entry->value_flags & ipc::kFunction) != 0) return "function";
  if ((entry->value_flags & ipc::kActor) != 0) return "actor";
  if ((entry->value_flags & ipc::kStream) != 0) return "stream";
  return (entry->value_flags & ipc::kError) != 0 ? "error" : "value";
}

}  // namespace

std::string Node::memory_report(uint64_t limit) {
  MutexLock lock(mutex_);
  return report_locked(limit);
}

std::string Node::report_locked(uint64_t limit) {
  drain_releases();
  const auto driver = os::own_pid();
  std::vector<ObjectEntry*> largest;
  objects_.table().for_each([&](ObjectEntry* entry) { largest.push_back(entry); });
  const uint64_t objects = largest.size();
  limit = std::min(limit, objects);
  std::partial_sort(largest.begin(), largest.begin() + static_cast<std::ptrdiff_t>(limit),
                    largest.end(), [](const auto* a, const auto* b) {
                      const uint64_t one = size_of(a);
                      const uint64_t other = size_of(b);
                      return one != other ? one > other : a->id.value < b->id.value;
                    });
  largest.resize(limit);
  std::unordered_map<uint64_t, std::vector<std::string>> holders;
  for (const ObjectEntry* entry : largest) {
    auto& rows = holders[entry->id.value];
    if (entry->handle != nullptr) rows.push_back(holder("reference", driver, "driver"));
    if (entry->holding == Holding::kStored && entry->presence.is_pinned()) {
      rows.push_back(holder("view", driver, "driver"));
    }
  }
  const auto add = [&](uint64_t id, const char* why, int pid, std::string_view name) {
    const auto place = holders.find(id);
    if (place != holders.end()) place->second.push_back(holder(why, pid, name));
  };
  for (const auto& [id, link] : links_) {
    const std::string name = link->actor == nullptr ? "worker" : link->actor->spec.class_name;
    link->held.for_each([&](uint64_t object, uint32_t held) {
      add(object, (held & kTold) != 0 ? "view" : "reference", link->pid, name);
    });
  }
  for (Task* task : unfinished_tasks()) {
    std::string name;
    if (task->calls == nullptr) {
      name = task_name(task);
    } else {
      const auto& actor = static_cast<const Actor&>(*task->calls->actor);
      name = actor.spec.class_name + "." + method_name(actor, task);
    }
    const int pid = task->worker == nullptr ? driver : link_of(*task->worker)->pid;
    for (uint64_t id : task->dependencies()) add(id, "argument", pid, name);
    for (uint64_t id : task->contained()) add(id, "argument", pid, name);
    for (uint32_t i = 0; i < task->header.returns; ++i) {
      add(return_of(ObjectId{task->header.task}, i).value, "result", pid, name);
    }
  }
  objects_.table().for_each([&](ObjectEntry* entry) {
    const std::vector<ObjectId>* inner = objects_.table().contained(entry);
    if (inner == nullptr) return;
    for (const ObjectId id : *inner) {
      add(id.value, "contained", driver, std::to_string(entry->id.value));
    }
  });
  const store::RegistryStats stats = objects_.registry().stats();
  std::string out = "{" + field("pid", static_cast<uint64_t>(driver)) + "," +
                    field("session", session_) + "," + field("objects", objects) +
                    ",\"store\":{" + field("budget", stats.budget) + "," +
                    field("touched", stats.touched) + "," + field("live", stats.live) + "," +
                    field("spilled", objects_.spilled_bytes()) + "},\"largest\":[";
  for (const ObjectEntry* entry : largest) {
    if (entry != largest.front()) out.push_back(',');
    const std::string* site = objects_.table().site(entry);
    out += "{" + field("id", entry->id.value) + "," + field("size", size_of(entry)) +
           ",\"where\":\"" + where_is(entry) + "\",\"kind\":\"" + kind_of(entry) +
           "\",\"site\":" + (site == nullptr ? "\"\"" : quoted(*site)) + ",\"holders\":[";
    const auto& rows = holders[entry->id.value];
    for (const std::string& row : rows) {
      if (&row != &rows.front()) out.push_back(',');
      out += row;
    }
    out += "]}";
  }
  return out + "]}";
}

// answer_inquiries: what is no record of ours is dropped, and who named no memfd gets no answer.
void Node::answer_inquiries(MutexLock& lock) {
  std::array<ipc::InquiryRecord, 16> records{};
  const size_t size = os::read_available(inquiry_pipe_[0], std::as_writable_bytes(std::span(records)));
  for (size_t i = 0; i < size / sizeof(ipc::InquiryRecord); ++i) {
    const ipc::InquiryRecord& record = records[i];
    if (record.magic != ipc::kInquiryMagic || record.version != 1) return;
    const std::string report = report_locked(record.limit);
    lock.unlock();
    auto memfd = os::open_memfd_of(record.pid, record.memfd);
    const uint64_t length = report.size();
    if (memfd.is_ok() &&
        os::write_at(*memfd, reinterpret_cast<const std::byte*>(report.data()), length,
                     ipc::kReportText)
            .is_ok()) {
      static_cast<void>(os::write_at(*memfd, reinterpret_cast<const std::byte*>(&length),
                                     sizeof length, 0));  // the asker has gone, or waits in vain
    }
    lock.lock();
  }
}

}  // namespace bolide::node
