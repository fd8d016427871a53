// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// The C++ side of the module: the smallest program that shows C++ at work in the kernel.
#include "step.h"
#include "kernel.h"

namespace {

/// Says when it begins and when it ends. The destructor runs at the end of the scope, whichever
/// way the scope is left: that is how every later step undoes what it did to the processor.
class Announcer {
public:
    Announcer() { vtx_log("a scope begins: constructor"); }
    ~Announcer() { vtx_log("the scope ends: destructor"); }
    Announcer(const Announcer &) = delete;
    Announcer &operator=(const Announcer &) = delete;
};

} // namespace

int step_start() {
    vtx_log("C++ compiler: g++ " __VERSION__ ", standard %ld", __cplusplus);
    // [exercise 00-1]
    const Announcer announcer;
    vtx_log("inside the scope");
    // [exercise 00-1]
    return 0;
}

void step_stop() { vtx_log("unloaded"); }
