// Messages with 0, 1 and 4 descriptors, and every way in which one does not arrive.
#include "os/fd_passing.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "os/memory.h"
#include "support/faults.h"
#include "support/files.h"
#include "support/signals.h"

using namespace bolide;
using os::Fd;

namespace {

std::pair<Fd, Fd> new_pair() {
  Result<std::pair<Fd, Fd>> pair = os::socket_pair();
  REQUIRE(pair.is_ok());
  return pair.take();
}

Status send(const Fd& sock, const std::string& text, std::span<const int> fds = {}) {
  return os::send_message(sock.get(), std::as_bytes(std::span(text)), fds);
}

struct Received {
  Status status;
  std::string text;
  std::vector<Fd> fds;
};

Received receive(const Fd& sock, size_t room = 64, bool wait = false) {
  Received received;
  std::vector<std::byte> bytes(room);
  received.fds.emplace_back(::open("/dev/null", O_RDONLY | O_CLOEXEC));  // must be replaced
  Result<size_t> got = os::receive_message(sock.get(), bytes, received.fds, wait);
  received.status = got.status();
  if (got.is_ok()) received.text.assign(reinterpret_cast<char*>(bytes.data()), *got);
  return received;
}

ino_t inode(int fd) {
  struct stat info {};
  ::fstat(fd, &info);
  return info.st_ino;
}

}  // namespace

TEST_CASE("a message brings its bytes and as many descriptors as were sent") {
  auto [left, right] = new_pair();
  std::vector<Fd> files;
  std::vector<int> numbers;
  for (int i = 0; i < 4; ++i) {
    files.push_back(os::create_memfd("passed", 4096).take());
    numbers.push_back(files.back().get());
  }
  for (size_t count : {size_t{0}, size_t{1}, size_t{4}}) {
    REQUIRE(send(left, "hello", std::span(numbers).first(count)).is_ok());
    Received received = receive(right, 64, true);
    REQUIRE(received.status.is_ok());
    CHECK(received.text == "hello");
    REQUIRE(received.fds.size() == count);
    for (size_t i = 0; i < count; ++i) {
      CHECK(received.fds[i].get() != numbers[i]);
      CHECK(inode(received.fds[i].get()) == inode(numbers[i]));
      CHECK((::fcntl(received.fds[i].get(), F_GETFD) & FD_CLOEXEC) != 0);
    }
  }
}

TEST_CASE("messages keep their borders and both ways work") {
  auto [left, right] = new_pair();
  REQUIRE(send(left, "one").is_ok());
  REQUIRE(send(left, "two").is_ok());
  REQUIRE(send(right, "back").is_ok());
  CHECK(receive(right).text == "one");
  CHECK(receive(right).text == "two");
  CHECK(receive(left).text == "back");
  CHECK((::fcntl(left.get(), F_GETFD) & FD_CLOEXEC) != 0);
}

TEST_CASE("nothing there is kFull when not waiting") {
  auto [left, right] = new_pair();
  Received received = receive(right);
  CHECK(received.status.code() == Code::kFull);
  CHECK(received.status.message() == "cannot receive a message: the socket is not ready");
  CHECK(received.fds.empty());
}

TEST_CASE("waiting is interrupted by a signal handler") {
  auto [left, right] = new_pair();
  support::SignalStorm storm;
  CHECK(receive(right, 64, true).status.code() == Code::kInterrupted);
}

TEST_CASE("a peer that does not read makes sending kFull, and reading makes room") {
  auto [left, right] = new_pair();
  std::string block(4096, 'x');
  Status status;
  int sent = 0;
  while ((status = send(left, block)).is_ok()) ++sent;
  CHECK(sent > 0);
  CHECK(status.code() == Code::kFull);
  for (int i = 0; i < sent; ++i) CHECK(receive(right, 4096).text.size() == 4096);
  CHECK(send(left, block).is_ok());
}

TEST_CASE("a closed peer is kClosed for both sides") {
  auto [left, right] = new_pair();
  REQUIRE(send(left, "last words").is_ok());
  left.reset();
  CHECK(receive(right).text == "last words");
  Received received = receive(right, 64, true);
  CHECK(received.status.code() == Code::kClosed);
  CHECK(received.status.message() == "cannot receive a message: the peer is gone");
  Status status = send(right, "anyone?");
  CHECK(status.code() == Code::kClosed);
  CHECK(status.message() == "cannot send a message: the peer is gone");
}

TEST_CASE("a peer that closes without reading what it got is kClosed too") {
  auto [left, right] = new_pair();
  REQUIRE(send(right, "unread").is_ok());
  left.reset();
  CHECK(receive(right).status.code() == Code::kClosed);
}

TEST_CASE("a message that does not fit is kCorrupt and leaks none of its descriptors") {
  auto [left, right] = new_pair();
  Fd file = os::create_memfd("passed", 1).take();
  int number = file.get();
  long before = support::open_descriptors();
  REQUIRE(send(left, "twelve bytes", std::span(&number, 1)).is_ok());
  Received received = receive(right, 4);
  CHECK(received.status.code() == Code::kCorrupt);
  CHECK(received.status.message() == "a message did not fit into 4 bytes");
  CHECK(received.fds.empty());
  CHECK(support::open_descriptors() == before);
}

TEST_CASE("more descriptors than a message may carry are refused here and there") {
  auto [left, right] = new_pair();
  std::vector<int> many(os::kMaxFdsPerMessage + 1, left.get());
  Status refused = send(left, "x", many);
  CHECK(refused.code() == Code::kInvalid);
  CHECK(refused.message() == "a message carries at most 16 descriptors, not 17");

  // A peer that does not use our function can still send them.
  alignas(cmsghdr) char control[CMSG_SPACE((os::kMaxFdsPerMessage + 1) * sizeof(int))] = {};
  char byte = 'x';
  iovec part{&byte, 1};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(many.size() * sizeof(int));
  std::memcpy(CMSG_DATA(header), many.data(), many.size() * sizeof(int));
  REQUIRE(::sendmsg(left.get(), &message, 0) == 1);
  long before = support::open_descriptors();
  Received received = receive(right);
  CHECK(received.status.code() == Code::kCorrupt);
  CHECK(received.status.message().find("more than 16, or this process has no descriptor left") !=
        std::string::npos);
  CHECK(support::open_descriptors() == before);
}

TEST_CASE("the most descriptors that a message may carry arrive") {
  auto [left, right] = new_pair();
  std::vector<int> most(os::kMaxFdsPerMessage, left.get());
  REQUIRE(send(left, "x", most).is_ok());
  CHECK(receive(right).fds.size() == os::kMaxFdsPerMessage);
}

TEST_CASE("empty and oversized messages, and no socket at all, are refused with a sentence") {
  auto [left, right] = new_pair();
  CHECK(send(left, "").message() == "a message needs at least one byte");
  Status status = send(left, std::string(64 << 20, 'x'));
  CHECK(status.code() == Code::kInvalid);
  CHECK(status.message() == "a message of 67108864 bytes is too long");
  CHECK(send(Fd(), "x").message() == "cannot send a message: Bad file descriptor (errno 9)");
  CHECK(receive(Fd()).status.err() == EBADF);
  int closed = -1;
  CHECK(send(left, "x", std::span(&closed, 1)).err() == EBADF);
}

#ifdef BOLIDE_FAULTS
TEST_CASE("making a pair and sending can fail") {
  auto [left, right] = new_pair();
  support::FaultPlan plan("socket.*=fail");
  CHECK(os::socket_pair().status().err() == EMFILE);
  CHECK(send(left, "x").code() == Code::kFull);
}
#endif
