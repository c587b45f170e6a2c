// Status and Result: success is free, a failure keeps its code, sentence and errno, values move.
#include "base/status.h"

#include <doctest/doctest.h>

#include <cerrno>
#include <csignal>
#include <memory>
#include <type_traits>

#include "support/forked.h"

using bolide::Code;
using bolide::Result;
using bolide::Status;

static_assert(sizeof(Status) == sizeof(void*), "success must stay one null pointer");
static_assert(!std::is_copy_constructible_v<Status> &&
              std::is_nothrow_move_constructible_v<Status>);

TEST_CASE("a default status is success and has nothing to say") {
  Status status;
  CHECK(status.is_ok());
  CHECK(status.code() == Code::kOk);
  CHECK(status.message().empty());
  CHECK(status.err() == 0);
  CHECK(Status(Code::kOk, "ignored", 5).is_ok());
  CHECK(status.clone().is_ok());
}

TEST_CASE("a failed status keeps code, sentence and errno, also in its clone and after a move") {
  Status status(Code::kFull, "the ring is full", 11);
  Status copy = status.clone();
  Status moved = std::move(status);
  for (const Status* each : {&copy, &moved}) {
    CHECK_FALSE(each->is_ok());
    CHECK(each->code() == Code::kFull);
    CHECK(each->message() == "the ring is full");
    CHECK(each->err() == 11);
  }
  moved = Status();
  CHECK(moved.is_ok());
  CHECK(copy.message() == "the ring is full");
}

TEST_CASE("the message of a temporary status outlives it") {
  auto make = [] { return Status(Code::kInvalid, "num_cpus is -1; it must be at least 0"); };
  const std::string& text = make().message();
  CHECK(text == "num_cpus is -1; it must be at least 0");
}

TEST_CASE("system_error names the errno in words and in figures") {
  Status status = bolide::system_error("cannot open /x", ENOENT);
  CHECK(status.code() == Code::kSystem);
  CHECK(status.err() == ENOENT);
  CHECK(status.message() == "cannot open /x: No such file or directory (errno 2)");
}

TEST_CASE("every code has a name") {
  const char* names[] = {"Ok",     "Timeout", "Interrupted", "Full",   "NotFound", "Invalid",
                         "Closed", "Corrupt", "System",      "Exists", "Limit"};
  for (uint8_t i = 0; i < std::size(names); ++i) {
    CHECK(std::string(bolide::code_name(static_cast<Code>(i))) == names[i]);
  }
  CHECK(std::string(bolide::code_name(static_cast<Code>(200))) == "Unknown");
}

namespace {
Result<int> half(int n) {
  if (n % 2 != 0) return Status(Code::kInvalid, "the number is odd");
  return n / 2;
}
Status forwarded(int n) {
  Result<int> result = half(n);
  if (!result.is_ok()) return result.status();
  return Status();
}
}  // namespace

TEST_CASE("a result holds a value or a failed status") {
  Result<int> good = half(8);
  REQUIRE(good.is_ok());
  CHECK(good.value() == 4);
  CHECK(*good == 4);
  CHECK(good.status().is_ok());
  *good = 7;
  CHECK(std::as_const(good).value() == 7);
  CHECK(*std::as_const(good) == 7);
  CHECK(*half(6) == 3);
  CHECK(half(6).value() == 3);

  CHECK_FALSE(half(3).is_ok());
  CHECK(half(3).status().message() == "the number is odd");
  CHECK(forwarded(3).code() == Code::kInvalid);
  CHECK(forwarded(4).is_ok());
}

TEST_CASE("a result gives its value away once, also one that can only move") {
  Result<std::unique_ptr<std::string>> result(std::make_unique<std::string>("x"));
  CHECK(result->get()->size() == 1);
  CHECK(std::as_const(result)->get() != nullptr);
  std::unique_ptr<std::string> taken = result.take();
  CHECK(*taken == "x");
}

TEST_CASE("misuse of a result ends the process with a sentence") {
  support::Ended used = support::forked([] { return half(3).value(); });
  CHECK(used.killed(SIGABRT));
  CHECK(used.said("the value of a failed Result was used"));
  support::Ended empty = support::forked([] { return Result<int>(Status()).is_ok() ? 1 : 0; });
  CHECK(empty.killed(SIGABRT));
  CHECK(empty.said("a Result without a value needs a failed Status"));
}
