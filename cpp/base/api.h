// BOLIDE_API marks what the extension modules may call in the private shared library.
//
// The library is built with hidden visibility: a symbol without this mark exists only inside it.
// The mark promises nothing about stability, since library and modules are built together.
#pragma once

#define BOLIDE_API __attribute__((visibility("default")))
