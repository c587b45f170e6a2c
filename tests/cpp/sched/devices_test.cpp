// Tests of devices, and of how the scheduler gives them out.
#include "sched/devices.h"

#include <doctest/doctest.h>

#include "sched_testing.h"

namespace bolide::sched {
namespace {

constexpr Amount kHalf = kUnit / 2;

TEST_CASE("devices: whole ones are given out one by one, and come back") {
  Devices devices;
  devices.set_total(2 * kUnit);
  CHECK(devices.take(kUnit) == Shares{{0, kUnit}});
  CHECK(devices.fits(kUnit));
  CHECK_FALSE(devices.fits(2 * kUnit));
  const Shares second = devices.take(kUnit);
  CHECK(second == Shares{{1, kUnit}});
  CHECK_FALSE(devices.fits(1));
  devices.give(second);
  CHECK(devices.take(kUnit) == second);
}

TEST_CASE("devices: parts go where least is left, so that whole ones stay whole") {
  Devices devices;
  devices.set_total(2 * kUnit);
  const Shares first = devices.take(kHalf);
  CHECK(devices.take(kHalf) == first);
  CHECK(devices.fits(kUnit));
  devices.give(first);
  CHECK(devices.take(kHalf / 2) == Shares{{0, kHalf / 2}});
}

TEST_CASE("devices: what is free in all is not enough, it must be on one") {
  Devices devices;
  devices.set_total(2 * kUnit);
  const Shares both[] = {devices.take(6000), devices.take(6000)};
  CHECK(both[0] != both[1]);
  CHECK_FALSE(devices.fits(8000));
  CHECK_FALSE(devices.fits(kUnit));
  CHECK(devices.fits(4000));
}

TEST_CASE("devices: a part of a device is one that takes parts only") {
  Devices devices;
  devices.set_total(kUnit + kHalf);
  CHECK(devices.fits(kUnit));
  CHECK_FALSE(devices.fits(2 * kUnit));
  CHECK(devices.take(kHalf) == Shares{{1, kHalf}});
}

TEST_CASE("devices: none are asked for") {
  Devices devices;
  CHECK(devices.fits(0));
  CHECK(devices.take(0).empty());
  CHECK_FALSE(devices.fits(1));
}

TEST_CASE("devices: each lease has its own, its worker is told, and a death gives them back") {
  testing::Owner owner(4 * kUnit);
  owner.set_total("GPU", 2);
  SchedulingClass* cls = owner.define(7, {{"CPU", 1}, {"GPU", 1}});
  Worker& a = owner.start();
  Worker& b = owner.start();
  for (int i = 0; i < 3; ++i) owner.submit(cls);
  owner.dispatch();
  REQUIRE(a.devices.size() == 1);
  REQUIRE(b.devices.size() == 1);
  CHECK(a.devices != b.devices);
  CHECK(a.new_devices);
  const Shares was = a.devices;
  owner.die(a);
  CHECK(a.devices.empty());
  Worker& c = owner.start();
  owner.dispatch();
  CHECK(c.devices == was);
}

TEST_CASE("devices: a worker that had some is told when it has none, and is told once") {
  testing::Owner owner(kUnit);
  owner.set_total("GPU", 1);
  SchedulingClass* cls = owner.define(7, {{"CPU", 1}, {"GPU", 1}});
  Worker& worker = owner.start();
  // lease gives it a task of a class, and tells whether it was to be told of its devices.
  const auto lease = [&](SchedulingClass* of) {
    worker.new_devices = false;
    owner.submit(of);
    owner.dispatch();
    owner.finish(worker);
    return worker.new_devices;
  };
  CHECK(lease(cls));
  CHECK(lease(nullptr));
  CHECK_FALSE(lease(nullptr));
}

}  // namespace
}  // namespace bolide::sched
