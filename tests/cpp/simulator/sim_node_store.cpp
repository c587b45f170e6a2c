// sim_node_store: chunks, spans and large records, and what the reference table asks for. As in
// cpp/node/node_records.cpp.
#include <algorithm>

#include "simulator/sim_node.h"

namespace simulator {

using ipc::RecordType;

Status SimNode::on_chunk_wanted(WorkerLink& link, ipc::Reader& in) {
  const auto request = in.take<ipc::ChunkRequest>();
  if (!in.ok()) return malformed("a request for memory");
  auto grant = objects_.registry().grant(link.client, request.chunk_size, request.wanted,
                                         request.control != 0);
  if (!grant.is_ok() && grant.status().code() == Code::kFull &&
      close_chunks(arena_.give_back_all_empty()) > 0) {
    grant = objects_.registry().grant(link.client, request.chunk_size, request.wanted,
                                      request.control != 0);
  }
  mark_dirty(link);
  if (!grant.is_ok()) {
    const std::string& text = grant.status().message();
    const ipc::ChunkRefusal refusal{request.wanted, static_cast<uint32_t>(text.size()), 0};
    link.send(RecordType::kChunkRefused, sizeof refusal + ipc::align8(text.size()),
              [&](std::byte* to) {
                ipc::Writer out(to);
                out.put(refusal);
                out.bytes(text.data(), text.size());
              });
    return Status();
  }
  link.chunks.insert(grant->id.value);
  link.send_descriptor(grant->id.value, *objects_.registry().fd(grant->id));
  const ipc::ChunkNotice notice{grant->size, grant->id.value, 1};
  link.send(RecordType::kChunk, sizeof notice,
            [&](std::byte* to) { ipc::Writer(to).put(notice); });
  return Status();
}

Status SimNode::on_chunk_returned(WorkerLink& link, ipc::Reader& in) {
  const auto notice = in.take<ipc::ChunkNotice>();
  if (!in.ok() || !objects_.registry().give_back(ChunkId{notice.chunk}, link.client)) {
    return malformed("it returned memory that is not its own, or in use");
  }
  chunk_closed(ChunkId{notice.chunk});
  return Status();
}

Status SimNode::on_free_span(WorkerLink& link, ipc::Reader& in) {
  const auto where = in.take<Location>();
  auto& spans = link.jumbo_spans;
  auto it = std::find_if(spans.begin(), spans.end(), [&](const Location& span) {
    return span.chunk == where.chunk && span.offset == where.offset;
  });
  if (it == spans.end()) return malformed("it freed a span that it was not sent");
  arena_.free(*it);
  spans.erase(it);
  return Status();
}

Status SimNode::on_jumbo(WorkerLink& link, ipc::Reader& in) {
  const auto jumbo = in.take<ipc::JumboRecord>();
  const auto type = static_cast<RecordType>(jumbo.type);
  if (!in.ok() || type == RecordType::kJumbo || jumbo.size > jumbo.where.size) {
    return malformed("a large record");
  }
  const auto chunk = objects_.registry().info(jumbo.where.chunk);
  const std::byte* data =
      chunk.has_value() && chunk->owner == link.client ? resolve(jumbo.where) : nullptr;
  if (data == nullptr) return malformed("a large record that lies nowhere");
  const std::vector<std::byte> copy(data, data + jumbo.size);
  Status handled = handle(link, type, copy.data(), copy.size());
  mark_dirty(link);
  link.send(RecordType::kFreeSpan, sizeof jumbo.where,
            [&](std::byte* to) { ipc::Writer(to).put(jumbo.where); });
  return handled;
}

// ---- what the reference table asks for

void SimNode::span_freed(ClientId owner, const Location& where) {
  if (owner == ClientId{1}) {
    arena_.free(where);
    return;
  }
  for (const auto& [id, link] : links_) {
    if (link->client != owner) continue;
    link->send(RecordType::kFreeSpan, sizeof where,
               [&](std::byte* to) { ipc::Writer(to).put(where); });
    mark_dirty(*link);
    return;
  }
}

void SimNode::chunk_closed(ChunkId chunk) {
  views_.drop(chunk);
  for (const auto& [id, link] : links_) {
    if (link->chunks.erase(chunk.value) == 0) continue;
    const ipc::ChunkNotice notice{0, chunk.value, 0};
    link->send(RecordType::kChunkClosed, sizeof notice,
               [&](std::byte* to) { ipc::Writer(to).put(notice); });
    mark_dirty(*link);
  }
}

void SimNode::function_freed(ObjectId function) {
  for (const auto& [id, link] : links_) {
    if (link->functions.erase(function.value) == 0) continue;
    if (link->last_function == function.value) link->last_function = 0;
    link->send_ids(RecordType::kForget, std::span(&function.value, 1));
    mark_dirty(*link);
  }
}

}  // namespace simulator
