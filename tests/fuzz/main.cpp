// The main() of a fuzz target where the compiler has no libFuzzer: replays the target's seeds and
// the files of its corpus, then runs mutations of them that a seed decides.
//
//   fuzz_X [--corpus FOLDER]        seeds and the files of a folder only
//   fuzz_X --runs N [--seed S]      and N mutations
//   fuzz_X --seed S --only K [--save FILE]   mutation K of that seed, and nothing else
//   fuzz_X --write FOLDER           writes the seeds to files, as a corpus for libFuzzer
//   fuzz_X FILE...                  these inputs and nothing else
//
// An input that ends the process is named, with the command that replays it.
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "fuzz/mutate.h"

// Sanitizers that have this call it before they end the process.
extern "C" __attribute__((weak)) void __sanitizer_set_death_callback(void (*callback)());

namespace {

constexpr unsigned kSecondsPerInput = 20;  // of real time: an input that hangs must be named too
constexpr size_t kMostBytes = 4096;

char running[512];  // how to replay the input that runs

void tell() {
  const size_t size = std::char_traits<char>::length(running);
  if (::write(STDERR_FILENO, running, size) < 0) return;
}

void on_signal(int signal) {
  tell();
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

void run(const fuzz::Bytes& input) {
  ::alarm(kSecondsPerInput);
  // Exactly as long as said, so that AddressSanitizer sees every step too far.
  const fuzz::Bytes exact(input.begin(), input.end());
  LLVMFuzzerTestOneInput(exact.data(), exact.size());
}

fuzz::Bytes read(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return fuzz::Bytes(std::istreambuf_iterator<char>(file), {});
}

void write(const std::filesystem::path& path, const fuzz::Bytes& bytes) {
  std::ofstream file(path, std::ios::binary);
  file.write(reinterpret_cast<const char*>(bytes.data()),
             static_cast<std::streamsize>(bytes.size()));
}

int write_seeds(const std::filesystem::path& folder) {
  std::filesystem::create_directories(folder);
  size_t number = 0;
  for (const fuzz::Bytes& seed : fuzz::seeds()) {
    write(folder / ("seed" + std::to_string(number++)), seed);
  }
  return 0;
}

int usage(const char* program) {
  std::fprintf(stderr,
               "usage: %s [--corpus FOLDER] [--seed S] [--runs N | --only K [--save FILE]] | --write FOLDER | FILE...\n",
               program);
  return 2;
}

}  // namespace

int main(int argc, char** argv) {
  uint64_t runs = 0;
  uint64_t seed = 1;
  uint64_t only = 0;
  std::filesystem::path corpus;
  std::filesystem::path save;
  std::vector<std::filesystem::path> files;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (!word.starts_with("--")) {
      files.emplace_back(word);
      continue;
    }
    if (++i == argc) return usage(argv[0]);
    if (word == "--write") return write_seeds(argv[i]);
    if (word == "--corpus" || word == "--save") {
      (word == "--save" ? save : corpus) = argv[i];
      continue;
    }
    char* end = nullptr;
    const uint64_t value = std::strtoull(argv[i], &end, 10);
    if (*end != '\0' || end == argv[i]) return usage(argv[0]);
    if (word == "--runs") {
      runs = value;
    } else if (word == "--seed") {
      seed = value;
    } else if (word == "--only") {
      only = value;
    } else {
      return usage(argv[0]);
    }
  }
  for (int signal : {SIGABRT, SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGALRM}) {
    std::signal(signal, on_signal);
  }
  if (__sanitizer_set_death_callback != nullptr) __sanitizer_set_death_callback(tell);

  if (!files.empty()) {
    for (const auto& path : files) {
      std::snprintf(running, sizeof running, "replay: %s %s\n", argv[0], path.c_str());
      run(read(path));
    }
    return 0;
  }
  std::vector<fuzz::Bytes> pool = fuzz::seeds();
  if (!corpus.empty()) {
    for (const auto& each : std::filesystem::directory_iterator(corpus)) {
      pool.push_back(read(each.path()));
    }
  }
  if (only == 0) {
    for (size_t i = 0; i < pool.size(); ++i) {
      std::snprintf(running, sizeof running, "input %zu of the seeds and the corpus failed\n", i);
      run(pool[i]);
    }
  }
  const std::clock_t began = std::clock();
  for (uint64_t k = only == 0 ? 1 : only; k <= (only == 0 ? runs : only); ++k) {
    std::snprintf(running, sizeof running, "replay: %s --corpus '%s' --seed %lu --only %lu\n",
                  argv[0], corpus.c_str(), seed, k);
    simulator::Random random(seed ^ k * 0x9e3779b97f4a7c15u);
    const fuzz::Bytes input = fuzz::mutated(pool, random, kMostBytes);
    if (!save.empty()) write(save, input);
    run(input);
  }
  ::alarm(0);
  std::printf("%zu inputs, %lu mutations of seed %lu, %.1f s of CPU\n", pool.size(), runs, seed,
              static_cast<double>(std::clock() - began) / CLOCKS_PER_SEC);
  return 0;
}
