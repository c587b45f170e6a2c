// Tests of loans.h.
#include "node/loans.h"

#include <doctest/doctest.h>

#include "store/sizes.h"

using namespace bolide;
using namespace bolide::node;
using bolide::store::kMiB;

TEST_CASE("loans: what each CPU's task may take without being counted is an eighth together") {
  Loans two(64 * kMiB, 2);
  CHECK_FALSE(two.is_heavy(4 * kMiB));
  CHECK(two.is_heavy(4 * kMiB + 1));
  CHECK_FALSE(Loans(64 * kMiB, 0).is_heavy(8 * kMiB));
  CHECK_FALSE(Loans(64 * kMiB, 0.5).is_heavy(8 * kMiB));
}

TEST_CASE("loans: an object counts once, until the last task has given it back") {
  Loans loans(64 * kMiB, 2);
  const ObjectId a{1}, b{2};
  loans.lend(a, 40 * kMiB);
  loans.lend(a, 40 * kMiB);
  CHECK(loans.bytes() == 40 * kMiB);
  CHECK(loans.has_room(16 * kMiB));
  CHECK_FALSE(loans.has_room(16 * kMiB + 1));
  loans.give_back(a, 40 * kMiB);
  CHECK(loans.is_lent(a));
  CHECK_FALSE(loans.is_lent(b));
  CHECK_FALSE(loans.has_room(20 * kMiB));
  loans.give_back(a, 40 * kMiB);
  CHECK_FALSE(loans.is_lent(a));
  CHECK(loans.bytes() == 0);
}

TEST_CASE("loans: alone, a task may have whatever it needs") {
  Loans loans(64 * kMiB, 2);
  CHECK(loans.has_room(64 * kMiB));
}
