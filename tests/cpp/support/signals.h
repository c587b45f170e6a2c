// SignalStorm: interrupts whatever the test blocks in, again and again until it goes out of scope.
//
// One signal could arrive just before the call that it is meant to interrupt; a signal every
// millisecond cannot miss. The handler does nothing and does not restart calls.
#pragma once

#include <signal.h>
#include <sys/time.h>

namespace support {

class SignalStorm {
 public:
  SignalStorm() {
    struct sigaction action {};
    action.sa_handler = [](int) {};
    ::sigaction(SIGALRM, &action, &before_);
    itimerval every{{0, 1000}, {0, 1000}};
    ::setitimer(ITIMER_REAL, &every, nullptr);
  }
  ~SignalStorm() {
    itimerval never{};
    ::setitimer(ITIMER_REAL, &never, nullptr);
    ::sigaction(SIGALRM, &before_, nullptr);
  }
  SignalStorm(const SignalStorm&) = delete;
  SignalStorm& operator=(const SignalStorm&) = delete;

 private:
  struct sigaction before_ {};
};

}  // namespace support
