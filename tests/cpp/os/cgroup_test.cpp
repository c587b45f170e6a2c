// Limits of control groups, read from trees that look like machines, containers and broken ones.
#include "os/cgroup.h"

#include <doctest/doctest.h>

#include "support/files.h"

using bolide::os::cgroup_cpu_quota;
using bolide::os::cgroup_memory;
using support::TemporaryFolder;

namespace {

const char* const kV2Mount =
    "25 20 0:22 / /proc rw,relatime - proc proc rw\n"
    "31 23 0:26 / /cg rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n";

}  // namespace

TEST_CASE("no control groups, no limits") {
  TemporaryFolder root;
  CHECK_FALSE(cgroup_memory(root.path()));
  CHECK_FALSE(cgroup_cpu_quota(root.path()));
}

TEST_CASE("version 2: the lowest limit and the least room on the way up count") {
  TemporaryFolder root;
  root.write("/proc/self/cgroup", "0::/user/job\n");
  root.write("/proc/self/mountinfo", kV2Mount);
  root.write("/cg/user/job/memory.max", "max\n");
  root.write("/cg/user/job/cpu.max", "max 100000\n");
  root.write("/cg/user/memory.max", "1000000\n");
  root.write("/cg/user/memory.current", "700000\n");
  root.write("/cg/user/memory.stat", "anon 600000\ninactive_file 100000\nactive_file 5\n");
  root.write("/cg/user/cpu.max", "150000 100000\n");
  root.write("/cg/memory.max", "5000000\n");
  root.write("/cg/memory.current", "4900000\n");
  auto memory = cgroup_memory(root.path());
  REQUIRE(memory);
  CHECK(memory->limit == 1000000);
  CHECK(memory->room == 100000);
  CHECK(cgroup_cpu_quota(root.path()).value_or(0) == doctest::Approx(1.5));
}

TEST_CASE("version 2: a group above its limit has no room") {
  TemporaryFolder root;
  root.write("/proc/self/cgroup", "0::/\n");
  root.write("/proc/self/mountinfo", kV2Mount);
  root.write("/cg/memory.max", "100\n");
  root.write("/cg/memory.current", "250\n");
  root.write("/cg/memory.stat", "inactive_file 9999\n");
  CHECK(cgroup_memory(root.path())->room == 100);  // all of it can be dropped
  root.write("/cg/memory.stat", "inactive_file 10\n");
  CHECK(cgroup_memory(root.path())->room == 0);
  root.write("/cg/memory.stat", "anon 7\n");
  CHECK(cgroup_memory(root.path())->room == 0);
}

TEST_CASE("version 1: memory and CPU time have hierarchies of their own") {
  TemporaryFolder root;
  root.write("/proc/self/cgroup",
             "9:name=systemd:/\n4:memory:/docker/abc\n2:cpu,cpuacct:/docker/abc\n0::/\n");
  root.write("/proc/self/mountinfo",
             "14 31 0:32 / /cg/cpu rw - cgroup cgroup rw,cpu,cpuacct\n"
             "16 37 0:34 / /cg/memory rw - cgroup cgroup rw,memory\n");
  root.write("/cg/memory/memory.limit_in_bytes", "9223372036854771712\n");
  root.write("/cg/memory/docker/abc/memory.limit_in_bytes", "2000\n");
  root.write("/cg/memory/docker/abc/memory.usage_in_bytes", "1500\n");
  root.write("/cg/memory/docker/abc/memory.stat", "cache 1\ntotal_inactive_file 500\n");
  root.write("/cg/cpu/docker/abc/cpu.cfs_quota_us", "50000\n");
  root.write("/cg/cpu/docker/abc/cpu.cfs_period_us", "100000\n");
  root.write("/cg/cpu/cpu.cfs_quota_us", "-1\n");
  root.write("/cg/cpu/cpu.cfs_period_us", "100000\n");
  CHECK(cgroup_memory(root.path())->limit == 2000);
  CHECK(cgroup_memory(root.path())->room == 1000);
  CHECK(cgroup_cpu_quota(root.path()).value_or(0) == doctest::Approx(0.5));
}

TEST_CASE("a container that sees only its own part of the hierarchy finds its group there") {
  TemporaryFolder root;
  root.write("/proc/self/cgroup", "4:memory:/docker/abc/inner\n");
  root.write("/proc/self/mountinfo",
             "16 37 0:34 /docker/abc /cg/memory rw - cgroup cgroup rw,memory\n");
  root.write("/cg/memory/memory.limit_in_bytes", "3000\n");
  root.write("/cg/memory/inner/memory.limit_in_bytes", "2500\n");
  CHECK(cgroup_memory(root.path())->limit == 2500);
}

TEST_CASE("what cannot be understood is no limit") {
  TemporaryFolder root;
  root.write("/proc/self/cgroup", "nonsense\n1:two\n0::/a\n");
  root.write("/proc/self/mountinfo", std::string("no dash here\n - \n") + kV2Mount);
  root.write("/cg/a/memory.max", "lots\n");
  root.write("/cg/a/cpu.max", "0 100000\n");
  root.write("/cg/cpu.max", "\n");
  CHECK_FALSE(cgroup_memory(root.path()));
  CHECK_FALSE(cgroup_cpu_quota(root.path()));
}
