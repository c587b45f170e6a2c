// IoPool: everything is called once, by several threads, and stop leaves nothing behind.
#include "store/io_pool.h"

#include <doctest/doctest.h>

#include <atomic>
#include <future>
#include <set>
#include <thread>

#include "support/faults.h"

using namespace bolide;
using store::IoPool;

TEST_CASE("io pool: nothing was submitted, so there is nothing to stop") {
  IoPool pool(4);
  pool.stop();
  CHECK(pool.submit([](bool) {}).code() == Code::kClosed);
}

TEST_CASE("io pool: several works run at once") {
  IoPool pool(3);
  std::atomic<int> inside{0};
  std::promise<void> all;
  std::shared_future<void> everybody = all.get_future().share();
  std::mutex mutex;
  std::set<std::thread::id> threads;
  for (int i = 0; i < 3; ++i) {
    REQUIRE(pool.submit([&](bool cancelled) {
                  CHECK_FALSE(cancelled);
                  {
                    std::lock_guard<std::mutex> lock(mutex);
                    threads.insert(std::this_thread::get_id());
                  }
                  if (++inside == 3) all.set_value();
                  everybody.wait();  // for ever, if they came one after another
                })
                .is_ok());
  }
  everybody.wait();
  pool.stop();
  CHECK(inside == 3);
  CHECK(threads.size() == 3);
}

TEST_CASE("io pool: what has not begun is called as cancelled") {
  IoPool pool(1);
  std::promise<void> begun, go;
  std::atomic<int> done{0}, cancelled{0};
  REQUIRE(pool.submit([&](bool) {
                begun.set_value();
                go.get_future().wait();
                ++done;
              })
              .is_ok());
  for (int i = 0; i < 10; ++i) {
    REQUIRE(pool.submit([&](bool was_cancelled) { ++(was_cancelled ? cancelled : done); }).is_ok());
  }
  begun.get_future().wait();
  std::thread stopper([&] { pool.stop(); });
  while (pool.submit([](bool) {}).is_ok()) std::this_thread::yield();  // until it is stopping
  go.set_value();
  stopper.join();
  CHECK(done == 1);
  CHECK(cancelled == 10);
}

TEST_CASE("io pool: a thousand small works, each once") {
  IoPool pool(4);
  std::atomic<int> count{0};
  for (int i = 0; i < 1000; ++i) REQUIRE(pool.submit([&](bool) { ++count; }).is_ok());
  while (count < 1000) std::this_thread::yield();
  pool.stop();
  CHECK(count == 1000);
}

#ifdef BOLIDE_FAULTS
TEST_CASE("io pool: no thread to be had") {
  IoPool pool(2);
  const support::FaultPlan faults("thread.start=fail");
  const Status refused = pool.submit([](bool) {});
  CHECK(refused.code() == Code::kSystem);
}
#endif
