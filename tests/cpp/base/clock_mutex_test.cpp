// now() follows CLOCK_MONOTONIC; Mutex excludes and MutexLock opens and closes in scope.
#include <doctest/doctest.h>
#include <time.h>

#include <thread>

#include "base/clock.h"
#include "base/mutex.h"

TEST_CASE("now() reads CLOCK_MONOTONIC, the clock that other processes read") {
  auto monotonic = [] {
    timespec time{};
    ::clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * bolide::kSecond + time.tv_nsec;
  };
  bolide::Nanos before = monotonic();
  bolide::Nanos between = bolide::now();
  bolide::Nanos after = monotonic();
  CHECK(before <= between);
  CHECK(between <= after);
}

TEST_CASE("a mutex excludes other threads and counts exactly") {
  bolide::Mutex mutex;
  int count = 0;
  auto add = [&] {
    for (int i = 0; i < 10'000; ++i) {
      bolide::MutexLock lock(mutex);
      ++count;
    }
  };
  std::thread other(add);
  add();
  other.join();
  CHECK(count == 20'000);
}

TEST_CASE("a lock can be opened in between and ends as it stands") {
  bolide::Mutex mutex;
  auto is_free = [&] {
    bool free = false;
    std::thread([&] {
      free = mutex.try_lock();
      if (free) mutex.unlock();
    }).join();
    return free;
  };
  {
    bolide::MutexLock lock(mutex);
    CHECK_FALSE(is_free());
    lock.unlock();
    CHECK(is_free());
    lock.lock();
    CHECK_FALSE(is_free());
  }
  CHECK(is_free());
  {
    bolide::MutexLock lock(mutex);
    lock.unlock();
  }
  CHECK(is_free());
}
