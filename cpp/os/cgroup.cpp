// Reads /proc/self/cgroup (which group are we in?), /proc/self/mountinfo (where is its hierarchy
// mounted, and from which group down?) and the limit files of that group and its parents.
#include "os/cgroup.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <sstream>
#include <string_view>
#include <vector>

namespace bolide::os {
namespace {

std::optional<uint64_t> parse_number(std::string_view text) {
  uint64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end == text.data()) return std::nullopt;
  return value;
}

std::string first_line(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

std::optional<uint64_t> read_number(const std::string& path) {
  return parse_number(first_line(path));
}

// The number behind `key` in a file of "key number" lines.
std::optional<uint64_t> read_keyed(const std::string& path, std::string_view key) {
  std::ifstream file(path);
  std::string name;
  std::string value;
  while (file >> name >> value) {
    if (name == key) return parse_number(value);
  }
  return std::nullopt;
}

bool has_word(const std::string& comma_list, std::string_view word) {
  std::istringstream words(comma_list);
  for (std::string each; std::getline(words, each, ',');) {
    if (each == word) return true;
  }
  return false;
}

// Our group in the version 1 hierarchy of `controller`, or in the version 2 one for "".
std::optional<std::string> own_group(const std::string& root, std::string_view controller) {
  std::ifstream file(root + "/proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {
    size_t first = line.find(':');
    size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    std::string controllers = line.substr(first + 1, second - first - 1);
    bool ours = controller.empty() ? controllers.empty() : has_word(controllers, controller);
    if (ours) return line.substr(second + 1);
  }
  return std::nullopt;
}

struct Mount {
  std::string group;  // the group that shows at `folder`
  std::string folder;
};

std::optional<Mount> find_mount(const std::string& root, const std::string& controller) {
  std::ifstream file(root + "/proc/self/mountinfo");
  for (std::string line; std::getline(file, line);) {
    // id parent device group folder options [tags...] - type source super-options
    size_t dash = line.find(" - ");
    if (dash == std::string::npos) continue;
    std::istringstream head(line.substr(0, dash));
    std::istringstream tail(line.substr(dash + 3));
    std::string skipped;
    Mount mount;
    std::string type;
    std::string options;
    head >> skipped >> skipped >> skipped >> mount.group >> mount.folder;
    tail >> type >> skipped >> options;
    bool ours =
        controller.empty() ? type == "cgroup2" : type == "cgroup" && has_word(options, controller);
    if (ours) return mount;
  }
  return std::nullopt;
}

// The folders of our group and its parents that can be seen, our own first.
std::vector<std::string> group_folders(const std::string& root, const std::string& controller) {
  std::optional<std::string> group = own_group(root, controller);
  std::optional<Mount> mount = find_mount(root, controller);
  if (!group || !mount) return {};
  std::string path = *group;
  if (mount->group != "/" && path.starts_with(mount->group)) path.erase(0, mount->group.size());
  std::vector<std::string> folders;
  while (!path.empty() && path != "/") {
    folders.push_back(root + mount->folder + path);
    path.erase(path.rfind('/'));
  }
  folders.push_back(root + mount->folder);
  return folders;
}

struct MemoryFiles {
  const char* controller;
  const char* limit;
  const char* usage;
  const char* droppable;  // key in memory.stat
};

constexpr MemoryFiles kMemoryFiles[] = {
    {"", "/memory.max", "/memory.current", "inactive_file"},
    {"memory", "/memory.limit_in_bytes", "/memory.usage_in_bytes", "total_inactive_file"},
};

}  // namespace

std::optional<CgroupMemory> cgroup_memory(const std::string& root) {
  std::optional<CgroupMemory> found;
  for (const MemoryFiles& files : kMemoryFiles) {
    for (const std::string& folder : group_folders(root, files.controller)) {
      std::optional<uint64_t> limit = read_number(folder + files.limit);
      if (!limit) continue;
      uint64_t used = read_number(folder + files.usage).value_or(0);
      uint64_t droppable = read_keyed(folder + "/memory.stat", files.droppable).value_or(0);
      used -= std::min(used, droppable);
      uint64_t room = *limit - std::min(*limit, used);
      if (!found) found = CgroupMemory{*limit, room};
      found->limit = std::min(found->limit, *limit);
      found->room = std::min(found->room, room);
    }
  }
  return found;
}

std::optional<double> cgroup_cpu_quota(const std::string& root) {
  std::optional<double> lowest;
  auto take = [&lowest](std::optional<uint64_t> quota, std::optional<uint64_t> period) {
    if (!quota || !period || *quota == 0 || *period == 0) return;
    double cores = static_cast<double>(*quota) / static_cast<double>(*period);
    lowest = std::min(lowest.value_or(cores), cores);
  };
  for (const std::string& folder : group_folders(root, "")) {
    std::istringstream line(first_line(folder + "/cpu.max"));
    std::string quota;
    std::string period;
    line >> quota >> period;  // "max 100000" when unlimited
    take(parse_number(quota), parse_number(period));
  }
  for (const std::string& folder : group_folders(root, "cpu")) {
    // -1 when unlimited, which is no unsigned number.
    take(read_number(folder + "/cpu.cfs_quota_us"), read_number(folder + "/cpu.cfs_period_us"));
  }
  return lowest;
}

}  // namespace bolide::os
