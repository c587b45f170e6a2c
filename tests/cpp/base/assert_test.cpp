// The three levels: CHECK always aborts with its sentence, the others only where compiled in.
#include "base/assert.h"

#include <doctest/doctest.h>

#include <csignal>

#include "support/forked.h"

TEST_CASE("a check that holds does nothing and evaluates its condition once") {
  int count = 0;
  BOLIDE_CHECK(++count == 1, "counted twice");
  CHECK(count == 1);
}

TEST_CASE("a check that fails names file, line, condition and sentence, then aborts") {
  support::Ended ended = support::forked([] {
    int books = 3;
    BOLIDE_CHECK(books == 4, "the books do not balance");
    return 0;
  });
  CHECK(ended.killed(SIGABRT));
  CHECK(ended.said("assert_test.cpp:"));
  CHECK(ended.said(": check failed: books == 4: the books do not balance\n"));
}

TEST_CASE("a debug check aborts in debug builds and is not evaluated in others") {
  support::Ended ended = support::forked([] {
    int evaluated = 0;
    BOLIDE_DCHECK(++evaluated == 0, "a debug check");
    return evaluated;
  });
#ifdef BOLIDE_DEBUG_CHECKS
  CHECK(ended.killed(SIGABRT));
  CHECK(ended.said("a debug check"));
#else
  CHECK(ended.exited(0));
#endif
}

TEST_CASE("an audit aborts in audit builds and is not evaluated in others") {
  support::Ended ended = support::forked([] {
    int evaluated = 0;
    BOLIDE_AUDIT(++evaluated == 0, "an audit");
    return evaluated;
  });
#ifdef BOLIDE_AUDIT_CHECKS
  CHECK(ended.killed(SIGABRT));
  CHECK(ended.said("an audit"));
#else
  CHECK(ended.exited(0));
#endif
}
